"""
Declaring in person: a declaration is prepared, its author shows their face and gives badge or PIN, and it is submitted.

The face is bound to the document: the verification's record names its SHA-256, and nothing else is submitted with it.
A draft stays as it was prepared, whatever happens to the face or to the connection.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from biometrics.models import CaptureSource, Verification
from biometrics.people import display_name
from biometrics.second_factor import check_second_factor
from biometrics.verification import Burst, Still
from custody.declarants import declaring
from custody.errors import FaceMissing, FaceTooOld
from custody.faces_shown import FACE_HOLDS_FOR, ActNotYours, confirm_person, discard, face_holds, locked, require_open
from custody.models import ActState, DeclarationDraft
from ledger import attachments
from ledger.tlog import canonical
from ledger.tlog.times import format_time
from shipments.actors import Proof
from shipments.declarations import (
    AttemptReused,
    DeclarationNotAsShown,
    Parties,
    Prepared,
    amend_declaration,
    prepare_amendment,
    prepare_declaration,
    submit_declaration,
)
from shipments.declared import CONTENT
from shipments.entry_parts import goods_of
from shipments.intake import PartyNamed
from shipments.models import Consignment, Declaration, DeclarationVersion

# Of the document's digest in a challenge's context, which has 80 characters.
_SHOWN_DIGITS = 16


def draft_declaration(
    *,
    consignment: Consignment,
    told: Mapping[str, Any],
    parties: Parties,
    person: uuid.UUID,
    by: User,
    attempt: uuid.UUID,
    instead_of: DeclarationDraft | None = None,
) -> DeclarationDraft:
    """
    Prepare a declaration: it is checked whole and kept, and submitted once ``person`` is verified.

    :param told: its content as plain values (docs/goods.md)
    :param attempt: the idempotency key: the same attempt with the same content returns the same draft
    :param instead_of: a draft of the same account that this one replaces
    :raises Refusal: declarant_unknown, attempt_reused, and what ``prepare_declaration`` raises
    """
    prepared = prepare_declaration(consignment=consignment, told=told, parties=parties)
    draft = DeclarationDraft(consignment=consignment)
    return _keep(draft, prepared, parties, person, by, attempt, instead_of)


def draft_amendment(
    *,
    declaration: Declaration,
    told: Mapping[str, Any],
    parties: Parties,
    person: uuid.UUID,
    by: User,
    attempt: uuid.UUID,
    amends: int | None = None,
    instead_of: DeclarationDraft | None = None,
) -> DeclarationDraft:
    """
    Prepare a later version, as :func:`draft_declaration`.

    :param amends: the number of the version that the declarant had before their eyes, where known
    :raises Refusal: declarant_unknown, attempt_reused, and what ``prepare_amendment`` raises
    """
    prepared = prepare_amendment(declaration=declaration, told=told, parties=parties, amends=amends)
    # Which version it follows is settled now: the author is verified for these changes, and not for others.
    draft = DeclarationDraft(
        consignment=declaration.consignment, declaration=declaration, amends=amends or declaration.version
    )
    return _keep(draft, prepared, parties, person, by, attempt, instead_of)


def open_drafts(account: User, consignment: Consignment) -> QuerySet[DeclarationDraft]:
    """What ``account`` prepared of the shipment and did not submit yet, the newest first."""
    return DeclarationDraft.objects.filter(
        opened_by=account, consignment=consignment, state=ActState.OPEN
    ).select_related("declaration")


def content_of(draft: DeclarationDraft) -> dict[str, Any]:
    """The draft's document, as it will be submitted. :raises DeclarationNotAsShown: if it was changed meanwhile"""
    _require_unchanged(draft)
    document = canonical.decode(bytes(draft.content))
    assert isinstance(document, dict)
    return document


def parties_of(draft: DeclarationDraft) -> dict[str, PartyNamed]:
    return {role: PartyNamed(**named) for role, named in draft.parties.items()}


def liveness_context(draft: DeclarationDraft) -> str:
    """Name what a challenge is issued for: this draft, and the document in it."""
    return f"declaration:{draft.pk}:{draft.content_sha256[:_SHOWN_DIGITS]}"


def verify_author(
    *, draft: DeclarationDraft, capture: Still | Burst, source: CaptureSource, by: User, camera: str = ""
) -> Verification:
    """
    Verify the author's face for what is declared. Three refused captures close the draft; it can be prepared again.

    :returns: a match, or a first capture that asks for a second one
    :raises Refusal: as :func:`custody.faces_shown.confirm_person`; not_as_shown
    """
    _require_unchanged(draft)
    return confirm_person(
        act=draft,
        capture=capture,
        source=source,
        by=by,
        camera=camera,
        body=_refusal_body,
        about=draft.content_sha256,
    )


