"""
Read dlib's descriptor network from its own file: the layers with their parameters, and nothing else.

The file names the layers but not their wiring, so the wiring is written down here, and every version, name and shape in
the file must agree with it, up to the exact end.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.errors import ModelFileUnreadable

INPUT_PX = 150
MEAN_RGB = (122.782, 117.001, 104.298)
CONVOLUTIONS = 29
PARAMETERS = 5_614_592

# What dlib writes before a layer, before the one on the input, and before a tag or a skip.
_LAYER, _INNERMOST, _TAG = 2, 3, 1


@dataclass(frozen=True, eq=False)
class Convolution:
    """Convolve with ``filters`` (float32 of n × k × size × size) and add ``bias`` (float32 of n)."""

    filters: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    padding: int


@dataclass(frozen=True, eq=False)
class Affine:
    """Scale and shift each channel: what batch normalisation has become after training."""

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]


@dataclass(frozen=True)
class Relu:
    """Let nothing below zero through."""


@dataclass(frozen=True)
class MaxPool:
    """Take the largest of each window."""

    size: int
    stride: int


@dataclass(frozen=True)
class AveragePool:
    """Take the mean of each window, or of everything where ``size`` is 0."""

    size: int
    stride: int


@dataclass(frozen=True)
class Tag:
    """Remember the output at this place. The numbers are used again: the most recent counts."""

    number: int


@dataclass(frozen=True)
class Skip:
    """Go on from what the tag remembers."""

    number: int


@dataclass(frozen=True)
class AddTagged:
    """Add what the tag remembers; the smaller of the two is filled up with zeros at the end of each axis."""

    number: int


@dataclass(frozen=True, eq=False)
class FullyConnected:
    """Multiply by ``weights`` (float32 of inputs × outputs)."""

    weights: NDArray[np.float32]


Layer = Convolution | Affine | Relu | MaxPool | AveragePool | Tag | Skip | AddTagged | FullyConnected


@dataclass(frozen=True)
class _Con:
    """A convolution as the wiring asks for it."""

    channels: int
    size: int
    stride: int


_Expected = _Con | MaxPool | AveragePool | Tag | Skip | AddTagged | type[Affine] | type[Relu] | type[FullyConnected]


def _wiring() -> Iterator[_Expected]:
    """The network from its input to its output."""
    yield from (_Con(32, 7, 2), Affine, Relu, MaxPool(3, 2))
    for channels, residuals in ((32, 3), (64, 3), (128, 2), (256, 2), (256, 0)):
        if channels != 32:
            yield from _block_down(channels)
        for _ in range(residuals):
            yield from (Tag(1), *_block(channels, stride=1), AddTagged(1), Relu)
    yield from (AveragePool(0, 1), FullyConnected)


def _block(channels: int, *, stride: int) -> tuple[_Expected, ...]:
    return _Con(channels, 3, stride), Affine, Relu, _Con(channels, 3, 1), Affine


def _block_down(channels: int) -> tuple[_Expected, ...]:
    """Halve the picture; beside the block goes a plain mean of its input."""
    branch = _block(channels, stride=2)
    return Tag(1), *branch, Tag(2), Skip(1), AveragePool(2, 2), AddTagged(2), Relu


def read_network(path: Path) -> list[Layer]:
    """
    Read the network's layers, from its input to its output.

    :raises ModelFileUnreadable: where the file is not this network, byte by byte
    """
    file = _File(path)
    file.expect(file.integer(), 1, "the loss layer's version")
    file.expect(file.text(), "loss_metric_2", "the loss layer")
    file.real(), file.real()
    wiring = list(_wiring())
    # Each layer writes its version, then what lies below it, then itself: all versions come first, outermost first.
    for expected in reversed(wiring[1:]):
        file.expect(file.integer(), _TAG if isinstance(expected, Tag | Skip) else _LAYER, "a layer's version")
    file.expect(file.integer(), _INNERMOST, "the innermost layer's version")
    file.input_layer()
    layers: list[Layer] = []
    channels = 3
    for place, expected in enumerate(wiring):
        layer = _read_layer(file, expected, channels)
        if isinstance(layer, Convolution):
            channels = len(layer.filters)
        if not isinstance(layer, Tag | Skip):
            file.empty_state()
        if place == 0:
            file.integer()
        layers.append(layer)
    file.end()
    file.expect(sum(isinstance(layer, Convolution) for layer in layers), CONVOLUTIONS, "the number of convolutions")
    file.expect(file.parameters, PARAMETERS, "the number of parameters")
    return layers


def _read_layer(file: "_File", expected: _Expected, channels: int) -> Layer:
    match expected:
        case Tag() | Skip():
            return expected
        case _Con():
            return file.convolution(expected, channels)
        case MaxPool() | AveragePool():
            return file.pool(expected)
        case AddTagged():
            file.expect(file.text(), "add_prev_", "a layer's name")
            return expected
    if expected is Relu:
        file.expect(file.text(), "relu_", "a layer's name")
        return Relu()
    return file.affine(channels) if expected is Affine else file.fully_connected(channels)


class _File:
    """A cursor over a file of dlib's serialisation. Whatever is not as expected ends the reading."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self._at = 0
        self._name = path.name
        self.parameters = 0

    def expect(self, found: object, expected: object, what: str) -> None:
        if found != expected:
            raise self._unreadable(f"{what} is {found!r}, expected {expected!r}")

    def integer(self) -> int:
        """A control byte (number of bytes, 0x80 for a minus), then the magnitude, little end first."""
        control = self._take(1)[0]
        length = control & 0x0F
        if not 1 <= length <= 8 or control & 0x70:
            raise self._unreadable(f"no integer begins with {control:#04x}")
        magnitude = int.from_bytes(self._take(length), "little")
        return -magnitude if control & 0x80 else magnitude

    def real(self) -> float:
        """Mantissa and exponent of two."""
        mantissa, exponent = self.integer(), self.integer()
        if not -2000 <= exponent <= 900:
            raise self._unreadable(f"a number has the exponent {exponent}")
        return math.ldexp(mantissa, exponent)

    def text(self) -> str:
        length = self.integer()
        if not 0 <= length <= 64:
            raise self._unreadable(f"a name of {length} characters")
        return self._take(length).decode("ascii", "replace")

    def flag(self) -> bool:
        byte = self._take(1)
        if byte not in (b"0", b"1"):
            raise self._unreadable(f"no flag is {byte!r}")
        return byte == b"1"

    def tensor(self) -> NDArray[np.float32]:
        """Four dimensions, then that many float32, little end first."""
        self.expect(self.integer(), 2, "a tensor's version")
        shape = self._shape()
        count = math.prod(shape)
        values = np.frombuffer(self._take(4 * count), dtype="<f4").astype(np.float32).reshape(shape)
        if not np.isfinite(values).all():
            raise self._unreadable("a parameter is not a finite number")
        return values

    def alias(self) -> tuple[int, ...]:
        """The shape of a part of the parameters."""
        self.expect(self.integer(), 1, "an alias's version")
        return self._shape()

    def input_layer(self) -> None:
        self.expect(self.text(), "input_rgb_image_sized", "the input layer")
        mean = tuple(round(self.real(), 3) for _ in range(3))
        self.expect(mean, MEAN_RGB, "the mean colour")
        self.expect((self.integer(), self.integer()), (INPUT_PX, INPUT_PX), "the input's size")

    def convolution(self, expected: _Con, channels: int) -> Convolution:
        self.expect(self.text(), "con_4", "a layer's name")
        parameters = self._parameters()
        size, stride = expected.size, expected.stride
        padding = 0 if stride != 1 else size // 2
        self.expect(
            [self.integer() for _ in range(7)],
            [expected.channels, size, size, stride, stride, padding, padding],
            "a convolution's form",
        )
        shape = (expected.channels, channels, size, size)
        self.expect(self.alias(), shape, "the filters' shape")
        self.expect(self.alias(), (1, expected.channels, 1, 1), "the biases' shape")
        self._four_rates()
        count = math.prod(shape)
        self.expect(parameters.size, count + expected.channels, "the number of a convolution's parameters")
        return Convolution(parameters[:count].reshape(shape), parameters[count:], stride, padding)

    def affine(self, channels: int) -> Affine:
        self.expect(self.text(), "affine_", "a layer's name")
        parameters = self._parameters()
        for what in ("the scales' shape", "the shifts' shape"):
            self.expect(self.alias(), (1, channels, 1, 1), what)
        self.expect(self.integer(), 0, "an affine layer's mode")
        self.expect(parameters.size, 2 * channels, "the number of an affine layer's parameters")
        return Affine(parameters[:channels], parameters[channels:])

    def pool(self, expected: MaxPool | AveragePool) -> MaxPool | AveragePool:
        self.expect(self.text(), "max_pool_2" if isinstance(expected, MaxPool) else "avg_pool_2", "a layer's name")
        form = [self.integer() for _ in range(6)]
        self.expect(form, [expected.size] * 2 + [expected.stride] * 2 + [0, 0], "a pool's form")
        return expected

    def fully_connected(self, channels: int) -> FullyConnected:
        self.expect(self.text(), "fc_2", "a layer's name")
        outputs, inputs = self.integer(), self.integer()
        self.expect((inputs, outputs), (channels, 128), "the last layer's form")
        parameters = self._parameters()
        self.expect(self.alias(), (inputs, outputs, 1, 1), "the last layer's shape")
        self.alias()
        self.expect(self.integer(), 1, "the last layer's mode (without biases)")
        self._four_rates()
        self.expect(parameters.size, inputs * outputs, "the number of the last layer's parameters")
        return FullyConnected(parameters.reshape(inputs, outputs))

    def empty_state(self) -> None:
        """What dlib keeps of training beside a layer: three flags and three tensors, which must be empty."""
        for _ in range(3):
            self.flag()
        for _ in range(3):
            self.expect(self.tensor().size, 0, "the number of values kept from training")

    def end(self) -> None:
        if self._at != len(self._data):
            raise self._unreadable(f"{len(self._data) - self._at} bytes follow the end of the network")

    def _parameters(self) -> NDArray[np.float32]:
        values = self.tensor().reshape(-1)
        self.parameters += values.size
        return values

    def _four_rates(self) -> None:
        for _ in range(4):
            self.real()  # learning rates and decays

    def _shape(self) -> tuple[int, ...]:
        shape = tuple(self.integer() for _ in range(4))
        if min(shape) < 0 or math.prod(shape) > PARAMETERS:
            raise self._unreadable(f"a tensor of the shape {shape}")
        return shape

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise self._unreadable("the file ends before the network does")
        self._at += count
        return taken

    def _unreadable(self, found: str) -> ModelFileUnreadable:
        return ModelFileUnreadable(name=self._name, found=f"{found} (at byte {self._at})")
