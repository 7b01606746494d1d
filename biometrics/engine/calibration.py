"""
Thresholds by false-match rate, looked up in a measured calibration file; no threshold is typed in anywhere else.

Every decision names the file by its digest and the data set that it was measured on. BIOMETRICS_CALIBRATION names
another file than the one that ships.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal

from biometrics.engine.calibration_file import Cells, read_file
from biometrics.engine.comparison import METRIC

_FOLDER = Path(__file__).resolve().parent.parent / "calibration"
SHIPPED = _FOLDER / "lfw.csv"
RESUBMISSION = _FOLDER / "resubmission.csv"

COLUMNS = ("metric", "k", "m", "target_fmr", "threshold", "fnmr", "dataset")
RESUBMISSION_COLUMNS = (
    "metric",
    "threshold",
    "same_pairs",
    "same_within",
    "same_largest",
    "different_pairs",
    "different_smallest",
    "dataset",
)

MATCH_FMR = "1e-4"
SECOND_CAPTURE_FMR = "1e-3"

Outcome = Literal["match", "second_capture", "no_match"]


class CalibrationMissing(LookupError):
    """The calibration holds no row for what was asked; a threshold is never guessed."""

    def __init__(self, *, k: int, m: int, target_fmr: str) -> None:
        super().__init__(f"the calibration has no row for k={k}, m={m} at a false-match rate of {target_fmr}")


@dataclass(frozen=True)
class OperatingPoint:
    """One row: at ``threshold_e4`` and below two faces match, and strangers do so at a rate of ``target_fmr``."""

    metric: str
    k: int
    m: int
    target_fmr: str
    threshold_e4: int
    fnmr: Decimal
    dataset: str

    def accepts(self, distance_e4: int) -> bool:
        return distance_e4 <= self.threshold_e4


@dataclass(frozen=True)
class Decision:
    """What follows from one distance: the outcome, and the row at the match's false-match rate that it claims."""

    outcome: Outcome
    point: OperatingPoint


@dataclass(frozen=True)
class Calibration:
    rows: Sequence[OperatingPoint]
    sha256: str

    def threshold(self, *, k: int, m: int, target_fmr: str) -> OperatingPoint:
        """
        Look up the operating point of a template of ``k`` photos against a probe of ``m``.

        Thresholds fall as more photos are averaged, in the order of 1/k + 1/m: the share of a photo's own chance that
        is left in the distance. Where (k, m) was not measured, the row that stands next in that order is taken, so that
        the rate claimed is never exceeded for want of a row. It is never taken beyond the most photos measured.

        :param target_fmr: as the file writes it: ``1e-2``, ``1e-3`` or ``1e-4``
        :returns: the row of this ``m`` and the smallest ``k`` not below the given one; without such, the row with the
            largest 1/k + 1/m not above the given ones'
        :raises CalibrationMissing:
        """
        rows = [row for row in self.rows if row.target_fmr == target_fmr]
        measured = min(k, m) > 0 and any(row.k >= k for row in rows) and any(row.m >= m for row in rows)
        if measured and (same_m := [row for row in rows if row.m == m and row.k >= k]):
            return min(same_m, key=lambda row: row.k)
        if measured and (stricter := [row for row in rows if _chance_left(row.k, row.m) <= _chance_left(k, m)]):
            return max(stricter, key=lambda row: (_chance_left(row.k, row.m), -row.threshold_e4))
        raise CalibrationMissing(k=k, m=m, target_fmr=target_fmr)

    def decide(self, distance_e4: int, *, k: int, m: int, may_capture_again: bool) -> Decision:
        """
        Decide on the distance between a template of ``k`` photos and a probe of ``m``.

        :param may_capture_again: whether the person may be photographed once more; where this file could not decide
            on the mean of one photo more, they are not asked to
        :returns: match up to the threshold at a false-match rate of 1e-4, no match beyond that at 1e-3, and in between
            a second capture
        :raises CalibrationMissing:
        """
        point = self.threshold(k=k, m=m, target_fmr=MATCH_FMR)
        outcome: Outcome = "no_match"
        if point.accepts(distance_e4):
            outcome = "match"
        elif (
            may_capture_again
            and self._has(k=k, m=m + 1)
            and self.threshold(k=k, m=m, target_fmr=SECOND_CAPTURE_FMR).accepts(distance_e4)
        ):
            outcome = "second_capture"
        return Decision(outcome=outcome, point=point)

    def _has(self, *, k: int, m: int) -> bool:
        try:
            self.threshold(k=k, m=m, target_fmr=MATCH_FMR)
        except CalibrationMissing:
            return False
        return True


def _chance_left(k: int, m: int) -> Fraction:
    return Fraction(1, k) + Fraction(1, m)


def read_calibration(path: Path | None = None) -> Calibration:
    """
    Read a calibration file, once per process; without a path the one in force.

    :raises CalibrationUnreadable:
    """
    return _read(path or Path(os.environ.get("BIOMETRICS_CALIBRATION") or SHIPPED))


@cache
def _read(path: Path) -> Calibration:
    file = read_file(path, columns=COLUMNS)
    rows: list[OperatingPoint] = []
    for cells in file.lines:
        row = _row(cells)
        for other in rows:
            if (other.k, other.m) == (row.k, row.m):
                _require_order(cells, row, other)
        rows.append(row)
    return Calibration(rows=rows, sha256=file.sha256)


def _row(cells: Cells) -> OperatingPoint:
    return OperatingPoint(
        metric=cells.one_of("metric", METRIC),
        k=cells.count("k"),
        m=cells.count("m"),
        target_fmr=cells.rate("target_fmr"),
        threshold_e4=cells.distance_e4("threshold"),
        fnmr=cells.share("fnmr"),
        dataset=cells.text("dataset"),
    )


def _require_order(cells: Cells, row: OperatingPoint, other: OperatingPoint) -> None:
    if other.target_fmr == row.target_fmr:
        raise cells.refuse("target_fmr", f"k={row.k}, m={row.m} at {row.target_fmr} stands in the file twice")
    if (float(row.target_fmr) < float(other.target_fmr)) != (row.threshold_e4 <= other.threshold_e4) and (
        row.threshold_e4 != other.threshold_e4
    ):
        raise cells.refuse("threshold", f"a smaller false-match rate than {other.target_fmr} needs a smaller distance")


def resubmission_e4() -> int:
    """Tell the distance, in ten-thousandths, at and below which two photos are one photo sent twice."""
    return _read_resubmission(RESUBMISSION)


@cache
def _read_resubmission(path: Path) -> int:
    file = read_file(path, columns=RESUBMISSION_COLUMNS)
    cells = file.lines[0]
    cells.one_of("metric", METRIC)
    cells.text("dataset")
    for column in ("same_pairs", "different_pairs"):
        cells.count(column)
    threshold, different = cells.distance_e4("threshold"), cells.distance_e4("different_smallest")
    cells.share("same_within")
    cells.distance_e4("same_largest")
    if threshold >= different:
        raise cells.refuse("threshold", "different photos of one person were measured this near")
    return threshold
