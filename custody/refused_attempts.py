"""An attempt at a handoff that was refused: an entry of the ledger, and a row by which officers find it."""

import uuid

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from biometrics.models import EvidenceKind, LivenessChallenge, Person, Verification
from biometrics.vault import seal_evidence
from custody.entries import refusal_body
from custody.models import Handoff, Refused
from ledger.models import Statement
from ledger.submission import submit
from refusals import Refusal
from shipments.models import Consignment, ReadPoint, ReadSession


def record_refusal(
    refusal: Refusal,
    *,
    by: User,
    handoff: Handoff | None = None,
    consignment: Consignment | None = None,
    to_person: Person | None = None,
    read_point: ReadPoint | None = None,
    attempt: uuid.UUID | None = None,
    verification: Verification | None = None,
    challenge: LivenessChallenge | None = None,
    items: list[str] | None = None,
    session: ReadSession | None = None,
    note: str = "",
) -> None:
    """
    Seal the refusal of an attempt: of an open handoff, or of one that never came to be.

    The latter is sealed once for each attempt and code: the same request, sent again, adds nothing.
    """
    if handoff is not None:
        consignment, to_person, read_point = handoff.consignment, handoff.to_person, handoff.read_point
        attempt = handoff.attempt
    assert consignment and to_person and read_point and attempt
    refused = Refused(
        handoff=handoff,
        consignment=consignment,
        code=refusal.code,
        at=timezone.now(),
        by=by,
        verification=verification,
        challenge=challenge,
    )
    key = f"handoff_refused:{refused.pk}" if handoff else f"handoff_refused:{attempt}:{refusal.code}"
    with transaction.atomic():
        # Locked: two such requests at once would both find no statement under the key.
        Consignment.objects.select_for_update().get(pk=consignment.pk)
        if Statement.objects.filter(key=key).exists():
            return
        if note:
            refused.note = seal_evidence(person=to_person, kind=EvidenceKind.NOTE, value=note.encode())
        refused.statement = submit(
            kind="handoff_refused",
            subject=consignment.pk.urn,
            body=refusal_body(
                refused,
                to_person=to_person,
                read_point=read_point,
                attempt=attempt,
                items=items or [],
                session=session,
                reason_code=refusal.facts.get("reason_code", ""),
            ),
            key=key,
        )
        refused.save()
