"""
Write dlib's descriptor network as an ONNX model, in plain Python: the ``onnx`` package is not needed to run it.

ONNX IR version 8, operator set 13; the wire format is protocol buffers, the field numbers those of ``onnx.proto``.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.dlib_weights import (
    INPUT_PX,
    MEAN_RGB,
    AddTagged,
    Affine,
    AveragePool,
    Convolution,
    FullyConnected,
    Layer,
    MaxPool,
    Relu,
    Skip,
    Tag,
)

INPUT, OUTPUT = "chips", "descriptors"
# Raise it whenever the same weights would give another file.
FORMAT = 1

_IR_VERSION, _OPERATOR_SET = 8, 13
_FLOAT, _UINT8, _INT64 = 1, 2, 7
_ELEMENT = {"<f4": _FLOAT, "<i8": _INT64}
_ATTRIBUTE_INT, _ATTRIBUTE_INTS = 2, 7


def convert(layers: Sequence[Layer]) -> bytes:
    """
    Make the ONNX model of ``layers``: uint8 of n × 150 × 150 × 3 (RGB) in, float32 of n × 128 out.

    An affine layer is folded into the convolution before it, in float64.
    """
    graph = _Graph()
    at = _scaled_input(graph)
    tagged: dict[int, _Value] = {}
    for place, layer in enumerate(layers):
        match layer:
            case Convolution():
                following = layers[place + 1]
                if not isinstance(following, Affine):
                    raise TypeError("a convolution without its affine layer")
                at = _convolution(graph, at, layer, following)
            case Affine():
                pass  # folded into the convolution before it
            case Relu():
                at = at.like(graph.node("Relu", [at.name]))
            case MaxPool() | AveragePool():
                at = _pool(graph, at, layer)
            case Tag():
                tagged[layer.number] = at
            case Skip():
                at = tagged[layer.number]
            case AddTagged():
                at = _add(graph, at, tagged[layer.number])
            case FullyConnected():
                flat = graph.node("Flatten", [at.name], axis=1)
                graph.node("MatMul", [flat, graph.constant(layer.weights)], output=OUTPUT)
    return graph.model(outputs=128)


def fold(convolution: Convolution, affine: Affine) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the filters and biases of a convolution that does the affine layer's work as well."""
    scale = affine.scale.astype(np.float64)
    filters = convolution.filters.astype(np.float64) * scale[:, None, None, None]
    bias = convolution.bias.astype(np.float64) * scale + affine.shift.astype(np.float64)
    return filters.astype(np.float32), bias.astype(np.float32)


def with_digest(model: bytes) -> bytes:
    """Append the model's SHA-256, as the text that ONNX leaves for people: damage is seen before the model is run."""
    return model + _text(6, hashlib.sha256(model).hexdigest())


def digest_holds(model: bytes) -> bool:
    """Tell whether ``model`` is what :func:`with_digest` returned."""
    at = max(len(model) - len(with_digest(b"")), 0)
    return model[at:] == _text(6, hashlib.sha256(memoryview(model)[:at]).hexdigest())


class _Value:
    """A tensor's name with its channels and its size in pixels: what must be padded depends on both."""

    def __init__(self, name: str, channels: int, px: int) -> None:
        self.name, self.channels, self.px = name, channels, px

    def like(self, name: str) -> "_Value":
        return _Value(name, self.channels, self.px)


def _scaled_input(graph: "_Graph") -> _Value:
    pixels = graph.node("Cast", [INPUT], to=_FLOAT)
    upright = graph.node("Transpose", [pixels], perm=[0, 3, 1, 2])
    mean = graph.constant(np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
    centred = graph.node("Sub", [upright, mean])
    return _Value(graph.node("Mul", [centred, graph.constant(np.array(1 / 256, np.float32))]), 3, INPUT_PX)


def _convolution(graph: "_Graph", at: _Value, layer: Convolution, affine: Affine) -> _Value:
    filters, bias = fold(layer, affine)
    size = filters.shape[2]
    name = graph.node(
        "Conv",
        [at.name, graph.constant(filters), graph.constant(bias)],
        kernel_shape=[size, size],
        strides=[layer.stride, layer.stride],
        pads=[layer.padding] * 4,
    )
    return _Value(name, len(filters), 1 + (at.px + 2 * layer.padding - size) // layer.stride)


def _pool(graph: "_Graph", at: _Value, layer: MaxPool | AveragePool) -> _Value:
    if layer.size == 0:
        return _Value(graph.node("GlobalAveragePool", [at.name]), at.channels, 1)
    name = graph.node(
        "MaxPool" if isinstance(layer, MaxPool) else "AveragePool",
        [at.name],
        kernel_shape=[layer.size, layer.size],
        strides=[layer.stride, layer.stride],
    )
    return _Value(name, at.channels, 1 + (at.px - layer.size) // layer.stride)


def _add(graph: "_Graph", first: _Value, second: _Value) -> _Value:
    # Both may be smaller on one axis: the mean's copy has fewer channels, and where the picture's size is even, the
    # block beside it has lost a row and a column.
    channels, px = max(first.channels, second.channels), max(first.px, second.px)
    filled = [_fill(graph, value, channels, px) for value in (first, second)]
    return _Value(graph.node("Add", filled), channels, px)


def _fill(graph: "_Graph", value: _Value, channels: int, px: int) -> str:
    """Append zeros behind the channels, below and on the right."""
    missing = [0, channels - value.channels, px - value.px, px - value.px]
    if not any(missing):
        return value.name
    return graph.node("Pad", [value.name, graph.constant(np.array([0, 0, 0, 0, *missing], np.int64))])


class _Graph:
    """The nodes and constants of a graph, encoded as they come."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"c{len(self._constants)}"
        kind = "<i8" if values.dtype == np.int64 else "<f4"
        dims = b"".join(_number(1, size) for size in values.shape)
        raw = np.ascontiguousarray(values, dtype=kind).tobytes()
        self._constants.append(dims + _number(2, _ELEMENT[kind]) + _text(8, name) + _bytes(9, raw))
        return name

    def node(
        self, operator: str, inputs: Iterable[str], *, output: str | None = None, **attributes: int | list[int]
    ) -> str:
        name = output or f"v{len(self._nodes)}"
        parts = [_text(1, one) for one in inputs] + [_text(2, name), _text(4, operator)]
        parts += [_bytes(5, _attribute(key, value)) for key, value in attributes.items()]
        self._nodes.append(b"".join(parts))
        return name

    def model(self, *, outputs: int) -> bytes:
        graph = b"".join(
            [
                *(_bytes(1, node) for node in self._nodes),
                _text(2, "dlib_face_recognition_resnet_model_v1"),
                *(_bytes(5, constant) for constant in self._constants),
                _bytes(11, _value_info(INPUT, _UINT8, (INPUT_PX, INPUT_PX, 3))),
                _bytes(12, _value_info(OUTPUT, _FLOAT, (outputs,))),
            ]
        )
        operators = _text(1, "") + _number(2, _OPERATOR_SET)
        return _number(1, _IR_VERSION) + _text(2, "custody") + _bytes(7, graph) + _bytes(8, operators)


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _ATTRIBUTE_INT)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, _ATTRIBUTE_INTS)


def _value_info(name: str, element: int, shape: Sequence[int]) -> bytes:
    """A tensor of ``shape`` for each of n chips."""
    dims = _bytes(1, _text(2, "n")) + b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, element) + _bytes(2, dims)))


def _number(field: int, value: int) -> bytes:
    """A field of wire type 0; never negative here."""
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    """A field of wire type 2."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _varint(value: int) -> bytes:
    """Seven bits a byte, little end first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
