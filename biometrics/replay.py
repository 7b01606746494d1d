"""
A photo that was shown before is not a live face: a distance near zero to a stored photo of the person gives it away.

Two photos of one face are never that near (biometrics/calibration/resubmission.csv), unless one is made of the other.
"""

import uuid

import numpy as np
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from biometrics.engine import comparison
from biometrics.engine.analysis import analyse_bytes
from biometrics.engine.calibration import resubmission_e4
from biometrics.engine.errors import FaceRefused, PhotoRefused
from biometrics.engine.quality import PROBE
from biometrics.gallery import vector_from_bytes
from biometrics.models import Evidence, Person
from biometrics.vault import NOT_OPENED, open_evidence, open_many
from refusals import Refusal

# How many of the person's verifications are looked back on, newest first.
LOOK_BACK = 50


class PhotoResubmitted(Refusal):
    """``shown_as`` among the facts says as what it was seen before: enrolment, document or verification."""

    code = "photo_resubmitted"
    message = _("This picture was shown before. The person has to stand in front of the camera now.")
    status = 422


def require_not_resubmitted(*, person: Person, descriptor: NDArray[np.float64]) -> None:
    """
    Refuse a face that is, to the pixel or nearly, a photo kept of this person.

    Compared with every photo of their enrolments, the active template's document and their newest verifications; what
    was destroyed or does not open is passed over.

    :param descriptor: float64 of 128, of length one
    :raises PhotoResubmitted:
    """
    limit = resubmission_e4()
    for shown_as, stored in _stored(person):
        if comparison.distance_e4(stored, descriptor) <= limit:
            raise PhotoResubmitted(shown_as=shown_as)


def _stored(person: Person) -> list[tuple[str, NDArray[np.float64]]]:
    kept = Evidence.objects.filter(person=person, destroyed_at=None)
    enrolled = list(kept.filter(pk__in=_photo_descriptors(person)))
    verified = list(kept.filter(pk__in=_probe_descriptors(person)))
    opened = open_many([*enrolled, *verified])
    found = [("enrolment", row) for row in enrolled] + [("verification", row) for row in verified]
    vectors = [(shown_as, vector_from_bytes(opened[row.pk])) for shown_as, row in found if row.pk in opened]
    document = _document_descriptor(person)
    return vectors if document is None else [*vectors, ("document", document)]


def _photo_descriptors(person: Person) -> list[uuid.UUID]:
    rows = person.templates.exclude(photos__descriptor=None)
    return list(rows.values_list("photos__descriptor", flat=True))


def _probe_descriptors(person: Person) -> list[uuid.UUID]:
    rows = person.verifications.exclude(descriptor=None).order_by("-created_at")
    return list(rows.values_list("descriptor", flat=True)[:LOOK_BACK])


def _document_descriptor(person: Person) -> NDArray[np.float64] | None:
    """Describe the document's photo anew: its pixels are kept and its descriptor is not."""
    template = person.templates.filter(active=True).exclude(document=None).select_related("document").first()
    if template is None or template.document is None:
        return None
    try:
        _photo, face = analyse_bytes(open_evidence(template.document), policy=PROBE)
    except (*NOT_OPENED, PhotoRefused, FaceRefused):
        return None
    return face.descriptor
