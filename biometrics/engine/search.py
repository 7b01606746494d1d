"""
One probe against many vectors: a matrix product in single precision finds who is near, double precision decides.

The product only leaves out what is surely too far: every distance returned is what :mod:`comparison` says of the pair.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biometrics.engine import comparison

DIMENSIONS = 128
# Of 128 products of numbers whose squares sum to one, single precision loses less than 128 · 2⁻²⁴ = 7.7e-6.
_PRODUCT_ERROR = 2e-5
# The most by which the product differs between two distances that round to the same ten-thousandth.
_ROUNDING = 2e-4


class Near(NamedTuple):
    row: int
    distance_e4: int


class Gallery:
    """Vectors to search, in the order given. Never changed once made, so that threads may share it."""

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        """
        Take ``vectors``, each of length one.

        :param vectors: n × 128; float64 where distances are to be exactly those of a comparison of two, float32 where
            memory matters more
        """
        if vectors.ndim != 2 or vectors.shape[1] != DIMENSIONS:
            raise ValueError(f"a gallery is n × {DIMENSIONS}; this is {' × '.join(map(str, vectors.shape))}")
        self._exact = vectors
        self._coarse = np.ascontiguousarray(vectors, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._exact)

    def only(self, rows: Sequence[int]) -> "Gallery":
        """Return a gallery of these rows alone, numbered anew in the order given."""
        return Gallery(self._exact[np.asarray(rows, dtype=np.intp)])

    def vector(self, row: int) -> NDArray[np.float64]:
        """Return one vector: float64 of 128."""
        return self._exact[row].astype(np.float64)

    def nearest(self, probe: NDArray[np.float64], threshold_e4: int, limit: int | None = None) -> list[Near]:
        """
        Return the rows within ``threshold_e4`` of ``probe``, the nearest first, the lower row first among equals.

        :param probe: float64 of 128, of length one
        :param limit: at most so many
        """
        if not len(self):
            return []
        products = self._coarse @ probe.astype(np.float32)
        # Of two vectors of length one, distance² = 2 − 2 · product; what rounds down to the threshold is within it.
        least = 1.0 - ((threshold_e4 + 1) / 10_000) ** 2 / 2 - _PRODUCT_ERROR
        rows = np.flatnonzero(products >= least)
        if limit is not None and len(rows) > limit:
            # Whoever is among the nearest exactly is at most two errors behind the last of them in the product.
            last = np.partition(products[rows], len(rows) - limit)[len(rows) - limit]
            rows = rows[products[rows] >= last - 2 * _PRODUCT_ERROR - _ROUNDING]
        found = [Near(row, comparison.distance_e4(self.vector(row), probe)) for row in rows.tolist()]
        near = sorted(
            (one for one in found if one.distance_e4 <= threshold_e4), key=lambda one: (one.distance_e4, one.row)
        )
        return near if limit is None else near[:limit]
