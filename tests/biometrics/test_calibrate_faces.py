"""Measuring on real photos: the numbers reproduce, and only what the comparisons can support is claimed."""

import re
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from biometrics.engine import comparison, measurement
from biometrics.engine.calibration import read_calibration
from biometrics.engine.calibration_plot import det_svg
from biometrics.engine.measurement import Distances, NothingToMeasure, confidence
from tests.biometrics.larger_set import larger_set


def _arrange(photos: Sequence[Path], folder: Path) -> Path:
    """One folder a person; the pair's folder names the person, else the file's name without its number."""
    for path in photos:
        paired = path.parent.parent.name == "pairs"
        person = folder / (path.parent.name if paired else path.stem.rstrip("0123456789"))
        person.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, person)
    return folder


def _run(source: Path, output: Path, **options: object) -> dict[str, bytes]:
    call_command("calibrate_faces", str(source), output=output, processes=1, **options)
    return {path.name: path.read_bytes() for path in output.iterdir()}


def test_the_same_photos_give_the_same_bytes_and_the_points_in_force_hold(tmp_path: Path) -> None:
    photos = [path for path in larger_set() if path.name != "two_people.jpg"]
    folder = _arrange(photos, tmp_path / "persons")
    once = _run(folder, tmp_path / "once", targets=["1e-1"], dataset="portraits")
    again = _run(folder, tmp_path / "again", targets=["1e-1"], dataset="portraits")
    assert once == again
    assert set(once) == {"calibration.csv", "calibration.html"}
    assert b"must not be used to conclude" in once["calibration.html"]

    samples = measurement.find_samples(folder)
    persons = measurement.by_person(samples, measurement.acquire_all([each.path for each in samples], processes=1))
    counts = measurement.compare(persons, k=1, m=1)
    point = read_calibration().threshold(k=1, m=1, target_fmr="1e-4")
    assert counts.genuine_count >= 5
    assert counts.impostor_count >= 300
    assert counts.false_matches(point.threshold_e4) == 0
    assert counts.false_non_matches(point.threshold_e4) == 0

    row = read_calibration(tmp_path / "once" / "calibration.csv").threshold(k=1, m=1, target_fmr="1e-1")
    assert counts.false_matches(row.threshold_e4) <= counts.impostor_count / 10
    assert counts.false_matches(row.threshold_e4 + 1) > counts.impostor_count / 10


def test_three_persons_are_too_few_for_a_file(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [photos / name for name in ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "grace_hopper.jpg")]
    written = _run(_arrange(chosen, tmp_path / "persons"), tmp_path / "out")
    assert set(written) == {"calibration.html"}
    said = capsys.readouterr().out
    assert "k=1, m=1 at 1e-4" in said
    assert "300000 are needed" in said


def test_an_unreadable_photo_is_counted_and_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _arrange(
        [photos / name for name in ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")], tmp_path / "a"
    )
    (folder / "biden" / "torn.jpg").write_bytes(b"no photo")
    _run(folder, tmp_path / "out")
    said = capsys.readouterr().out
    assert "photo_not_an_image 1" in said
    assert "Photos that cannot be read: torn.jpg" in said


def test_pairs_with_groups(photos: Path, tmp_path: Path) -> None:
    for name in ("obama.jpg", "obama2.jpg", "grace_hopper.jpg"):
        shutil.copy(photos / name, tmp_path)
    listed = tmp_path / "pairs.csv"
    listed.write_text("first,second,same,group\nobama.jpg,obama2.jpg,1,a\nobama.jpg,grace_hopper.jpg,0,b\n")
    pairs = measurement.read_pairs(listed)
    found = measurement.compare_pairs(
        pairs, measurement.acquire_all(sorted({p for pair in pairs for p in (pair.first, pair.second)}), processes=1)
    )
    assert (found[""].genuine_count, found[""].impostor_count) == (1, 1)
    assert (found["a"].genuine_count, found["a"].impostor_count) == (1, 0)
    assert found[""].false_non_matches(3450) == 0
    listed.write_text("obama.jpg,biden.jpg,maybe\n")
    with pytest.raises(NothingToMeasure, match="line 1"):
        measurement.read_pairs(listed)


def test_a_folder_of_one_person_is_refused(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.jpg").write_bytes(b"")
    with pytest.raises(CommandError, match="1 persons and two are the least"):
        call_command("calibrate_faces", str(tmp_path), output=tmp_path / "out")


def test_runs_do_not_share_a_photo() -> None:
    draw = np.random.default_rng(5)
    made = {name: [comparison.template([draw.normal(size=128)]) for _ in range(5)] for name in "ab"}
    counts = measurement.compare(made, k=3, m=2)
    # One template (photos 0 to 2) a person and probes 0-1 and 2-3, of which neither is apart from it.
    assert (counts.genuine_count, counts.impostor_count) == (0, 4)
    counts = measurement.compare(made, k=1, m=1)
    assert (counts.genuine_count, counts.impostor_count) == (20, 25)


def test_the_threshold_is_the_largest_that_keeps_the_rate() -> None:
    counts = Distances.none()
    counts.genuine[1000] = 10
    counts.impostor[[3000, 4000]] = 30, 29970
    assert counts.threshold_e4("1e-3") == 3999
    assert counts.threshold_e4("1e-2") == 3999
    assert counts.threshold_e4("1e-4") is None


@pytest.mark.parametrize(
    ("errors", "of", "low", "high"), [(0, 300, 0.0, 0.01222), (5, 100, 0.01643, 0.11283), (100, 100, 0.96378, 1.0)]
)
def test_clopper_pearson(errors: int, of: int, low: float, high: float) -> None:
    """Against the published tables."""
    assert confidence(errors, of) == pytest.approx((low, high), abs=2e-5)


def test_a_drawn_curve_goes_through_measured_rates_only() -> None:
    """Where nobody is mistaken the curve runs along the edges; it once slanted through rates nobody had measured."""
    counts = Distances.none()
    counts.genuine[2000] = 5
    counts.impostor[[4000, 5000]] = 1, 99
    drawn = re.search(r'<polyline[^>]*points="([^"]+)"', det_svg({"here": counts}, {}, title="DET"))
    assert drawn
    corners = [tuple(map(float, corner.split(","))) for corner in drawn[1].split()]
    assert len(corners) >= 4
    assert all(x == next_x or y == next_y for (x, y), (next_x, next_y) in pairwise(corners))
