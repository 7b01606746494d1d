"""
dlib's descriptor network run by ONNX Runtime: the same numbers in a tenth of the time, and without holding the GIL.

Converting takes a moment, so the converted network is kept in the folder that BIOMETRICS_MODELS_DIR names. That file is
never trusted: what was damaged is made again, and what says something else than dlib is refused when it is loaded.
"""

import logging
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from biometrics.engine import onnx_network, weights
from biometrics.engine.dlib_weights import read_network
from biometrics.engine.weights import ModelFile

logger = logging.getLogger(__name__)

# What one run holds in memory grows with its chips; beyond eight it gains no time.
_CHIPS_A_RUN = 8
_ERRORS_ONLY = 3


class OnnxDescriptor:
    """One session for all threads of a process, each run on the thread that asks: about 7 ms a chip on one core."""

    name = "onnxruntime"
    version: str = onnxruntime.__version__

    def __init__(self) -> None:
        self.model = weights.find_model(weights.DESCRIPTOR)
        self._session = _load(self.model, _kept_at(self.model))

    def describe(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        described = np.empty((len(chips), 128))
        for at in range(0, len(chips), _CHIPS_A_RUN):
            batch = np.stack(chips[at : at + _CHIPS_A_RUN])
            (raw,) = self._session.run([onnx_network.OUTPUT], {onnx_network.INPUT: batch})
            described[at : at + len(batch)] = raw
        return described


def _load(model: ModelFile, kept: Path | None) -> onnxruntime.InferenceSession:
    """
    Load the network that was kept, or convert it and keep it.

    Several processes may convert at once: each one puts a whole file in the place of the other's, of the same content.
    """
    if kept and _is_whole(kept):
        try:
            return _session(kept)
        except Exception:  # ONNX Runtime's errors have no base of their own
            logger.warning("The kept descriptor network cannot be loaded and is made again.")
    network = onnx_network.with_digest(onnx_network.convert(read_network(model.path)))
    if kept:
        _keep(kept, network)
    return _session(network)


def _kept_at(model: ModelFile) -> Path | None:
    folder = os.environ.get("BIOMETRICS_MODELS_DIR")
    return Path(folder) / f"descriptor-{model.sha256}-v{onnx_network.FORMAT}.onnx" if folder else None


def _is_whole(path: Path) -> bool:
    """Tell whether the file is there and as it was written."""
    try:
        whole = onnx_network.digest_holds(path.read_bytes())
    except OSError:
        return False
    if not whole:
        logger.warning("The kept descriptor network is damaged and is made again.")
    return whole


def _keep(path: Path, network: bytes) -> None:
    # A crash in between leaves a temporary file, never half a network under the name that is read.
    written = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".descriptor-", delete=False) as file:
            written = Path(file.name)
            file.write(network)
        written.replace(path)
    except OSError as error:
        logger.warning("The converted descriptor network is not kept: %s", error.strerror)
        if written:
            with suppress(OSError):
                written.unlink()


def _session(network: bytes | Path) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # A run works on the thread that asked for it: the web server's threads share the cores without a pool between them.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
