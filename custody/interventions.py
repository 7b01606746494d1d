"""
Inspections, samples, holds, releases and seizures: an officer says what and why, then shows their face, and it is done.

The account that is logged in is one factor, the face the other. A hold or a seizure stops every handoff of the shipment
until it is released; a release undoes the newest of them.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.liveness import LivenessFailed
from biometrics.models import CaptureSource, EvidenceKind, Person, Verification
from biometrics.people import display_name
from biometrics.replay import PhotoResubmitted
from biometrics.vault import seal_evidence
from biometrics.verification import Burst, Still, verify_face
from custody.entries import goods, where
from custody.models import Act, Findings, Intervention, InterventionState, Reason
from custody.officers import person_of_officer
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.models import Consignment, ReadPoint

FACE_ATTEMPTS = 3
FIRST_CAPTURE_HOLDS_FOR = timedelta(minutes=10)
MAX_NOTE = 500

# The kind of entry of each act: a sample is taken in an inspection.
KIND = {
    Act.INSPECTION: "inspection",
    Act.SAMPLING: "inspection",
    Act.HOLD: "hold",
    Act.RELEASE: "release",
    Act.SEIZURE: "seizure",
}
STOPPING = (Act.HOLD, Act.SEIZURE)
_CHANGING = (*STOPPING, Act.RELEASE)


class InterventionNotYours(Refusal):
    code = "intervention_not_yours"
    message = _("Inspections, holds and seizures are officers’ acts.")
    status = 403


class InterventionRefused(Refusal):
    code = "intervention_refused"
    message = _("Nothing was done: %(problem)s")
    status = 422


class ShipmentHeld(Refusal):
    code = "shipment_held"
    message = _("%(reference)s is held by customs since %(since)s: nobody may hand it over until it is released.")


class ShipmentSeized(Refusal):
    code = "shipment_seized"
    message = _("%(reference)s was seized by customs on %(since)s: nobody may hand it over until it is released.")


class NothingToRelease(Refusal):
    code = "nothing_to_release"
    message = _("%(reference)s is neither held nor seized: there is nothing to release.")


class HeldAlready(Refusal):
    code = "held_already"
    message = _("%(reference)s is %(state)s already.")


class InterventionClosed(Refusal):
    code = "intervention_closed"
    message = _("This act is %(state)s already. Begin another one.")


class OfficerFaceNotMatched(Refusal):
    code = "face_mismatch"
    message = _("The face does not match %(person)s. Attempts left: %(left)s.")


class OfficerFaceNotMatchedFinally(Refusal):
    code = "face_mismatch"
    message = _("The face does not match %(person)s. The act is refused, and the refusal is on record.")


class OfficerCaptureRefused(Refusal):
    code = "capture_refused"
    message = _("%(reason)s Attempts left: %(left)s.")


class AttemptReused(Refusal):
    code = "attempt_reused"
    message = _("This attempt began another act before. Start a new one.")


def in_force(consignment: Consignment) -> Intervention | None:
    """Return the hold or seizure under which the shipment is, or None where it is free to move."""
    newest = (
        Intervention.objects.filter(consignment=consignment, state=InterventionState.DONE, act__in=_CHANGING)
        .order_by("-statement_id")
        .first()
    )
    return newest if newest is not None and newest.act in STOPPING else None


def require_free(consignment: Consignment) -> None:
    """:raises ShipmentHeld, ShipmentSeized: while customs keeps the shipment where it is"""
    stopping = in_force(consignment)
    if stopping is None or stopping.closed_at is None:
        return
    refusal = ShipmentSeized if stopping.act == Act.SEIZURE else ShipmentHeld
    raise refusal(reference=consignment.reference, since=f"{stopping.closed_at:%Y-%m-%d %H:%M} UTC")


def begin_intervention(
    *,
    consignment: Consignment,
    act: str,
    reason: str,
    read_point: ReadPoint,
    by: User,
    attempt: uuid.UUID,
    findings: str = "",
    note: str = "",
) -> Intervention:
    """
    Say what is to be done and why; it is done once the officer's face is confirmed.

    :param attempt: the idempotency key: the same one returns the same act
    :param findings: of an inspection or a sample, one of :class:`Findings`
    :raises InterventionNotYours, OfficerNotOnFile, InterventionRefused, NothingToRelease, HeldAlready, AttemptReused:
    """
    officer = _officer(by)
    note = " ".join(note.split())
    problem = _problem(act, reason, findings, note)
    if problem:
        raise InterventionRefused(problem=problem)
    with transaction.atomic():
        consignment = Consignment.objects.select_for_update().get(pk=consignment.pk)
        known = Intervention.objects.filter(attempt=attempt).first()
        if known is not None:
            return _same(known, consignment, act, by)
        _require_possible(consignment, act)
        intervention = Intervention(
            attempt=attempt,
            consignment=consignment,
            act=act,
            reason=reason,
            findings=findings,
            read_point=read_point,
            officer=officer,
            opened_by=by,
            opened_at=timezone.now(),
        )
        if note:
            intervention.note = seal_evidence(person=officer, kind=EvidenceKind.NOTE, value=note.encode())
        try:
            with transaction.atomic():
                intervention.save()
        except IntegrityError:
            # The same attempt for another shipment, at the same moment.
            raise AttemptReused from None
    return intervention


def liveness_context(intervention: Intervention) -> str:
    """Name what a challenge is issued for, so that its answer counts for this act alone."""
    return f"intervention:{intervention.pk}"


def confirm_officer(
    *, intervention: Intervention, capture: Still | Burst, source: CaptureSource, by: User, camera: str = ""
) -> Verification:
    """
    Confirm the officer's face; where it matches, the act is done and submitted in the same transaction.

    :returns: a match, or a first capture that asks for a second one, which costs no attempt
    :raises InterventionNotYours: where another account than the one that began it answers
    :raises OfficerFaceNotMatched, OfficerCaptureRefused: an entry and an attempt each time
    :raises Refusal: no_face, several_faces, face_…, photo_…: nothing was compared, no attempt is counted
    """
    if by.pk != intervention.opened_by_id:
        raise InterventionNotYours
    number = _take_attempt(intervention)
    try:
        verification = verify_face(
            person=intervention.officer,
            capture=capture,
            source=source,
            camera=camera,
            attempts_before=number - 1,
            requested_by=by,
            first_capture=_first_capture(intervention),
        )
    except (LivenessFailed, PhotoResubmitted) as failed:
        with transaction.atomic():
            refusal = _refuse(_locked(intervention), number, code=failed.code, reason=failed)
        raise refusal from failed
    except BaseException:
        Intervention.objects.filter(pk=intervention.pk).update(face_attempts=F("face_attempts") - 1)
        raise
    with transaction.atomic():
        intervention = _locked(intervention)
        if verification.outcome == Verification.Outcome.NO_MATCH:
            refusal = _refuse(intervention, number, code="face_mismatch", verification=verification)
        elif verification.outcome == Verification.Outcome.SECOND_CAPTURE:
            intervention.first_capture = verification
            intervention.face_attempts -= 1
            intervention.save(update_fields=["first_capture", "face_attempts"])
            return verification
        else:
            _carry_out(intervention, verification, by)
            return verification
    raise refusal


def cancel_intervention(*, intervention: Intervention, by: User) -> Intervention:
    """Close an act that was begun by mistake; nothing was done, so nothing is sealed."""
    with transaction.atomic():
        intervention = _locked(intervention)
        if by.pk != intervention.opened_by_id:
            raise InterventionNotYours
        _require_open(intervention)
        intervention.state, intervention.closed_at = InterventionState.CANCELLED, timezone.now()
        intervention.save(update_fields=["state", "closed_at"])
    return intervention


def _officer(by: User) -> Person:
    if not by.may(Capability.INTERVENE):
        raise InterventionNotYours
    return person_of_officer(by)


def _problem(act: str, reason: str, findings: str, note: str) -> Any:
    if act not in Act.values:
        return _("the act is one of: %(known)s.") % {"known": ", ".join(Act.values)}
    if reason not in Reason.values:
        return _("the reason is one of: %(known)s.") % {"known": ", ".join(Reason.values)}
    if KIND[Act(act)] == "inspection":
        if findings not in Findings.values:
            return _("an inspection has findings, one of: %(known)s.") % {"known": ", ".join(Findings.values)}
    elif findings:
        return _("findings are an inspection’s.")
    if len(note) > MAX_NOTE or not note.isprintable():
        return _("a note has at most %(limit)s characters that can be printed.") % {"limit": MAX_NOTE}
    return ""


def _require_possible(consignment: Consignment, act: str) -> None:
    stopping = in_force(consignment)
    if act == Act.RELEASE and stopping is None:
        raise NothingToRelease(reference=consignment.reference)
    if stopping is not None and (act == stopping.act or (act == Act.HOLD and stopping.act == Act.SEIZURE)):
        state = _("seized") if stopping.act == Act.SEIZURE else _("held")
        raise HeldAlready(reference=consignment.reference, state=state)


def _same(known: Intervention, consignment: Consignment, act: str, by: User) -> Intervention:
    if (known.consignment_id, known.act, known.opened_by_id) != (consignment.pk, act, by.pk):
        raise AttemptReused
    return known


def _take_attempt(intervention: Intervention) -> int:
    with transaction.atomic():
        locked = _locked(intervention)
        _require_open(locked)
        if locked.face_attempts >= FACE_ATTEMPTS:
            raise InterventionClosed(state=locked.get_state_display())
        locked.face_attempts += 1
        locked.save(update_fields=["face_attempts"])
        return locked.face_attempts


def _first_capture(intervention: Intervention) -> Verification | None:
    awaited = Intervention.objects.filter(pk=intervention.pk).values("first_capture")
    first = Verification.objects.select_related("descriptor").filter(pk__in=awaited).first()
    if first is None or timezone.now() - first.created_at > FIRST_CAPTURE_HOLDS_FOR:
        return None
    return first if intervention.officer.templates.filter(pk=first.template_id, active=True).exists() else None


def _locked(intervention: Intervention) -> Intervention:
    # The shipment first, as handoffs lock it.
    consignment = Consignment.objects.select_for_update(of=("self",)).get(interventions=intervention.pk)
    locked = (
        Intervention.objects.select_for_update(of=("self",))
        .select_related("officer", "read_point__site", "note")
        .get(pk=intervention.pk)
    )
    locked.consignment = consignment
    return locked


def _require_open(intervention: Intervention) -> None:
    if intervention.state != InterventionState.OPEN:
        raise InterventionClosed(state=intervention.get_state_display())


def _carry_out(intervention: Intervention, verification: Verification, by: User) -> None:
    _require_open(intervention)
    stopping = in_force(intervention.consignment)
    _require_possible(intervention.consignment, intervention.act)
    intervention.state, intervention.closed_at = InterventionState.DONE, timezone.now()
    intervention.verification, intervention.first_capture = verification, None
    body = _body(intervention, by) | {"face": verification.record}
    if intervention.act == Act.RELEASE and stopping is not None:
        body["ends"] = stopping.pk.urn
    intervention.statement = submit(
        kind=KIND[Act(intervention.act)],
        subject=intervention.consignment_id.urn,
        body=body,
        key=f"intervention:{intervention.attempt}",
    )
    intervention.save()


def _refuse(
    intervention: Intervention,
    number: int,
    *,
    code: str,
    verification: Verification | None = None,
    reason: Refusal | None = None,
) -> Refusal:
    """Seal that the face did not count, and close the act with the last attempt."""
    left = FACE_ATTEMPTS - number
    intervention.first_capture = None
    if left <= 0 and intervention.state == InterventionState.OPEN:
        intervention.state, intervention.closed_at = InterventionState.REFUSED, timezone.now()
    intervention.save(update_fields=["first_capture", "state", "closed_at"])
    body = _body(intervention, intervention.opened_by) | {"code": code, "attempt_number": number}
    if verification is not None:
        body["face"] = verification.record
    submit(
        kind="act_refused",
        subject=intervention.consignment_id.urn,
        body=body,
        key=f"act_refused:{intervention.attempt}:{number}",
    )
    name = display_name(intervention.officer)
    if reason is not None:
        return OfficerCaptureRefused(reason=reason.sentence, left=max(left, 0), reason_code=reason.code)
    return OfficerFaceNotMatched(person=name, left=left) if left > 0 else OfficerFaceNotMatchedFinally(person=name)


def _body(intervention: Intervention, by: User) -> dict[str, Any]:
    body: dict[str, Any] = {
        "intervention": intervention.pk.urn,
        "act": str(intervention.act),
        "reason": str(intervention.reason),
        "goods": goods(intervention.consignment),
        "where": where(intervention.read_point),
        "when": {
            "opened_at": format_time(intervention.opened_at),
            "acted_at": format_time(intervention.closed_at or timezone.now()),
        },
        "by": {"person": intervention.officer_id.urn, "operator": by.pk.urn},
    }
    if intervention.findings:
        body["findings"] = str(intervention.findings)
    if intervention.note is not None:
        body["note"] = intervention.note.commitment
    return body
