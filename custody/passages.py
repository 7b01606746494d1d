"""
A traveller at a border crossing: the document that is presented, then the live face against its portrait.

Nobody is enrolled. Whoever prefers it shows no face: then no photo is taken, and the officer checks the document by eye
(:mod:`custody.passage_decisions`). No lock is held while a face is compared.
"""

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.document_match import (
    examine_portrait,
    keep_portrait,
    keep_traveller,
    match_document,
    present_document,
    read_document_number,
    withdraw_portrait,
)
from biometrics.liveness import LivenessFailed
from biometrics.models import CaptureSource, DocumentMatch, Person, Verification
from biometrics.people import people_on_file
from biometrics.replay import PhotoResubmitted
from biometrics.verification import Burst, Still
from custody import passage_errors as errors
from custody.errors import ShipmentClosed
from custody.models import (
    Crossing,
    DocumentType,
    Exemption,
    Passage,
    PassageDirection,
    PassageState,
    WithoutFace,
)
from custody.officers import person_of_officer
from custody.passage_entries import submit_passage
from custody.travel_documents import read_issuer
from shipments.finding import find_shipment
from shipments.models import Consignment, Party

FACE_ATTEMPTS = 3
OPEN_FOR = timedelta(hours=2)
FIRST_CAPTURE_HOLDS_FOR = timedelta(minutes=10)
# A comparison takes seconds. One that a crash cut off blocks the passage for no longer.
COMPARING_FOR = timedelta(minutes=2)
# More than a crossing leaves behind in a shift; the next passage closes the next ones.
_CLOSED_AT_ONCE = 20


@dataclass(frozen=True)
class Presented:
    """A document as the officer reads it. The number is personal: it is sealed, and no entry holds it."""

    type: str
    issuing_state: str
    number: str
    expires_on: date | None = None


def officer_of(by: User) -> Person:
    """
    Return who checks passages under this account.

    :raises PassageNotYours, OfficerNotOnFile:
    """
    if not by.may(Capability.CHECK_PASSAGES):
        raise errors.PassageNotYours
    return person_of_officer(by)


def open_passage(
    *,
    crossing: Crossing,
    direction: str,
    document: Presented,
    by: User,
    attempt: uuid.UUID,
    shipment: str = "",
    person: Person | None = None,
    carrier: Party | None = None,
    exemption: str = "",
    without_face: str = "",
) -> Passage:
    """
    Begin a passage with the document that is presented.

    :param shipment: any code of the goods, or empty where none are carried
    :param person: who it is, where the officer knows them to be on file; otherwise a record without a name is made
    :param carrier: for whom an unknown driver drives
    :param exemption: of whom everything is destroyed within 12 hours, one of :class:`Exemption`
    :param without_face: why no photo is taken, one of :class:`WithoutFace`
    :param attempt: the idempotency key: the same one returns the same passage
    :raises PassageNotYours, OfficerNotOnFile, PassageRefused, CrossingClosed, AttemptReused:
    :raises ShipmentUnknown, ShipmentClosed, IssuerUnknown, DocumentNumberUnusable, PersonErased:
    """
    officer_of(by)
    _require_choices(
        (direction, PassageDirection, False),
        (document.type, DocumentType, False),
        (exemption, Exemption, True),
        (without_face, WithoutFace, True),
    )
    if person is not None and not people_on_file().filter(pk=person.pk).exists():
        raise errors.PassageRefused(problem=_("the traveller whom you chose is not on file."))
    if not Crossing.objects.filter(pk=crossing.pk, enabled=True).exists():
        raise errors.CrossingClosed(crossing=str(crossing))
    issuer, number = read_issuer(document.issuing_state), read_document_number(document.number)
    consignment = find_shipment(code=shipment) if shipment.strip() else None
    if consignment is not None and consignment.closed_at is not None:
        raise ShipmentClosed(reference=consignment.reference)
    known = Passage.objects.filter(attempt=attempt).first()
    if known is not None:
        return _same(known, crossing, consignment, by)
    close_abandoned()
    passage = Passage(
        attempt=attempt,
        crossing=crossing,
        direction=direction,
        consignment=consignment,
        carrier=carrier,
        document_type=document.type,
        issuing_state=issuer,
        document_expires_on=document.expires_on,
        exemption=exemption,
        without_face=without_face,
        opened_by=by,
    )
    try:
        with transaction.atomic():
            passage.traveller = person or keep_traveller(answerable=by)
            passage.document = present_document(
                person=passage.traveller,
                number=number,
                context=liveness_context(passage),
                exempt=bool(exemption),
                presented_to=by,
            )
            passage.save()
    except IntegrityError:
        # The form sent twice at the same moment: the other one is the passage.
        return _same(Passage.objects.get(attempt=attempt), crossing, consignment, by)
    return passage


