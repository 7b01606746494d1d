"""
Verify this deployment's log where it lies: the pure verifier over the stored notes, which is told the last-signed head
and the timestamps too, and the attachments that the entries name.

The policy comes from the caller.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ledger.attachments import NamedAttachments, as_bytes
from ledger.errors import LastSignedOfAnotherLog, LastSignedUnreadable
from ledger.last_signed import open_store
from ledger.models import Checkpoint, Entry, Timestamp
from ledger.publication import newest_witnessed, published_note
from ledger.tlog.policy import Policy
from ledger.tlog.timestamp import StampedCheckpoint
from ledger.tlog.verdict import INCOMPLETE, Verdict
from ledger.tlog.verify import verify_source

# What is checked here beyond the verifier and the attachments, by its stable code, as the verdict's sentence has it.
CHECKS = {
    "last_signed_missing": (
        "the last-signed store is gone, and without it nobody here knows whether later entries were cut off or history "
        "was written anew; bring the store back and verify again"
    ),
    "last_signed_format": "the last-signed store cannot be read; bring back what it held and verify again",
    "last_signed_origin": "the last-signed store is of another log; bring this log's store back and verify again",
}

# Entries are read in pages: no cursor stays open while the sealer writes, and memory stays flat.
PAGE = 2048


def verify_log(
    *,
    policy: Policy,
    deep: bool = True,
    workers: int = 1,
    state: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Verdict:
    """
    Verify every stored entry against a checkpoint, the last-signed store and the timestamps, and every attachment.

    The checkpoint is the newest that reached the policy's quorum, otherwise the newest. The first entry with a fault is
    named, be it in the entry or in an attachment that it names. A fault in the checkpoint is told only where the
    entries have none, and one in the last-signed store only where nothing else has. Memory stays flat: notes and
    attachments are streamed from the database, by this process alone.

    :param deep: with every signature, body, epoch and attachment
    :param workers: how many processes examine entries
    :param state: the file to resume from
    :raises Cancelled: once ``cancelled`` says so
    :raises StateNotUsable: if ``state`` is another file than a verification left
    """
    # In this order: the store moves after the entries are committed and before the checkpoint is. A batch sealed
    # meanwhile makes neither the store look ahead of the entries nor the checkpoint ahead of the store.
    newest = Checkpoint.objects.first()
    published = (newest_witnessed(policy) if policy.wants_witnesses else None) or newest
    checkpoint = published_note(published) if published else None
    timestamps = list(_timestamps()) if policy.timestamp_roots else []
    signed, trouble = None, None
    store = open_store()
    try:
        signed = store.read()
        if signed is None and newest is not None:
            trouble = ("last_signed_missing", f"a store over {newest.size} entries or more", f"none in {store.folder}")
    except LastSignedOfAnotherLog as error:
        trouble = ("last_signed_origin", error.expected, error.found)
    except LastSignedUnreadable as error:
        trouble = ("last_signed_format", "a checkpoint's text", f"{error.path}: {error.why}")
    verdict = verify_source(
        _notes,
        checkpoint=checkpoint,
        policy=policy,
        known=signed,
        timestamps=timestamps,
        deep=deep,
        workers=workers,
        state=state,
        named=NamedAttachments(),
        on_progress=on_progress,
        cancelled=cancelled,
    )
    if trouble and (verdict.intact or verdict.check == "empty"):
        check, expected, found = trouble
        return replace(verdict, status=INCOMPLETE, check=check, expected=expected, found=found, fault=CHECKS[check])
    return verdict


def _notes(first: int) -> Iterator[bytes]:
    # By key, never by offset: what the sealer adds meanwhile moves nothing.
    behind, page = first - 1, None
    while page is None or len(page) == PAGE:
        rows = Entry.objects.filter(index__gt=behind).order_by("index").values_list("index", "note")
        page = list(rows[:PAGE])
        for index, data in page:
            behind = index
            yield as_bytes(data)


def _timestamps() -> Iterator[StampedCheckpoint]:
    rows = Timestamp.objects.order_by("pk").values_list("checkpoint__note", "response")
    for data, response in rows.iterator(chunk_size=256):
        yield StampedCheckpoint(as_bytes(data), as_bytes(response))
