"""What a kind of entry is called, how its sentence is written, and how it looks in a list."""

from collections.abc import Callable
from typing import Any, NamedTuple

from custody.directory import Directory

Write = Callable[[dict[str, Any], str, Directory], str]


class Sentence(NamedTuple):
    """
    One kind of entry as people read it.

    :param write: makes the sentence of a body, its subject's URN and the names behind both
    :param icon: of the sprite
    :param tone: as partials/chip.html takes it
    """

    name: Any
    write: Write
    icon: str
    tone: str
