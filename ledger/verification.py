"""
Verify this deployment's log where it lies: the pure verifier over the stored notes, which is told the last-signed head
too, and the attachments that the entries name.

The policy (origin and keys) comes from the caller. :func:`own_policy` is the server's view of itself, which convinces
nobody else: an auditor pins the key that they were given by hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from ledger.attachments import NamedAttachments, as_bytes
from ledger.errors import LastSignedOfAnotherLog, LastSignedUnreadable
from ledger.keys import load_vkey
from ledger.last_signed import open_store
from ledger.models import Checkpoint, Entry, VerificationRun
from ledger.tlog.verify import BROKEN, INCOMPLETE, Policy, Verdict, verify_entries

# What is checked here beyond the pure verifier, by its stable code, as the verdict's sentence has it.
CHECKS = {
    "attachment_missing": "an attachment that it names is gone",
    "attachment_changed": "an attachment that it names is not what it was",
    "last_signed_missing": (
        "the last-signed store is gone, and without it nobody here knows whether later entries were cut off or history "
        "was written anew; bring the store back and verify again"
    ),
    "last_signed_format": "the last-signed store cannot be read; bring back what it held and verify again",
    "last_signed_origin": "the last-signed store is of another log; bring this log's store back and verify again",
}


def own_policy() -> Policy:
    """
    The origin and key that this deployment seals with.

    :raises VerifierKeyMissing: if the verifier key is not at hand
    """
    return Policy(origin=settings.LEDGER_ORIGIN, vkeys=(load_vkey(),))


def verify_log(*, policy: Policy, on_progress: Callable[[int], None] | None = None) -> Verdict:
    """
    Verify every stored entry against the newest checkpoint and the last-signed store, and every attachment they name.

    The first entry with a fault is named, be it in the entry or in an attachment that it names. A fault in the
    checkpoint is told only where the entries have none, and one in the last-signed store only where nothing else has.
    Memory stays flat: notes and attachments are streamed from the database.
    """
    # In this order: the store moves after the entries are committed and before the checkpoint is. A batch sealed
    # meanwhile makes neither the store look ahead of the entries nor the checkpoint ahead of the store.
    newest = Checkpoint.objects.first()
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
    attachments = NamedAttachments()
    verdict = verify_entries(
        attachments.watch(_notes()),
        checkpoint=as_bytes(newest.note) if newest else None,
        policy=policy,
        known=signed,
        on_progress=on_progress,
    )
    # Attachments are looked up for sound entries alone: what is wrong with one comes before any entry's own fault.
    if fault := attachments.check():
        return _found(verdict, BROKEN, fault.check, fault.expected, fault.found, broken_at=fault.index)
    if trouble and (verdict.intact or verdict.check == "empty"):
        return _found(verdict, INCOMPLETE, *trouble)
    return verdict


def _found(
    verdict: Verdict, status: str, check: str, expected: str, found: str, broken_at: int | None = None
) -> Verdict:
    """Put what was found here in the verdict's place; its ``entries`` and ``root`` are still those of sound notes."""
    return replace(
        verdict,
        status=status,
        check=check,
        expected=expected,
        found=found,
        broken_at=broken_at,
        fault=CHECKS[check],
    )


def run_verification(*, requested_by: User) -> VerificationRun:
    """
    Verify the whole log and keep the verdict under the name of who asked.

    :raises VerifierKeyMissing: if the verifier key is not at hand
    """
    policy = own_policy()
    # Behind the policy: without a key nothing is verified, and no run is left that never finished.
    run = VerificationRun.objects.create(requested_by=requested_by)
    verdict = verify_log(policy=policy)
    run.verdict = {
        "status": verdict.status,
        "sentence": verdict.sentence(),
        "entries": verdict.entries,
        "size": verdict.size,
        "uncovered": verdict.uncovered,
        "broken_at": verdict.broken_at,
        "check": verdict.check,
        "expected": verdict.expected,
        "found": verdict.found,
        "root": verdict.root,
    }
    run.finished_at = timezone.now()
    run.save(update_fields=["verdict", "finished_at"])
    return run


def _notes() -> Iterator[bytes]:
    for note in Entry.objects.order_by("index").values_list("note", flat=True).iterator(chunk_size=2048):
        yield as_bytes(note)
