"""
Faces that nobody presents: who is in a picture of a place, and do they belong to those who may be there.

What comes out is what a camera's picture supports, no more: a face too small or turned is seen and not compared, and
one that nearly resembles a member is not called a stranger.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from accounts.models import User
from biometrics.engine import analysis, comparison
from biometrics.engine.calibration import read_calibration
from biometrics.engine.photo import Photo
from biometrics.engine.quality import PASSING, Quality, shortfalls
from biometrics.engine.search_calibration import GalleryTooLarge, read_search_calibration
from biometrics.gallery import open_enrolled, open_watchlist, vector_from_bytes, vector_to_bytes
from biometrics.identification import Found, identify, search_gallery
from biometrics.models import AuthorisedGroup, Evidence, EvidenceKind, Person, PersonKind
from biometrics.vault import NOT_OPENED, make_person_key, open_evidence, seal_evidence

# As near as this to a member, a face is neither theirs nor a stranger's (docs/faces.md: a second capture decides).
_NEAR_FMR = "1e-3"
# Two pictures of one stranger within a minute: a rate between two single photos.
_SAME_FMR = "1e-3"


class Standing(StrEnum):
    MEMBER = "member"
    ENROLLED = "enrolled"
    NEAR = "near"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class PasserBy:
    """One face of a picture. ``descriptor`` is float64 of 128, of length one; None where it is too poor to compare."""

    quality: Quality
    descriptor: NDArray[np.float64] | None
    shortfall: str = ""
    """The code of what the picture lacks most, where it lacks anything."""


@dataclass(frozen=True)
class Recognised:
    """Whom a face belongs to, as far as can be told, and by which measure; all whole numbers stand in entries."""

    standing: Standing
    person: Person | None = None
    measure: dict[str, int | str] | None = None


def look_for_faces(photo: Photo) -> list[PasserBy]:
    """Find every face of ``photo``, the largest first, and describe those that are clear enough, in one batch."""
    seen = analysis.sight_all(photo)
    lacking = [shortfalls(one.quality, PASSING) for one in seen]
    clear = [one for one, lacks in zip(seen, lacking, strict=True) if not lacks]
    described = iter(analysis.describe_sightings(clear) if clear else ())
    return [
        PasserBy(one.quality, None, lacks[0].code) if lacks else PasserBy(one.quality, next(described))
        for one, lacks in zip(seen, lacking, strict=True)
    ]


def recognise(*, descriptor: NDArray[np.float64], group: AuthorisedGroup) -> Recognised:
    """
    Tell whether the face is a member's, another enrolled person's, or nobody's who is known.

    :raises GroupTooLarge: if no threshold keeps the rate among so many members
    """
    candidate = identify(descriptor=descriptor, group=group)
    if candidate is not None:
        return Recognised(
            Standing.MEMBER,
            candidate.person,
            _measure(candidate.distance_e4, candidate.threshold_e4, candidate.gallery_size)
            | {"target_fpir": candidate.target_fpir, "dataset": candidate.dataset, "basis": candidate.basis},
        )
    members = frozenset(group.members.values_list("pk", flat=True))
    enrolled = open_enrolled()
    nearly = enrolled.only(lambda row: row.person in members).find(
        descriptor, lambda k: read_calibration().threshold(k=k, m=1, target_fmr=_NEAR_FMR).threshold_e4
    )
    if next(nearly, None) is not None:
        return Recognised(Standing.NEAR)
    try:
        others = [hit for hit in search_gallery(enrolled, descriptor) if hit.row.person not in members]
    except GalleryTooLarge:
        # So many people are enrolled that none can be named among them: whoever is no member is a stranger here.
        return Recognised(Standing.UNKNOWN)
    for hit in others:
        person = Person.objects.filter(pk=hit.row.person, erased_at=None, exempt=False).first()
        if person is not None:
            return Recognised(Standing.ENROLLED, person, _measure_of(hit))
    return Recognised(Standing.UNKNOWN)


def resembles_watchlisted(descriptor: NDArray[np.float64]) -> bool:
    """Tell whether :func:`biometrics.watchlist.search_watchlist` would find anybody; nothing is recorded."""
    try:
        return next(search_gallery(open_watchlist(), descriptor), None) is not None
    except GalleryTooLarge:
        return False


def same_face(*, descriptor: NDArray[np.float64], stored: Evidence) -> int | None:
    """Return the distance to a stored descriptor of one photo, in ten-thousandths; None where it is another face."""
    try:
        before = vector_from_bytes(open_evidence(stored))
    except NOT_OPENED:
        return None
    point = read_calibration().threshold(k=1, m=1, target_fmr=_SAME_FMR)
    distance_e4 = comparison.distance_e4(before, descriptor)
    return distance_e4 if point.accepts(distance_e4) else None


def keep_stranger(*, answerable: User) -> Person:
    """Make a record without a name for somebody whom a camera saw: it holds the key that what is kept is sealed under.

    :param answerable: the account that put the camera there
    """
    with transaction.atomic():
        person = Person.objects.create(kind=PersonKind.UNKNOWN, registered_by=answerable)
        make_person_key(person=person)
    return person


def keep_descriptor(*, person: Person, descriptor: NDArray[np.float64]) -> Evidence:
    return seal_evidence(person=person, kind=EvidenceKind.DESCRIPTOR, value=vector_to_bytes(descriptor))


def keep_frame(*, person: Person, photo: Photo) -> Evidence:
    """Seal the whole picture, without its metadata, under the person's key."""
    return seal_evidence(person=person, kind=EvidenceKind.FRAME, value=photo.encoded)


def _measure_of(hit: Found) -> dict[str, int | str]:
    return _measure(hit.distance_e4, hit.threshold_e4, hit.gallery_size) | {
        "target_fpir": hit.point.target_fpir,
        "dataset": hit.point.dataset,
        "basis": hit.point.basis,
    }


def _measure(distance_e4: int, threshold_e4: int, gallery_size: int) -> dict[str, int | str]:
    return {
        "metric": comparison.METRIC,
        "m": 1,
        "distance_e4": distance_e4,
        "threshold_e4": threshold_e4,
        "gallery_size": gallery_size,
        "calibration": read_search_calibration().sha256,
    }
