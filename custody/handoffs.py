"""
The act itself: open a handoff, match its tags, confirm the receiver's face, accept. The web pages and the API call the
same functions, and :func:`accept_handoff` is the one place where everything meets.

No lock is held while faces or PINs are compared: each step re-reads the row it changes, locked, and checks its state.
"""

import uuid
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from biometrics.models import Person
from biometrics.people import display_name
from biometrics.second_factor import check_second_factor
from custody import errors
from custody.approvals import approval_of
from custody.authorisations import Authorised, UnauthorisedCustodian, require_authorised
from custody.countersigning import released
from custody.entries import handoff_body
from custody.handoff_exceptions import exceptions_for_officer, must_read_again, unseen
from custody.handoff_rows import close_session, lock_handoff, open_next_session, require_state
from custody.interventions import ShipmentHeld, ShipmentSeized, require_free
from custody.models import OPEN_STATES, Handoff, HandoffState, Purpose
from custody.receiver_face import FACE_HOLDS_FOR, face_holds
from custody.refused_attempts import record_refusal
from ledger import attachments
from ledger.submission import submit
from ledger.tlog import canonical
from shipments.epc import decode_epc
from shipments.finding import find_shipment, which_shipment_holds
from shipments.models import Consignment, ReadPoint, ReadSession
from shipments.read_sessions import (
    ReadPointBusy,
    SessionNotOffered,
    freeze_read_session,
    offered_session,
    open_read_session,
    session_reads,
    take_over_session,
)
from shipments.reconciliation import Reconciliation
from shipments.session_results import hold_against

MOST_GRAMS = 10**12
# What keeps a shipment from being handed over, or handed to this person: an entry each time it is tried.
KEPT_FROM = (ShipmentHeld, ShipmentSeized, UnauthorisedCustodian)


def current_handoff(consignment: Consignment) -> Handoff | None:
    """The accepted handoff by which the present custodian holds the shipment; None before the first one."""
    return (
        Handoff.objects.filter(consignment=consignment, state=HandoffState.ACCEPTED)
        .select_related("to_person")
        # By the order in which they were submitted, not by a clock that may have been set back.
        .order_by("-statement_id")
        .first()
    )


def open_handoff(
    *,
    shipment: str,
    receiver: Person,
    read_point: ReadPoint,
    opened_by: User,
    attempt: uuid.UUID,
    take_over: ReadSession | None = None,
) -> Handoff:
    """
    Open a handoff of ``shipment`` to ``receiver`` and start reading tags at ``read_point``.

    :param shipment: any code of the shipment as it was scanned or typed
    :param attempt: the idempotency key: the same one returns the same handoff, open or closed
    :param take_over: what a trigger had read there, to go on with instead of reading anew; without it, a session that
        a trigger has open ends, and stays as a record of what passed
    :raises Refusal: shipment_unknown, shipment_closed, handoff_already_open, read_point_busy, session_not_offered,
        attempt_reused; and, each an entry, same_person_both_sides, shipment_held, shipment_seized,
        unauthorised_custodian
    """
    consignment = find_shipment(code=shipment)
    asked = (consignment.pk, receiver.pk, read_point.pk)
    known = Handoff.objects.filter(attempt=attempt).first()
    if known is not None:
        return _same(known, asked)
    try:
        with transaction.atomic():
            # Locked: who releases must still hold custody when this handoff is stored.
            consignment = Consignment.objects.select_for_update().get(pk=consignment.pk)
            _require_open(consignment)
            require_free(consignment)
            held = current_handoff(consignment)
            if held is not None and held.to_person_id == receiver.pk:
                raise errors.SamePersonOnBothSides(person=display_name(receiver), reference=consignment.reference)
            _require_authorised(consignment, receiver, read_point)
            return Handoff.objects.create(
                attempt=attempt,
                consignment=consignment,
                read_point=read_point,
                from_person=held.to_person if held else None,
                from_party=None if held else consignment.consignor,
                to_person=receiver,
                session=_first_session(consignment, read_point, opened_by, take_over),
                opened_by=opened_by,
                opened_at=timezone.now(),
            )
    except (errors.SamePersonOnBothSides, *KEPT_FROM) as refusal:
        record_refusal(
            refusal, consignment=consignment, to_person=receiver, read_point=read_point, attempt=attempt, by=opened_by
        )
        raise
    except (IntegrityError, ReadPointBusy, SessionNotOffered):
        # Somebody was faster: this very attempt, sent twice at once, or another handoff of the same shipment.
        known = Handoff.objects.filter(attempt=attempt).first()
        if known is not None:
            return _same(known, asked)
        other = consignment.handoffs.select_related("to_person").filter(state__in=OPEN_STATES).first()
        if other is None:
            raise
        raise errors.HandoffAlreadyOpen(
            reference=consignment.reference, receiver=display_name(other.to_person), handoff=str(other.pk)
        ) from None


