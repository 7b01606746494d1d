"""
Attending an inspection: a representative of the goods shows their face to the officer who inspects, and it is an entry.

An entry of its own, that names the inspection: people come late, and an inspection waits for nobody.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.models import CaptureSource, Person, PersonKind, Verification
from biometrics.people import display_name, people_on_file
from biometrics.verification import Burst, Still
from custody.entries import goods, where
from custody.faces_shown import confirm_person, discard
from custody.interventions import KIND, AttemptReused, InterventionNotYours
from custody.models import Act, ActState, Attendance, Intervention, InterventionState
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal

# Who comes later than this did not see the inspection.
ATTENDED_WITHIN = timedelta(hours=12)


class AttendanceRefused(Refusal):
    code = "attendance_refused"
    message = _("Nobody attends this: %(problem)s")
    status = 422


class AttendedAlready(Refusal):
    code = "attended_already"
    message = _("%(person)s attends this inspection already.")


def may_be_attended(intervention: Intervention) -> bool:
    """Tell whether people can still be put down as having been at this inspection."""
    if KIND[Act(intervention.act)] != "inspection":
        return False
    if intervention.state == InterventionState.OPEN:
        return True
    closed = intervention.closed_at
    return (
        intervention.state == InterventionState.DONE
        and closed is not None
        and timezone.now() - closed <= ATTENDED_WITHIN
    )


def people_who_attend(intervention: Intervention) -> QuerySet[Person]:
    """Return who may be named: everybody on file but the officer, representatives first."""
    first = Case(When(kind=PersonKind.REPRESENTATIVE, then=Value(0)), default=Value(1))
    return people_on_file().exclude(pk=intervention.officer_id).order_by(first, "registered_at")


def begin_attendance(*, intervention: Intervention, person: uuid.UUID, by: User, attempt: uuid.UUID) -> Attendance:
    """
    Say who attends; it is on record once their face is confirmed.

    :param attempt: the idempotency key: the same one returns the same attendance
    :raises Refusal: intervention_not_yours, attendance_refused, attended_already, attempt_reused
    """
    if not by.may(Capability.INTERVENE):
        raise InterventionNotYours
    known = Attendance.objects.filter(attempt=attempt).first()
    if known is not None:
        return _same(known, intervention, person, by)
    if not may_be_attended(intervention):
        raise AttendanceRefused(problem=_("it is no inspection, was not done, or was over long ago."))
    found = people_who_attend(intervention).filter(pk=person).first()
    if found is None:
        raise AttendanceRefused(problem=_("the person is not on file, or is the officer who inspects."))
    _require_absent(intervention.pk, found)
    try:
        with transaction.atomic():
            return Attendance.objects.create(
                attempt=attempt,
                consignment_id=intervention.consignment_id,
                intervention=intervention,
                person=found,
                opened_by=by,
                opened_at=timezone.now(),
            )
    except IntegrityError:
        # This very attempt, sent twice at once.
        return _same(Attendance.objects.get(attempt=attempt), intervention, person, by)


def liveness_context(attendance: Attendance) -> str:
    """Name what a challenge is issued for, so that its answer counts for this attendance alone."""
    return f"attendance:{attendance.pk}"


def confirm_attendance(
    *, attendance: Attendance, capture: Still | Burst, source: CaptureSource, by: User, camera: str = ""
) -> Verification:
    """
    Confirm the face of who attends; where it matches, the entry is submitted in the same transaction.

    :returns: a match, or a first capture that asks for a second one
    :raises Refusal: as :func:`custody.faces_shown.confirm_person`
    """

    def attended(found: Attendance, verification: Verification) -> None:
        _require_absent(found.intervention_id, found.person)
        found.state, found.closed_at = ActState.DONE, timezone.now()
        found.statement = submit(
            kind="inspection_attended",
            subject=found.consignment_id.urn,
            body=_body(found) | {"face": verification.record},
            key=f"inspection_attended:{found.attempt}",
        )
        found.save(update_fields=["state", "closed_at", "statement"])

    return confirm_person(
        act=attendance,
        capture=capture,
        source=source,
        by=by,
        camera=camera,
        body=lambda refused: _body(refused) | {"act": "inspection_attended"},
        matched=attended,
    )


def cancel_attendance(*, attendance: Attendance, by: User) -> Attendance:
    """Take back what was begun by mistake. :raises ActNotYours, ActClosed:"""
    return discard(act=attendance, by=by)


def _require_absent(intervention: uuid.UUID, person: Person) -> None:
    if Attendance.objects.filter(intervention=intervention, person=person, state=ActState.DONE).exists():
        raise AttendedAlready(person=display_name(person))


def _same(known: Attendance, intervention: Intervention, person: uuid.UUID, by: User) -> Attendance:
    if (known.intervention_id, known.person_id, known.opened_by_id) != (intervention.pk, person, by.pk):
        raise AttemptReused
    return known


def _body(attendance: Attendance) -> dict[str, Any]:
    intervention = Intervention.objects.select_related("read_point__site", "statement").get(
        pk=attendance.intervention_id
    )
    inspection: dict[str, Any] = {"intervention": intervention.pk.urn, "officer": intervention.officer_id.urn}
    # Who attends shows their face while the officer may still be looking: the inspection's entry can come later.
    if intervention.statement is not None and intervention.statement.entry_id is not None:
        inspection["entry"] = intervention.statement.entry_id
    return {
        "attendance": attendance.pk.urn,
        "inspection": inspection,
        "goods": goods(attendance.consignment),
        "where": where(intervention.read_point),
        "when": {
            "opened_at": format_time(attendance.opened_at),
            "acted_at": format_time(attendance.closed_at or timezone.now()),
        },
        "by": {"person": attendance.person_id.urn, "operator": attendance.opened_by_id.urn},
    }
