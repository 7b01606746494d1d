"""
Where a tag was lost among a shipment's handoffs: from the newest that saw it to the next that did not.

Pure: what each handoff says of the tag goes in, places in that list come out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# A tag is missing only where so many sessions, in which no reader lost reads, did not see it.
SESSIONS_THAT_MISS = 2


class State(StrEnum):
    """What a handoff says of one tag. Only ``SEEN`` is good; only the two below it are bad."""

    SEEN = "seen"
    NOT_SEEN = "not_seen"
    OTHER_CHIP = "other_chip"
    INFERRED = "inferred"
    SKEWED = "skewed"
    UNEXPECTED = "unexpected"
    NOT_LISTED = "not_listed"
    UNKNOWN = "unknown"


_BAD = (State.NOT_SEEN, State.OTHER_CHIP)


@dataclass(frozen=True)
class Observed:
    """One handoff's word on the tag; ``clean`` is in how many of its matched sessions no reader lost reads."""

    state: State
    clean: int = 1


@dataclass(frozen=True)
class Span:
    """
    Places in the list of handoffs.

    :param last_good: the newest that saw the tag; None where none did
    :param first_bad: the next one that did not, or that saw another chip under its number
    :param confirmed: the one by which enough sessions had missed it; None where that never came
    :param lapses: earlier ones that did not read it, before it was seen again: it was there all the same
    """

    last_good: int | None
    first_bad: int
    confirmed: int | None
    swapped: bool = False
    lapses: Sequence[int] = field(default_factory=tuple)

    @property
    def ends(self) -> int:
        """The handoff up to which custodians are asked about."""
        return self.first_bad if self.confirmed is None else self.confirmed


def find_span(observed: Sequence[Observed]) -> Span | None:
    """Return where the tag was lost; None where nothing after the last sighting says that it was."""
    last_good = max((place for place, one in enumerate(observed) if one.state == State.SEEN), default=None)
    begins = 0 if last_good is None else last_good + 1
    bad = [place for place in range(begins, len(observed)) if observed[place].state in _BAD]
    if not bad:
        return None
    missed, confirmed = 0, None
    for place in bad:
        # Another chip under the number is no absence: one look shows it.
        missed += SESSIONS_THAT_MISS if observed[place].state == State.OTHER_CHIP else max(observed[place].clean, 0)
        if missed >= SESSIONS_THAT_MISS:
            confirmed = place
            break
    return Span(
        last_good,
        bad[0],
        confirmed,
        swapped=observed[bad[0]].state == State.OTHER_CHIP,
        lapses=tuple(place for place in range(begins - 1) if observed[place].state in _BAD) if begins else (),
    )