def reading_on_offer(*, consignment: Consignment, read_point: ReadPoint) -> tuple[ReadSession, Reconciliation] | None:
    """
    Return what a trigger had read at ``read_point`` that a handoff of this shipment can go on with, and what that says
    of it: the session still open there, or the last one, where it is recent and saw something of the shipment.
    """
    session = offered_session(read_point)
    if session is None:
        return None
    result = hold_against(consignment=consignment, present=session_reads(session=session))
    return (session, result) if session.frozen_at is None or result.seen_now else None


def _first_session(
    consignment: Consignment, read_point: ReadPoint, opened_by: User, take_over: ReadSession | None
) -> ReadSession:
    if take_over is None:
        return open_read_session(read_point=read_point, opened_by=opened_by)
    session = take_over_session(session=take_over, by=opened_by)
    # One that has ended reads no more: it serves where it saw something of this shipment.
    if session.read_point_id != read_point.pk:
        raise SessionNotOffered
    if session.frozen_at is not None:
        result = hold_against(consignment=consignment, present=session_reads(session=session))
        if not result.seen_now:
            raise SessionNotOffered
    return session


def _same(known: Handoff, asked: tuple[uuid.UUID, uuid.UUID, uuid.UUID]) -> Handoff:
    if (known.consignment_id, known.to_person_id, known.read_point_id) != asked:
        raise errors.AttemptReused
    return known


def _require_open(consignment: Consignment) -> None:
    if consignment.closed_at is not None:
        raise errors.ShipmentClosed(reference=consignment.reference)


def match_tags(handoff: Handoff) -> Reconciliation:
    """
    Hold the tags read so far against the manifest; the result changes until the handoff is reconciled.

    A tag counts as seen where any session of the handoff that was matched saw it; one that was refused for a stray does
    not count, for the goods were sorted out since. An item that was not read is inferred where a unit's tag was that it
    lies in.
    """
    earlier = handoff.earlier_sessions.filter(matched=True).select_related("session__read_point")
    return hold_against(
        consignment=handoff.consignment,
        present=session_reads(session=handoff.session),
        earlier=[session_reads(session=one.session) for one in earlier],
    )


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
        handoff = lock_handoff(handoff, HandoffState.READING)
        handoff.session = session = freeze_read_session(session=handoff.session)
        result = match_tags(handoff)
        if not result.seen_now:
            # Leaving the transaction takes the freeze back: the session goes on reading.
            raise errors.NothingRead(reference=handoff.consignment.reference)
        strays = result.of_other_shipments
        if not strays:
            _keep(handoff, result)
            return handoff
        open_next_session(handoff, by, matched=False)
        handoff.save()
        refusal = errors.TagOfAnotherShipment(
            tag=strays[0].epc_hex, other=strays[0].shipment, reference=handoff.consignment.reference
        )
        record_refusal(refusal, handoff=handoff, by=by, items=[stray.epc_hex for stray in strays], session=session)
    # Raised behind the transaction: the refusal is committed, and the next read session is open.
    raise refusal


def _keep(handoff: Handoff, result: Reconciliation) -> None:
    units = list(handoff.consignment.units.exclude(sscc="").values_list("sscc", flat=True))
    handoff.state = HandoffState.RECONCILED
    handoff.reconciled_at = timezone.now()
    handoff.reconciliation = result.summary()
    handoff.reconciliation_sha256 = attachments.store(
        canonical.encode(result.document(units=units)), media_type="application/json"
    )
    handoff.save()


def read_again(*, handoff: Handoff, by: User) -> Handoff:
    """Start a second read session for a handoff whose tags were matched, because some were not seen."""
    with transaction.atomic():
        handoff = lock_handoff(handoff, HandoffState.RECONCILED)
        open_next_session(handoff, by, matched=True)
        handoff.state = HandoffState.READING
        # What either side confirmed is no longer what will be handed over.
        handoff.reconciled_at = handoff.reconciliation = handoff.verification = handoff.released_at = None
        handoff.release_factor = ""
        handoff.reconciliation_sha256 = ""
        handoff.save()
    return handoff


def weigh_shipment(*, handoff: Handoff, measured_g: int | None) -> Handoff:
    """
    Keep what the scale shows, in grams; None takes it back. What was confirmed before holds no longer.

    :raises Refusal: wrong_state, weight_refused
    """
    if measured_g is not None and not 0 < measured_g <= MOST_GRAMS:
        raise errors.WeightRefused(most=f"{MOST_GRAMS // 1000:,}")
    with transaction.atomic():
        handoff = lock_handoff(handoff, HandoffState.RECONCILED)
        if handoff.measured_g != measured_g:
            handoff.measured_g = measured_g
            handoff.verification = handoff.released_at = None
            handoff.release_factor = ""
            handoff.save(update_fields=["measured_g", "verification", "released_at", "release_factor"])
    return handoff


