"""
The act itself: open a handoff, match its tags, confirm the receiver's face, accept. The web pages and the API call the
same functions, and :func:`accept_handoff` is the one place where everything meets.

No lock is held while faces or PINs are compared: each step re-reads the row it changes, locked, and checks its state.
"""

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from biometrics.models import EvidenceKind, Person, Verification
from biometrics.people import display_name
from biometrics.second_factor import check_second_factor
from biometrics.vault import seal_evidence
from biometrics.verification import verify_face
from custody import errors
from custody.entries import handoff_body, refusal_body
from custody.models import OPEN_STATES, Handoff, HandoffState, Refused
from custody.reconciliation import Reconciliation, reconcile
from ledger import attachments
from ledger.submission import submit
from ledger.tlog import canonical
from refusals import Refusal
from shipments.consignments import find_shipment, which_shipment_holds, which_shipments_hold
from shipments.epc import decode_epc
from shipments.models import Consignment, ReadPoint
from shipments.read_sessions import ReadPointBusy, freeze_read_session, open_read_session, tags_seen

FACE_ATTEMPTS = 3
FACE_HOLDS_FOR = timedelta(minutes=10)


def current_handoff(consignment: Consignment) -> Handoff | None:
    """The accepted handoff by which the present custodian holds the shipment; None before the first one."""
    return (
        Handoff.objects.filter(consignment=consignment, state=HandoffState.ACCEPTED)
        .select_related("to_person")
        .order_by("-closed_at")
        .first()
    )


def open_handoff(
    *, shipment: str, receiver: Person, read_point: ReadPoint, opened_by: User, attempt: uuid.UUID
) -> Handoff:
    """
    Open a handoff of ``shipment`` to ``receiver`` and start reading tags at ``read_point``.

    :param shipment: any code of the shipment as it was scanned or typed
    :param attempt: the idempotency key: the same one returns the same handoff, open or closed
    :raises Refusal: shipment_unknown, shipment_closed, same_person_both_sides (an entry), handoff_already_open,
        read_point_busy
    """
    known = Handoff.objects.filter(attempt=attempt).first()
    if known is not None:
        return known
    consignment = find_shipment(code=shipment)
    if consignment.closed_at is not None:
        raise errors.ShipmentClosed(reference=consignment.reference)
    held = current_handoff(consignment)
    if held is not None and held.to_person_id == receiver.pk:
        refusal = errors.SamePersonOnBothSides(person=display_name(receiver), reference=consignment.reference)
        _record_refusal(refusal, consignment=consignment, by=opened_by, to_person=receiver, read_point=read_point)
        raise refusal
    try:
        with transaction.atomic():
            return Handoff.objects.create(
                attempt=attempt,
                consignment=consignment,
                read_point=read_point,
                from_person=held.to_person if held else None,
                from_party=None if held else consignment.consignor,
                to_person=receiver,
                session=open_read_session(read_point=read_point, opened_by=opened_by),
                opened_by=opened_by,
                opened_at=timezone.now(),
            )
    except (IntegrityError, ReadPointBusy):
        # Somebody was faster: this very attempt, sent twice at once, or another handoff of the same shipment.
        same = Handoff.objects.filter(attempt=attempt).first()
        if same is not None:
            return same
        other = consignment.handoffs.select_related("to_person").filter(state__in=OPEN_STATES).first()
        if other is None:
            raise
        raise errors.HandoffAlreadyOpen(
            reference=consignment.reference, receiver=display_name(other.to_person), handoff=str(other.pk)
        ) from None


def match_tags(handoff: Handoff) -> Reconciliation:
    """
    Hold the tags read so far against the manifest; the result changes until the handoff is reconciled.

    A pallet's own tag is no item of the manifest, and no stray either.
    """
    manifest = list(handoff.consignment.manifest.values_list("epc_hex", flat=True))
    read = {tag.epc_hex for tag in tags_seen(session=handoff.session)}
    holders = which_shipments_hold(read.difference(manifest))
    own = {epc for epc, holder in holders.items() if holder.pk == handoff.consignment_id}
    references = {epc: holder.reference for epc, holder in holders.items()}
    return reconcile(manifest=manifest, read=sorted(read - own), holders=references)


