"""
A world whose truth is known: sites, persons, shipments on their way, and what befell some of them.

A plan without a database: who held what when, what each reading saw, and who did it. The faces in its entries are made
up and say so (``dataset`` "synthetic"); everything else is what the product would have written.
"""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shipments.epc import check_digit, sgtin_to_epc_hex
from shipments.reconciliation import Doubts, Reconciliation, Units, reconcile

PREFIX = "0614141"
BEGAN = datetime(2026, 9, 1, 6, tzinfo=UTC)
DAYS = 60
TAGS = 10


class Truth(StrEnum):
    """What happened to a shipment. The first six are thefts that leave what a trace can find, the next two frauds."""

    PLAIN = "custodian alone"
    SERIAL = "custodian alone, one person every time"
    BETWEEN = "custodian, next handoff by the pallet's tag alone"
    ONE_SESSION = "custodian, next handoff read once"
    LOST_READS = "custodian, reader lost reads at the end"
    INSPECTOR = "an inspector in the window"
    UNDECLARED = "goods added that nobody declared"
    AMENDED = "commodity code amended after an inspection"
    UNSEEN = "somebody of whom nothing is recorded"
    DEAD_TAG = "nobody: the tag died"
    NOTHING = ""


PER_5000 = {
    Truth.PLAIN: 12,
    Truth.SERIAL: 8,
    Truth.BETWEEN: 7,
    Truth.ONE_SESSION: 5,
    Truth.LOST_READS: 4,
    Truth.INSPECTOR: 4,
    Truth.UNDECLARED: 5,
    Truth.AMENDED: 5,
}
# What no record can tell from a theft by the custodian; not among the 1 %.
UNTELLABLE_PER_5000 = {Truth.UNSEEN: 5, Truth.DEAD_TAG: 5}
THEFTS = (Truth.PLAIN, Truth.SERIAL, Truth.BETWEEN, Truth.ONE_SESSION, Truth.LOST_READS, Truth.INSPECTOR)
FRAUDS = (Truth.UNDECLARED, Truth.AMENDED)


@dataclass
class Stop:
    """One handoff: at which site's dock, to whom, and what the reading of it came to."""

    site: int
    to: int
    at: datetime
    sessions: int = 1
    result: Reconciliation | None = None
    seen: Sequence[str] = ()


@dataclass
class Story:
    """``leg`` is the place of the handoff after which it happened, ``taken`` the tags, ``culprit`` who did it."""

    number: int
    tags: Sequence[str]
    stops: Sequence[Stop]
    declarant: int
    truth: Truth = Truth.NOTHING
    leg: int = -1
    taken: Sequence[str] = ()
    culprit: int | None = None
    pk: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def reference(self) -> str:
        return f"GEN-{self.number:05d}"


@dataclass
class World:
    seed: int
    sites: int
    persons: int
    miss_per_mille: int
    stories: Sequence[Story]

    @property
    def serial(self) -> int:
        return 0


def plan(*, seed: int, sites: int, persons: int, shipments: int, miss_per_mille: int) -> World:
    """
    Plan a world.

    :param miss_per_mille: how many of a thousand tags a reading misses though they are there
    """
    chooser = random.Random(seed)
    stories = [_story(number, chooser, sites, persons) for number in range(shipments)]
    wanted = PER_5000 | UNTELLABLE_PER_5000
    left = list(stories)
    chooser.shuffle(left)
    for truth, count in wanted.items():
        for _ in range(max(1, round(count * shipments / 5000))):
            _happen(truth, left, chooser, sites, persons)
    for story in stories:
        for place in range(len(story.stops)):
            _read(story, place, chooser, miss_per_mille)
    return World(seed, sites, persons, miss_per_mille, stories)


