"""
Ask the policy's witnesses to cosign the newest checkpoint: the client's side of c2sp.org/tlog-witness.

Believes no witness: a cosignature is stored once it fits the pinned key. The database is read before and written after
the network is waited for, never meanwhile; one witness that is slow or wrong holds up no other.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from ledger.attachments import as_bytes
from ledger.errors import TileNotThere
from ledger.models import Checkpoint, Cosignature, WitnessState
from ledger.outgoing import Answer, PostFailed, post
from ledger.own_policy import own_policy
from ledger.tiles import tree
from ledger.tlog import base64_strict
from ledger.tlog.cosignature import CosignatureVerifier, timestamp_of
from ledger.tlog.errors import NoteMalformed, SignatureNotVerified, TlogError, excerpt
from ledger.tlog.note import Note, parse, verify_note
from ledger.tlog.policy import Witness

logger = logging.getLogger(__name__)

ANSWER_BYTES = 64 * 1024
WITHIN_SECONDS = 10.0
_AT_ONCE = 8


@dataclass(frozen=True)
class WitnessReport:
    """
    What the pages say of one witness of the policy.

    ``size`` is how many entries the newest checkpoint that it cosigned has, None where it never did; ``trouble`` is how
    the last request failed, empty where it did not.
    """

    name: str
    vkey: str
    url: str
    size: int | None
    witnessed_at: datetime | None
    asked_at: datetime | None
    trouble: str


@dataclass(frozen=True)
class _Request:
    """What one witness is asked: from which size on it is shown that its tree continues."""

    witness: Witness
    old_size: int
    body: bytes


class _Trouble(Exception):
    """How a request came to nothing, as the pages tell it; ``size`` is what the witness says that it cosigned."""

    def __init__(self, why: str, size: int | None = None) -> None:
        super().__init__(why)
        self.size = size


def ask_witnesses() -> None:
    """
    Ask each witness of the policy that has a URL and has not cosigned the newest checkpoint yet.

    A witness's failure is logged and kept for :func:`witness_report`; it never stops the others.

    :raises VerifierKeyMissing: if the verifier key is not at hand
    :raises PolicyFileUnreadable: if there is a policy file that is none
    """
    policy = own_policy()
    newest = Checkpoint.objects.first()
    if newest is None:
        return
    cosigned = set(newest.cosignatures.values_list("witness", "key_id"))
    wanted = [
        witness for witness in policy.witnesses if witness.url and (witness.name, _key_id(witness)) not in cosigned
    ]
    known = dict(WitnessState.objects.filter(vkey__in=[w.vkey for w in wanted]).values_list("vkey", "size"))
    requests = [(witness, known.get(witness.vkey, 0)) for witness in wanted]
    # The second round is for those that answered with another size than we thought.
    for is_last in (False, True):
        requests = _round(newest, requests, is_last=is_last)


def witness_report() -> list[WitnessReport]:
    """
    Tell how it stands with each witness of the policy, in the policy's order.

    :raises VerifierKeyMissing: if the verifier key is not at hand
    :raises PolicyFileUnreadable: if there is a policy file that is none
    """
    witnesses = own_policy().witnesses
    states = WitnessState.objects.in_bulk([witness.vkey for witness in witnesses])
    reports = []
    for witness in witnesses:
        newest = (
            Cosignature.objects.filter(witness=witness.name, key_id=_key_id(witness)).order_by("-checkpoint_id").first()
        )
        state = states.get(witness.vkey)
        reports.append(
            WitnessReport(
                name=witness.name,
                vkey=witness.vkey,
                url=witness.url,
                size=newest.checkpoint_id if newest else None,
                witnessed_at=newest.witnessed_at if newest else None,
                asked_at=state.asked_at if state else None,
                trouble=state.trouble if state else "",
            )
        )
    return reports


def _round(
    checkpoint: Checkpoint, wanted: Sequence[tuple[Witness, int]], *, is_last: bool
) -> list[tuple[Witness, int]]:
    """Ask each witness once, and return those to ask again, with the size that they gave."""
    asked_at = timezone.now()
    requests = []
    for witness, old_size in wanted:
        try:
            requests.append(_request(checkpoint, witness, old_size))
        except _Trouble as trouble:
            _keep(witness, asked_at=asked_at, trouble=trouble)
    if not requests:
        return []
    with ThreadPoolExecutor(max_workers=min(len(requests), _AT_ONCE)) as threads:
        # In the threads there is the network and nothing else: no connection to the database is opened there.
        answers = list(threads.map(_ask, requests))
    again = []
    for request, answer in zip(requests, answers, strict=True):
        try:
            if (size := _other_size(request, answer, checkpoint)) is not None and not is_last:
                again.append((request.witness, size))
                continue
            _store(request.witness, checkpoint, _cosignature(request, answer, checkpoint), asked_at)
        except _Trouble as trouble:
            _keep(request.witness, asked_at=asked_at, trouble=trouble)
    return again


def _request(checkpoint: Checkpoint, witness: Witness, old_size: int) -> _Request:
    # Larger than ours: asked nevertheless, with nothing to prove, so that the witness says itself what it cosigned.
    old_size = min(old_size, checkpoint.size)
    try:
        proof = tree(checkpoint.size).consistency_proof(old_size)
    except (TlogError, TileNotThere) as error:
        raise _Trouble(f"It could not be asked: the stored tree gives no proof from {old_size} ({error}).") from error
    lines = [f"old {old_size}", *(base64_strict.encode(step) for step in proof), "", ""]
    return _Request(witness, old_size, "\n".join(lines).encode() + as_bytes(checkpoint.note))


def _ask(request: _Request) -> Answer | PostFailed:
    url = f"{request.witness.url.rstrip('/')}/add-checkpoint"
    try:
        return post(
            url,
            request.body,
            content_type="text/plain; charset=utf-8",
            limit=ANSWER_BYTES,
            within=WITHIN_SECONDS,
        )
    except PostFailed as error:
        return error


def _other_size(request: _Request, answer: Answer | PostFailed, checkpoint: Checkpoint) -> int | None:
    """Return the size to ask again from, where the witness named one that this log has a proof for."""
    if isinstance(answer, PostFailed) or answer.status != 409:
        return None
    found = answer.body.removesuffix(b"\n")
    # isdigit() of bytes is of ASCII alone.
    if not found.isdigit() or len(found) > 19:
        raise _Trouble(f"It answered 409 without a size: {excerpt(answer.body)}.")
    size = int(found)
    if size > checkpoint.size:
        raise _Trouble(
            f"THIS LOG WENT BACK: the witness cosigned {size} entries, and the newest checkpoint here has "
            f"{checkpoint.size}. Entries were lost or removed; bring back a database that holds them all.",
            size,
        )
    if size == request.old_size < checkpoint.size:
        raise _Trouble(f"It answered 409 with {size}, the size that it was asked from.")
    if size == request.old_size:
        raise _Trouble(
            f"THIS LOG HAS TWO HISTORIES: the witness cosigned another tree of {size} entries than the one here.", size
        )
    if size < request.old_size:
        logger.warning(
            "witness %s was thought to have cosigned %d entries and says %d: it may have lost its state",
            request.witness.name,
            request.old_size,
            size,
        )
    return size


def _cosignature(request: _Request, answer: Answer | PostFailed, checkpoint: Checkpoint) -> tuple[str, datetime]:
    """Return the witness's signature line over the checkpoint, and its time, once it fits the pinned key."""
    if isinstance(answer, PostFailed):
        raise _Trouble(f"{answer}.")
    match answer.status:
        case 200:
            pass
        case 403:
            raise _Trouble("It trusts none of the keys that signed the checkpoint (403): it needs this log's new key.")
        case 404:
            raise _Trouble("It does not watch this log (404): it needs this log's verifier key.")
        case 409:
            raise _Trouble("It named one size after another (409): somebody else shows it checkpoints of this log.")
        case 422:
            raise _Trouble(
                f"THIS LOG HAS TWO HISTORIES, or its tree was changed: the {request.old_size} entries that the witness "
                f"cosigned are not the beginning of the {checkpoint.size} here (422).",
                request.old_size,
            )
        case status:
            raise _Trouble(f"It answered {status}: {excerpt(answer.body)}.")
    note = as_bytes(checkpoint.note)
    verifier = CosignatureVerifier.from_vkey(request.witness.vkey)
    try:
        found = parse(note + answer.body)
        # An empty line in the answer would end the text elsewhere, and the signature be one of another text.
        if found.text != parse(note).text:
            raise NoteMalformed("answer", expected="signature lines", found=excerpt(answer.body))
        line = verify_note(Note(found.text, found.signatures), verifier).verified[0]
        return line.line(), datetime.fromtimestamp(timestamp_of(line), UTC)
    except SignatureNotVerified as error:
        raise _Trouble(f"Its cosignature does not count, and was not stored: {error}.") from error
    except (NoteMalformed, ValueError, OverflowError, OSError) as error:
        raise _Trouble(f"Its answer is no cosignature: {error}.") from error


def _store(witness: Witness, checkpoint: Checkpoint, found: tuple[str, datetime], asked_at: datetime) -> None:
    line, witnessed_at = found
    # Two sweeps at once get two cosignatures of one checkpoint; the first to be stored stays.
    Cosignature.objects.get_or_create(
        checkpoint=checkpoint,
        witness=witness.name,
        key_id=_key_id(witness),
        defaults={"line": line, "witnessed_at": witnessed_at},
    )
    WitnessState.objects.update_or_create(
        vkey=witness.vkey,
        defaults={"size": checkpoint.size, "asked_at": asked_at, "answered_at": timezone.now(), "trouble": ""},
    )
    logger.info("%s cosigned %d entries", witness.name, checkpoint.size)


def _keep(witness: Witness, *, asked_at: datetime, trouble: _Trouble) -> None:
    logger.error("witness %s: %s", witness.name, trouble)
    state = {"asked_at": asked_at, "trouble": str(trouble)}
    if trouble.size is not None:
        state["size"] = trouble.size
    WitnessState.objects.update_or_create(vkey=witness.vkey, defaults=state)


def _key_id(witness: Witness) -> str:
    return CosignatureVerifier.from_vkey(witness.vkey).key_id.hex()