def scan_tag(*, handoff: Handoff, code: str) -> str:
    """
    Check one tag scanned by hand against the handoff's shipment, and return its EPC.

    :raises ScannedTagOfAnotherShipment, ScannedTagUnknown, EpcMalformed:
    """
    epc = decode_epc(code).hex
    holder = which_shipment_holds(epc)
    if holder is None:
        raise errors.ScannedTagUnknown(reference=handoff.consignment.reference)
    if holder != handoff.consignment:
        raise errors.ScannedTagOfAnotherShipment(other=holder.reference, reference=handoff.consignment.reference)
    return epc


def reconcile_handoff(*, handoff: Handoff, by: User) -> Handoff:
    """
    Freeze the read session and what it says about the manifest.

    A tag of another shipment is refused (an entry) and a new read session starts, so that the goods can be sorted out
    and read again.

    :raises Refusal: wrong_state, nothing_read, wrong_consignment
    """
    with transaction.atomic():
        handoff = _locked(handoff, HandoffState.READING)
        handoff.session = freeze_read_session(session=handoff.session)
        result = match_tags(handoff)
        if not result.seen:
            # Leaving the transaction takes the freeze back: the session goes on reading.
            raise errors.NothingRead(reference=handoff.consignment.reference)
        strays = result.of_other_shipments
        if strays:
            _open_next_session(handoff, by)
        else:
            handoff.state = HandoffState.RECONCILED
            handoff.reconciled_at = timezone.now()
            handoff.reconciliation = result.summary()
            handoff.reconciliation_sha256 = attachments.store(
                canonical.encode(result.document(units=list(handoff.consignment.units.values_list("sscc", flat=True)))),
                media_type="application/json",
            )
        handoff.save()
        if not strays:
            return handoff
        refusal = errors.TagOfAnotherShipment(
            tag=strays[0].epc_hex, other=strays[0].shipment, reference=handoff.consignment.reference
        )
        _record_refusal(refusal, handoff=handoff, by=by, items=[stray.epc_hex for stray in strays])
    # Raised behind the transaction: the refusal is committed, and the next read session is open.
    raise refusal


def read_again(*, handoff: Handoff, by: User) -> Handoff:
    """Start a second read session for a handoff whose tags were matched, because some were not seen."""
    with transaction.atomic():
        handoff = _locked(handoff, HandoffState.RECONCILED)
        _open_next_session(handoff, by)
        handoff.state = HandoffState.READING
        handoff.reconciled_at = handoff.reconciliation = None
        handoff.reconciliation_sha256 = ""
        handoff.save()
    return handoff


def verify_receiver(*, handoff: Handoff, photo: bytes, captured_at: datetime, device: str, by: User) -> Verification:
    """
    Verify the live face against the receiver's template. Three mismatches refuse the handoff.

    :param photo: the encoded still, JPEG, PNG or WebP
    :raises FaceNotMatched: an entry each time
    :raises Refusal: no_face, several_faces, photo_…: nothing was compared, no attempt is counted
    """
    _require_state(Handoff.objects.get(pk=handoff.pk), HandoffState.RECONCILED)
    verification = verify_face(
        person=handoff.to_person,
        photo=photo,
        captured_at=captured_at,
        device=device,
        attempts_before=_mismatches(handoff),
        requested_by=by,
    )
    with transaction.atomic():
        handoff = _locked(handoff, HandoffState.RECONCILED)
        if verification.outcome == Verification.Outcome.MATCH:
            handoff.verification = verification
            handoff.save(update_fields=["verification"])
            return verification
        handoff.verification = None
        left = FACE_ATTEMPTS - _mismatches(handoff) - 1
        if left <= 0:
            handoff.state, handoff.closed_at = HandoffState.REFUSED, timezone.now()
        handoff.save(update_fields=["verification", "state", "closed_at"])
        person = display_name(handoff.to_person)
        refusal: Refusal = errors.FaceNotMatchedFinally(person=person)
        if left > 0:
            refusal = errors.FaceNotMatched(person=person, left=left)
        _record_refusal(refusal, handoff=handoff, by=by, verification=verification)
    raise refusal


