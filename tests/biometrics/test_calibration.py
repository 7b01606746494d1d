"""Thresholds come from the measured file, by false-match rate, and from nowhere else."""

import hashlib
import re
from pathlib import Path

import pytest

from biometrics.engine import calibration
from biometrics.engine.calibration import SHIPPED, CalibrationMissing, read_calibration, resubmission_e4
from biometrics.engine.calibration_file import CalibrationUnreadable


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


def test_thresholds_fall_in_the_order_by_which_a_missing_row_is_replaced() -> None:
    for target in ("1e-2", "1e-3", "1e-4"):
        rows = [row for row in read_calibration().rows if row.target_fmr == target]
        ordered = sorted(rows, key=lambda row: 1 / row.k + 1 / row.m, reverse=True)
        assert [row.threshold_e4 for row in ordered] == sorted((row.threshold_e4 for row in rows), reverse=True)


def test_five_photos_against_two_are_decided_by_the_next_stricter_row() -> None:
    point = read_calibration().threshold(k=5, m=2, target_fmr="1e-4")
    assert (point.k, point.m, point.threshold_e4) == (3, 3, 2880)


@pytest.mark.parametrize(
    ("distance_e4", "m", "again", "outcome"),
    [
        (3230, 1, True, "match"),
        (3231, 1, True, "second_capture"),
        (3231, 1, False, "no_match"),
        (3610, 1, True, "second_capture"),
        (3611, 1, True, "no_match"),
        (3010, 2, False, "match"),
        (3011, 2, False, "no_match"),
    ],
)
def test_three_outcomes(distance_e4: int, m: int, again: bool, outcome: str) -> None:
    decision = read_calibration().decide(distance_e4, k=3, m=m, may_capture_again=again)
    assert decision.outcome == outcome
    assert decision.point.target_fmr == "1e-4"


HEADING = "metric,k,m,target_fmr,threshold,fnmr,dataset\n"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("metric,k,target_fmr\n", 1, "m"),
        (HEADING, None, None),
        (HEADING + "cosine,1,1,1e-4,0.345,0.2,x\n", 2, "metric"),
        (HEADING + "l2_mean,0,1,1e-4,0.345,0.2,x\n", 2, "k"),
        (HEADING + "l2_mean,1,1,0.0001,0.345,0.2,x\n", 2, "target_fmr"),
        (HEADING + "l2_mean,1,1,1e-4,0.34567,0.2,x\n", 2, "threshold"),
        (HEADING + "l2_mean,1,1,1e-4,0.345,nan,x\n", 2, "fnmr"),
        (HEADING + "l2_mean,1,1,1e-4,0.345,0.2\n", 2, "dataset"),
        (HEADING + "l2_mean,1,1,1e-4,0.345,0.2,x\nl2_mean,1,1,1e-3,0.300,0.2,x\n", 3, "threshold"),
        (HEADING + "l2_mean,1,1,1e-4,0.345,0.2,x\nl2_mean,1,1,1e-4,0.300,0.2,x\n", 3, "target_fmr"),
    ],
)
def test_a_malformed_file_names_line_and_column(
    tmp_path: Path, text: str, line: int | None, column: str | None
) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(CalibrationUnreadable) as refused:
        read_calibration(path)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert str(path) in str(refused.value)


def test_another_file_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        HEADING + "l2_mean,1,1,1e-4,0.300,0.2,our people\n" + "l2_mean,1,1,1e-3,0.350,0.1,our people\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("BIOMETRICS_CALIBRATION", str(path))
    decision = read_calibration().decide(3200, k=1, m=1, may_capture_again=True)
    # The file has no row for two photos: nobody is asked for a second that could not be decided on.
    assert (decision.outcome, decision.point.dataset) == ("no_match", "our people")


def test_a_photo_sent_again_is_nearer_than_any_other_photo() -> None:
    assert 0 < resubmission_e4() < min(row.threshold_e4 for row in read_calibration().rows)
