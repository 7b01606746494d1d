"""
Enrolment: an identity document and live photos of one person become a sealed template, and an entry says so.

All face work is done before the transaction opens; inside it only rows are written and vectors compared.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.models import User
from biometrics.captures import LEAST_PHOTOS, MOST_PHOTOS, Agreement, Examined, examine
from biometrics.consent import consent_to_enrolment, describe_consent
from biometrics.duplicates import open_review, require_no_duplicate, told_apart
from biometrics.engine import analysis, comparison
from biometrics.engine.calibration import read_calibration, resubmission_e4
from biometrics.errors import FaceOnFile, PersonExempt
from biometrics.gallery import Hit, search_same_face, vector_to_bytes
from biometrics.holds import require_not_erased
from biometrics.models import Consent, Evidence, EvidenceKind, Person, Template, TemplatePhoto
from biometrics.people import display_name
from biometrics.vault import seal_evidence
from biometrics.watchlist import search_watchlist
from ledger.submission import submit

__all__ = ["DUPLICATE_FMR", "LEAST_PHOTOS", "MOST_PHOTOS", "enrol_person", "require_enrollable"]

DUPLICATE_FMR = "1e-4"


class _Found(Exception):
    """Carries a hit out of the transaction that it ends."""

    def __init__(self, hit: Hit) -> None:
        super().__init__(hit)
        self.hit = hit


def enrol_person(*, person: Person, photos: Sequence[bytes], document: bytes, enrolled_by: User) -> Template:
    """
    Make the person's next template of ``photos`` and submit the ``enrolment`` entry; the template before it ends.

    A face that is on file under another record is refused, and a question to an officer stays behind.

    :param photos: 3 to 5 encoded stills of the person alone, taken now
    :param document: the encoded photo of the identity document, whose face must be theirs
    :raises Refusal: person_erased, person_exempt, consent_missing, consent_outdated, duplicate_undecided,
        duplicate_confirmed, what :func:`biometrics.captures.examine` names, duplicate_found
    """
    require_enrollable(person)
    examined = examine(photos=photos, document=document)
    apart = told_apart(person)
    # Searched before, without a lock: a large gallery would hold everybody else's entries up.
    search = search_same_face(examined.descriptors, target_fmr=DUPLICATE_FMR, other_than=person, searched_before=apart)
    try:
        if search.hit is not None:
            raise _Found(search.hit)
        with transaction.atomic():
            # The lock orders two enrolments of one person; the second search covers whoever was enrolled meanwhile.
            person = Person.objects.select_for_update().get(pk=person.pk)
            consent = require_enrollable(person)
            late = search_same_face(
                examined.descriptors, target_fmr=DUPLICATE_FMR, other_than=person, searched_before=search.searched
            )
            if late.hit is not None:
                raise _Found(late.hit)
            template = _store(person, consent, examined, len(late.searched - apart), enrolled_by)
            _look_out(template, examined)
            return template
    except _Found as found:
        _ask_an_officer(person, found.hit, examined, enrolled_by)
        raise FaceOnFile() from found


def require_enrollable(person: Person) -> Consent:
    """
    Return the consent that an enrolment would rest on.

    :raises Refusal: person_erased, person_exempt, consent_missing, consent_outdated, duplicate_undecided,
        duplicate_confirmed
    """
    require_not_erased(person)
    if person.exempt:
        raise PersonExempt(name=display_name(person))
    consent = consent_to_enrolment(person)
    require_no_duplicate(person)
    return consent


def _ask_an_officer(person: Person, hit: Hit, examined: Examined, raised_by: User) -> None:
    point = read_calibration().threshold(k=hit.k, m=1, target_fmr=DUPLICATE_FMR)
    open_review(
        person=person,
        other=hit.person,
        capture=examined.captures[0].encoded,
        distance_e4=hit.distance_e4,
        threshold_e4=point.threshold_e4,
        target_fmr=point.target_fmr,
        raised_by=raised_by,
    )


def _look_out(template: Template, examined: Examined) -> None:
    """Search the watchlist for the template; whatever is found is for an officer and changes nothing here."""
    first = template.photos.select_related("evidence").get(number=1)
    search_watchlist(descriptor=examined.vector, probe=first.evidence, person=template.person)


def _store(person: Person, consent: Consent, examined: Examined, compared_with: int, enrolled_by: User) -> Template:
    newest = person.templates.order_by("-version").first()
    person.templates.filter(active=True).update(active=False)
    models = analysis.models()
    template = Template(
        id=uuid.uuid4(),
        person=person,
        version=newest.version + 1 if newest else 1,
        k=len(examined.captures),
        evidence=_seal(person, EvidenceKind.TEMPLATE, vector_to_bytes(examined.vector)),
        document=_seal(person, EvidenceKind.DOCUMENT, examined.document.encoded),
        consent=consent,
        landmarks_sha256=models["landmarks"]["sha256"],
        descriptor_sha256=models["descriptor"]["sha256"],
        enrolled_by=enrolled_by,
    )
    photos = [
        TemplatePhoto(
            template=template,
            evidence=_seal(person, EvidenceKind.PHOTO, capture.encoded),
            descriptor=_seal(person, EvidenceKind.DESCRIPTOR, vector_to_bytes(capture.descriptor)),
            number=number,
        )
        for number, capture in enumerate(examined.captures, start=1)
    ]
    template.statement = submit(
        kind="enrolment",
        subject=person.pk.urn,
        body=_entry_body(template, photos, examined, compared_with),
        key=f"enrolment:{template.pk}",
    )
    template.save()
    TemplatePhoto.objects.bulk_create(photos)
    return template


def _seal(person: Person, kind: EvidenceKind, value: bytes) -> Evidence:
    return seal_evidence(person=person, kind=kind, value=value)


def _entry_body(
    template: Template, photos: Sequence[TemplatePhoto], examined: Examined, compared_with: int
) -> dict[str, Any]:
    """Build the ``enrolment`` body: opaque identifiers, digests, commitments and whole numbers alone."""
    return {
        "person": template.person.pk.urn,
        "role": template.person.kind,
        "version": template.version,
        "k": template.k,
        "metric": comparison.METRIC,
        "template": template.evidence.commitment,
        "photos": [row.evidence.commitment for row in photos],
        "descriptors": [row.descriptor.commitment for row in photos if row.descriptor],
        "qualities": [capture.face.quality.as_record() for capture in examined.captures],
        "agreement": _agreement(examined.among_captures),
        "document": template.document.commitment if template.document else "",
        "document_quality": examined.document.face.quality.as_record(),
        "document_agreement": _agreement(examined.with_document),
        "resubmission_e4": resubmission_e4(),
        "duplicates": {"compared_with": compared_with, "target_fmr": DUPLICATE_FMR, "outcome": "none_found"},
        "consent": describe_consent(template.consent),
        "models": analysis.models(),
        "runtime": analysis.runtime(),
        "calibration": read_calibration().sha256,
        "enrolled_by": template.enrolled_by.pk.urn,
    }


def _agreement(agreement: Agreement) -> dict[str, Any]:
    point = agreement.point
    return {
        "distances_e4": list(agreement.distances_e4),
        "threshold_e4": point.threshold_e4,
        "k": point.k,
        "m": point.m,
        "target_fmr": point.target_fmr,
        "dataset": point.dataset,
    }
