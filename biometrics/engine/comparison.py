"""Templates and distances: vectors of length one, compared by Euclidean distance, decided in ten-thousandths."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.descriptor import normalise

METRIC = "l2_mean"


def template(descriptors: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Make one template of several descriptors of the same face: their mean, of length one."""
    return normalise(np.mean(descriptors, axis=0))


def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Tell how far two vectors of length one lie apart: 0 the same, 2 opposite."""
    return float(np.linalg.norm(first - second))


def distance_e4(first: NDArray[np.float64], second: NDArray[np.float64]) -> int:
    """
    Tell the distance in ten-thousandths, rounded half up.

    The decision is taken on this integer and not on the float: an auditor who holds the entry alone can repeat it.
    """
    return math.floor(distance(first, second) * 10_000 + 0.5)
