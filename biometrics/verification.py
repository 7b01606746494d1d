"""
Verification: one live photo against one person's active template, and the record that entries embed whole.

The decision is an integer distance against a threshold that was measured for a stated false-match rate.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import User
from biometrics.consent import standing_consent
from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import Face, analyse_bytes
from biometrics.engine.calibration import OperatingPoint, read_calibration
from biometrics.engine.quality import PROBE
from biometrics.errors import NotEnrolled, TemplateOutdated
from biometrics.gallery import made_with_current_models, open_template
from biometrics.models import CaptureSource, Consent, Evidence, EvidenceKind, Person, Template, Verification
from biometrics.people import display_name
from biometrics.vault import seal_evidence
from ledger.tlog import canonical
from ledger.tlog.times import format_time

TARGET_FMR = "1e-4"
PROBE_PHOTOS_M = 1


def verify_face(
    *,
    person: Person,
    photo: bytes,
    captured_at: datetime,
    source: CaptureSource,
    attempts_before: int,
    requested_by: User,
    camera: str = "",
) -> Verification:
    """
    Compare the face in ``photo`` with the person's active template and store the outcome, match or not.

    :param photo: the encoded still, JPEG, PNG or WebP
    :param captured_at: when the camera says that it was taken; a claim
    :param camera: what the camera calls itself; a claim that may name somebody, so it is sealed like the probe
    :raises Refusal: consent_missing, not_enrolled, template_outdated, and what :mod:`biometrics.engine.errors` names;
        nothing was compared then, and nothing is stored
    """
    standing_consent(person)
    template = _template_to_verify(person)
    decoded, face = analyse_bytes(photo, policy=PROBE)
    point = read_calibration().threshold(k=template.k, m=PROBE_PHOTOS_M, target_fmr=TARGET_FMR)
    distance_e4 = comparison.distance_e4(open_template(template), face.descriptor)
    verification = Verification(
        id=uuid.uuid4(),
        person=person,
        template=template,
        outcome=Verification.Outcome.MATCH if point.accepts(distance_e4) else Verification.Outcome.NO_MATCH,
        distance_e4=distance_e4,
        requested_by=requested_by,
    )
    with transaction.atomic():
        # The face was compared without a lock: a template replaced or a consent withdrawn meanwhile no longer counts.
        if not Template.objects.filter(pk=template.pk, active=True).exists():
            raise TemplateOutdated(name=display_name(person))
        consent = standing_consent(person)
        verification.probe = seal_evidence(person=person, kind=EvidenceKind.PROBE, value=decoded.encoded)
        record = _record(verification, face, point, consent)
        record |= {
            "captured_at": format_time(captured_at),
            "device": str(source),
            "attempt": attempts_before + 1,
        }
        if camera:
            verification.camera = seal_evidence(person=person, kind=EvidenceKind.NOTE, value=camera.encode())
            record["camera"] = verification.camera.commitment
        verification.record_json = canonical.encode(record)
        verification.save()
    return verification


def _template_to_verify(person: Person) -> Template:
    template = person.templates.select_related("evidence").filter(active=True).first()
    if template is None:
        raise NotEnrolled(name=display_name(person))
    if not made_with_current_models(template):
        raise TemplateOutdated(name=display_name(person))
    return template


def _record(verification: Verification, face: Face, point: OperatingPoint, consent: Consent) -> dict[str, Any]:
    probe: Evidence = verification.probe
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
        "m": point.m,
        "target_fmr": point.target_fmr,
        "dataset": point.dataset,
        "calibration": read_calibration().sha256,
        "models": analysis.models(),
        "runtime": analysis.runtime(),
        "quality": quality,
        "faces_in_frame": face.faces_in_frame,
        "liveness": {"method": "none", "outcome": "not_performed"},
        "probe": probe.commitment,
        "template": verification.template.evidence.commitment,
        "consent": consent.pk.urn,
    }