def liveness_context(passage: Passage) -> str:
    """Name what a challenge is issued for, so that its answer counts for this passage alone."""
    return f"passage:{passage.pk}"


def show_portrait(*, passage: Passage, photo: bytes, by: User) -> None:
    """
    Keep the photo of the portrait in the document, once it is good enough; it replaces the one before it.

    :raises PassageNotYours, PassageClosed, PassageExpired, FaceDeclined, ComparedAlready, ComparisonUnderWay:
    :raises DocumentPhotoRefused, PersonExempt, PersonErased:
    """
    # Before the work and once more under the lock: of whoever declines, no photo is even looked at.
    _require_face_wanted(passage, by)
    portrait = examine_portrait(photo)
    with transaction.atomic():
        passage = lock_passage(passage)
        _require_face_wanted(passage, by)
        keep_portrait(document=passage.document, portrait=portrait)
        passage.first_capture = None
        passage.save(update_fields=["first_capture"])


def compare_traveller(
    *, passage: Passage, capture: Still | Burst, source: CaptureSource, by: User, camera: str = ""
) -> DocumentMatch:
    """
    Compare the traveller's live face with the portrait.

    :returns: a match, or a first capture that asks for a second one, which costs no attempt
    :raises PassageNotYours, PassageClosed, PassageExpired, FaceDeclined, ComparedAlready, ComparisonUnderWay:
    :raises NoAttemptLeft, TravellerNotMatched, TravellerNotMatchedFinally, CaptureRefused:
    :raises Refusal: portrait_missing, no_face, several_faces, face_…, photo_…: nothing was compared, no attempt counts
    """
    passage = _take_attempt(passage, by)
    number = passage.face_attempts
    try:
        match = match_document(
            document=passage.document,
            capture=capture,
            source=source,
            camera=camera,
            attempts_before=number - 1,
            requested_by=by,
            first_capture=_first_capture(passage),
        )
    except (LivenessFailed, PhotoResubmitted) as failed:
        with transaction.atomic():
            passage = lock_passage(passage)
            _keep_failure(passage, number, {"code": failed.code, "reason_code": failed.facts.get("reason_code", "")})
        left = FACE_ATTEMPTS - number
        raise errors.CaptureRefused(reason=failed.sentence, left=left, reason_code=failed.code) from failed
    except BaseException:
        with transaction.atomic():
            passage = lock_passage(passage)
            passage.face_attempts, passage.comparing_since = max(0, passage.face_attempts - 1), None
            passage.save(update_fields=["face_attempts", "comparing_since"])
        raise
    with transaction.atomic():
        passage = lock_passage(passage)
        if passage.state != PassageState.OPEN:
            # It took longer than a comparison may, and the officer decided meanwhile.
            raise errors.PassageClosed(state=passage.get_state_display())
        if match.outcome == Verification.Outcome.NO_MATCH:
            passage.match = match
            _keep_failure(passage, number, {"code": "face_mismatch"} | _compared(match))
        elif match.outcome == Verification.Outcome.SECOND_CAPTURE:
            passage.first_capture, passage.comparing_since = match, None
            passage.face_attempts -= 1
            passage.save(update_fields=["first_capture", "comparing_since", "face_attempts"])
            return match
        else:
            passage.match, passage.first_capture, passage.comparing_since = match, None, None
            passage.save(update_fields=["match", "first_capture", "comparing_since"])
            return match
    left = FACE_ATTEMPTS - number
    raise errors.TravellerNotMatched(left=left) if left > 0 else errors.TravellerNotMatchedFinally


def decline_face(*, passage: Passage, reason: str, by: User) -> Passage:
    """
    Record that the document is checked by eye instead: no photo is taken, and a portrait that was is destroyed.

    :param reason: one of :class:`WithoutFace`
    :raises PassageNotYours, PassageClosed, PassageExpired, PassageRefused, FaceDeclined, ComparisonUnderWay:
    :raises TooLateToDecline: once a face was compared: a comparison that failed is not undone by declining it
    """
    _require_choices((reason, WithoutFace, False))
    with transaction.atomic():
        passage = lock_passage(passage)
        require_open(passage, by)
        if passage.without_face:
            raise errors.FaceDeclined
        require_none_under_way(passage)
        if passage.face_attempts or passage.first_capture is not None:
            raise errors.TooLateToDecline
        withdraw_portrait(document=passage.document)
        passage.without_face = reason
        passage.save(update_fields=["without_face"])
    return passage


def cancel_passage(*, passage: Passage, by: User) -> Passage:
    """
    Close a passage that was begun by mistake, before any face was compared; nothing happened, so nothing is sealed.

    :raises PassageNotYours, PassageClosed, PassageExpired, ComparisonUnderWay:
    :raises TooLateToDecline: once a face was compared: what was found is decided on
    """
    with transaction.atomic():
        passage = lock_passage(passage)
        require_open(passage, by)
        require_none_under_way(passage)
        if passage.face_attempts or passage.first_capture is not None:
            raise errors.TooLateToDecline
        withdraw_portrait(document=passage.document)
        passage.state, passage.closed_at = PassageState.CANCELLED, timezone.now()
        passage.save(update_fields=["state", "closed_at"])
    return passage


