"""
The descriptor network, behind a seam: whatever runs dlib's weights, the numbers and the record's fields stay the same.

BIOMETRICS_ENGINE names what runs them: ``onnxruntime`` (unless told otherwise) or ``dlib``. Whatever it is, it says the
same as dlib about a fixed chip, or nothing is decided with it.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import dlib
import numpy as np
from numpy.typing import NDArray

from biometrics.engine import weights
from biometrics.engine.errors import EngineDisagrees, EngineUnknown
from biometrics.engine.onnx_descriptor import OnnxDescriptor
from biometrics.engine.weights import ModelFile

DIMENSIONS = 128
# The largest difference in any dimension from dlib's own descriptor; what is measured is a thousandth of it.
MAX_DIFFERENCE = 1e-4


class DescriptorEngine(Protocol):
    """What can turn aligned chips into raw descriptors. Safe to call from several threads."""

    name: str
    version: str
    model: ModelFile

    def describe(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Describe ``chips`` (uint8 of 150 × 150 × 3 each) as float64 of n × 128, as the network gives them."""
        ...


class DlibDescriptor:
    """dlib itself: about 75 ms a chip on one core."""

    name = "dlib"
    version: str = dlib.__version__

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


def _checked_onnx() -> DescriptorEngine:
    engine = OnnxDescriptor()
    require_agreement(engine, DlibDescriptor())
    return engine


_ENGINES: dict[str, Callable[[], DescriptorEngine]] = {"onnxruntime": _checked_onnx, "dlib": DlibDescriptor}

_loading = threading.Lock()
_loaded: DescriptorEngine | None = None
_of_the_parent: list[DescriptorEngine | None] = []


def descriptor_engine() -> DescriptorEngine:
    """
    Return the process's one descriptor engine, loaded and checked on first use.

    :raises EngineUnknown, EngineDisagrees:
    """
    global _loaded
    with _loading:
        if _loaded is None:
            name = os.environ.get("BIOMETRICS_ENGINE") or "onnxruntime"
            if name not in _ENGINES:
                raise EngineUnknown(name=name, known=", ".join(_ENGINES))
            _loaded = _ENGINES[name]()
        return _loaded


def _forget_after_fork() -> None:
    # Another thread of the parent may have been inside the session, or held the lock, when the process forked: the
    # child loads its own. What it inherited is kept untouched, for freeing it could wait for a lock that nobody holds.
    global _loading, _loaded
    _of_the_parent.append(_loaded)
    _loading, _loaded = threading.Lock(), None


os.register_at_fork(after_in_child=_forget_after_fork)


def require_agreement(engine: DescriptorEngine, oracle: DescriptorEngine) -> None:
    """
    Compare what two engines say of a fixed chip.

    :raises EngineDisagrees:
    """
    chip = [_fixed_chip()]
    difference = float(np.abs(engine.describe(chip) - oracle.describe(chip)).max())
    # Written so that a NaN disagrees as well.
    if not difference <= MAX_DIFFERENCE:
        raise EngineDisagrees(difference=difference, limit=MAX_DIFFERENCE)


def _fixed_chip() -> NDArray[np.uint8]:
    """A picture of slopes, edges and texture, the same everywhere: uint8 of 150 × 150 × 3."""
    row, column, colour = np.indices((150, 150, 3))
    slopes = row + column * (colour + 1) // 2
    edges = 80 * ((row // 25 + column // 30) % 2)
    texture = (row * 7919 + column * 104729 + colour * 1299709 + row * column * 31) % 41
    chip: NDArray[np.uint8] = ((slopes + edges + texture) % 256).astype(np.uint8)
    return chip


def describe_face(chip: NDArray[np.uint8], engine: DescriptorEngine) -> NDArray[np.float64]:
    """Describe one chip: the mean over it and its mirror image, of length one; float64 of 128."""
    described: NDArray[np.float64] = describe_faces([chip], engine)[0]
    return described


def describe_faces(chips: Sequence[NDArray[np.uint8]], engine: DescriptorEngine) -> NDArray[np.float64]:
    """Describe ``chips`` in one batch, each as the mean over it and its mirror image, of length one: n × 128."""
    mirrored = [np.ascontiguousarray(chip[:, ::-1]) for chip in chips]
    raw = engine.describe([*chips, *mirrored])
    mean = (raw[: len(chips)] + raw[len(chips) :]) / 2
    described: NDArray[np.float64] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return described


def normalise(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale ``vector`` to length one."""
    scaled: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return scaled
