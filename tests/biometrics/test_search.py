"""The search of one probe among many: the same rows and the same integers as comparing one by one."""

import numpy as np
import pytest

from biometrics.engine import comparison
from biometrics.engine.search import Gallery


def unit_vectors(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 128))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def crowd_around(probe: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Vectors at 0.25 to 0.45 from the probe: every threshold in use cuts through the crowd."""
    rng = np.random.default_rng(seed)
    away = rng.normal(size=(count, 128))
    away -= np.outer(away @ probe, probe)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    angles = 2 * np.arcsin(rng.uniform(0.25, 0.45, size=count) / 2)
    return np.cos(angles)[:, None] * probe + np.sin(angles)[:, None] * away


def one_by_one(vectors: np.ndarray, probe: np.ndarray, threshold_e4: int) -> list[tuple[int, int]]:
    distances = [(comparison.distance_e4(vector, probe), row) for row, vector in enumerate(vectors)]
    return [(row, distance) for distance, row in sorted(distances) if distance <= threshold_e4]


@pytest.mark.parametrize("threshold_e4", [0, 2999, 3000, 3450, 4310, 20_000])
def test_the_rows_and_distances_are_those_of_comparing_one_by_one(threshold_e4: int) -> None:
    probe = unit_vectors(1, seed=1)[0]
    vectors = np.vstack([crowd_around(probe, 3000, seed=2), unit_vectors(500, seed=3), probe[None]])
    expected = one_by_one(vectors, probe, threshold_e4)
    assert Gallery(vectors).nearest(probe, threshold_e4) == expected
    assert Gallery(vectors).nearest(probe, threshold_e4, limit=7) == expected[:7]


def test_a_distance_exactly_at_the_threshold_is_within_it() -> None:
    probe = unit_vectors(1, seed=4)[0]
    vectors = crowd_around(probe, 50, seed=5)
    nearest = min(comparison.distance_e4(vector, probe) for vector in vectors)
    assert [near.distance_e4 for near in Gallery(vectors).nearest(probe, nearest)] == [nearest]
    assert Gallery(vectors).nearest(probe, nearest - 1) == []


def test_equals_come_in_the_order_of_their_rows_and_the_limit_keeps_it() -> None:
    probe = unit_vectors(1, seed=6)[0]
    gallery = Gallery(np.repeat(probe[None], 9, axis=0))
    assert gallery.nearest(probe, 0, limit=4) == [(0, 0), (1, 0), (2, 0), (3, 0)]


def test_single_precision_alone_is_taken_as_it_is() -> None:
    probe = unit_vectors(1, seed=7)[0]
    vectors = crowd_around(probe, 400, seed=8).astype(np.float32)
    assert Gallery(vectors).nearest(probe, 3450) == one_by_one(vectors.astype(np.float64), probe, 3450)


def test_rows_alone_are_numbered_anew() -> None:
    probe = unit_vectors(1, seed=9)[0]
    vectors = crowd_around(probe, 20, seed=10)
    picked = Gallery(vectors).only([13, 2])
    assert len(picked) == 2
    assert sorted(near.row for near in picked.nearest(probe, 4500)) == [0, 1]
    assert picked.vector(0).tolist() == vectors[13].tolist()


def test_nobody_is_found_in_an_empty_gallery() -> None:
    assert Gallery(np.empty((0, 128))).nearest(unit_vectors(1, seed=11)[0], 20_000) == []


@pytest.mark.parametrize("shape", [(3, 127), (128,), (1, 128, 1)])
def test_another_shape_is_no_gallery(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="128"):
        Gallery(np.zeros(shape))
