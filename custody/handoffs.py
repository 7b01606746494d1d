"""
The act itself: open a handoff, match its tags, confirm the receiver's face, accept. The web pages and the API call the
same functions, and :func:`accept_handoff` is the one place where everything meets.

No lock is held while faces or PINs are compared: each step re-reads the row it changes, locked, and checks its state.
"""

import uuid
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from biometrics.liveness import LivenessFailed
from biometrics.models import CaptureSource, EvidenceKind, LivenessChallenge, Person, Verification
from biometrics.people import display_name
from biometrics.replay import PhotoResubmitted
from biometrics.second_factor import check_second_factor
from biometrics.vault import seal_evidence
from biometrics.verification import Burst, Still, verify_face
from custody import errors
from custody.authorisations import Authorised, UnauthorisedCustodian, require_authorised
from custody.entries import handoff_body, refusal_body
from custody.interventions import ShipmentHeld, ShipmentSeized, require_free
from custody.models import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from ledger import attachments
from ledger.models import Statement
from ledger.submission import submit
from ledger.tlog import canonical
from refusals import Refusal
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

FACE_ATTEMPTS = 3
# The refusals that use an attempt up: another face, no sign of life, a photo that was shown before.
COUNTED = ("face_mismatch", "liveness_failed", "photo_resubmitted")
FACE_HOLDS_FOR = timedelta(minutes=10)
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
        _record_refusal(
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
        handoff = _locked(handoff, HandoffState.READING)
        handoff.session = session = freeze_read_session(session=handoff.session)
        result = match_tags(handoff)
        if not result.seen_now:
            # Leaving the transaction takes the freeze back: the session goes on reading.
            raise errors.NothingRead(reference=handoff.consignment.reference)
        strays = result.of_other_shipments
        if not strays:
            _keep(handoff, result)
            return handoff
        _open_next_session(handoff, by, matched=False)
        handoff.save()
        refusal = errors.TagOfAnotherShipment(
            tag=strays[0].epc_hex, other=strays[0].shipment, reference=handoff.consignment.reference
        )
        _record_refusal(refusal, handoff=handoff, by=by, items=[stray.epc_hex for stray in strays], session=session)
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
        handoff = _locked(handoff, HandoffState.RECONCILED)
        _open_next_session(handoff, by, matched=True)
        handoff.state = HandoffState.READING
        # What the receiver confirmed is no longer what will be handed over.
        handoff.reconciled_at = handoff.reconciliation = handoff.verification = None
        handoff.reconciliation_sha256 = ""
        handoff.save()
    return handoff


def liveness_context(handoff: Handoff) -> str:
    """Name what a challenge is issued for, so that its answer counts in this handoff alone."""
    return f"handoff:{handoff.pk}"


def verify_receiver(
    *, handoff: Handoff, capture: Still | Burst, source: CaptureSource, by: User, camera: str = ""
) -> Verification:
    """
    Verify the captured face against the receiver's template. Three mismatches refuse the handoff.

    :param camera: what the camera calls itself; it is sealed, and in no entry
    :returns: a match, or a first capture that asks for a second one, which is neither a refusal nor an attempt
    :raises FaceNotMatched, LivenessNotShown, PhotoShownBefore: an entry and an attempt each time
    :raises Refusal: no_face, several_faces, face_…, photo_…: nothing was compared, no attempt is counted
    """
    number = _take_attempt(handoff)
    try:
        verification = verify_face(
            person=handoff.to_person,
            capture=capture,
            source=source,
            camera=camera,
            attempts_before=number - 1,
            requested_by=by,
            first_capture=first_capture(handoff),
            may_capture_again=not _asked_once_more(handoff),
        )
    except (LivenessFailed, PhotoResubmitted) as failed:
        with transaction.atomic():
            refusal = _refuse_capture(_locked(handoff), failed, capture, by)
        raise refusal from failed
    except BaseException:
        _give_attempt_back(handoff)
        raise
    with transaction.atomic():
        handoff = _locked(handoff)
        if verification.outcome != Verification.Outcome.NO_MATCH:
            _require_state(handoff, HandoffState.RECONCILED)
            matched = verification.outcome == Verification.Outcome.MATCH
            handoff.verification = verification if matched else None
            handoff.first_capture = None if matched else verification
            handoff.face_attempts -= 1
            handoff.save(update_fields=["verification", "first_capture", "face_attempts"])
            return verification
        refusal = _refuse_face(handoff, verification, by)
    raise refusal


def first_capture(handoff: Handoff) -> Verification | None:
    """Return the first capture that a second one can still be decided with, as recent as a face has to be."""
    # Asked of the database: what the caller holds may be older than the capture before this one.
    awaited = Handoff.objects.filter(pk=handoff.pk).values("first_capture")
    first = Verification.objects.select_related("descriptor").filter(pk__in=awaited).first()
    if first is None or timezone.now() - first.created_at > FACE_HOLDS_FOR:
        return None
    # A template that was replaced meanwhile starts anew.
    return first if handoff.to_person.templates.filter(pk=first.template_id, active=True).exists() else None


def _asked_once_more(handoff: Handoff) -> bool:
    """Tell whether a second capture was asked for and has decided nothing yet: letting it go must not be free."""
    return Handoff.objects.filter(pk=handoff.pk, first_capture__isnull=False).exists()


def _take_attempt(handoff: Handoff) -> int:
    """Count an attempt before the face is looked at, so that attempts sent at once cannot share one."""
    with transaction.atomic():
        handoff = _locked(handoff, HandoffState.RECONCILED)
        if handoff.face_attempts >= FACE_ATTEMPTS:
            raise errors.NoAttemptLeft(person=display_name(handoff.to_person))
        handoff.face_attempts += 1
        handoff.save(update_fields=["face_attempts"])
        return handoff.face_attempts


def _give_attempt_back(handoff: Handoff) -> None:
    Handoff.objects.filter(pk=handoff.pk).update(face_attempts=F("face_attempts") - 1)


def _refuse_face(handoff: Handoff, verification: Verification, by: User) -> Refusal:
    """Seal a mismatch, also where the handoff was closed meanwhile, and close it with the last attempt."""
    person, left = display_name(handoff.to_person), attempts_left(handoff) - 1
    refusal: Refusal = errors.FaceNotMatched(person=person, left=left)
    if left <= 0:
        refusal = errors.FaceNotMatchedFinally(person=person)
    _use_attempt_up(handoff, left)
    _record_refusal(refusal, handoff=handoff, by=by, verification=verification)
    return refusal


def _refuse_capture(handoff: Handoff, failed: Refusal, capture: Still | Burst, by: User) -> Refusal:
    """Seal that the captured face did not count: no sign of life, or a photo that was shown before."""
    left = attempts_left(handoff) - 1
    facts = {"reason": failed.sentence, "reason_code": str(failed.facts.get("reason_code", failed.code))}
    refusal: Refusal
    if failed.code == LivenessFailed.code:
        refusal = errors.LivenessNotShown(left=left, **facts) if left > 0 else errors.LivenessNotShownFinally(**facts)
    else:
        refusal = errors.PhotoShownBefore(left=left, **facts) if left > 0 else errors.PhotoShownBeforeFinally(**facts)
    _use_attempt_up(handoff, left)
    _record_refusal(refusal, handoff=handoff, by=by, challenge=_challenge_of(handoff, capture))
    return refusal


def attempts_left(handoff: Handoff) -> int:
    """Tell how many more refused captures the handoff stands."""
    return FACE_ATTEMPTS - handoff.refusals.filter(code__in=COUNTED).count()


def _use_attempt_up(handoff: Handoff, left: int) -> None:
    if handoff.state != HandoffState.RECONCILED:
        return
    handoff.verification = handoff.first_capture = None
    if left <= 0:
        handoff.state, handoff.closed_at = HandoffState.REFUSED, timezone.now()
    handoff.save(update_fields=["verification", "first_capture", "state", "closed_at"])


def _challenge_of(handoff: Handoff, capture: Still | Burst) -> LivenessChallenge | None:
    """Return the challenge that the capture claims to answer, where it was issued for this handoff."""
    if isinstance(capture, Still):
        return None
    issued = LivenessChallenge.objects.select_related("transcript")
    return issued.filter(pk=capture.challenge, context=liveness_context(handoff)).first()


def accept_handoff(*, handoff: Handoff, by: User, pin: str = "", badge: str = "") -> Handoff:
    """
    Accept: tags matched, face confirmed, second factor given. Submits the ``handoff`` entry in the same transaction.

    Accepting what is accepted already returns it unchanged: one entry, the same answer.

    :raises Refusal: wrong_state, shipment_closed, face_missing, face_too_old, second_factor_refused,
        second_factor_locked; and, each an entry, shipment_held, shipment_seized, unauthorised_custodian
    """
    handoff = Handoff.objects.select_related("to_person", "verification", "consignment", "read_point__site").get(
        pk=handoff.pk
    )
    if handoff.state == HandoffState.ACCEPTED:
        return handoff
    try:
        return _accept(handoff, by, pin, badge)
    except KEPT_FROM as refusal:
        _record_refusal(refusal, handoff=handoff, by=by)
        raise


def _accept(handoff: Handoff, by: User, pin: str, badge: str) -> Handoff:
    _require_ready(handoff)
    method = check_second_factor(person=handoff.to_person, pin=pin, badge=badge)
    with transaction.atomic():
        handoff = _locked(handoff)
        if handoff.state == HandoffState.ACCEPTED:
            return handoff  # the same acceptance, sent twice at once: the first one won
        authorised = _require_ready(handoff, lock=True)
        handoff.state = HandoffState.ACCEPTED
        handoff.closed_at = timezone.now()
        handoff.second_factor = method
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


def _locked(handoff: Handoff, *states: HandoffState) -> Handoff:
    """Re-read the handoff under a row lock, and require one of ``states`` where any are named. In a transaction."""
    # The shipment first, as open_handoff locks it: locks that are taken in one order do not wait for each other.
    consignment = Consignment.objects.select_for_update(of=("self",)).get(handoffs=handoff.pk)
    locked = (
        Handoff.objects.select_for_update(of=("self",))
        .select_related("read_point__site", "session", "to_person")
        .get(pk=handoff.pk)
    )
    locked.consignment = consignment
    if states:
        _require_state(locked, *states)
    return locked


def _require_state(handoff: Handoff, *states: HandoffState) -> None:
    if handoff.state not in states:
        raise errors.WrongState(state=handoff.get_state_display().lower())


def _require_authorised(
    consignment: Consignment, receiver: Person, read_point: ReadPoint, *, lock: bool = False
) -> Authorised:
    return require_authorised(
        person=receiver, employer=None, consignment=consignment, site=read_point.site, at=timezone.now(), lock=lock
    )


def _require_ready(handoff: Handoff, *, lock: bool = False) -> Authorised:
    """What must hold when custody passes: asked before the second factor, and again under the locks."""
    _require_state(handoff, HandoffState.RECONCILED)
    _require_open(handoff.consignment)
    require_free(handoff.consignment)
    verification = handoff.verification
    if verification is None or verification.outcome != Verification.Outcome.MATCH:
        raise errors.FaceMissing(person=display_name(handoff.to_person))
    # A face that was confirmed before the tags were matched confirmed something else.
    if not handoff.reconciled_at or verification.created_at < handoff.reconciled_at:
        raise errors.FaceMissing(person=display_name(handoff.to_person))
    if timezone.now() - verification.created_at > FACE_HOLDS_FOR:
        raise errors.FaceTooOld(minutes=FACE_HOLDS_FOR // timedelta(minutes=1))
    return _require_authorised(handoff.consignment, handoff.to_person, handoff.read_point, lock=lock)


def _open_next_session(handoff: Handoff, by: User, *, matched: bool) -> None:
    EarlierSession.objects.create(handoff=handoff, session=handoff.session, matched=matched)
    handoff.session = open_read_session(read_point=handoff.read_point, opened_by=by)


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
