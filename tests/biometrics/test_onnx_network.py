"""The converted network: the same file every time, and the same numbers as plain arithmetic on dlib's parameters."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from biometrics.engine import onnx_network, weights
from biometrics.engine.analysis import sight
from biometrics.engine.dlib_weights import Affine, Convolution, Layer, read_network
from biometrics.engine.landmarks import cut_chip
from biometrics.engine.onnx_network import convert, digest_holds, fold, with_digest
from biometrics.engine.photo import decode_photo
from tests.biometrics import numpy_network

CPU = ["CPUExecutionProvider"]


@pytest.fixture(scope="module")
def layers() -> list[Layer]:
    return read_network(weights.find_model(weights.DESCRIPTOR).path)


@pytest.fixture(scope="module")
def network(layers: list[Layer]) -> bytes:
    return convert(layers)


def test_the_same_weights_give_the_same_file(layers: list[Layer], network: bytes) -> None:
    assert convert(layers) == network
    # 5,589,000 or so parameters are left, of four bytes, when the affine layers are folded in.
    assert 22_300_000 < len(network) < 22_500_000


def test_the_file_says_what_goes_in_and_what_comes_out(network: bytes) -> None:
    session = onnxruntime.InferenceSession(network, providers=CPU)
    (chips,), (descriptors,) = session.get_inputs(), session.get_outputs()
    assert (chips.name, chips.type, chips.shape) == ("chips", "tensor(uint8)", ["n", 150, 150, 3])
    assert (descriptors.name, descriptors.type, descriptors.shape) == ("descriptors", "tensor(float)", ["n", 128])


def test_plain_arithmetic_says_the_same(photos: Path, layers: list[Layer], network: bytes) -> None:
    seen = [sight(decode_photo((photos / name).read_bytes())) for name in ("obama.jpg", "astronaut.png")]
    chips = [cut_chip(one.photo, one.landmarks) for one in seen if one]
    chips += [np.zeros((150, 150, 3), np.uint8), np.full((150, 150, 3), 255, np.uint8)]
    session = onnxruntime.InferenceSession(network, providers=CPU)
    (described,) = session.run([onnx_network.OUTPUT], {onnx_network.INPUT: np.stack(chips)})
    expected = numpy_network.describe(layers, chips)
    assert np.abs(described - expected).max() < 1e-5
    assert np.linalg.norm(expected[0] - expected[1]) > 0.6  # the arithmetic does tell persons apart


def test_folding_keeps_what_the_two_layers_say() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=(1, 3, 9, 9))
    filters, bias = random.normal(size=(5, 3, 3, 3)), random.normal(size=5)
    convolution = Convolution(filters.astype(np.float32), bias.astype(np.float32), 2, 0)
    affine = Affine(random.normal(size=5).astype(np.float32), random.normal(size=5).astype(np.float32))
    apart = numpy_network.convolve(values, convolution) * affine.scale[:, None, None] + affine.shift[:, None, None]
    together = numpy_network.convolve(values, Convolution(*fold(convolution, affine), 2, 0))
    assert np.abs(apart - together).max() < 1e-5


def test_the_digest_stands_inside_the_file_and_tells_damage(network: bytes) -> None:
    kept = with_digest(network)
    assert digest_holds(kept)
    onnxruntime.InferenceSession(kept, providers=CPU)
    for at in (0, len(kept) // 2, len(kept) - 1):
        assert not digest_holds(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
    for damaged in (kept[:-1], kept[1:], kept + b"\0", network, b"", b"0"):
        assert not digest_holds(damaged)


@pytest.mark.parametrize(("value", "encoded"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")])
def test_numbers_are_written_as_the_wire_format_says(value: int, encoded: str) -> None:
    assert onnx_network._varint(value).hex() == encoded
