"""Real faces through real dlib: who matches, who does not, and what is no face to compare."""

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import Face, analyse_bytes, describe_sightings, sight
from biometrics.engine.calibration import read_calibration
from biometrics.engine.detection import detector_of_this_thread, find_faces
from biometrics.engine.errors import FaceTooSmall, NoFaceFound, SeveralFaces
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import ENROLMENT, PROBE, CapturePolicy
from tests.biometrics.pictures import encode, side_by_side, with_bystander
from tests.biometrics.test_photo import TURNS, exif

# Nothing is asked of the face: what photos must reach is tests/biometrics/test_quality.py's.
ANY = CapturePolicy(max_second_face_e4=3000, look_closer=False, min_eye_distance_px=0, min_score_e3=0)


def face(data: bytes, policy: CapturePolicy = ANY) -> Face:
    return analyse_bytes(data, policy=policy)[1]


def test_the_same_person_matches_and_others_do_not_at_one_in_ten_thousand(photos: Path) -> None:
    of_one = [face((photos / f"{name}.jpg").read_bytes()).descriptor for name in ("obama", "obama2", "obama3")]
    strangers = [face((photos / name).read_bytes()).descriptor for name in ("biden.jpg", "astronaut.png")]
    point = read_calibration().threshold(k=2, m=1, target_fmr="1e-4")
    for left_out in range(3):
        template = comparison.template([one for at, one in enumerate(of_one) if at != left_out])
        assert point.accepts(comparison.distance_e4(template, of_one[left_out]))
        for stranger in strangers:
            assert comparison.distance_e4(template, stranger) > 5000 > point.threshold_e4
    assert comparison.distance_e4(*strangers) > 5000


def test_descriptors_have_length_one_and_repeat_exactly(photos: Path) -> None:
    data = (photos / "obama.jpg").read_bytes()
    first, second = face(data), face(data)
    assert first.descriptor.shape == (128,)
    assert np.linalg.norm(first.descriptor) == pytest.approx(1)
    assert np.array_equal(first.descriptor, second.descriptor)
    assert first.quality == second.quality


def test_quality_is_measured_in_integers(photos: Path) -> None:
    quality = face((photos / "obama.jpg").read_bytes()).quality.as_record()
    assert all(type(value) is int for value in quality.values())
    assert 95 <= quality["eye_distance_px"] <= 115
    assert 1500 <= quality["score_e3"] <= 2000
    assert abs(quality["yaw_e3"]) < 100
    assert 350 <= quality["luminance_e3"] <= 750
    blurred = Image.open(photos / "obama.jpg").reduce(4).resize((910, 1137))
    assert face(encode(blurred, "PNG")).quality.sharpness < quality["sharpness"] / 3


def test_a_mirrored_photo_has_the_opposite_turn(photos: Path) -> None:
    image = Image.open(photos / "obama2.jpg")
    turned = face(encode(image, "PNG")).quality.yaw_e3
    mirrored = face(encode(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG")).quality.yaw_e3
    assert turned < -80
    assert mirrored > 80


def test_no_face(photos: Path) -> None:
    wall = Image.effect_noise((640, 480), 40).convert("RGB")
    with pytest.raises(NoFaceFound) as refused:
        face(encode(wall, "JPEG"))
    assert refused.value.code == "no_face"


def test_two_faces_are_refused_and_counted(photos: Path) -> None:
    both = side_by_side(photos / "obama.jpg", photos / "biden.jpg")
    for policy in (PROBE, ENROLMENT):
        with pytest.raises(SeveralFaces) as refused:
            face(both, policy)
        assert (refused.value.code, refused.value.facts["count"]) == ("several_faces", 2)


def test_a_far_bystander_is_tolerated_at_a_probe_and_recorded_but_never_at_enrolment(photos: Path) -> None:
    photo = with_bystander(photos)
    found = face(photo)
    assert found.faces_in_frame == 2
    assert found.second_face_e4 is not None
    assert 0 < found.second_face_e4 <= 3000
    alone = face((photos / "obama.jpg").read_bytes())
    assert comparison.distance_e4(found.descriptor, alone.descriptor) < 2000
    with pytest.raises(SeveralFaces):
        face(photo, ENROLMENT)


def test_at_enrolment_a_small_face_behind_a_near_one_is_seen_too(photos: Path) -> None:
    scene = Image.new("RGB", (1600, 1300), "grey")
    scene.paste(Image.open(photos / "obama.jpg"), (0, 80))
    scene.paste(Image.open(photos / "biden.jpg").crop((250, 100, 900, 800)).resize((325, 350)), (1150, 300))
    photo = encode(scene, "JPEG", quality=95)
    assert face(photo).faces_in_frame == 1
    with pytest.raises(SeveralFaces):
        face(photo, ENROLMENT)


def test_a_face_too_far_away_is_named(photos: Path) -> None:
    far = Image.open(photos / "obama.jpg").resize((273, 341))
    with pytest.raises(FaceTooSmall) as refused:
        face(encode(far, "PNG"), PROBE)
    assert refused.value.facts["needed"] == 60
    assert 25 <= refused.value.facts["found"] < 40


def test_a_far_face_in_a_wide_photo_is_found_on_a_later_rung(photos: Path) -> None:
    wide = Image.new("RGB", (3000, 1300), "grey")
    wide.paste(Image.open(photos / "obama.jpg"), (1500, 80))
    found = find_faces(decode_photo(encode(wide, "JPEG", quality=95)))
    assert len(found) == 1
    assert 1850 <= found[0].left <= 1950


def test_the_detector_works_on_a_bounded_copy_whatever_the_shape() -> None:
    for size in ((40_000, 40), (40, 40_000), (1, 1), (2, 9000)):
        assert find_faces(decode_photo(encode(Image.new("RGB", size, "grey"), "PNG"))) == []


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA"])
def test_a_photo_in_another_colour_mode_is_the_same_person(photos: Path, mode: str) -> None:
    image = Image.open(photos / "obama.jpg").convert(mode)
    same = face(encode(image, "PNG" if mode == "RGBA" else "JPEG"))
    original = face((photos / "obama.jpg").read_bytes())
    assert comparison.distance_e4(same.descriptor, original.descriptor) < 2000


def test_every_exif_orientation_gives_the_same_face(photos: Path) -> None:
    upright = Image.open(photos / "obama.jpg").crop((200, 0, 800, 600))
    expected = face(encode(upright, "PNG"))
    for orientation, turn in TURNS.items():
        stored = upright if turn is None else upright.transpose(turn)
        found = face(encode(stored, "JPEG", quality=95, exif=exif(orientation)))
        assert comparison.distance_e4(found.descriptor, expected.descriptor) < 500


def test_eight_threads_get_the_numbers_that_one_gets(photos: Path) -> None:
    names = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"]
    photo = {name: (photos / name).read_bytes() for name in names}
    alone = {name: face(photo[name]) for name in names}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda name: (name, face(photo[name])), names * 4))
    for name, found in together:
        assert np.array_equal(found.descriptor, alone[name].descriptor)
        assert found.quality == alone[name].quality
        assert found.detection == alone[name].detection


