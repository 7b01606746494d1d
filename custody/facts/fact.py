"""What a writer of facts gives back: sections of facts about one entry."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from custody.directory import Directory
from custody.narrative import Line


@dataclass(frozen=True)
class Fact:
    """One fact: words (``value``), a time (``at``), or codes; ``url`` leads to what it names."""

    name: str
    value: str = ""
    at: datetime | None = None
    codes: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    icon: str
    facts: list[Fact]
    chip: str = ""
    tone: str = "plain"
    note: str = ""
    tags: list[dict[str, str]] = field(default_factory=list)
    fold: list[Fact] = field(default_factory=list)


# The part of a body → who writes its section: None where this entry has the part in another sense, or nothing to tell.
Parts = dict[str, Callable[[Line, Directory], Section | None]]
