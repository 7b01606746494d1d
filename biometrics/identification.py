"""
One face against many (1:N): the threshold falls as the gallery grows, so that strangers stay below a set rate.

What comes out is a candidate with the rate it was found at. Who it is, is for a human to decide or for another factor.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.calibration import read_calibration
from biometrics.engine.search_calibration import GalleryTooLarge, SearchPoint, read_search_calibration
from biometrics.errors import GroupTooLarge
from biometrics.gallery import Opened, Row, open_enrolled
from biometrics.models import AuthorisedGroup, Consent, ConsentPurpose, Person

# Of a thousand strangers who are searched for, at most one resembles anybody in the gallery.
TARGET_FPIR = "1e-3"
# How much nearer strangers come to a mean of several photos is read from the 1:1 rows of this rate.
_FMR_OF_SHIFT = "1e-4"


@dataclass(frozen=True)
class Found:
    """A row of a gallery that a probe is near enough to."""

    row: Row
    distance_e4: int
    threshold_e4: int
    """The threshold of this row: a template of several photos has a lower one."""
    gallery_size: int
    point: SearchPoint


@dataclass(frozen=True)
class Candidate:
    """The member of a group whom a face is nearest to, and within the threshold."""

    person: Person
    distance_e4: int
    threshold_e4: int
    gallery_size: int
    target_fpir: str
    dataset: str
    basis: str


def search_gallery(gallery: Opened, descriptor: NDArray[np.float64]) -> Iterator[Found]:
    """
    Return the rows that ``descriptor`` is near enough to, the nearest first.

    :param descriptor: float64 of 128, of length one, of one photo
    :raises GalleryTooLarge: if no threshold keeps the rate in a gallery of this size
    """
    size = len(gallery.rows)
    if not size:
        return
    point = read_search_calibration().point(gallery_size=size, target_fpir=TARGET_FPIR)

    def threshold_e4(k: int) -> int:
        return threshold_of(point, k=k)

    for row, distance_e4 in gallery.find(descriptor, threshold_e4):
        yield Found(row, distance_e4, threshold_e4(row.k), size, point)


def threshold_of(point: SearchPoint, *, k: int) -> int:
    """
    Return the threshold, in ten-thousandths, of a template that is the mean of ``k`` photos.

    The search calibration was measured with single photos. Strangers come nearer to a mean of several, so that the same
    threshold would let more of them through: it is lowered by as much as the 1:1 calibration falls from 1 photo to k.
    """
    calibration = read_calibration()
    single, mean = (calibration.threshold(k=count, m=1, target_fmr=_FMR_OF_SHIFT) for count in (1, k))
    return point.threshold_e4 - max(0, single.threshold_e4 - mean.threshold_e4)


def identify(*, descriptor: NDArray[np.float64], group: AuthorisedGroup) -> Candidate | None:
    """
    Tell which member of ``group`` the face is, if it is near enough to one of those who are enrolled.

    :param descriptor: float64 of 128, of length one, of one photo
    :raises GroupTooLarge: if no threshold keeps the rate among so many
    """
    members = frozenset(group.members.values_list("pk", flat=True))
    gallery = open_enrolled().only(lambda row: row.person in members)
    try:
        near = list(search_gallery(gallery, descriptor))
    except GalleryTooLarge as error:
        raise GroupTooLarge(name=group.name, size=len(gallery.rows), largest=error.largest) from error
    for found in near:
        person = _still_identifiable(found.row, group)
        if person is not None:
            return Candidate(
                person=person,
                distance_e4=found.distance_e4,
                threshold_e4=found.threshold_e4,
                gallery_size=found.gallery_size,
                target_fpir=found.point.target_fpir,
                dataset=found.point.dataset,
                basis=found.point.basis,
            )
    return None


def _still_identifiable(row: Row, group: AuthorisedGroup) -> Person | None:
    """Ask the database once more: what was opened a moment ago may have been withdrawn, erased or replaced since."""
    consenting = Consent.objects.filter(purpose=ConsentPurpose.CUSTODY, withdrawn_at=None)
    return group.members.filter(
        pk=row.person,
        pk__in=consenting.values("person"),
        templates__pk=row.key,
        templates__active=True,
        erased_at=None,
        exempt=False,
    ).first()
