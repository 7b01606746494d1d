"""The path that decides as ``face_recognition`` does, held against that library on the same photos."""

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from biometrics.engine import compatible
from biometrics.engine.analysis import sight
from biometrics.engine.descriptor import descriptor_engine
from biometrics.engine.landmarks import cut_chip
from biometrics.engine.photo import Photo, decode_photo
from tests.biometrics.larger_set import larger_set
from tests.biometrics.pictures import encode

Encodings = NDArray[np.float64]


@pytest.fixture(scope="module")
def library() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # face_recognition_models asks for pkg_resources
        import face_recognition
    return face_recognition


def small(path: Path) -> Photo:
    """The photo, halved until its longer side is below a thousand pixels: the library takes seconds otherwise."""
    image = Image.open(path).convert("RGB")
    while max(image.size) >= 1000:
        image = image.reduce(2)
    return decode_photo(encode(image, "PNG"))


def both(library: Any, paths: list[Path]) -> list[tuple[Encodings, Encodings]]:
    """What the library says of each photo, and what we say."""
    photos = [small(path) for path in paths]
    return [(np.array(library.face_encodings(photo.rgb)), compatible.face_encodings(photo)) for photo in photos]


def require_the_same(library: Any, described: list[tuple[Encodings, Encodings]]) -> tuple[int, int]:
    """Compare all faces with all others both ways; return how many pairs match and how many do not."""
    for theirs, ours in described:
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-4
    decided = [0, 0]
    faces = [(a, b) for theirs, ours in described for a, b in zip(theirs, ours, strict=True)]
    for (their_one, our_one), (their_other, our_other) in itertools.combinations(faces, 2):
        theirs = library.compare_faces([their_one], their_other)
        assert compatible.compare_faces([our_one], our_other) == theirs
        decided[0 if theirs[0] else 1] += 1
    return decided[0], decided[1]


def test_the_photos_from_packages_are_decided_alike(library: Any, photos: Path) -> None:
    names = ("obama.jpg", "obama2.jpg", "obama_partial_face.jpg", "biden.jpg", "astronaut.png")
    matched, not_matched = require_the_same(library, both(library, [photos / name for name in names]))
    assert matched >= 3
    assert not_matched >= 7


@pytest.mark.slow
def test_the_larger_set_is_decided_alike_and_our_own_path_all_but_at_the_threshold(library: Any) -> None:
    paths = larger_set()
    described = both(library, paths)
    matched, not_matched = require_the_same(library, described)
    assert matched >= 10
    assert not_matched >= 400

    # Our own path looks for faces on a smaller copy. Its raw distances decide alike too, but not within 0.02 of 0.6.
    engine = descriptor_engine()
    own = []
    for path, (theirs, _) in zip(paths, described, strict=True):
        seen = sight(small(path))
        if seen and len(theirs) == 1:
            own.append((theirs[0], engine.describe([cut_chip(seen.photo, seen.landmarks)])[0]))
    assert len(own) >= 30
    turned = 0
    for (their_one, our_one), (their_other, our_other) in itertools.combinations(own, 2):
        distance = float(np.linalg.norm(their_one - their_other))
        if (distance <= 0.6) != compatible.compare_faces([our_one], our_other)[0]:
            assert abs(distance - 0.6) < 0.02
            turned += 1
    assert turned <= 3


def test_distances_and_decisions_are_the_library_s(library: Any) -> None:
    random = np.random.default_rng(6)
    known, other = list(random.normal(size=(20, 128)) / 13), random.normal(size=128) / 13
    functions: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
        (compatible.face_distance, library.face_distance),
        (compatible.compare_faces, library.compare_faces),
    ]
    for ours, theirs in functions:
        assert list(ours(known, other)) == list(theirs(known, other))
        assert list(ours([], other)) == list(theirs([], other)) == []
    tolerance = float(np.median(compatible.face_distance(known, other)))
    assert compatible.compare_faces(known, other, tolerance) == library.compare_faces(known, other, tolerance)
    assert 0 < sum(compatible.compare_faces(known, other, tolerance)) < 20
