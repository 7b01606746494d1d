"""
Five landmarks on the full photo, and the aligned chip that the descriptor network sees.

The five-point model: it matches as well as the 68-point one, whose training data excludes commercial use.
"""

import os
import threading
from dataclasses import dataclass
from functools import cache

import dlib
import numpy as np
from numpy.typing import NDArray

from biometrics.engine import weights
from biometrics.engine.detection import Detection
from biometrics.engine.photo import Photo

CHIP_PX = 150
CHIP_PADDING = 0.25

# dlib's objects are not made for several threads at once; a shape takes under a millisecond, so one is shared in turns.
_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread may have held it when the process forked: nobody would release it in the child.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """
    The five points in pixels of the full photo: float64 of 5 × 2.

    In the model's order: the corners of the eye on the right of the picture (outer, inner), those of the eye on its
    left (outer, inner), the base of the nose.
    """

    points: NDArray[np.float64]
    shape: "dlib.full_object_detection"


@cache
def _predictor() -> "dlib.shape_predictor":
    return dlib.shape_predictor(str(weights.find_model(weights.LANDMARKS).path))


def load() -> None:
    """Load the landmark model."""
    with _lock:
        _predictor()


def find_landmarks(photo: Photo, face: Detection) -> Landmarks:
    """Place the five landmarks of ``face``."""
    box = dlib.rectangle(face.left, face.top, face.right - 1, face.bottom - 1)
    with _lock:
        shape = _predictor()(photo.rgb, box)
    return Landmarks(np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64), shape)


def cut_chip(photo: Photo, landmarks: Landmarks) -> NDArray[np.uint8]:
    """Cut the face out upright and scaled: uint8 of 150 × 150 × 3."""
    chip: NDArray[np.uint8] = dlib.get_face_chip(photo.rgb, landmarks.shape, size=CHIP_PX, padding=CHIP_PADDING)
    return chip
