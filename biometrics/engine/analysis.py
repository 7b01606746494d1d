"""
The whole path of one photo: bytes, pixels, one face, landmarks, quality, chip, descriptor.

Safe under threads: what dlib does not let threads share is per thread or taken in turns.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import dlib
import numpy as np
from numpy.typing import NDArray

from biometrics.engine import calibration, detection, landmarks, weights
from biometrics.engine.descriptor import describe_face, describe_faces, descriptor_engine
from biometrics.engine.detection import Detection, exactly_one_face, find_faces
from biometrics.engine.landmarks import CHIP_PX, Landmarks, cut_chip, find_landmarks
from biometrics.engine.photo import Photo, decode_photo
from biometrics.engine.quality import CapturePolicy, Quality, measure_quality, require_quality


@dataclass(frozen=True, eq=False)
class Face:
    """What one photo says: a descriptor of length one (float64 of 128), and how good the capture is."""

    descriptor: NDArray[np.float64]
    detection: Detection
    quality: Quality
    faces_in_frame: int
    second_face_e4: int | None
    """The second face's area, in ten-thousandths of the first's; None where there is no second."""
    seconds: dict[str, float] = field(repr=False)
    """How long each stage took; for benchmarks and logs, never stored."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """The largest face of a photo, seen and measured, neither judged nor described."""

    photo: Photo
    detection: Detection
    landmarks: Landmarks
    quality: Quality
    faces_in_frame: int
    second_face_e4: int | None
    """The second face's area, in ten-thousandths of the first's; None where there is no second."""


def warm_up() -> None:
    """
    Load every model, check the network and run it once, so that the first person does not wait for it.

    :raises EngineDisagrees: where the network does not say what dlib says
    """
    calibration.read_calibration()
    detection.load()
    landmarks.load()
    descriptor_engine().describe([np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8)])


def analyse(photo: Photo, *, policy: CapturePolicy) -> Face:
    """
    Find, check and describe the one face of ``photo``.

    :raises FaceRefused: no_face, several_faces, or what :func:`~biometrics.engine.quality.require_quality` names
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "detect"):
        faces = find_faces(photo, look_closer=policy.look_closer)
    exactly_one_face(faces, second_face_e4=policy.max_second_face_e4)
    with _timed(seconds, "align"):
        seen = _measure(photo, faces)
        require_quality(seen.quality, policy)
        chip = cut_chip(photo, seen.landmarks)
    with _timed(seconds, "describe"):
        descriptor = describe_face(chip, descriptor_engine())
    return Face(
        descriptor=descriptor,
        detection=seen.detection,
        quality=seen.quality,
        faces_in_frame=seen.faces_in_frame,
        second_face_e4=seen.second_face_e4,
        seconds=seconds,
    )


def sight(photo: Photo, *, look_closer: bool = False) -> Sighting | None:
    """
    Find and measure the largest face of ``photo``, whatever its quality and whoever else is in it.

    :param look_closer: look for small faces beside a near one too
    :returns: None where there is no face
    """
    faces = find_faces(photo, look_closer=look_closer)
    return _measure(photo, faces) if faces else None


def sight_all(photo: Photo) -> list[Sighting]:
    """Find and measure every face of ``photo``, the largest first, whatever its quality."""
    faces = find_faces(photo, look_closer=True)
    return [replace(_measure(photo, [face]), faces_in_frame=len(faces)) for face in faces]


def describe_sightings(sightings: Sequence[Sighting]) -> NDArray[np.float64]:
    """Describe the faces of ``sightings`` in one batch: float64 of n × 128, each of length one."""
    return describe_faces([cut_chip(seen.photo, seen.landmarks) for seen in sightings], descriptor_engine())


def _measure(photo: Photo, faces: Sequence[Detection]) -> Sighting:
    largest = faces[0]
    points = find_landmarks(photo, largest)
    return Sighting(
        photo=photo,
        detection=largest,
        landmarks=points,
        quality=measure_quality(photo, largest, points),
        faces_in_frame=len(faces),
        second_face_e4=round(faces[1].area * 10_000 / largest.area) if len(faces) > 1 else None,
    )


def analyse_bytes(data: bytes, *, policy: CapturePolicy) -> tuple[Photo, Face]:
    """Decode and analyse; the photo is returned for its cleaned bytes."""
    started = time.perf_counter()
    photo = decode_photo(data)
    decoded = time.perf_counter() - started
    face = analyse(photo, policy=policy)
    face.seconds["decode"] = decoded
    return photo, face


def models() -> dict[str, dict[str, str]]:
    """Name every model that takes part in a decision: name, and digest or version."""
    engine = descriptor_engine()
    return {
        # dlib compiles the detector into itself: its version is its identity.
        "detector": {"name": detection.NAME, "version": dlib.__version__},
        "landmarks": weights.find_model(weights.LANDMARKS).reference,
        "descriptor": {**engine.model.reference, "engine": engine.name, "engine_version": engine.version},
    }


def runtime() -> dict[str, str]:
    """Name the packages that computed a decision."""
    return {name: version(name) for name in ("numpy", "onnxruntime", "pillow")} | {"dlib": dlib.__version__}


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - started
