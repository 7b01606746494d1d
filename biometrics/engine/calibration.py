"""
Thresholds by false-match rate, looked up in a measured calibration file; no threshold is typed in anywhere else.

Every decision names the file by its digest and the data set that it was measured on.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).resolve().parent.parent / "calibration" / "lfw.csv"


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
class Calibration:
    rows: Sequence[OperatingPoint]
    sha256: str

    def threshold(self, *, k: int, m: int, target_fmr: str) -> OperatingPoint:
        """
        Look up the operating point of a template of ``k`` photos against a probe of ``m``.

        :param target_fmr: as the file writes it: ``1e-2``, ``1e-3`` or ``1e-4``
        :returns: the row with this ``m`` and the smallest measured ``k`` not below the given one: thresholds fall
            as ``k`` grows, so that the rate claimed is never exceeded for want of a row
        :raises CalibrationMissing:
        """
        fitting = [row for row in self.rows if row.m == m and row.k >= k > 0 and row.target_fmr == target_fmr]
        if not fitting:
            raise CalibrationMissing(k=k, m=m, target_fmr=target_fmr)
        return min(fitting, key=lambda row: row.k)


@cache
def read_calibration(path: Path = SHIPPED) -> Calibration:
    """Read a calibration file, once per process."""
    content = path.read_bytes()
    rows = [
        OperatingPoint(
            metric=row["metric"],
            k=int(row["k"]),
            m=int(row["m"]),
            target_fmr=row["target_fmr"],
            threshold_e4=int(Decimal(row["threshold"]) * 10_000),
            fnmr=Decimal(row["fnmr"]),
            dataset=row["dataset"],
        )
        for row in csv.DictReader(content.decode("utf-8").splitlines())
    ]
    return Calibration(rows=rows, sha256=hashlib.sha256(content).hexdigest())
