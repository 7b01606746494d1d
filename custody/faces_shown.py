"""
Verify the face of whoever acts outside a handoff: three refused captures close the act, and each one is an entry.

No lock is held while faces are compared. An attempt is counted before the face is looked at, and given back where
nothing was decided.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from biometrics.liveness import LivenessFailed
from biometrics.models import CaptureSource, Verification
from biometrics.people import display_name
from biometrics.replay import PhotoResubmitted
from biometrics.verification import Burst, Still, verify_face
from custody.models import ActByFace, ActState
from ledger.submission import submit
from refusals import Refusal
from shipments.models import Consignment

A = TypeVar("A", bound=ActByFace)

FACE_ATTEMPTS = 3
FACE_HOLDS_FOR = timedelta(minutes=10)


class ActNotYours(Refusal):
    code = "act_not_yours"
    message = _("Another account began this. It ends under that account, or is begun anew under yours.")
    status = 403


class ActClosed(Refusal):
    code = "act_closed"
    message = _("This is closed already (%(state)s). Begin again.")


class NoAttemptLeft(Refusal):
    code = "no_attempt_left"
    message = _("Every attempt to confirm the face of %(person)s is used or under way. Wait for the answer.")


class FaceNotTheirs(Refusal):
    code = "face_mismatch"
    message = _("The face does not match %(person)s. Attempts left: %(left)s.")


class FaceNotTheirsFinally(Refusal):
    code = "face_mismatch"
    message = _("The face does not match %(person)s. This is refused, and the refusal is on record.")


class CaptureRefused(Refusal):
    code = "capture_refused"
    message = _("%(reason)s Attempts left: %(left)s.")


class CaptureRefusedFinally(Refusal):
    code = "capture_refused"
    message = _("%(reason)s This is refused, and the refusal is on record.")


def confirm_person(
    *,
    act: A,
    capture: Still | Burst,
    source: CaptureSource,
    by: User,
    camera: str,
    body: Callable[[A], dict[str, Any]],
    matched: Callable[[A, Verification], None] | None = None,
    about: str = "",
) -> Verification:
    """
    Confirm the face of the act's person.

    :param body: what an entry says of a refused capture, apart from the capture; called in the transaction
    :param matched: what a match does at once, with the act locked
    :param about: the SHA-256 of the document that is shown with it
    :returns: a match, or a first capture that asks for a second one, which costs no attempt
    :raises ActNotYours, ActClosed, NoAttemptLeft:
    :raises FaceNotTheirs, CaptureRefused: an entry and an attempt each time
    :raises Refusal: no_face, several_faces, face_…, photo_…, not_enrolled, …: nothing was compared, nothing is counted
    """
    if by.pk != act.opened_by_id:
        raise ActNotYours
    number = _take_attempt(act)
    try:
        verification = verify_face(
            person=act.person,
            capture=capture,
            source=source,
            camera=camera,
            attempts_before=number - 1,
            requested_by=by,
            first_capture=_first_capture(act),
            may_capture_again=not _asked_once_more(act),
            about=about,
        )
    except (LivenessFailed, PhotoResubmitted) as failed:
        with transaction.atomic():
            refusal = _refuse(locked(act), number, body, failed=failed)
        raise refusal from failed
    except BaseException:
        type(act)._default_manager.filter(pk=act.pk).update(face_attempts=F("face_attempts") - 1)
        raise
    with transaction.atomic():
        act = locked(act)
        if verification.outcome == Verification.Outcome.NO_MATCH:
            refusal = _refuse(act, number, body, verification=verification)
        else:
            require_open(act)
            found = verification.outcome == Verification.Outcome.MATCH
            act.verification = verification if found else None
            act.first_capture = None if found else verification
            act.face_attempts -= 1
            act.save(update_fields=["verification", "first_capture", "face_attempts"])
            if found and matched is not None:
                matched(act, verification)
            return verification
    raise refusal


def awaits_second_capture(act: ActByFace) -> bool:
    return _first_capture(act) is not None


def attempts_left(act: ActByFace) -> int:
    return max(FACE_ATTEMPTS - act.face_attempts, 0)


def face_holds(act: ActByFace) -> bool:
    """Tell whether the face was confirmed, and lately enough to go on with."""
    found = act.verification
    return found is not None and timezone.now() - found.created_at <= FACE_HOLDS_FOR


def discard(*, act: A, by: User) -> A:
    """Close what was begun by mistake; nothing was claimed, so nothing is sealed."""
    with transaction.atomic():
        act = locked(act)
        if by.pk != act.opened_by_id:
            raise ActNotYours
        require_open(act)
        act.state, act.closed_at = ActState.CANCELLED, timezone.now()
        act.save(update_fields=["state", "closed_at"])
    return act


def locked(act: A) -> A:
    """Re-read the act under a row lock. In a transaction."""
    # The shipment first, as handoffs and interventions lock it.
    consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=act.consignment_id)
    found = (
        type(act)
        ._default_manager.select_for_update(of=("self",))
        .select_related("person", "verification", "opened_by")
        .get(pk=act.pk)
    )
    found.consignment = consignment
    return found


def require_open(act: ActByFace) -> None:
    """:raises ActClosed:"""
    if act.state != ActState.OPEN:
        raise ActClosed(state=act.get_state_display())


def _take_attempt(act: ActByFace) -> int:
    with transaction.atomic():
        found = locked(act)
        require_open(found)
        if found.face_attempts >= FACE_ATTEMPTS:
            raise NoAttemptLeft(person=display_name(found.person))
        found.face_attempts += 1
        found.save(update_fields=["face_attempts"])
        return found.face_attempts


def _first_capture(act: ActByFace) -> Verification | None:
    """Return the first capture that a second one can still be decided with, as recent as a face has to be."""
    awaited = type(act)._default_manager.filter(pk=act.pk).values("first_capture")
    first = Verification.objects.select_related("descriptor").filter(pk__in=awaited).first()
    if first is None or timezone.now() - first.created_at > FACE_HOLDS_FOR:
        return None
    # A template that was replaced meanwhile starts anew.
    return first if act.person.templates.filter(pk=first.template_id, active=True).exists() else None


def _asked_once_more(act: ActByFace) -> bool:
    """Tell whether a second capture was asked for and has decided nothing yet: letting it go must not be free."""
    return type(act)._default_manager.filter(pk=act.pk, first_capture__isnull=False).exists()


def _refuse(
    act: A,
    number: int,
    body: Callable[[A], dict[str, Any]],
    *,
    verification: Verification | None = None,
    failed: Refusal | None = None,
) -> Refusal:
    """Seal that the face did not count, also where the act was closed meanwhile; the last attempt closes it."""
    left = max(FACE_ATTEMPTS - number, 0)
    if act.state == ActState.OPEN:
        # Whoever showed another face after a match starts anew.
        act.verification = act.first_capture = None
        if not left:
            act.state, act.closed_at = ActState.REFUSED, timezone.now()
        act.save(update_fields=["verification", "first_capture", "state", "closed_at"])
    told = body(act) | {"code": failed.code if failed else "face_mismatch", "attempt_number": number}
    if verification is not None:
        told["face"] = verification.record
    submit(
        kind="act_refused",
        subject=act.consignment_id.urn,
        body=told,
        # Not by the number: one that was given back is given out again.
        key=f"act_refused:{act.attempt}:{verification.pk if verification else uuid.uuid4()}",
    )
    if failed is not None:
        refusal = CaptureRefused if left else CaptureRefusedFinally
        return refusal(reason=failed.sentence, left=left, reason_code=failed.code)
    person = display_name(act.person)
    return FaceNotTheirs(person=person, left=left) if left else FaceNotTheirsFinally(person=person)
