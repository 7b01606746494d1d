"""
What was measured, as one page that needs nothing beside it: tables, ROC, DET and histograms as inline SVG.

No date and no machine's name in it: the same folder gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from html import escape
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.calibration import OperatingPoint
from biometrics.engine.measurement import Distances, confidence

WARNING = (
    "The authors of LFW warn that its results must not be used to conclude that an algorithm is suitable for any"
    " commercial purpose. Rates differ between demographic groups, cameras and places: measure on your own."
)
_COLOURS = ("#0b7285", "#c2410c", "#7048e8", "#2b8a3e", "#b02a6b", "#8a6d00", "#64748b")
_MARKS = (1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5)
_LEAST = 1e-5
_W, _H, _LEFT, _BOTTOM, _RIGHT = 910, 460, 70, 60, 300
_STYLE = (
    ":root{color-scheme:light dark;--ink:#1d273b;--paper:#fff;--rule:#c8d0da}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--paper:#151c28;--rule:#43506a}}"
    "svg{background:var(--paper);max-width:100%;height:auto}text{fill:var(--ink);font:13px system-ui,sans-serif}"
    ".rule{stroke:var(--rule);stroke-width:1}.line{fill:none;stroke-width:2}"
)
_PAGE_STYLE = (
    "body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;margin:1rem 0}"
    "td,th{border:1px solid var(--rule);padding:.3rem .6rem;"
    "text-align:right}th{text-align:left}.warning{border-left:4px solid #c2410c;padding-left:1rem}"
)

Curves = Mapping[str, Distances]
Points = Mapping[str, Sequence[tuple[float, float]]]


def det_svg(curves: Curves, points: Points, *, title: str) -> str:
    """
    Draw the trade of false matches against false non-matches, both axes by the normal deviate (Martin et al., 1997).

    :param points: named operating points (FMR, FNMR) measured elsewhere; a rate of zero has no place on these axes and
        is drawn at their edge as an open circle
    """
    scale = NormalDist().inv_cdf
    low, high = scale(_LEAST), scale(0.5)

    def place(rate: float) -> float:
        return (scale(min(max(rate, _LEAST), 0.5)) - low) / (high - low)

    body = [
        _axes([(place(rate), _percent(rate)) for rate in _MARKS], [(place(rate), _percent(rate)) for rate in _MARKS])
    ]
    body.append(_titles("false-match rate", "false non-match rate"))
    names = [*curves, *points]
    for name, counts in curves.items():
        fmr, fnmr = counts.curve()
        body.append(_line([(place(x), place(y)) for x, y in _staircase(fmr, fnmr)], names.index(name)))
    for name, rates in points.items():
        colour = names.index(name)
        body.append(_line([(place(x), place(y)) for x, y in rates], colour))
        body += [_dot(place(x), place(y), colour, filled=y > 0 and x > 0) for x, y in rates]
    body.append(_legend(names))
    return _svg("".join(body), title)


def roc_svg(curves: Curves, *, title: str) -> str:
    """Draw the share of genuine comparisons that match against the false-match rate (logarithmic)."""

    def across(rate: float) -> float:
        return (float(np.log10(max(rate, _LEAST))) + 5) / 5

    ticks = [(across(10.0**n), _percent(10.0**n)) for n in range(-5, 1)]
    body = [_axes(ticks, [(n / 5, f"{n * 20} %") for n in range(6)]), _titles("false-match rate", "true match rate")]
    for colour, counts in enumerate(curves.values()):
        fmr, fnmr = counts.curve()
        body.append(_line([(across(x), 1 - y) for x, y in _staircase(fmr, fnmr)], colour))
    body.append(_legend(list(curves)))
    return _svg("".join(body), title)


def histogram_svg(counts: Distances, *, title: str) -> str:
    """Draw how far genuine and impostor comparisons lie apart, in steps of 0.02, each to its own highest."""
    body = [_axes([(n / 6, f"{n * 0.2:.1f}") for n in range(7)], []), _titles("distance", "share of comparisons")]
    for colour, values in enumerate((counts.genuine, counts.impostor)):
        steps = values[:12_000].reshape(60, 200).sum(axis=1)
        tallest = max(int(steps.max()), 1)
        outline = [(at / 60, height / tallest) for n, height in enumerate(steps) for at in (n, n + 1)]
        body.append(_line([(0, 0), *outline, (1, 0)], colour))
    body.append(_legend([f"genuine ({counts.genuine_count})", f"impostor ({counts.impostor_count})"]))
    return _svg("".join(body), title)


def page(
    *,
    dataset: str,
    facts: Sequence[tuple[str, str]],
    curves: Curves,
    groups: Curves,
    rows: Sequence[OperatingPoint],
    left_out: Sequence[str],
    checked: Sequence[OperatingPoint],
) -> str:
    """
    Write the page.

    :param checked: the rows of the calibration in force, to be held against what was measured here
    """
    first = next(iter(curves.values()))
    parts = [
        f"<h1>Calibration on {escape(dataset)}</h1><p class=warning>{escape(WARNING)}</p>",
        _table(("What", "How many"), facts),
        "<h2>The thresholds in force, on these photos</h2>",
        _table(
            ("Row", "Threshold", "False matches", "95 % interval", "False non-matches", "95 % interval"),
            [_checked(row, curves[f"k={row.k}, m={row.m}"]) for row in checked if f"k={row.k}, m={row.m}" in curves],
        ),
        "<p>The intervals (Clopper and Pearson) take comparisons as independent; those that share a photo are not, and"
        " the true intervals are wider.</p><h2>The new thresholds</h2>",
        _table(
            ("k", "m", "Target FMR", "Threshold", "FNMR"),
            [(str(r.k), str(r.m), r.target_fmr, f"{r.threshold_e4 / 1e4:.4f}", str(r.fnmr)) for r in rows],
        )
        if rows
        else "<p>None: these comparisons are too few for any rate asked for.</p>",
    ]
    if left_out:
        parts.append("<p>Left out:</p><ul>" + "".join(f"<li>{escape(line)}</li>" for line in left_out) + "</ul>")
    parts += [
        det_svg(curves, {}, title="Detection error trade-off"),
        roc_svg(curves, title="Receiver operating characteristic"),
        histogram_svg(first, title="Distances of one photo to one photo"),
    ]
    if groups:
        parts.append("<h2>By group</h2>")
        base = [row for row in checked if (row.k, row.m) == (1, 1)]
        parts.append(
            _table(
                ("Group and row", "Threshold", "False matches", "95 % interval", "False non-matches", "95 % interval"),
                [
                    (f"{name}: {cells[0]}", *cells[1:])
                    for name in groups
                    for cells in [_checked(r, groups[name]) for r in base]
                ],
            )
        )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration on {escape(dataset)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{_PAGE_STYLE}</style>'
        f"{''.join(parts)}</html>\n"
    )


def _checked(row: OperatingPoint, counts: Distances) -> tuple[str, ...]:
    matched, missed = counts.false_matches(row.threshold_e4), counts.false_non_matches(row.threshold_e4)
    return (
        f"k={row.k}, m={row.m} at {row.target_fmr}",
        f"{row.threshold_e4 / 1e4:.4f}",
        f"{matched} of {counts.impostor_count}",
        _interval(matched, counts.impostor_count),
        f"{missed} of {counts.genuine_count}",
        _interval(missed, counts.genuine_count),
    )


def _interval(errors: int, of: int) -> str:
    low, high = confidence(errors, of)
    return f"{low * 100:.3g}–{high * 100:.3g} %"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heading)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _staircase(fmr: NDArray[np.float64], fnmr: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Follow the thresholds upward, level and then down: between two rates measured there is nothing to slant along."""
    corners: list[tuple[float, float]] = []
    for point in zip(fmr.tolist(), fnmr.tolist(), strict=True):
        if corners and point == corners[-1]:
            continue
        if corners:
            corners.append((point[0], corners[-1][1]))
        corners.append(point)
    return corners


