"""
Verify this deployment's log where it lies: the pure verifier over the stored notes, then the last-signed store.

The policy (origin and keys) comes from the caller. :func:`own_policy` is the server's view of itself, which convinces
nobody else: an auditor pins the key that they were given by hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from django.utils import timezone

from accounts.models import User
from ledger.keys import load_signer
from ledger.last_signed import open_store
from ledger.models import Checkpoint, Entry, VerificationRun
from ledger.tlog.verify import Policy, Verdict, verify_entries


def own_policy() -> Policy:
    """The origin and key that this deployment seals with."""
    signer = load_signer()
    return Policy(origin=signer.name, vkeys=(signer.vkey,))


def verify_log(*, policy: Policy, on_progress: Callable[[int], None] | None = None) -> Verdict:
    """
    Verify every stored entry against the newest checkpoint and the last-signed store.

    Memory stays flat: notes are streamed from the database.
    """
    # Read first: entries are committed before the store moves, so a batch sealed meanwhile cannot make it look ahead.
    signed = open_store().read()
    newest = Checkpoint.objects.first()
    verdict = verify_entries(
        _notes(), checkpoint=bytes(newest.note) if newest else None, policy=policy, on_progress=on_progress
    )
    if signed is None or not (verdict.intact or verdict.check == "empty"):
        return verdict
    if signed.size > verdict.entries:
        return replace(
            verdict,
            status="incomplete",
            broken_at=verdict.entries,
            check="last_signed",
            expected=f"{signed.size} entries, as the last-signed store holds",
            found=f"{verdict.entries} entries in the database",
        )
    if signed.size == verdict.size and signed.root.hex() != verdict.root:
        return replace(
            verdict, status="broken", check="last_signed_root", expected=signed.root.hex(), found=verdict.root
        )
    return verdict


def run_verification(*, requested_by: User) -> VerificationRun:
    """Verify the whole log and keep the verdict under the name of who asked."""
    run = VerificationRun.objects.create(requested_by=requested_by)
    verdict = verify_log(policy=own_policy())
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
        yield bytes(note)
