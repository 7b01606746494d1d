"""
How much a window shows, as a table: each doubt caps the grade, and the lowest cap is the grade.

Pure. *Direct* is what is left where nothing speaks against it: the tag was seen when one person took custody, was not
seen in two sessions when that person handed over, and in between nobody else is known to have come near the goods.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _


class Grade(StrEnum):
    DIRECT = "direct"
    INFERRED = "inferred"
    INCONCLUSIVE = "inconclusive"


GRADE_NAMES = {
    Grade.DIRECT: _("Direct"),
    Grade.INFERRED: _("Inferred"),
    Grade.INCONCLUSIVE: _("Inconclusive"),
}


class Doubt(StrEnum):
    """What speaks against a plain reading of a window; the order is that in which it is told."""

    CHAIN_BROKEN = "chain_broken"
    READS_UNREADABLE = "reads_unreadable"
    NEVER_SEEN = "never_seen"
    NOBODY_NAMED = "nobody_named"
    ONE_SESSION = "one_session"
    LOST_READS = "lost_reads"
    READER_SILENT = "reader_silent"
    READ_WEAKLY = "read_weakly"
    SEEN_AFTERWARDS = "seen_afterwards"
    SEVERAL_CUSTODIANS = "several_custodians"
    ACCEPTED_LATE = "accepted_late"
    NO_FACE = "no_face"
    OPENED_BY_OTHERS = "opened_by_others"
    STRANGER_NEAR = "stranger_near"
    REFUSED_ATTEMPT = "refused_attempt"
    SEEN_ELSEWHERE = "seen_elsewhere"
    SEAL_INTACT = "seal_intact"
    GAP_IN_WINDOW = "gap_in_window"
    CHIP_NOT_TOLD = "chip_not_told"
    ROW_DIFFERS = "row_differs"


@dataclass(frozen=True)
class Weight:
    """The best grade that a doubt leaves, and the sentence that says why."""

    cap: Grade
    sentence: Any


WEIGHTS: dict[Doubt, Weight] = {
    Doubt.CHAIN_BROKEN: Weight(
        Grade.INCONCLUSIVE,
        _("Entries of this shipment are missing or altered: a handoff may be among them. Verify the ledger first."),
    ),
    Doubt.READS_UNREADABLE: Weight(
        Grade.INCONCLUSIVE,
        _("What a handoff in between says of each tag is missing or altered, so that nothing is known of this one."),
    ),
    Doubt.NEVER_SEEN: Weight(
        Grade.INCONCLUSIVE, _("No handoff ever saw this tag: nothing shows that it was handed in at all.")
    ),
    Doubt.NOBODY_NAMED: Weight(
        Grade.INCONCLUSIVE, _("In this window no person had taken custody yet; the consignor is an organisation.")
    ),
    Doubt.ONE_SESSION: Weight(
        Grade.INCONCLUSIVE,
        _("It was not read in one session alone, which is weak evidence: a second one was not held."),
    ),
    Doubt.LOST_READS: Weight(
        Grade.INCONCLUSIVE, _("A reader admitted to have lost reads in the session that did not see it.")
    ),
    Doubt.READER_SILENT: Weight(
        Grade.INCONCLUSIVE, _("A reader of that read point was silent during the session that did not see it.")
    ),
    Doubt.READ_WEAKLY: Weight(
        Grade.INCONCLUSIVE,
        _("Raw reads of its number fall into the very sessions that did not count it: it may have been there."),
    ),
    Doubt.SEEN_AFTERWARDS: Weight(
        Grade.INCONCLUSIVE,
        _("Its number was read again after it was not seen, where the shipment was: it may never have left."),
    ),
    Doubt.SEVERAL_CUSTODIANS: Weight(
        Grade.INFERRED,
        _("More than one person held custody between the two: at the handoffs in between it was not read itself."),
    ),
    Doubt.ACCEPTED_LATE: Weight(
        Grade.INFERRED,
        _(
            "Between the reading and the acceptance lay more than a quarter of an hour, in which the releaser still "
            "held custody."
        ),
    ),
    Doubt.NO_FACE: Weight(Grade.INFERRED, _("Who took custody was not verified by their face but in another way.")),
    Doubt.OPENED_BY_OTHERS: Weight(
        Grade.INFERRED, _("Somebody else opened, unpacked or inspected the goods in the window; see below who.")
    ),
    Doubt.STRANGER_NEAR: Weight(
        Grade.INFERRED,
        _("A zone at one of the two places had an alert in the window: somebody else may have come near."),
    ),
    Doubt.REFUSED_ATTEMPT: Weight(
        Grade.INFERRED,
        _(
            "In the window somebody tried to take custody and was refused: not the custodian alone stood before the "
            "goods."
        ),
    ),
    Doubt.SEEN_ELSEWHERE: Weight(
        Grade.INFERRED, _("Its number was read at another site: a copy of the tag, or the goods on a way of their own.")
    ),
    Doubt.SEAL_INTACT: Weight(
        Grade.INFERRED, _("A seal was found intact in the window, which speaks against an opening.")
    ),
    Doubt.GAP_IN_WINDOW: Weight(
        Grade.INFERRED,
        _(
            "A reader at one of the two read points lost reads or was silent in the window; what it would have shown "
            "is not known."
        ),
    ),
    Doubt.CHIP_NOT_TOLD: Weight(
        Grade.INFERRED, _("The reading that saw it told no chip number: the tag may have been another one by then.")
    ),
    Doubt.ROW_DIFFERS: Weight(
        Grade.INFERRED,
        _("Rows of the database say something else than the entries. The entries are signed, and stand here."),
    ),
}

_WORST_LAST = (Grade.DIRECT, Grade.INFERRED, Grade.INCONCLUSIVE)


@dataclass(frozen=True)
class Graded:
    grade: Grade
    doubts: Sequence[Doubt]

    @property
    def reasons(self) -> list[str]:
        """Why it is not better, in words; of what is direct, what makes it so."""
        if not self.doubts:
            return [
                str(
                    _(
                        "The tag was seen when this person took custody, and was not seen in two sessions when they "
                        "handed over. Nothing is recorded of anybody else in between, and no reader admitted a gap."
                    )
                )
            ]
        return [str(WEIGHTS[doubt].sentence) for doubt in self.doubts]


def grade_window(doubts: Collection[Doubt]) -> Graded:
    """Grade by the worst of the doubts; they come back in the order of the table, each once."""
    told = [doubt for doubt in Doubt if doubt in set(doubts)]
    worst = max((_WORST_LAST.index(WEIGHTS[doubt].cap) for doubt in told), default=0)
    return Graded(_WORST_LAST[worst], told)
