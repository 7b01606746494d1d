"""
The receiver's face in a handoff: three captures that do not count refuse it, and each of them is an entry.

An attempt is counted before a face is looked at; no lock is held while it is.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from biometrics.liveness import LivenessFailed
from biometrics.models import CaptureSource, LivenessChallenge, Verification
from biometrics.people import display_name
from biometrics.replay import PhotoResubmitted
from biometrics.verification import Burst, Still, verify_face
from custody import errors
from custody.handoff_rows import lock_handoff, require_state
from custody.models import FACE_REFUSALS, Handoff, HandoffState
from custody.refused_attempts import record_refusal
from refusals import Refusal

FACE_ATTEMPTS = 3
FACE_HOLDS_FOR = timedelta(minutes=10)


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
            refusal = _refuse_capture(lock_handoff(handoff), failed, capture, by)
        raise refusal from failed
    except BaseException:
        _give_attempt_back(handoff)
        raise
    with transaction.atomic():
        handoff = lock_handoff(handoff)
        if verification.outcome != Verification.Outcome.NO_MATCH:
            require_state(handoff, HandoffState.RECONCILED)
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


def face_holds(handoff: Handoff) -> bool:
    """Tell whether the receiver's face was matched after the tags were, and not long ago."""
    verification = handoff.verification
    return (
        verification is not None
        and verification.outcome == Verification.Outcome.MATCH
        and handoff.reconciled_at is not None
        and verification.created_at >= handoff.reconciled_at
        and timezone.now() - verification.created_at <= FACE_HOLDS_FOR
    )


def _asked_once_more(handoff: Handoff) -> bool:
    """Tell whether a second capture was asked for and has decided nothing yet: letting it go must not be free."""
    return Handoff.objects.filter(pk=handoff.pk, first_capture__isnull=False).exists()


def _take_attempt(handoff: Handoff) -> int:
    """Count an attempt before the face is looked at, so that attempts sent at once cannot share one."""
    with transaction.atomic():
        handoff = lock_handoff(handoff, HandoffState.RECONCILED)
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
    record_refusal(refusal, handoff=handoff, by=by, verification=verification)
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
    record_refusal(refusal, handoff=handoff, by=by, challenge=_challenge_of(handoff, capture))
    return refusal


def attempts_left(handoff: Handoff) -> int:
    """Tell how many more refused captures the handoff stands."""
    return FACE_ATTEMPTS - handoff.refusals.filter(code__in=FACE_REFUSALS).count()


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
