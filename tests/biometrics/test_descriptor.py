"""What runs the network: equal to dlib on every photo, under threads and processes, whatever lies on disk."""

import logging
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from biometrics.engine import descriptor, onnx_descriptor, onnx_network, weights
from biometrics.engine.analysis import describe_sightings, sight
from biometrics.engine.descriptor import (
    DlibDescriptor,
    describe_face,
    describe_faces,
    descriptor_engine,
    require_agreement,
)
from biometrics.engine.dlib_weights import read_network
from biometrics.engine.errors import EngineDisagrees, EngineUnknown
from biometrics.engine.landmarks import cut_chip
from biometrics.engine.onnx_descriptor import OnnxDescriptor
from biometrics.engine.photo import decode_photo
from tests.biometrics.larger_set import larger_set

Chip = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[2]


def chips_of(paths: list[Path]) -> list[Chip]:
    """The chip of the largest face of each photo; a photo without one fails the test."""
    chips = []
    for path in paths:
        seen = sight(decode_photo(path.read_bytes()))
        assert seen, path.name
        chips.append(cut_chip(seen.photo, seen.landmarks))
    return chips


@pytest.fixture(scope="module")
def chips(photos: Path) -> list[Chip]:
    return chips_of(sorted(photos.glob("*.*")))


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process as it is before its first photo."""
    monkeypatch.setattr(descriptor, "_loaded", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the converted network."""
    folder = tmp_path / "models"
    monkeypatch.setenv("BIOMETRICS_MODELS_DIR", str(folder))
    return folder


def differ_from_dlib(chips: list[Chip]) -> float:
    """The largest difference between the engines, over the chips and their mirror images."""
    both = [*chips, *(np.ascontiguousarray(chip[:, ::-1]) for chip in chips)]
    ours, theirs = OnnxDescriptor().describe(both), DlibDescriptor().describe(both)
    assert ours.shape == theirs.shape == (2 * len(chips), 128)
    return float(np.abs(ours - theirs).max())


def test_onnx_runtime_says_what_dlib_says_of_the_photos_from_packages(chips: list[Chip]) -> None:
    assert len(chips) >= 7
    assert differ_from_dlib(chips) < 1e-4


def test_onnx_runtime_says_what_dlib_says_of_the_larger_set() -> None:
    assert differ_from_dlib(chips_of(larger_set())) < 1e-4


