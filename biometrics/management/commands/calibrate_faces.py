"""Measure the engine on a folder of persons or a list of pairs; write a calibration file and a page that shows it."""

import csv
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from biometrics.engine import calibration, search_calibration
from biometrics.engine.calibration_plot import WARNING, det_svg, page
from biometrics.engine.measurement import (
    SHAPES,
    Acquired,
    Distances,
    NothingToMeasure,
    acquire_all,
    by_person,
    compare,
    compare_groups,
    compare_pairs,
    confidence,
    failures,
    find_samples,
    measure_search,
    operating_points,
    read_groups,
    read_pairs,
)


class Command(BaseCommand):
    help = "Measure false-match and false non-match rates on real photos and set the thresholds they can support."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source", type=Path, help="a folder of person/photo folders, or a CSV: path,path,same[,group]"
        )
        parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
        parser.add_argument("--dataset", help="what the photos are called in every decision (the folder's name)")
        parser.add_argument("--target", action="append", dest="targets", help="a rate such as 1e-4; may be repeated")
        parser.add_argument(
            "--det", type=Path, help="also draw the DET beside the points in force, as SVG, to this file"
        )
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)

    def handle(self, *args: Any, **options: Any) -> None:
        source: Path = options["source"]
        output: Path = options["output"]
        dataset = options["dataset"] or source.stem
        targets = options["targets"] or ["1e-2", "1e-3", "1e-4"]
        self.processes: int = options["processes"]
        try:
            measured, groups, acquired, search = self._measure(source, targets, dataset)
        except NothingToMeasure as cause:
            raise CommandError(str(cause)) from cause
        rows, left_out = operating_points(measured, targets=targets, dataset=dataset)
        curves = {f"k={k}, m={m}": counts for (k, m), counts in measured.items() if counts.genuine_count}
        if not curves:
            raise CommandError(
                "no person has two photos that pass the quality gate: there is nothing genuine to compare"
            )
        in_force = [row for row in calibration.read_calibration().rows if (row.k, row.m) in measured]
        output.mkdir(parents=True, exist_ok=True)
        facts = self._facts(acquired, measured[(1, 1)])
        shown = page(
            dataset=dataset,
            facts=facts,
            curves=curves,
            groups=groups,
            rows=rows,
            left_out=left_out,
            checked=in_force,
        )
        (output / "calibration.html").write_text(shown, encoding="utf-8")
        for name, value in facts:
            self.stdout.write(f"{name}: {value}")
        if options["det"]:
            self._draw(options["det"], curves, dataset)
        for row in in_force:
            self._check(row, measured[(row.k, row.m)])
        for line in left_out:
            self.stdout.write(f"Left out: {line}")
        if rows:
            cells = [
                (r.metric, r.k, r.m, r.target_fmr, f"{r.threshold_e4 / 10_000:.4f}", r.fnmr, r.dataset) for r in rows
            ]
            self._write(output / "calibration.csv", calibration.COLUMNS, cells)
            calibration.read_calibration(output / "calibration.csv")
        else:
            self.stdout.write("No calibration file: these comparisons are too few for any rate asked for.")
        if search:
            found = [("l2_mean", r.gallery_size, f"{r.threshold_e4 / 10_000:.4f}", r.fpir, r.dataset) for r in search]
            self._write(output / "search.csv", search_calibration.COLUMNS, found)
        self.stdout.write(WARNING)

    def _measure(
        self, source: Path, targets: Sequence[str], dataset: str
    ) -> tuple[
        dict[tuple[int, int], Distances],
        dict[str, Distances],
        Sequence[Acquired],
        Sequence[search_calibration.SearchRow],
    ]:
        if source.is_file():
            pairs = read_pairs(source)
            paths = sorted({path for pair in pairs for path in (pair.first, pair.second)})
            acquired = acquire_all(paths, processes=self.processes, told=self._told)
            groups = compare_pairs(pairs, acquired)
            return {(1, 1): groups.pop("")}, groups, list(acquired.values()), []
        samples = find_samples(source)
        acquired = acquire_all([each.path for each in samples], processes=self.processes, told=self._told)
        persons = by_person(samples, acquired)
        measured = {(k, m): compare(persons, k=k, m=m) for k, m in SHAPES}
        labels = read_groups(source / "groups.csv")
        found = measure_search(persons, targets=targets, dataset=dataset)
        return measured, compare_groups(persons, labels), list(acquired.values()), found

    def _draw(self, path: Path, curves: dict[str, Distances], dataset: str) -> None:
        points: dict[str, list[tuple[float, float]]] = {}
        for row in calibration.read_calibration().rows:
            points.setdefault(f"{row.dataset}: k={row.k}, m={row.m}", []).append(
                (float(row.target_fmr), float(row.fnmr))
            )
        ours = curves.get("k=1, m=1")
        named = f"{dataset}, {ours.genuine_count} + {ours.impostor_count} comparisons" if ours else ""
        shown = {named: ours} if ours else {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(det_svg(shown, points, title="DET: points in force, and these photos"), encoding="utf-8")
        self.stdout.write(f"Written: {path}")

    def _told(self, done: int, of: int) -> None:
        if done % 100 == 0 or done == of:
            self.stderr.write(f"{done} of {of} photos")

    def _facts(self, acquired: Sequence[Acquired], counts: Distances) -> list[tuple[str, str]]:
        probe, enrolment = failures(acquired)
        facts = [
            ("Photos", str(len(acquired))),
            ("Failure to acquire (probe)", f"{sum(probe.values())} {_by_code(probe)}".strip()),
            ("Failure to enrol (stricter gate)", f"{sum(enrolment.values())} {_by_code(enrolment)}".strip()),
            ("Genuine comparisons, one photo to one", str(counts.genuine_count)),
            ("Impostor comparisons, one photo to one", str(counts.impostor_count)),
        ]
        unread = [row.path.name for row in acquired if row.probe_code.startswith("photo_")]
        return [*facts, ("Photos that cannot be read", ", ".join(unread))] if unread else facts

    def _check(self, row: calibration.OperatingPoint, counts: Distances) -> None:
        if not counts.impostor_count:
            return
        matched, missed = counts.false_matches(row.threshold_e4), counts.false_non_matches(row.threshold_e4)
        upper = confidence(matched, counts.impostor_count)[1]
        self.stdout.write(
            f"In force, k={row.k} m={row.m} at {row.target_fmr} (≤ {row.threshold_e4 / 10_000:.4f}): {matched} of"
            f" {counts.impostor_count} strangers match (95 %: up to {upper * 100:.2g} %), {missed} of"
            f" {counts.genuine_count} genuine do not"
        )

    def _write(self, path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        self.stdout.write(f"Written: {path}")


def _by_code(counts: dict[str, int]) -> str:
    return "(" + ", ".join(f"{code} {count}" for code, count in counts.items()) + ")" if counts else ""