def _story(number: int, chooser: random.Random, sites: int, persons: int) -> Story:
    gtin = f"1{PREFIX}{number:05d}"
    gtin += check_digit(gtin)
    at = BEGAN + timedelta(minutes=chooser.randrange(DAYS * 24 * 60))
    stops, held = [], -1
    for site in chooser.sample(range(sites), chooser.randint(3, 5)):
        # Of each site's own people, or a driver from anywhere.
        pool = list(range(site % persons, persons, sites)) or list(range(persons))
        to = chooser.choice(pool) if chooser.random() < 0.7 else chooser.randrange(persons)
        while to == held:
            to = chooser.randrange(persons)
        stops.append(Stop(site, to, at))
        held = to
        at += timedelta(minutes=chooser.randint(240, 1800))
    tags = [sgtin_to_epc_hex(gtin, serial + 1, len(PREFIX)) for serial in range(TAGS)]
    return Story(number, tags, stops, declarant=chooser.randrange(persons))


def _happen(truth: Truth, left: list[Story], chooser: random.Random, sites: int, persons: int) -> None:
    """Let it happen to the first shipment in which it can: the serial thief steals what they hold."""
    for place, story in enumerate(left):
        legs = list(range(len(story.stops) - (2 if truth == Truth.BETWEEN else 1)))
        if truth == Truth.SERIAL:
            legs = [leg for leg in legs if story.stops[leg].to == 0]
        if not legs:
            continue
        del left[place]
        story.truth, story.leg = truth, chooser.choice(legs)
        custodian = story.stops[story.leg].to
        if truth == Truth.AMENDED:
            story.culprit = story.declarant
        elif truth == Truth.UNDECLARED:
            story.culprit = custodian
        else:
            story.taken = chooser.sample(list(story.tags), chooser.randint(1, 3))
            others = [person for person in range(persons) if person not in {stop.to for stop in story.stops}]
            if truth in (Truth.INSPECTOR, Truth.UNSEEN):
                story.culprit = chooser.choice(others)
            elif truth == Truth.BETWEEN:
                story.culprit = story.stops[story.leg + chooser.randint(0, 1)].to
            elif truth != Truth.DEAD_TAG:
                story.culprit = custodian
        return


def extra_tags(story: Story) -> list[str]:
    """The goods that were added and never declared."""
    if story.truth != Truth.UNDECLARED:
        return []
    gtin = f"1{PREFIX}{99_000 - story.number % 9000:05d}"
    return [sgtin_to_epc_hex(gtin + check_digit(gtin), story.number + 1, len(PREFIX))]


def _read(story: Story, place: int, chooser: random.Random, miss_per_mille: int) -> None:
    stop = story.stops[place]
    gone = set(story.taken) if place > story.leg else set()
    if story.truth == Truth.BETWEEN and place == story.leg + 1 and story.culprit == stop.to:
        gone = set()  # it was there still, and nobody saw: the pallet's tag alone was read
    there = [tag for tag in story.tags if tag not in gone]
    there += extra_tags(story) if story.truth == Truth.UNDECLARED and place > story.leg else []

    def session() -> list[str]:
        return [tag for tag in there if chooser.randrange(1000) >= miss_per_mille]

    if story.truth == Truth.BETWEEN and place == story.leg + 1:
        units = Units(of_item=dict.fromkeys(story.tags, "pallet"))
        stop.result = reconcile(manifest=story.tags, read=[], holders={}, units=units, units_read=["pallet"])
        return
    last, earlier, gaps = session(), [], 0
    ends_here = place == story.leg + 1
    missed = set(last) < set(story.tags) and not (ends_here and story.truth == Truth.ONE_SESSION)
    # One in twenty clerks lets it go.
    if missed and (ends_here or chooser.random() < 0.95):
        earlier, last, stop.sessions = last, session(), 2
    if (ends_here and story.truth == Truth.LOST_READS) or chooser.random() < 0.01:
        gaps = 1
    stop.seen = sorted({*last, *earlier})
    stop.result = reconcile(
        manifest=story.tags, read=last, holders={}, read_earlier=earlier, doubts=Doubts(gaps=gaps)
    )  # fmt: skip


def stops_in_order(world: World) -> Iterator[tuple[Story, int]]:
    """All handoffs as they follow each other in time."""
    every = [
        (story.stops[place].at, story.number, place) for story in world.stories for place in range(len(story.stops))
    ]
    for _at, number, place in sorted(every):
        yield world.stories[number], place
