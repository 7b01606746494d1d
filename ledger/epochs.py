"""
Index epochs: entries of the sealer's own that commit to how many entries each subject has (ledger/tlog/index_epoch.py).

The heads come from the columns beside the notes: reading every note for each epoch would cost more than the epoch is
worth. Whoever changes ``subject``, ``subject_seq`` or ``leaf_hash`` past the triggers can so have a false epoch signed.
A deep verification makes the epoch anew from the notes and names it; the count over all subjects finds the clumsy.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from ledger.attachments import as_bytes
from ledger.errors import EpochNotRecomputed, EpochNotThere, EpochNotWhole
from ledger.models import Entry
from ledger.stored_entries import Landmarks
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from ledger.tlog.index_epoch import KIND, EpochLeaf, SubjectHead, epoch_body, read_epoch, subject_hash
from ledger.tlog.merkle import inclusion_proof, leaf_hash
from ledger.tlog.times import parse_time

# From so many subjects on, an epoch waits for a quarter as many entries (or for its time): its tree is made anew from
# every subject, and the cost for each entry would grow with the log otherwise.
MANY_SUBJECTS = 40_000


@dataclass(frozen=True)
class EpochProof:
    """What one epoch says about one subject: its own leaf, or the neighbours between which it would stand."""

    entry: int
    present: EpochLeaf | None = None
    absent: tuple[EpochLeaf, ...] = ()


def is_due(marks: Landmarks, *, size: int, now: datetime) -> bool:
    """Tell whether a log of ``size`` entries needs an epoch, given what stood before the present batch."""
    since = entries_since(marks, size=size)
    if not marks.genesis or not since:
        return False
    enough, last = settings.LEDGER_EPOCH_ENTRIES, marks.epoch or marks.genesis
    if marks.epoch and marks.epoch.body and marks.epoch.body["subjects"] > MANY_SUBJECTS:
        enough = max(enough, marks.epoch.body["subjects"] // 4)
    return since >= enough or now - parse_time(last.sealed_at) >= timedelta(seconds=settings.LEDGER_EPOCH_EVERY)


def entries_since(marks: Landmarks, *, size: int) -> int:
    """Return how many entries no epoch covers; an epoch itself counts for none."""
    return size - (marks.epoch.index + 1 if marks.epoch else 0)


def body(index: int) -> dict[str, Any]:
    """
    Return the body of an epoch at ``index``, which is the number of stored entries.

    :raises EpochNotWhole: if the subjects' entries do not add up to ``index``
    """
    heads = _heads(index)
    counted = sum(head.count for head in heads)
    if counted != index:
        raise EpochNotWhole(index=index, counted=counted)
    return epoch_body(heads)


def newest_epoch(*, below: int) -> int | None:
    """Return the index of the newest epoch among the first ``below`` entries."""
    found = Entry.objects.filter(kind=KIND, index__lt=below).order_by("-index").values_list("index", flat=True)
    return found.first()


def epoch_proof(subject: str, index: int) -> EpochProof:
    """
    Prove what the epoch at entry ``index`` says about ``subject``: how many entries it has, or that it has none.

    :raises EpochNotThere: if that entry is no epoch
    :raises EpochNotRecomputed: if the entries before it no longer give the root that it commits to
    """
    row = Entry.objects.filter(index=index, kind=KIND).first()
    if row is None:
        raise EpochNotThere(index=index)
    heads = _heads(index)
    try:
        root, subjects = read_epoch(parse_entry(as_bytes(row.note)))
        found = epoch_body(heads)
    except TlogError as error:
        raise EpochNotRecomputed(index=index, expected=error.expected, found=error.found) from error
    if found != {"root": root.hex(), "subjects": subjects}:
        raise EpochNotRecomputed(index=index, expected=root.hex(), found=found["root"])
    leaves = [leaf_hash(head.encode()) for head in heads]

    def leaf(place: int) -> EpochLeaf:
        return EpochLeaf(place, heads[place], tuple(inclusion_proof(leaves, place)))

    sought = subject_hash(subject)
    place = bisect_left(heads, sought, key=lambda head: head.subject)
    if place < len(heads) and heads[place].subject == sought:
        return EpochProof(index, present=leaf(place))
    return EpochProof(index, absent=tuple(leaf(at) for at in (place - 1, place) if 0 <= at < len(heads)))


def _heads(index: int) -> list[SubjectHead]:
    """Return each subject's newest entry among the first ``index``, sorted as the epoch's tree has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH newest AS ("
            ' SELECT subject, MAX(subject_seq) AS subject_seq FROM ledger_entry WHERE "index" < %s GROUP BY subject'
            ") SELECT e.subject, e.subject_seq, e.leaf_hash FROM newest JOIN ledger_entry e"
            " ON e.subject = newest.subject AND e.subject_seq = newest.subject_seq",
            [index],
        )
        # As bytes they sort as they should, and faster than as objects.
        leaves = sorted(
            SubjectHead.of(subject, seq + 1, as_bytes(leaf)).encode() for subject, seq, leaf in cursor.fetchall()
        )
    return [SubjectHead.decode(leaf) for leaf in leaves]
