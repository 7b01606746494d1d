"""dlib's descriptor network in numpy alone, layer by layer and unfolded: a second opinion beside dlib's own."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from biometrics.engine import dlib_weights as layer_of
from biometrics.engine.dlib_weights import Layer

Values = NDArray[np.float64]


def describe(layers: Sequence[Layer], chips: Sequence[NDArray[np.uint8]]) -> Values:
    """Describe ``chips`` (uint8 of 150 × 150 × 3 each): float64 of n × 128."""
    at = (np.stack(chips).astype(np.float64) - layer_of.MEAN_RGB).transpose(0, 3, 1, 2) / 256
    tagged: dict[int, Values] = {}
    for layer in layers:
        match layer:
            case layer_of.Convolution():
                at = convolve(at, layer)
            case layer_of.Affine():
                at = at * layer.scale[:, None, None] + layer.shift[:, None, None]
            case layer_of.Relu():
                at = np.maximum(at, 0)
            case layer_of.MaxPool():
                at = windows(at, layer.size, layer.stride).max(axis=(4, 5))
            case layer_of.AveragePool(size=0):
                at = at.mean(axis=(2, 3), keepdims=True)
            case layer_of.AveragePool():
                at = windows(at, layer.size, layer.stride).mean(axis=(4, 5))
            case layer_of.Tag():
                tagged[layer.number] = at
            case layer_of.Skip():
                at = tagged[layer.number]
            case layer_of.AddTagged():
                at = add(at, tagged[layer.number])
            case layer_of.FullyConnected():
                at = at[:, :, 0, 0] @ layer.weights.astype(np.float64)
    return at


def windows(values: Values, size: int, stride: int) -> Values:
    """n × channels × rows × columns × size × size."""
    return sliding_window_view(values, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]


def convolve(values: Values, layer: layer_of.Convolution) -> Values:
    around = [(0, 0), (0, 0), (layer.padding, layer.padding), (layer.padding, layer.padding)]
    seen = windows(np.pad(values, around), layer.filters.shape[2], layer.stride)
    convolved = np.tensordot(seen, layer.filters.astype(np.float64), axes=([1, 4, 5], [1, 2, 3]))
    return convolved.transpose(0, 3, 1, 2) + layer.bias[:, None, None]


def add(first: Values, second: Values) -> Values:
    """Add two tensors where they overlap; what only one of them has stands as it is."""
    total = np.zeros(np.maximum(first.shape, second.shape))
    for values in (first, second):
        total[tuple(slice(0, size) for size in values.shape)] += values
    return total