def accept_handoff(*, handoff: Handoff, by: User, pin: str = "", badge: str = "") -> Handoff:
    """
    Accept: tags matched, face confirmed, second factor given. Submits the ``handoff`` entry in the same transaction.

    Accepting what is accepted already returns it unchanged: one entry, the same answer.

    :raises Refusal: wrong_state, face_missing, face_too_old, second_factor_refused, second_factor_locked
    """
    handoff = Handoff.objects.select_related("to_person", "verification").get(pk=handoff.pk)
    if handoff.state == HandoffState.ACCEPTED:
        return handoff
    _require_state(handoff, HandoffState.RECONCILED)
    _require_fresh_face(handoff)
    method = check_second_factor(person=handoff.to_person, pin=pin, badge=badge)
    with transaction.atomic():
        handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=handoff.pk)
        if handoff.state == HandoffState.ACCEPTED:
            return handoff  # the same acceptance, sent twice at once: the first one won
        _require_state(handoff, HandoffState.RECONCILED)
        _require_fresh_face(handoff)
        handoff.state = HandoffState.ACCEPTED
        handoff.closed_at = timezone.now()
        handoff.second_factor = method
        handoff.statement = submit(
            kind="handoff",
            subject=handoff.consignment_id.urn,
            body=handoff_body(handoff, operator=by),
            key=f"handoff:{handoff.attempt}",
        )
        handoff.save()
    return handoff


def refuse_handoff(*, handoff: Handoff, reason: str, by: User) -> Handoff:
    """Close the handoff because the receiver or the operator declines it; the refusal is an entry."""
    with transaction.atomic():
        handoff = _locked(handoff, *OPEN_STATES)
        _close_session(handoff)
        handoff.state, handoff.closed_at = HandoffState.REFUSED, timezone.now()
        handoff.save()
        _record_refusal(errors.Declined(), handoff=handoff, by=by, note=reason)
    return handoff


def cancel_handoff(*, handoff: Handoff, by: User) -> Handoff:
    """Close an open handoff that was opened by mistake; nothing was claimed, so nothing is sealed."""
    with transaction.atomic():
        handoff = _locked(handoff, *OPEN_STATES)
        _close_session(handoff)
        handoff.state, handoff.closed_at = HandoffState.CANCELLED, timezone.now()
        handoff.save()
    return handoff


def _mismatches(handoff: Handoff) -> int:
    return handoff.refusals.filter(code=errors.FaceNotMatched.code).count()


def _locked(handoff: Handoff, *states: HandoffState) -> Handoff:
    """Re-read the handoff under a row lock, and require one of ``states``; call inside a transaction."""
    locked = (
        Handoff.objects.select_for_update(of=("self",))
        .select_related("consignment", "read_point", "session", "to_person")
        .get(pk=handoff.pk)
    )
    _require_state(locked, *states)
    return locked


def _require_state(handoff: Handoff, *states: HandoffState) -> None:
    if handoff.state not in states:
        raise errors.WrongState(state=handoff.get_state_display().lower())


def _require_fresh_face(handoff: Handoff) -> None:
    verification = handoff.verification
    if verification is None or verification.outcome != Verification.Outcome.MATCH:
        raise errors.FaceMissing(person=display_name(handoff.to_person))
    if timezone.now() - verification.created_at > FACE_HOLDS_FOR:
        raise errors.FaceTooOld(minutes=FACE_HOLDS_FOR // timedelta(minutes=1))


def _open_next_session(handoff: Handoff, by: User) -> None:
    handoff.session = open_read_session(read_point=handoff.read_point, opened_by=by)
    handoff.sessions += 1


def _close_session(handoff: Handoff) -> None:
    # An open session would keep the read point from the next handoff.
    if handoff.session.frozen_at is None:
        handoff.session = freeze_read_session(session=handoff.session)


def _record_refusal(
    refusal: Refusal,
    *,
    by: User,
    handoff: Handoff | None = None,
    consignment: Consignment | None = None,
    to_person: Person | None = None,
    read_point: ReadPoint | None = None,
    verification: Verification | None = None,
    items: list[str] | None = None,
    note: str = "",
) -> None:
    """Seal the refusal of an attempt: of an open handoff, or of one that never came to be."""
    if handoff is not None:
        consignment, to_person, read_point = handoff.consignment, handoff.to_person, handoff.read_point
    assert consignment and to_person and read_point
    refused = Refused(
        handoff=handoff,
        consignment=consignment,
        code=refusal.code,
        at=timezone.now(),
        by=by,
        verification=verification,
    )
    with transaction.atomic():
        if note:
            refused.note = seal_evidence(person=to_person, kind=EvidenceKind.NOTE, value=note.encode())
        refused.statement = submit(
            kind="handoff_refused",
            subject=consignment.pk.urn,
            body=refusal_body(refused, to_person=to_person, read_point=read_point, items=items or []),
            key=f"handoff_refused:{refused.pk}",
        )
        refused.save()