def accept_handoff(*, handoff: Handoff, by: User, pin: str = "", badge: str = "") -> Handoff:
    """
    Accept: tags matched, face confirmed, second factor given. Submits the ``handoff`` entry in the same transaction.

    Accepting what is accepted already returns it unchanged: one entry, the same answer.

    :raises Refusal: wrong_state, shipment_closed, read_again_first, exceptions_not_approved, not_released,
        face_missing, face_too_old, second_factor_refused, second_factor_locked; and, each an entry, shipment_held,
        shipment_seized, unauthorised_custodian
    """
    handoff = Handoff.objects.select_related("to_person", "verification", "consignment", "read_point__site").get(
        pk=handoff.pk
    )
    if handoff.state == HandoffState.ACCEPTED:
        return handoff
    try:
        return _accept(handoff, by, pin, badge)
    except KEPT_FROM as refusal:
        record_refusal(refusal, handoff=handoff, by=by)
        raise


def _accept(handoff: Handoff, by: User, pin: str, badge: str) -> Handoff:
    _require_ready(handoff)
    method = check_second_factor(person=handoff.to_person, pin=pin, badge=badge)
    with transaction.atomic():
        handoff = lock_handoff(handoff)
        if handoff.state == HandoffState.ACCEPTED:
            return handoff  # the same acceptance, sent twice at once: the first one won
        authorised = _require_ready(handoff, lock=True)
        handoff.state = HandoffState.ACCEPTED
        handoff.closed_at = timezone.now()
        handoff.second_factor = method
        handoff.dual_control = None if face_holds(handoff) else approval_of(handoff, Purpose.DUAL_CONTROL)
        handoff.statement = submit(
            kind="handoff",
            subject=handoff.consignment_id.urn,
            body=handoff_body(handoff, operator=by, authorised=authorised),
            key=f"handoff:{handoff.attempt}",
        )
        handoff.save()
    return handoff


def refuse_handoff(*, handoff: Handoff, reason: str, by: User) -> Handoff:
    """Close the handoff because the receiver or the operator declines it; the refusal is an entry."""
    with transaction.atomic():
        handoff = lock_handoff(handoff, *OPEN_STATES)
        close_session(handoff)
        handoff.state, handoff.closed_at = HandoffState.REFUSED, timezone.now()
        handoff.save()
        record_refusal(errors.Declined(), handoff=handoff, by=by, note=reason)
    return handoff


def cancel_handoff(*, handoff: Handoff, by: User) -> Handoff:
    """Close an open handoff that was opened by mistake; nothing was claimed, so nothing is sealed."""
    with transaction.atomic():
        handoff = lock_handoff(handoff, *OPEN_STATES)
        close_session(handoff)
        handoff.state, handoff.closed_at = HandoffState.CANCELLED, timezone.now()
        handoff.save()
    return handoff


def _require_authorised(
    consignment: Consignment, receiver: Person, read_point: ReadPoint, *, lock: bool = False
) -> Authorised:
    return require_authorised(
        person=receiver, employer=None, consignment=consignment, site=read_point.site, at=timezone.now(), lock=lock
    )


def _require_ready(handoff: Handoff, *, lock: bool = False) -> Authorised:
    """What must hold when custody passes: asked before the second factor, and again under the locks."""
    require_state(handoff, HandoffState.RECONCILED)
    _require_open(handoff.consignment)
    require_free(handoff.consignment)
    if must_read_again(handoff):
        raise errors.ReadAgainFirst(count=unseen(handoff), reference=handoff.consignment.reference)
    if exceptions_for_officer(handoff) and approval_of(handoff, Purpose.EXCEPTIONS) is None:
        raise errors.ExceptionsNotApproved(reference=handoff.consignment.reference)
    if not released(handoff) and handoff.from_person is not None:
        raise errors.NotReleased(person=display_name(handoff.from_person))
    _require_face(handoff)
    return _require_authorised(handoff.consignment, handoff.to_person, handoff.read_point, lock=lock)


def _require_face(handoff: Handoff) -> None:
    """The receiver's face, matched not long ago; where there is none, an officer may have stood in for it."""
    if face_holds(handoff) or approval_of(handoff, Purpose.DUAL_CONTROL) is not None:
        return
    verification = handoff.verification
    # A face that was confirmed before the tags were matched confirmed something else.
    if verification is None or not handoff.reconciled_at or verification.created_at < handoff.reconciled_at:
        raise errors.FaceMissing(person=display_name(handoff.to_person))
    raise errors.FaceTooOld(minutes=FACE_HOLDS_FOR // timedelta(minutes=1))
