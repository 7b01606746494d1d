"""
Looks at biometric evidence: each has somebody who may, a reason, and an entry that stands before the value is shown.

Trusts the account that was authenticated. What a page shows of a stored photo, it has from here.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.roles import Capability
from biometrics.errors import LookNotAllowed, LookReasonMissing
from biometrics.models import Evidence, EvidenceKind, EvidenceLook
from biometrics.vault import open_evidence, seal_evidence
from ledger.submission import Draft, submit_all

KIND = "evidence_opened"
MAX_NOTE = 500


def look_at(*, evidence: Evidence, looked_by: User, reason: str, note: str = "") -> bytes:
    """
    Return the value, once it is recorded who looks at it and why: committed before it leaves here.

    Call outside a transaction: one that is rolled back would take the record with it, and not what was seen.

    :param reason: one of :class:`EvidenceLook.Reason`
    :param note: in the looker's words, at most 500 characters; sealed under the key of the person concerned
    :raises Refusal: look_not_allowed, look_reason_missing, evidence_destroyed; nothing is recorded then
    :raises EvidenceNotOpened, PersonKeyMissing, MasterKeyWrong: and then nothing is recorded
    """
    return look_at_all(evidence=[evidence], looked_by=looked_by, reason=reason, note=note)[evidence.pk]


def look_at_all(
    *, evidence: Sequence[Evidence], looked_by: User, reason: str, note: str = ""
) -> dict[uuid.UUID, bytes]:
    """Return several values as :func:`look_at` does each: an entry for every one, all of them or none."""
    require_may_look(looked_by)
    if reason not in EvidenceLook.Reason.values:
        raise LookReasonMissing()
    values = {row.pk: open_evidence(row) for row in evidence}
    with transaction.atomic(durable=True):
        record_looks(evidence=evidence, looked_by=looked_by, reason=reason, note=note)
    return values


def require_may_look(user: User) -> None:
    """:raises LookNotAllowed:"""
    if not user.may(Capability.LOOK_AT_EVIDENCE):
        raise LookNotAllowed(user=user.get_username())


def image_type(value: bytes) -> str:
    """Return the media type of a stored photo by its first bytes; of what is none, that of plain bytes."""
    if value.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if value.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if value[:4] == b"RIFF" and value[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"


def record_looks(*, evidence: Sequence[Evidence], looked_by: User, reason: str, note: str = "") -> list[EvidenceLook]:
    """Submit an ``evidence_opened`` entry for each, and keep the looks; call inside a transaction."""
    looks = [_look(row, looked_by, reason, note.strip()[:MAX_NOTE]) for row in evidence]
    statements = submit_all(
        [
            Draft(kind=KIND, subject=look.evidence.person_id.urn, body=_body(look), key=f"{KIND}:{look.pk}")
            for look in looks
        ]
    )
    for look, statement in zip(looks, statements, strict=True):
        look.statement_id = statement
    return EvidenceLook.objects.bulk_create(looks)


def _look(evidence: Evidence, looked_by: User, reason: str, note: str) -> EvidenceLook:
    sealed = None
    if note:
        sealed = seal_evidence(person=evidence.person, kind=EvidenceKind.NOTE, value=note.encode("utf-8"))
    return EvidenceLook(id=uuid.uuid4(), evidence=evidence, reason=reason, note=sealed, looked_by=looked_by)


def _body(look: EvidenceLook) -> dict[str, Any]:
    body = {
        "look": look.pk.urn,
        "person": look.evidence.person_id.urn,
        "evidence": look.evidence.commitment,
        "evidence_kind": look.evidence.kind,
        "reason": look.reason,
        "by": look.looked_by.pk.urn,
    }
    if look.note is not None:
        body["note"] = look.note.commitment
    return body
