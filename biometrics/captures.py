"""
What an enrolment's photos must be to one another: sound each, several, of one face, and the face of the document.

Pure over bytes and vectors: nothing is read from the database and nothing is kept.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biometrics.engine import comparison
from biometrics.engine.analysis import Face, analyse
from biometrics.engine.calibration import OperatingPoint, read_calibration, resubmission_e4
from biometrics.engine.errors import FaceRefused, PhotoRefused
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import ENROLMENT, PROBE, CapturePolicy
from biometrics.errors import (
    DocumentDisagrees,
    DocumentIsCapture,
    DocumentPhotoRefused,
    EnrolmentPhotoRefused,
    PhotoRepeated,
    PhotosDisagree,
    PhotosMissing,
)

# Fewer gain too little (README of the calibration), and no calibration row goes beyond five photos.
LEAST_PHOTOS, MOST_PHOTOS = 3, 5
AGREEMENT_FMR = "1e-3"


@dataclass(frozen=True, eq=False)
class Capture:
    """One photo of the enrolment: its bytes without metadata, and its face."""

    encoded: bytes
    face: Face

    @property
    def descriptor(self) -> NDArray[np.float64]:
        return self.face.descriptor


@dataclass(frozen=True)
class Agreement:
    """How near faces came that must be one, and the operating point that said so."""

    point: OperatingPoint
    distances_e4: Sequence[int]


@dataclass(frozen=True, eq=False)
class Examined:
    """The photos of one enrolment, examined; ``vector`` is their template."""

    captures: Sequence[Capture]
    document: Capture
    vector: NDArray[np.float64]
    among_captures: Agreement
    """Each pair once, in the order 1-2, 1-3, …, 2-3, …"""
    with_document: Agreement
    """One distance: the template to the document."""

    @property
    def descriptors(self) -> list[NDArray[np.float64]]:
        return [capture.descriptor for capture in self.captures]


def examine(*, photos: Sequence[bytes], document: bytes) -> Examined:
    """
    Examine 3 to 5 stills of a person alone, and the photo of the identity document.

    :raises Refusal: photos_missing, enrolment_photo_refused, document_photo_refused, photo_repeated, photos_disagree,
        document_is_capture, document_disagrees
    """
    if not LEAST_PHOTOS <= len(photos) <= MOST_PHOTOS:
        raise PhotosMissing(least=LEAST_PHOTOS, most=MOST_PHOTOS, given=len(photos))
    captures = [_examine_capture(data, number) for number, data in enumerate(photos, start=1)]
    shown = _examine_document(document)
    _require_several(captures)
    among_captures = _require_agreement(captures)
    _require_document_of_its_own(captures, shown)
    vector = comparison.template([capture.descriptor for capture in captures])
    return Examined(captures, shown, vector, among_captures, _require_document_agrees(vector, len(captures), shown))


def _examine_capture(data: bytes, number: int) -> Capture:
    try:
        return _look(data, ENROLMENT)
    except (PhotoRefused, FaceRefused) as refusal:
        raise EnrolmentPhotoRefused(photo=number, reason=refusal.sentence, reason_code=refusal.code) from refusal


def _examine_document(data: bytes) -> Capture:
    """A picture printed on a card is small and flat: it must do for one comparison, and never makes a template."""
    try:
        return _look(data, PROBE)
    except (PhotoRefused, FaceRefused) as refusal:
        raise DocumentPhotoRefused(reason=refusal.sentence, reason_code=refusal.code) from refusal


def _look(data: bytes, policy: CapturePolicy) -> Capture:
    photo = decode_photo(data)
    return Capture(photo.encoded, analyse(photo, policy=policy))


def _require_several(captures: Sequence[Capture]) -> None:
    """The mean of a photo and itself gains nothing, and would claim the threshold of two."""
    same = resubmission_e4()
    for (first, one), (second, other) in itertools.combinations(enumerate(captures, start=1), 2):
        if comparison.distance_e4(one.descriptor, other.descriptor) <= same:
            raise PhotoRepeated(photo=second, same_as=first)


def _require_agreement(captures: Sequence[Capture]) -> Agreement:
    """Name the photo that disagrees with most of the others; of two, the second."""
    agrees = read_calibration().threshold(k=1, m=1, target_fmr=AGREEMENT_FMR)
    against, distances = [0] * len(captures), []
    for (first, one), (second, other) in itertools.combinations(enumerate(captures), 2):
        distances.append(comparison.distance_e4(one.descriptor, other.descriptor))
        if not agrees.accepts(distances[-1]):
            against[first] += 1
            against[second] += 1
    worst = max(range(len(captures)), key=lambda number: (against[number], number))
    if against[worst]:
        raise PhotosDisagree(photo=worst + 1)
    return Agreement(agrees, distances)


def _require_document_of_its_own(captures: Sequence[Capture], document: Capture) -> None:
    same = resubmission_e4()
    for number, capture in enumerate(captures, start=1):
        if comparison.distance_e4(capture.descriptor, document.descriptor) <= same:
            raise DocumentIsCapture(photo=number)


def _require_document_agrees(vector: NDArray[np.float64], k: int, document: Capture) -> Agreement:
    point = read_calibration().threshold(k=k, m=1, target_fmr=AGREEMENT_FMR)
    distance_e4 = comparison.distance_e4(vector, document.descriptor)
    if not point.accepts(distance_e4):
        raise DocumentDisagrees()
    return Agreement(point, [distance_e4])
