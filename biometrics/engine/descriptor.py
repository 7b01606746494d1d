"""
The descriptor network, behind a seam: whatever runs dlib's weights, the numbers and the record's fields stay the same.

A descriptor here is always the mean over the chip and its mirror image, normalised to length one.
"""

import threading
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import dlib
import numpy as np
from numpy.typing import NDArray

from biometrics.engine import weights
from biometrics.engine.weights import ModelFile

DIMENSIONS = 128


class DescriptorEngine(Protocol):
    """What can turn aligned chips into raw descriptors. Safe to call from several threads."""

    name: str
    model: ModelFile

    def describe(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Describe ``chips`` (uint8 of 150 × 150 × 3 each) as float64 of n × 128, as the network gives them."""
        ...


class DlibDescriptor:
    """dlib itself: about 75 ms a chip on one core."""

    name = "dlib"

    def __init__(self) -> None:
        self.model = weights.find_model(weights.DESCRIPTOR)
        self._network = dlib.face_recognition_model_v1(str(self.model.path))
        # The call holds the GIL anyway, and the network's layers keep their outputs: never two threads at once.
        self._lock = threading.Lock()

    def describe(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        if not chips:
            return np.empty((0, DIMENSIONS))
        with self._lock:
            return np.array(self._network.compute_face_descriptor(list(chips)), dtype=np.float64)


_loading = threading.Lock()


@cache
def _load() -> DescriptorEngine:
    return DlibDescriptor()


def descriptor_engine() -> DescriptorEngine:
    """Return the process's one descriptor engine, loaded on first use."""
    with _loading:
        return _load()


def describe_face(chip: NDArray[np.uint8], engine: DescriptorEngine) -> NDArray[np.float64]:
    """Describe one chip: the mean over it and its mirror image, of length one; float64 of 128."""
    mirrored = np.ascontiguousarray(chip[:, ::-1])
    return normalise(engine.describe([chip, mirrored]).mean(axis=0))


def normalise(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale ``vector`` to length one."""
    scaled: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return scaled
