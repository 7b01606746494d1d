"""
Thresholds of a search by the size of what is searched: among more persons a stranger comes nearer to one of them.

The bound is on the false-positive identification rate (FPIR): how often a search for somebody who is not there hits.
BIOMETRICS_SEARCH_CALIBRATION names another file than the one that ships.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

from biometrics.engine.calibration_file import Cells, read_file
from biometrics.engine.comparison import METRIC

SHIPPED = Path(__file__).resolve().parent.parent / "calibration" / "lfw_search.csv"
COLUMNS = ("metric", "gallery_size", "threshold", "fpir", "dataset")

Basis = Literal["measured", "extrapolated"]


class GalleryTooLarge(LookupError):
    """No threshold can be claimed to keep the rate among so many persons."""

    def __init__(self, *, gallery_size: int, largest: int, target_fpir: str) -> None:
        self.largest = largest
        super().__init__(
            f"the search calibration can answer for {largest} persons at a false-positive identification rate of"
            f" {target_fpir}, and this search goes over {gallery_size}: search fewer or measure a larger gallery"
        )


@dataclass(frozen=True)
class SearchRow:
    gallery_size: int
    threshold_e4: int
    fpir: Decimal
    dataset: str


@dataclass(frozen=True)
class SearchPoint:
    """At ``threshold_e4`` and below a search hits; for a stranger it does so at a rate of at most ``target_fpir``."""

    threshold_e4: int
    target_fpir: str
    gallery_size: int
    """Of the row: as many persons or more than are searched, or the most measured where it is extrapolated."""
    dataset: str
    basis: Basis

    def accepts(self, distance_e4: int) -> bool:
        return distance_e4 <= self.threshold_e4


@dataclass(frozen=True)
class SearchCalibration:
    rows: Sequence[SearchRow]
    sha256: str

    def point(self, *, gallery_size: int, target_fpir: str = "1e-3") -> SearchPoint:
        """
        Look up the threshold of a search among ``gallery_size`` persons.

        Of the smallest gallery measured that is no smaller, the largest threshold that keeps the rate. Where none was
        measured low enough, or no gallery as large, the rate is carried on by :meth:`_extrapolated`, marked as such.

        :param target_fpir: the false-positive identification rate to keep, such as ``1e-3``
        :raises GalleryTooLarge:
        """
        target = Decimal(target_fpir)
        sizes = sorted({row.gallery_size for row in self.rows})
        size = next((each for each in sizes if each >= gallery_size), sizes[-1])
        rows = [row for row in self.rows if row.gallery_size == size]
        kept = [row for row in rows if row.fpir <= target]
        if kept and gallery_size <= size:
            best = max(kept, key=lambda row: row.threshold_e4)
            return SearchPoint(best.threshold_e4, target_fpir, size, best.dataset, "measured")
        return self._extrapolated(rows, gallery_size=gallery_size, target_fpir=target_fpir)

    def _extrapolated(self, rows: Sequence[SearchRow], *, gallery_size: int, target_fpir: str) -> SearchPoint:
        # Among c times as many persons a stranger hits at most c times as often (the union bound). Towards smaller
        # distances the rate falls ever faster, so that carrying on with the slowest fall measured errs towards fewer
        # hits. One power of ten below what was measured, and no further.
        size, target = rows[0].gallery_size, float(target_fpir)
        falls = [row for row in sorted(rows, key=lambda row: row.threshold_e4) if row.fpir > 0]
        slopes = [
            math.log10(further.fpir / nearer.fpir) / (further.threshold_e4 - nearer.threshold_e4)
            for nearer, further in pairwise(falls)
        ]
        if not slopes or min(slopes) <= 0:
            raise GalleryTooLarge(gallery_size=gallery_size, largest=size, target_fpir=target_fpir)
        lowest, growth = falls[0], max(gallery_size / size, 1)
        decades = math.log10(float(lowest.fpir) * growth / target)
        if decades > 1:
            largest = math.floor(10 * target / float(lowest.fpir) * size)
            raise GalleryTooLarge(gallery_size=gallery_size, largest=largest, target_fpir=target_fpir)
        threshold = math.floor(lowest.threshold_e4 - max(decades, 0) / min(slopes))
        return SearchPoint(threshold, target_fpir, size, lowest.dataset, "extrapolated")


def read_search_calibration(path: Path | None = None) -> SearchCalibration:
    """
    Read a search calibration, once per process; without a path the one in force.

    :raises CalibrationUnreadable:
    """
    return _read(path or Path(os.environ.get("BIOMETRICS_SEARCH_CALIBRATION") or SHIPPED))


@cache
def _read(path: Path) -> SearchCalibration:
    file = read_file(path, columns=COLUMNS)
    rows: list[SearchRow] = []
    for cells in file.lines:
        row = _row(cells)
        for other in rows:
            if other.gallery_size == row.gallery_size:
                _require_order(cells, row, other)
        rows.append(row)
    return SearchCalibration(rows=rows, sha256=file.sha256)


def _row(cells: Cells) -> SearchRow:
    cells.one_of("metric", METRIC)
    return SearchRow(
        gallery_size=cells.count("gallery_size"),
        threshold_e4=cells.distance_e4("threshold"),
        fpir=cells.share("fpir"),
        dataset=cells.text("dataset"),
    )


def _require_order(cells: Cells, row: SearchRow, other: SearchRow) -> None:
    if other.threshold_e4 == row.threshold_e4:
        raise cells.refuse("threshold", f"{row.gallery_size} persons at this distance stand in the file twice")
    if (row.threshold_e4 < other.threshold_e4) != (row.fpir <= other.fpir) and row.fpir != other.fpir:
        raise cells.refuse("fpir", "a smaller distance cannot hit more often")