def submit_draft(*, draft: DeclarationDraft, by: User, pin: str = "", badge: str = "") -> DeclarationVersion:
    """
    Submit what was prepared, once the face is confirmed, with the author's second factor.

    Submitting what is submitted already returns the same version.

    :raises Refusal: act_not_yours, act_closed, face_missing, face_too_old, not_as_shown, second_factor_refused,
        second_factor_locked, declarant_unknown, declaration_exists, declaration_changed; the draft stays
    """
    draft = DeclarationDraft.objects.select_related("person", "verification", "version").get(pk=draft.pk)
    if by.pk == draft.opened_by_id and draft.version is not None:
        return draft.version
    _require_ready(draft, by)
    method = check_second_factor(person=draft.person, pin=pin, badge=badge)
    with transaction.atomic():
        draft = locked(draft)
        if draft.version is not None:
            return draft.version  # the same submission, sent twice at once: the first one won
        verification = _require_ready(draft, by)
        draft.version = _submit(draft, by, {"face": verification.record, "second_factor": method})
        draft.state, draft.closed_at = ActState.DONE, timezone.now()
        draft.save(update_fields=["version", "state", "closed_at"])
    return draft.version


def discard_draft(*, draft: DeclarationDraft, by: User) -> DeclarationDraft:
    """Throw a draft away. :raises ActNotYours, ActClosed:"""
    return discard(act=draft, by=by)


def _keep(
    draft: DeclarationDraft,
    prepared: Prepared,
    parties: Parties,
    person: uuid.UUID,
    by: User,
    attempt: uuid.UUID,
    instead_of: DeclarationDraft | None,
) -> DeclarationDraft:
    draft.person_id = declaring(account=by, person=person).person
    draft.attempt, draft.opened_by, draft.opened_at = attempt, by, timezone.now()
    draft.content, draft.content_sha256 = prepared.content, prepared.sha256
    draft.parties = {role: asdict(named) for role, named in parties.items()}
    try:
        with transaction.atomic():
            draft.save(force_insert=True)
            if instead_of is not None and instead_of.opened_by_id == by.pk:
                DeclarationDraft.objects.filter(pk=instead_of.pk, state=ActState.OPEN).update(
                    state=ActState.CANCELLED, closed_at=timezone.now()
                )
    except IntegrityError:
        known = DeclarationDraft.objects.filter(attempt=attempt).first()
        if known is None:
            raise
        return _same(known, draft)
    return draft


def _same(known: DeclarationDraft, asked: DeclarationDraft) -> DeclarationDraft:
    told = ("consignment_id", "declaration_id", "person_id", "opened_by_id", "content_sha256")
    if any(getattr(known, name) != getattr(asked, name) for name in told):
        raise AttemptReused
    return known


def _require_unchanged(draft: DeclarationDraft) -> None:
    if Prepared(bytes(draft.content), []).sha256 != draft.content_sha256:
        raise DeclarationNotAsShown


def _require_ready(draft: DeclarationDraft, by: User) -> Verification:
    """What must hold when it is submitted: asked before the second factor, and again under the locks."""
    if by.pk != draft.opened_by_id:
        raise ActNotYours
    require_open(draft)
    verification = draft.verification
    if verification is None or verification.outcome != Verification.Outcome.MATCH:
        raise FaceMissing(person=display_name(draft.person))
    if not face_holds(draft):
        raise FaceTooOld(minutes=FACE_HOLDS_FOR // timedelta(minutes=1))
    # Asked of the record, which the entry will hold, and not of the row beside it.
    if verification.person_id != draft.person_id or verification.record.get("about") != draft.content_sha256:
        raise DeclarationNotAsShown
    return verification


def _submit(draft: DeclarationDraft, by: User, parts: dict[str, Any]) -> DeclarationVersion:
    document = content_of(draft)
    told = {field: document[field] for field in CONTENT if field in document}
    # Whom the account may name can have changed since it was prepared.
    author = declaring(account=by, person=draft.person_id)
    proof = Proof(document=draft.content_sha256, parts=parts)
    if draft.declaration is None:
        return submit_declaration(
            consignment=draft.consignment,
            told=told,
            parties=parties_of(draft),
            by=author,
            attempt=draft.attempt,
            proof=proof,
        )
    return amend_declaration(
        declaration=draft.declaration,
        told=told,
        parties=parties_of(draft),
        by=author,
        attempt=draft.attempt,
        amends=draft.amends,
        proof=proof,
    )


def _refusal_body(draft: DeclarationDraft) -> dict[str, Any]:
    """
    The ``act_refused`` body of a draft, in the transaction that seals it.

    The document is kept with the entry that names it: what was to be declared can be held against what was declared.
    """
    document = canonical.decode(bytes(draft.content))
    body: dict[str, Any] = {
        "draft": draft.pk.urn,
        "act": "declaration" if draft.declaration_id is None else "declaration_amended",
        "lrn": document["lrn"],
        "document": attachments.store(bytes(draft.content), media_type="application/json"),
        "goods": goods_of(draft.consignment),
        "when": {"opened_at": format_time(draft.opened_at), "acted_at": format_time(timezone.now())},
        "by": {"person": draft.person_id.urn, "operator": draft.opened_by_id.urn},
    }
    if draft.declaration_id is not None:
        body["declaration"] = draft.declaration_id.urn
    return body
