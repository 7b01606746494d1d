"""The larger set of real photos: beside the repository on some machines, nowhere in it, never copied into it."""

import os
from pathlib import Path

import pytest

PHOTOS = 34


def larger_set() -> list[Path]:
    """Return the photos of the larger set, or skip the test and say how many it did not see."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "faces" / "photos"
    folder = Path(os.environ.get("CUSTODY_FACES") or beside)
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    if not found:
        pytest.skip(f"{PHOTOS} photos of the larger set are not there: CUSTODY_FACES may name their folder")
    return found
