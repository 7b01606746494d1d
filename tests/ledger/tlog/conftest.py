"""These tests need no Django: the format runs alone."""

import pytest


@pytest.fixture(autouse=True)
def own_log() -> None:
    """Stand in for the fixture of that name: there is no deployment here whose log could be touched."""