def test_onnx_runtime_is_the_engine_and_dlib_can_be_chosen(
    chips: list[Chip], nothing_loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = descriptor_engine()
    assert usual.name == "onnxruntime"
    assert descriptor_engine() is usual
    monkeypatch.setattr(descriptor, "_loaded", None)
    monkeypatch.setenv("BIOMETRICS_ENGINE", "dlib")
    chosen = descriptor_engine()
    assert chosen.name == "dlib"
    assert np.abs(describe_face(chips[0], chosen) - describe_face(chips[0], usual)).max() < 1e-4


def test_an_engine_that_is_not_there_is_named(nothing_loaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOMETRICS_ENGINE", "tensorflow")
    with pytest.raises(EngineUnknown, match="'tensorflow': set it to one of onnxruntime, dlib"):
        descriptor_engine()


def test_a_batch_says_what_its_chips_say_alone(chips: list[Chip]) -> None:
    engine = descriptor_engine()
    many = (chips * 3)[:19]  # more than two runs, the last one not full
    together = describe_faces(many, engine)
    assert together.shape == (19, 128)
    for chip, described in zip(many, together, strict=True):
        assert np.abs(describe_face(chip, engine) - described).max() < 1e-6
        assert np.linalg.norm(described) == pytest.approx(1)
    assert describe_faces([], engine).shape == (0, 128)


def test_a_mirrored_chip_has_the_same_descriptor(chips: list[Chip]) -> None:
    engine = descriptor_engine()
    mirrored = np.ascontiguousarray(chips[0][:, ::-1])
    assert np.abs(describe_face(chips[0], engine) - describe_face(mirrored, engine)).max() < 1e-6
    raw = engine.describe([chips[0], mirrored])
    assert np.linalg.norm(raw[0] - raw[1]) > 0.01  # the network itself does tell them apart


def test_sightings_are_described_in_one_batch(photos: Path) -> None:
    names = ["obama.jpg", "obama2.jpg", "biden.jpg"]
    seen = [sight(decode_photo((photos / name).read_bytes())) for name in names]
    described = describe_sightings([one for one in seen if one])
    assert described.shape == (3, 128)
    same, other = np.linalg.norm(described[0] - described[1]), np.linalg.norm(described[0] - described[2])
    assert same < 0.4 < 0.5 < other
    assert describe_sightings([]).shape == (0, 128)


# What lies on disk


def kept_in(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_converted_network_is_kept_under_the_weights_digest_and_read_again(
    chips: list[Chip], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = OnnxDescriptor().describe(chips[:1])
    kept = kept_in(folder)
    assert weights.find_model(weights.DESCRIPTOR).sha256 in kept.name
    assert kept.stat().st_mode & 0o077 == 0

    def never(*arguments: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(onnx_descriptor, "read_network", never)
    assert np.array_equal(OnnxDescriptor().describe(chips[:1]), first)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "whole_but_no_network"])
def test_a_damaged_network_is_made_again(
    chips: list[Chip], folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = OnnxDescriptor().describe(chips[:1])
    kept = kept_in(folder)
    whole = kept.read_bytes()
    middle = len(whole) // 2
    kept.write_bytes(
        {
            "cut": whole[:middle],
            "empty": b"",
            "flipped": whole[:middle] + bytes([whole[middle] ^ 0x40]) + whole[middle + 1 :],
            "whole_but_no_network": onnx_network.with_digest(b"\x08\x08 no network"),
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(OnnxDescriptor().describe(chips[:1]), expected)
    assert "made again" in caplog.text
    assert kept_in(folder).read_bytes() == whole


def test_a_network_that_somebody_changed_decides_nothing(folder: Path, nothing_loaded: None) -> None:
    layers = read_network(weights.find_model(weights.DESCRIPTOR).path)
    layers[-1].weights[:, 5] *= 1.01
    OnnxDescriptor()
    kept_in(folder).write_bytes(onnx_network.with_digest(onnx_network.convert(layers)))
    for _ in range(2):  # and it stays so
        with pytest.raises(EngineDisagrees, match="delete the converted network in BIOMETRICS_MODELS_DIR"):
            descriptor_engine()
    kept_in(folder).unlink()
    assert descriptor_engine().name == "onnxruntime"


def test_an_engine_that_answers_with_no_number_disagrees() -> None:
    class Broken(OnnxDescriptor):
        def describe(self, chips: object) -> NDArray[np.float64]:
            return np.full((1, 128), np.nan)

    with pytest.raises(EngineDisagrees):
        require_agreement(Broken(), DlibDescriptor())


def test_where_nothing_can_be_written_it_is_converted_in_memory(
    chips: list[Chip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = OnnxDescriptor().describe(chips[:1])
    # A file in the folder's place: as little can be made there as in a read-only one, for root as well.
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("BIOMETRICS_MODELS_DIR", str(tmp_path / "file" / "models"))
    assert np.array_equal(OnnxDescriptor().describe(chips[:1]), expected)
    assert "is not kept" in caplog.text
    monkeypatch.delenv("BIOMETRICS_MODELS_DIR")
    assert np.array_equal(OnnxDescriptor().describe(chips[:1]), expected)


def test_processes_that_convert_at_once_leave_one_whole_network(folder: Path) -> None:
    program = "from biometrics.engine.onnx_descriptor import OnnxDescriptor; OnnxDescriptor()"
    running = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, b"")
    assert onnx_network.digest_holds(kept_in(folder).read_bytes())


# Threads and processes


def test_two_threads_get_the_numbers_that_one_gets(chips: list[Chip]) -> None:
    engine = descriptor_engine()
    alone = [describe_face(chip, engine) for chip in chips]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda chip: describe_face(chip, engine), chips * 10))
    for place, described in enumerate(together):
        assert np.array_equal(described, alone[place % len(chips)])


def test_threads_that_come_first_together_load_one_engine(nothing_loaded: None) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: descriptor_engine(), range(4)))
    assert len({id(engine) for engine in loaded}) == 1


def _describe_in_child(photo: bytes, answers: "multiprocessing.SimpleQueue[bytes]") -> None:
    seen = sight(decode_photo(photo))
    assert seen
    answers.put(describe_sightings([seen])[0].tobytes())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_process_says_the_same(photos: Path, method: str) -> None:
    photo = (photos / "obama2.jpg").read_bytes()
    seen = sight(decode_photo(photo))
    assert seen
    expected = describe_sightings([seen])[0]
    context = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    busy = threading.Event()

    def keep_busy() -> None:
        while not busy.is_set():
            describe_sightings([seen])

    # The parent forks while another of its threads is inside the session.
    other = threading.Thread(target=keep_busy)
    other.start()
    try:
        children = [context.Process(target=_describe_in_child, args=(photo, answers)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join(120)
            assert child.exitcode == 0
    finally:
        busy.set()
        other.join()
    for _ in children:
        assert np.array_equal(np.frombuffer(answers.get()), expected)


def test_a_fork_while_the_engine_is_being_loaded_does_not_wait_for_ever(photos: Path) -> None:
    with descriptor._loading:
        child = os.fork()
        if child == 0:
            # Only os._exit from here: the child must not run the test session's end.
            try:
                os._exit(0 if descriptor_engine().name == "onnxruntime" else 1)
            except BaseException:
                os._exit(2)
        done = threading.Event()
        status: list[int] = []

        def wait() -> None:
            status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            done.set()

        threading.Thread(target=wait).start()
        if not done.wait(60):
            os.kill(child, 9)
        assert done.wait(10)
    assert status == [0]