def test_a_sighting_measures_the_largest_face_and_judges_nothing(photos: Path) -> None:
    seen = sight(decode_photo(side_by_side(photos / "obama.jpg", photos / "biden.jpg")))
    assert seen
    assert seen.faces_in_frame == 2
    assert seen.second_face_e4 is not None
    assert 0 < seen.second_face_e4 <= 10_000
    far = sight(decode_photo(encode(Image.open(photos / "obama.jpg").resize((273, 341)), "PNG")))
    assert far
    assert far.quality.eye_distance_px < 40
    assert (far.faces_in_frame, far.second_face_e4) == (1, None)
    assert sight(decode_photo(encode(Image.effect_noise((640, 480), 40).convert("RGB"), "JPEG"))) is None


def test_a_sighting_is_described_as_the_whole_path_describes_it(photos: Path) -> None:
    data = (photos / "obama.jpg").read_bytes()
    whole, seen = face(data), sight(decode_photo(data))
    assert seen
    assert seen.quality == whole.quality
    assert seen.detection == whole.detection
    assert np.abs(describe_sightings([seen])[0] - whole.descriptor).max() < 1e-6


def test_a_new_thread_copies_the_detector_instead_of_loading_it(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = decode_photo((photos / "obama.jpg").read_bytes())
    expected = find_faces(photo)

    def never() -> None:
        raise AssertionError("loaded again: that takes half a second")

    monkeypatch.setattr("dlib.get_frontal_face_detector", never)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(find_faces, photo).result() == expected
        mine, its = detector_of_this_thread(), pool.submit(detector_of_this_thread).result()
    assert mine is not its


def test_the_engine_works_without_settings_and_never_imports_the_models_package(photos: Path) -> None:
    program = (
        "import pathlib, sys, warnings; warnings.simplefilter('error')\n"
        "from biometrics.engine.analysis import warm_up, analyse_bytes\n"
        "from biometrics.engine.quality import PROBE\n"
        "warm_up()\n"
        "photo, face = analyse_bytes(pathlib.Path(sys.argv[1]).read_bytes(), policy=PROBE)\n"
        "print(face.faces_in_frame, 'face_recognition_models' in sys.modules, 'pickle' in face.seconds)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(photos / "obama.jpg")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 False False\n", "")


def test_the_models_are_named_by_digest() -> None:
    models = analysis.models()
    assert models["descriptor"]["sha256"].startswith("55533b28")
    assert models["descriptor"]["sha256"].endswith("da30")
    assert len(models["landmarks"]["sha256"]) == 64
    assert models["descriptor"]["engine"] == "onnxruntime"
    assert models["descriptor"]["engine_version"] == analysis.runtime()["onnxruntime"]
    assert models["detector"]["version"] == analysis.runtime()["dlib"]


def test_distances_are_symmetric_and_rounded_half_up() -> None:
    unit = np.eye(128)
    for first, second in itertools.product(range(3), repeat=2):
        expected = 0 if first == second else 14142
        assert comparison.distance_e4(unit[first], unit[second]) == expected
    step = np.zeros(128)
    for distance, rounded in ((0.00005, 1), (0.00004999, 0), (0.32804999, 3280), (0.32805001, 3281)):
        moved = step.copy()
        moved[0] = distance
        assert comparison.distance_e4(step, moved) == rounded