def _percent(rate: float) -> str:
    return f"{rate * 100:g} %"


def _xy(x: float, y: float) -> tuple[str, str]:
    return f"{_LEFT + x * (_W - _LEFT - _RIGHT):.1f}", f"{_H - _BOTTOM - y * (_H - _BOTTOM - 40):.1f}"


def _axes(across: Sequence[tuple[float, str]], up: Sequence[tuple[float, str]]) -> str:
    parts = []
    for at, label in across:
        (x, bottom), (_, top) = _xy(at, 0), _xy(at, 1)
        parts.append(f'<path class="rule" d="M{x} {bottom}V{top}"/>')
        parts.append(f'<text x="{x}" y="{_H - _BOTTOM + 20}" text-anchor="middle">{label}</text>')
    for at, label in up:
        (left, y), (right, _) = _xy(0, at), _xy(1, at)
        parts.append(f'<path class="rule" d="M{left} {y}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y}" dy="4" text-anchor="end">{label}</text>')
    return "".join(parts)


def _titles(across: str, up: str) -> str:
    middle = (_H - _BOTTOM + 40) // 2
    return (
        f'<text x="{(_LEFT + _W - _RIGHT) // 2}" y="{_H - 18}" text-anchor="middle">{across}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{up}</text>'
    )


def _line(points: Sequence[tuple[float, float]], colour: int) -> str:
    placed = " ".join(",".join(_xy(x, y)) for x, y in points)
    return f'<polyline class="line" stroke="{_COLOURS[colour % len(_COLOURS)]}" points="{placed}"/>'


def _dot(x: float, y: float, colour: int, *, filled: bool) -> str:
    (cx, cy), tint = _xy(x, y), _COLOURS[colour % len(_COLOURS)]
    return f'<circle cx="{cx}" cy="{cy}" r="4" fill="{tint if filled else "none"}" stroke="{tint}" stroke-width="2"/>'


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<rect x="{_W - _RIGHT + 15}" y="{46 + at * 20}" width="12" height="12"'
        f' fill="{_COLOURS[at % len(_COLOURS)]}"/>'
        f'<text x="{_W - _RIGHT + 33}" y="{57 + at * 20}">{escape(name)}</text>'
        for at, name in enumerate(names)
    )


def _svg(body: str, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_W} {_H}" role="img" aria-label="{escape(title)}">'
        f'<style>{_STYLE}</style><text x="{_LEFT}" y="24">{escape(title)}</text>{body}</svg>\n'
    )