def close_abandoned() -> int:
    """
    Seal what was begun more than two hours ago and never decided; called as the next passage begins.

    Otherwise an officer could try a face, see it refused, and leave no trace by walking away.
    """
    late = Passage.objects.filter(state=PassageState.OPEN, opened_at__lt=timezone.now() - OPEN_FOR)
    closed = 0
    for passage in late.order_by("opened_at")[:_CLOSED_AT_ONCE]:
        with transaction.atomic():
            found = lock_passage(passage)
            if found.state == PassageState.OPEN:
                found.state, found.closed_at = PassageState.ABANDONED, timezone.now()
                found.statement = submit_passage(found)
                found.save(update_fields=["state", "closed_at", "statement"])
                closed += 1
    return closed


def lock_passage(passage: Passage) -> Passage:
    """Read the passage again, locked, the shipment first as handoffs lock it; call inside a transaction."""
    if passage.consignment_id is not None:
        Consignment.objects.select_for_update().get(pk=passage.consignment_id)
    return (
        Passage.objects.select_for_update(of=("self",))
        .select_related(
            "consignment",
            "crossing__read_point__site",
            "document__number",
            "document__portrait",
            "document__person",
            "traveller",
            "carrier",
            "opened_by",
            "match",
            "first_capture__probe",
        )
        .get(pk=passage.pk)
    )


def require_open(passage: Passage, by: User) -> None:
    """:raises PassageNotYours, PassageClosed, PassageExpired:"""
    if by.pk != passage.opened_by_id or not by.may(Capability.CHECK_PASSAGES):
        raise errors.PassageNotYours
    if passage.state != PassageState.OPEN:
        raise errors.PassageClosed(state=passage.get_state_display())
    if timezone.now() - passage.opened_at > OPEN_FOR:
        raise errors.PassageExpired(hours=int(OPEN_FOR.total_seconds() // 3600))


def _require_choices(*given: tuple[str, Any, bool]) -> None:
    for value, choices, may_be_empty in given:
        if value not in choices.values and not (may_be_empty and not value):
            known = ", ".join(choices.values)
            problem = _("“%(value)s” is not one of: %(known)s.") % {"value": value[:40], "known": known}
            raise errors.PassageRefused(problem=problem)


def _same(known: Passage, crossing: Crossing, consignment: Consignment | None, by: User) -> Passage:
    goods = consignment.pk if consignment is not None else None
    if (known.crossing_id, known.consignment_id, known.opened_by_id) != (crossing.pk, goods, by.pk):
        raise errors.AttemptReused
    return known


def require_none_under_way(passage: Passage) -> None:
    """:raises ComparisonUnderWay: nothing may overtake a comparison that it should rest on"""
    if passage.comparing_since is not None and timezone.now() - passage.comparing_since < COMPARING_FOR:
        raise errors.ComparisonUnderWay


def _require_face_wanted(passage: Passage, by: User) -> None:
    require_open(passage, by)
    if passage.without_face:
        raise errors.FaceDeclined
    require_none_under_way(passage)
    if passage.match is not None and passage.match.outcome == Verification.Outcome.MATCH:
        raise errors.ComparedAlready


def _take_attempt(passage: Passage, by: User) -> Passage:
    """Count the attempt before anything is compared; one at a time, so that none is decided on unseen."""
    with transaction.atomic():
        passage = lock_passage(passage)
        _require_face_wanted(passage, by)
        if passage.face_attempts >= FACE_ATTEMPTS:
            raise errors.NoAttemptLeft
        passage.face_attempts, passage.comparing_since = passage.face_attempts + 1, timezone.now()
        passage.save(update_fields=["face_attempts", "comparing_since"])
    return passage


def _first_capture(passage: Passage) -> DocumentMatch | None:
    first = passage.first_capture
    if first is None or timezone.now() - first.created_at > FIRST_CAPTURE_HOLDS_FOR:
        return None
    return first


def _keep_failure(passage: Passage, number: int, told: dict[str, Any]) -> None:
    failure = {"attempt": number} | {name: value for name, value in told.items() if value != ""}
    passage.failed_captures = [*passage.failed_captures, failure]
    passage.first_capture, passage.comparing_since = None, None
    passage.save(update_fields=["failed_captures", "first_capture", "comparing_since", "match"])


def _compared(match: DocumentMatch) -> dict[str, Any]:
    return {name: match.record[name] for name in ("verification", "distance_e4", "threshold_e4", "probe", "portrait")}
