"""The weights' file: read to its exact end, and refused where one byte of its form is another."""

from collections import Counter
from pathlib import Path

import pytest

from biometrics.engine import weights
from biometrics.engine.dlib_weights import Convolution, FullyConnected, read_network
from biometrics.engine.errors import EngineUnusable, ModelFileUnreadable


@pytest.fixture(scope="module")
def original() -> bytes:
    return weights.find_model(weights.DESCRIPTOR).path.read_bytes()


def read(folder: Path, data: bytes) -> None:
    path = folder / "network.dat"
    path.write_bytes(data)
    read_network(path)


def test_the_network_has_the_layers_and_parameters_that_dlib_says() -> None:
    layers = read_network(weights.find_model(weights.DESCRIPTOR).path)
    counted = Counter(type(layer).__name__ for layer in layers)
    assert counted["Convolution"] == counted["Affine"] == 29
    assert counted["AddTagged"] == 14
    assert counted["FullyConnected"] == 1
    first, last = layers[0], layers[-1]
    assert isinstance(first, Convolution)
    assert (first.filters.shape, first.stride, first.padding) == ((32, 3, 7, 7), 2, 0)
    assert isinstance(last, FullyConnected)
    assert last.weights.shape == (256, 128)


@pytest.mark.parametrize("kept", [0, 1, 14, 300, 5000, 22_000_000, -1])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, original: bytes, kept: int) -> None:
    with pytest.raises(ModelFileUnreadable, match=r"network\.dat cannot be read: the file ends before"):
        read(tmp_path, original[:kept])


def test_one_byte_behind_the_end_is_refused(tmp_path: Path, original: bytes) -> None:
    with pytest.raises(ModelFileUnreadable, match="1 bytes follow the end"):
        read(tmp_path, original + b"\0")


@pytest.mark.parametrize(
    ("place", "bytes_there", "said"),
    [
        (1, b"\x02", "the loss layer's version is 2, expected 1"),
        (5, b"X", "the loss layer is 'l"),
        (30, b"\x03", "a layer's version is 3, expected 2"),
        (0, b"\x71", "no integer begins with 0x71"),
        (0, b"\x0f", "no integer begins with 0x0f"),
        (0x14F, b"\x7f", "a name of 127 characters"),
        (0x14B, b"\x97", "the input's size is"),
    ],
)
def test_another_form_is_refused_and_named(
    tmp_path: Path, original: bytes, place: int, bytes_there: bytes, said: str
) -> None:
    changed = bytearray(original)
    changed[place : place + len(bytes_there)] = bytes_there
    with pytest.raises(ModelFileUnreadable, match=said):
        read(tmp_path, bytes(changed))


def test_a_tensor_that_claims_gigabytes_is_refused_beforehand(tmp_path: Path, original: bytes) -> None:
    at = original.index(b"con_4") + len(b"con_4") + 2  # the first tensor's dimensions
    shape = b"".join(b"\x04\xff\xff\xff\x7f" for _ in range(4))
    with pytest.raises(ModelFileUnreadable, match="a tensor of the shape"):
        read(tmp_path, original[:at] + shape + original[at:])


def test_a_parameter_that_is_no_number_is_refused(tmp_path: Path, original: bytes) -> None:
    at = original.index(b"con_4") + 40
    with pytest.raises(ModelFileUnreadable, match="not a finite number"):
        read(tmp_path, original[:at] + b"\x00\x00\xc0\x7f\x00\x00\xc0\x7f" + original[at + 8 :])


def test_the_refusal_is_one_that_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable):
        read(tmp_path, b"not a network")
