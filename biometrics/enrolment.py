"""
Enrolment: photos of one person become a sealed template, and an entry says so.

All face work is done before the transaction opens; inside it only rows are written and vectors compared.
"""

import hashlib
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import User
from biometrics.consent import standing_consent
from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import Face, analyse
from biometrics.engine.calibration import read_calibration
from biometrics.engine.errors import FaceRefused, PhotoRefused
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import ENROLMENT
from biometrics.errors import AlreadyEnrolledAs, EnrolmentPhotoRefused, PhotoRepeated, PhotosDisagree, PhotosMissing
from biometrics.gallery import Search, search_same_face, vector_to_bytes
from biometrics.models import Consent, Evidence, EvidenceKind, Person, Template, TemplatePhoto
from biometrics.people import display_name
from biometrics.vault import seal_evidence
from ledger.submission import submit

# No calibration row goes beyond five photos, so no template does.
LEAST_PHOTOS, MOST_PHOTOS = 1, 5
AGREEMENT_FMR = "1e-3"
DUPLICATE_FMR = "1e-4"


@dataclass(frozen=True, eq=False)
class _Capture:
    """One photo of the enrolment: its bytes without metadata, its face, and a digest of its pixels."""

    encoded: bytes
    face: Face
    pixels_sha256: bytes


def enrol_person(*, person: Person, photos: Sequence[bytes], enrolled_by: User) -> Template:
    """
    Make the person's next template of ``photos`` and submit the ``enrolment`` entry; the template before it ends.

    :param photos: 1 to 5 encoded stills of the person alone
    :raises Refusal: consent_missing, photos_missing, enrolment_photo_refused, photo_repeated, photos_disagree,
        already_enrolled
    """
    standing_consent(person)
    captures = _examine(photos)
    descriptors = [capture.face.descriptor for capture in captures]
    _require_agreement(captures)
    search = search_same_face(descriptors, target_fmr=DUPLICATE_FMR, other_than=person)
    _require_nobody_else(search)
    vector = comparison.template(descriptors)
    with transaction.atomic():
        # The lock orders two enrolments of the same person; the second search covers whoever was enrolled meanwhile.
        person = Person.objects.select_for_update().get(pk=person.pk)
        consent = standing_consent(person)
        _require_nobody_else(
            search_same_face(descriptors, target_fmr=DUPLICATE_FMR, other_than=person, searched_before=search.searched)
        )
        sealed = seal_evidence(person=person, kind=EvidenceKind.TEMPLATE, value=vector_to_bytes(vector))
        sealed_photos = [
            seal_evidence(person=person, kind=EvidenceKind.PHOTO, value=capture.encoded) for capture in captures
        ]
        return _store_template(person, consent, sealed, sealed_photos, enrolled_by)


def _examine(photos: Sequence[bytes]) -> list[_Capture]:
    if not LEAST_PHOTOS <= len(photos) <= MOST_PHOTOS:
        raise PhotosMissing(least=LEAST_PHOTOS, most=MOST_PHOTOS, given=len(photos))
    captures: list[_Capture] = []
    for number, data in enumerate(photos, start=1):
        try:
            photo = decode_photo(data)
            face = analyse(photo, policy=ENROLMENT)
        except (PhotoRefused, FaceRefused) as refusal:
            raise EnrolmentPhotoRefused(photo=number, reason=refusal.sentence, reason_code=refusal.code) from refusal
        capture = _Capture(photo.encoded, face, hashlib.sha256(photo.rgb.tobytes()).digest())
        for earlier, other in enumerate(captures, start=1):
            # The mean of a photo and itself gains nothing, and would claim the threshold of two.
            if other.pixels_sha256 == capture.pixels_sha256:
                raise PhotoRepeated(photo=number, same_as=earlier)
        captures.append(capture)
    return captures


def _require_agreement(captures: Sequence[_Capture]) -> None:
    """Name the photo that disagrees with most of the others; of two, the second."""
    agrees = read_calibration().threshold(k=1, m=1, target_fmr=AGREEMENT_FMR)
    against = [0] * len(captures)
    for (first, one), (second, other) in itertools.combinations(enumerate(captures), 2):
        if not agrees.accepts(comparison.distance_e4(one.face.descriptor, other.face.descriptor)):
            against[first] += 1
            against[second] += 1
    worst = max(range(len(captures)), key=lambda number: (against[number], number))
    if against[worst]:
        raise PhotosDisagree(photo=worst + 1)


def _require_nobody_else(search: Search) -> None:
    if search.hit is not None:
        other = search.hit.person
        raise AlreadyEnrolledAs(name=display_name(other), person=str(other.pk))


def _store_template(
    person: Person, consent: Consent, sealed: Evidence, photos: Sequence[Evidence], enrolled_by: User
) -> Template:
    newest = person.templates.order_by("-version").first()
    person.templates.filter(active=True).update(active=False)
    models = analysis.models()
    template = Template(
        id=uuid.uuid4(),
        person=person,
        version=newest.version + 1 if newest else 1,
        k=len(photos),
        evidence=sealed,
        consent=consent,
        landmarks_sha256=models["landmarks"]["sha256"],
        descriptor_sha256=models["descriptor"]["sha256"],
        enrolled_by=enrolled_by,
    )
    template.statement = submit(
        kind="enrolment",
        subject=person.pk.urn,
        body=_entry_body(template, photos),
        key=f"enrolment:{template.pk}",
    )
    template.save()
    TemplatePhoto.objects.bulk_create(
        TemplatePhoto(template=template, evidence=photo, number=number) for number, photo in enumerate(photos, start=1)
    )
    return template


def _entry_body(template: Template, photos: Sequence[Evidence]) -> dict[str, Any]:
    """Build the ``enrolment`` body: opaque identifiers, digests and commitments alone."""
    consent = template.consent
    return {
        "person": template.person.pk.urn,
        "role": template.person.kind,
        "version": template.version,
        "k": template.k,
        "metric": comparison.METRIC,
        "template": template.evidence.commitment,
        "photos": [photo.commitment for photo in photos],
        "consent": {
            "id": consent.pk.urn,
            "purpose": consent.purpose,
            "retention": consent.retention,
            "language": consent.language,
            "text_version": consent.text_version,
            "text": consent.text_sha256,
        },
        "models": analysis.models(),
        "runtime": analysis.runtime(),
        "calibration": read_calibration().sha256,
        "enrolled_by": template.enrolled_by.pk.urn,
    }
