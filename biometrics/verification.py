"""
Verification: a live face against one person's active template, and the record that entries embed whole.

The decision is an integer distance against a threshold that was measured for a stated false-match rate. Between the
thresholds for 1 in 10,000 and 1 in 1,000 strangers one more capture is asked for, and both are decided on together.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from numpy import float64
from numpy.typing import NDArray

from accounts.models import User
from biometrics.consent import standing_consent
from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import Face, analyse_bytes
from biometrics.engine.calibration import Decision, read_calibration
from biometrics.engine.photo import Photo
from biometrics.engine.quality import PROBE
from biometrics.errors import (
    FirstCaptureUsed,
    FramesMalformed,
    LivenessMissing,
    NotEnrolled,
    PersonExempt,
    TemplateOutdated,
)
from biometrics.gallery import made_with_current_models, open_template, vector_from_bytes, vector_to_bytes
from biometrics.holds import require_not_erased
from biometrics.liveness import TimedFrame, answer_challenge
from biometrics.models import (
    CaptureSource,
    Consent,
    EvidenceKind,
    LivenessChallenge,
    Person,
    Template,
    Verification,
)
from biometrics.people import display_name
from biometrics.replay import require_not_resubmitted
from biometrics.vault import open_evidence, seal_evidence
from biometrics.watchlist import search_watchlist
from ledger.tlog import canonical
from ledger.tlog.times import format_time

# More than any page sends; how many a challenge takes is its own affair.
MOST_FRAMES = 30
_TIME_DIGITS = 6
# What of a first capture stands in the record of the decision on both.
_OF_FIRST = (
    "verification", "distance_e4", "threshold_e4", "target_fmr", "quality", "faces_in_frame", "liveness", "captured_at",
    "device", "camera", "probe",
)  # fmt: skip


@dataclass(frozen=True)
class Still:
    """One encoded photo, JPEG, PNG or WebP, and when the camera says that it was taken; a claim."""

    photo: bytes
    captured_at: datetime


@dataclass(frozen=True)
class Burst:
    """The frames that answer a liveness challenge, issued for ``context``."""

    challenge: uuid.UUID
    nonce: str
    context: str
    frames: Sequence[TimedFrame]
    captured_at: datetime


@dataclass(frozen=True)
class _Seen:
    """The face that is compared, and what is known of its being alive."""

    photo: Photo
    face: Face
    liveness: dict[str, Any]
    challenge: LivenessChallenge | None = None


def read_burst(
    *, challenge: str, nonce: str, context: str, frames: Sequence[bytes], frame_times: str, captured_at: datetime
) -> Burst:
    """
    Put together what a form or a program sent in answer to a challenge.

    :param frame_times: milliseconds since the challenge was shown, one for each frame, separated by commas
    :raises FramesMalformed:
    """
    # ASCII digits alone: int() takes other scripts, signs and underscores too.
    times = [int(at) for at in frame_times.split(",") if at.isascii() and at.isdigit() and len(at) <= _TIME_DIGITS]
    try:
        asked = uuid.UUID(challenge)
    except ValueError:
        raise FramesMalformed(found=len(frames), times=len(times)) from None
    if not frames or len(times) != len(frames) or len(frames) > MOST_FRAMES:
        raise FramesMalformed(found=len(frames), times=len(times))
    timed = [TimedFrame(data=data, at_ms=at) for data, at in zip(frames, times, strict=True)]
    return Burst(asked, nonce, context, timed, captured_at)


def liveness_required() -> bool:
    """Tell whether a face counts only with an answered challenge; anything but the one word that waives it says so."""
    return bool(settings.BIOMETRICS_LIVENESS != "optional")


def verify_face(
    *,
    person: Person,
    capture: Still | Burst,
    source: CaptureSource,
    attempts_before: int,
    requested_by: User,
    camera: str = "",
    first_capture: Verification | None = None,
    may_capture_again: bool = True,
    about: str = "",
) -> Verification:
    """
    Compare the captured face with the person's active template and store the outcome, whichever it is.

    :param camera: what the camera calls itself; a claim that may name somebody, so it is sealed like the probe
    :param first_capture: the verification that asked for this second capture; the mean of both is decided on, and the
        answer is a match or none
    :param about: the SHA-256 of the document that the face is shown for, where there is one; the record names it
    :param may_capture_again: False where the chance of a second capture was had: this one is then decided alone
    :raises Refusal: person_erased, person_exempt, consent_missing, not_enrolled, template_outdated, liveness_missing,
        liveness_failed, photo_resubmitted, first_capture_used, and what :mod:`biometrics.engine.errors` names; nothing
        was decided then, and no verification is stored
    """
    _require_comparable(person)
    template = _template_to_verify(person)
    seen = _look(person, capture, requested_by)
    require_not_resubmitted(person=person, descriptor=seen.face.descriptor)
    probes = [seen.face.descriptor]
    if first_capture is not None:
        probes.insert(0, _descriptor_of_first(first_capture, template))
    distance_e4 = comparison.distance_e4(open_template(template), comparison.template(probes))
    decision = read_calibration().decide(
        distance_e4,
        k=template.k,
        m=len(probes),
        may_capture_again=may_capture_again and first_capture is None,
    )
    verification = Verification(
        id=uuid.uuid4(),
        person=person,
        template=template,
        first_capture=first_capture,
        challenge=seen.challenge,
        outcome=decision.outcome,
        distance_e4=distance_e4,
        requested_by=requested_by,
    )
    with transaction.atomic():
        # The face was compared without a lock: what was erased, withdrawn or replaced meanwhile no longer counts.
        consent = _require_comparable(Person.objects.select_for_update().get(pk=person.pk))
        if not Template.objects.filter(pk=template.pk, active=True).exists():
            raise TemplateOutdated(name=display_name(person))
        if first_capture is not None and Verification.objects.filter(first_capture=first_capture).exists():
            raise FirstCaptureUsed()
        verification.probe = seal_evidence(person=person, kind=EvidenceKind.PROBE, value=seen.photo.encoded)
        verification.descriptor = seal_evidence(
            person=person, kind=EvidenceKind.DESCRIPTOR, value=vector_to_bytes(seen.face.descriptor)
        )
        record = _record(verification, seen, decision, consent)
        record |= {
            "captured_at": format_time(capture.captured_at),
            "device": str(source),
            "attempt": attempts_before + 1,
        }
        if about:
            record["about"] = about
        if camera:
            verification.camera = seal_evidence(person=person, kind=EvidenceKind.NOTE, value=camera.encode())
            record["camera"] = verification.camera.commitment
        if first_capture is not None:
            first = first_capture.record
            record["first_capture"] = {name: first[name] for name in _OF_FIRST if name in first}
        verification.record_json = canonical.encode(record)
        verification.save()
        # Whatever is found is for an officer: it neither stops this nor is told to whoever asked.
        search_watchlist(
            descriptor=seen.face.descriptor, probe=verification.probe, person=person, verification=verification
        )
    return verification


def _require_comparable(person: Person) -> Consent:
    require_not_erased(person)
    if person.exempt:
        raise PersonExempt(name=display_name(person))
    return standing_consent(person)


def _template_to_verify(person: Person) -> Template:
    template = person.templates.select_related("evidence").filter(active=True).first()
    if template is None:
        raise NotEnrolled(name=display_name(person))
    if not made_with_current_models(template):
        raise TemplateOutdated(name=display_name(person))
    return template


def _look(person: Person, capture: Still | Burst, answered_by: User) -> _Seen:
    if isinstance(capture, Burst):
        answer = answer_challenge(
            challenge=capture.challenge,
            nonce=capture.nonce,
            context=capture.context,
            frames=capture.frames,
            answered_by=answered_by,
        )
        return _Seen(answer.photo, answer.face, answer.record, answer.challenge)
    if liveness_required():
        raise LivenessMissing()
    photo, face = analyse_bytes(capture.photo, policy=PROBE)
    return _Seen(photo, face, {"method": "none", "outcome": "not_performed"})


def _descriptor_of_first(first: Verification, template: Template) -> NDArray[float64]:
    """
    Open the first capture's descriptor.

    :raises FirstCaptureUsed: where it asked for no second capture, or was compared with another template
    """
    asked = first.outcome == Verification.Outcome.SECOND_CAPTURE and first.template_id == template.pk
    if not asked or first.descriptor is None:
        raise FirstCaptureUsed()
    return vector_from_bytes(open_evidence(first.descriptor))


def _record(verification: Verification, seen: _Seen, decision: Decision, consent: Consent) -> dict[str, Any]:
    face, point = seen.face, decision.point
    quality = face.quality.as_record()
    if face.second_face_e4 is not None:
        quality["second_face_e4"] = face.second_face_e4
    return {
        "verification": verification.pk.urn,
        "person": verification.person.pk.urn,
        "outcome": str(verification.outcome),
        "distance_e4": verification.distance_e4,
        "threshold_e4": point.threshold_e4,
        "metric": point.metric,
        "k": verification.template.k,
        "m": 1 if verification.first_capture is None else 2,
        "target_fmr": point.target_fmr,
        "dataset": point.dataset,
        "calibration": read_calibration().sha256,
        "models": analysis.models(),
        "runtime": analysis.runtime(),
        "quality": quality,
        "faces_in_frame": face.faces_in_frame,
        "liveness": seen.liveness,
        "probe": verification.probe.commitment,
        "template": verification.template.evidence.commitment,
        "consent": consent.pk.urn,
    }
