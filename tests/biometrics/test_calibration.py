"""Thresholds come from the measured file, by false-match rate, and from nowhere else."""

import hashlib
import re
from pathlib import Path

import pytest

from biometrics.engine import calibration
from biometrics.engine.calibration import SHIPPED, CalibrationMissing, read_calibration


@pytest.mark.parametrize(
    ("k", "m", "target_fmr", "row_k", "threshold_e4"),
    [
        (1, 1, "1e-4", 1, 3450),
        (2, 1, "1e-4", 2, 3280),
        (2, 1, "1e-3", 2, 3660),
        (4, 1, "1e-4", 5, 3140),
        (5, 1, "1e-4", 5, 3140),
        (2, 2, "1e-4", 3, 3010),
        (3, 2, "1e-4", 3, 3010),
        (3, 3, "1e-2", 3, 3720),
    ],
)
def test_look_up(k: int, m: int, target_fmr: str, row_k: int, threshold_e4: int) -> None:
    point = read_calibration().threshold(k=k, m=m, target_fmr=target_fmr)
    assert (point.k, point.m, point.target_fmr, point.threshold_e4) == (row_k, m, target_fmr, threshold_e4)
    assert point.metric == "l2_mean"
    assert point.dataset.startswith("LFW")


@pytest.mark.parametrize(("k", "m", "target_fmr"), [(0, 1, "1e-4"), (6, 1, "1e-4"), (1, 1, "1e-6"), (1, 1, "0.0001")])
def test_what_was_not_measured_is_not_guessed(k: int, m: int, target_fmr: str) -> None:
    with pytest.raises(CalibrationMissing):
        read_calibration().threshold(k=k, m=m, target_fmr=target_fmr)


def test_the_file_is_named_by_its_digest() -> None:
    assert read_calibration().sha256 == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()


def test_a_stricter_rate_is_a_smaller_distance() -> None:
    by_k_m: dict[tuple[int, int], list[int]] = {}
    for row in sorted(read_calibration().rows, key=lambda row: float(row.target_fmr)):
        by_k_m.setdefault((row.k, row.m), []).append(row.threshold_e4)
    for thresholds in by_k_m.values():
        assert len(thresholds) == 3
        assert thresholds == sorted(thresholds)


def test_no_threshold_is_typed_in_anywhere_else() -> None:
    typed = {f"0{value}" if value.startswith(".") else value for value in re.findall(r"0\.\d{3}", SHIPPED.read_text())}
    thresholds = {str(row.threshold_e4) for row in read_calibration().rows} | typed
    for path in Path(calibration.__file__).parents[1].rglob("*.py"):
        numbers = set(re.findall(r"(?<![\w.])(?:0\.\d{3}|\d{4})(?![\w.])", path.read_text()))
        assert not numbers & (thresholds - {"3000"}), path
