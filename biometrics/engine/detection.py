"""
Find faces with dlib's HOG detector on a small grey copy, and hold them against the rule of one face.

The copy is bounded in area as well as in width, so that no photo's shape makes the detector work for minutes.
"""

import threading
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biometrics.engine.errors import NoFaceFound, SeveralFaces
from biometrics.engine.photo import Photo

NAME = "dlib_frontal_hog"
# Below this the detector answers to folds of cloth as well: such a thing is neither a face nor a second face.
MIN_SCORE = 0.25


@dataclass(frozen=True)
class Rung:
    """One try: on a copy of at most this width, upsampled by dlib so many times."""

    width_px: int
    upsampled: int


# Most faces are found on the first; far ones cost a second try, and no face at all costs all three.
LADDER = (Rung(480, 0), Rung(960, 0), Rung(960, 1))
_MAX_HEIGHT_TO_WIDTH = 8 / 3


@dataclass(frozen=True)
class Detection:
    """A face's box in the pixels of the full photo, and the detector's confidence in it."""

    left: int
    top: int
    right: int
    bottom: int
    score: float

    @property
    def area(self) -> int:
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)


_of_this_thread = threading.local()


@cache
def _prototype() -> "dlib.fhog_object_detector":
    return dlib.get_frontal_face_detector()


def load() -> None:
    """Load the detector, which takes dlib half a second; each thread copies it in some milliseconds."""
    _prototype()


def detector_of_this_thread() -> "dlib.fhog_object_detector":
    # dlib's objects keep scratch memory: one per thread. The prototype is copied and never run.
    if not hasattr(_of_this_thread, "detector"):
        _of_this_thread.detector = copy(_prototype())
    return _of_this_thread.detector


def find_faces(photo: Photo, *, look_closer: bool = False) -> list[Detection]:
    """
    Find the faces of ``photo``, largest first, on the first rung that shows any.

    :param look_closer: try the second rung as well, and take what shows more faces: a small one behind a near one
    """
    tried: set[tuple[tuple[int, ...], int]] = set()
    found: list[Detection] = []
    for number, rung in enumerate(LADDER):
        if found and not (look_closer and number == 1):
            break
        small, scale = _bounded_copy(photo.grey, rung.width_px)
        if (small.shape, rung.upsampled) in tried:
            continue  # a small photo: the larger rung is the same picture
        tried.add((small.shape, rung.upsampled))
        faces = _faces_on(small, scale, rung)
        if len(faces) > len(found):
            found = faces
    return sorted(found, key=lambda face: face.area, reverse=True)


def find_faces_upsampled(photo: Photo) -> list[Detection]:
    """Find the faces on the whole photo in colour, enlarged twofold: slow, and for comparison with others alone."""
    return _run(photo.rgb, 1, scale=1.0)


def _faces_on(small: NDArray[np.uint8], scale: float, rung: Rung) -> list[Detection]:
    return [face for face in _run(small, rung.upsampled, scale=scale) if face.score >= MIN_SCORE]


def _run(picture: NDArray[np.uint8], upsampled: int, *, scale: float) -> list[Detection]:
    boxes, scores, _ = detector_of_this_thread().run(picture, upsampled, 0.0)
    return [
        Detection(
            left=round(box.left() / scale),
            top=round(box.top() / scale),
            right=round((box.right() + 1) / scale),
            bottom=round((box.bottom() + 1) / scale),
            score=float(score),
        )
        for box, score in zip(boxes, scores, strict=True)
    ]


def exactly_one_face(faces: Sequence[Detection], *, second_face_e4: int) -> Detection:
    """
    Return the one face that counts.

    :param faces: largest first
    :param second_face_e4: up to which share of its area, in ten-thousandths, others beside it are tolerated; 0: none
    :raises NoFaceFound, SeveralFaces:
    """
    if not faces:
        raise NoFaceFound
    if len(faces) > 1 and (second_face_e4 == 0 or faces[1].area * 10_000 > second_face_e4 * faces[0].area):
        raise SeveralFaces(count=len(faces))
    return faces[0]


def _bounded_copy(grey: NDArray[np.uint8], width_px: int) -> tuple[NDArray[np.uint8], float]:
    height, width = grey.shape
    area = width_px * width_px * _MAX_HEIGHT_TO_WIDTH
    scale = min(1.0, width_px / width, (area / (width * height)) ** 0.5)
    if scale == 1.0:
        return grey, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX)), scale
