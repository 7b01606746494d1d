"""
What of the log is shown to others: a checkpoint with the cosignatures that it has, and which checkpoint that is.

Where the policy asks for a quorum of witnesses, a checkpoint is held back until it has one. Believes the signatures
themselves and not the columns beside them; whoever reads a checkpoint verifies it again.
"""

from collections.abc import Iterator
from itertools import groupby

from django.db.models import Max

from ledger.attachments import as_bytes
from ledger.models import Checkpoint, Cosignature
from ledger.own_policy import own_policy
from ledger.tlog import note
from ledger.tlog.cosignature import CosignatureVerifier
from ledger.tlog.errors import NoteMalformed
from ledger.tlog.policy import Policy

# Under this policy and with no cosignature later than this one, which checkpoint was the newest with a quorum. One pair
# per process, replaced as a whole: threads that race for it compute the same.
_found: tuple[tuple[Policy, int], int | None] | None = None


def published_note(checkpoint: Checkpoint) -> bytes:
    """Return the checkpoint as others see it: the log's note, and the witnesses' lines by name."""
    lines = checkpoint.cosignatures.order_by("witness", "key_id").values_list("line", flat=True)
    return as_bytes(checkpoint.note) + "".join(lines).encode()


def newest_published() -> Checkpoint | None:
    """
    Return the newest checkpoint that reached the policy's quorum; where none did, or none is asked for, the newest.

    :returns: None where nothing was sealed yet
    :raises VerifierKeyMissing: if the verifier key is not at hand
    :raises PolicyFileUnreadable: if there is a policy file that is none
    """
    newest = Checkpoint.objects.first()
    if newest is None:
        return None
    policy = own_policy()
    return (newest_witnessed(policy) if policy.wants_witnesses else None) or newest


def newest_witnessed(policy: Policy) -> Checkpoint | None:
    """Return the newest checkpoint under which the cosignatures that fit reach the policy's quorum."""
    size = _newest_with_quorum(policy)
    return None if size is None else Checkpoint.objects.get(size=size)


def _newest_with_quorum(policy: Policy) -> int | None:
    global _found
    # Cosignatures are only ever added, so the last one's number tells whether there is anything new to look at.
    last = Cosignature.objects.aggregate(last=Max("pk"))["last"]
    if last is None:
        return None
    before = _found
    known = before[1] if before and before[0][0] == policy else None
    if before and before[0] == (policy, last) and (known is None or Checkpoint.objects.filter(size=known).exists()):
        return known
    size = next((size for size in _candidates(policy) if size == known or _has_quorum(size, policy)), None)
    _found = ((policy, last), size)
    return size


def _candidates(policy: Policy) -> Iterator[int]:
    """Yield the checkpoints, newest first, under which rows name the keys of enough witnesses."""
    names = {CosignatureVerifier.from_vkey(witness.vkey).key_id.hex(): witness.name for witness in policy.witnesses}
    rows = (
        Cosignature.objects.filter(key_id__in=names).order_by("-checkpoint_id").values_list("checkpoint_id", "key_id")
    )
    for size, found in groupby(rows.iterator(chunk_size=256), key=lambda row: row[0]):
        if policy.met_by(names[key_id] for _, key_id in found):
            yield size


def _has_quorum(size: int, policy: Policy) -> bool:
    try:
        return policy.met_by(policy.cosigners_of(note.parse(published_note(Checkpoint.objects.get(size=size)))))
    except NoteMalformed:
        # A line that was changed in the database. Whoever verifies is told of it; here it is no quorum.
        return False
