"""
A live face against the portrait in the document that is presented: one to one, and nobody is enrolled.

No vector is kept. What is: the two photos and the document's number, sealed under a key of the traveller's own, so that
destroying the key destroys them.
"""

import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from numpy import float64
from numpy.typing import NDArray

from accounts.models import User
from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import Face, analyse_bytes
from biometrics.engine.calibration import Decision, read_calibration, resubmission_e4
from biometrics.engine.errors import FaceRefused, PhotoRefused
from biometrics.engine.photo import Photo
from biometrics.engine.quality import PROBE
from biometrics.errors import (
    DocumentNumberUnusable,
    DocumentPhotoRefused,
    FirstCaptureUsed,
    LivenessMissing,
    PersonExempt,
    PortraitMissing,
)
from biometrics.holds import require_not_erased
from biometrics.liveness import answer_challenge
from biometrics.models import (
    CaptureSource,
    DocumentMatch,
    Evidence,
    EvidenceKind,
    LivenessChallenge,
    Person,
    PersonKind,
    PresentedDocument,
    Verification,
)
from biometrics.people import display_name
from biometrics.replay import PhotoResubmitted, require_not_resubmitted
from biometrics.vault import NOT_OPENED, destroy_evidence, make_person_key, open_evidence, seal_evidence
from biometrics.verification import Burst, Still, liveness_required
from biometrics.watchlist import search_watchlist
from ledger.tlog import canonical
from ledger.tlog.times import format_time

MAX_NUMBER = 24
# The rule by which a portrait goes that is replaced, or whose owner declines the comparison; no entry names it yet.
WITHDRAWN = "portrait_withdrawn"

_NUMBER = re.compile(rf"[A-Z0-9]{{1,{MAX_NUMBER}}}", re.ASCII)
# What of a first capture stands in the record of the decision on both.
_OF_FIRST = (
    "verification", "distance_e4", "threshold_e4", "target_fmr", "quality", "faces_in_frame", "liveness", "captured_at",
    "device", "camera", "probe",
)  # fmt: skip


@dataclass(frozen=True)
class _Seen:
    photo: Photo
    face: Face
    liveness: dict[str, Any]
    challenge: LivenessChallenge | None = None


def keep_traveller(*, answerable: User) -> Person:
    """Make a record without a name for somebody who presents a document: it holds the key to what they show."""
    with transaction.atomic():
        person = Person.objects.create(kind=PersonKind.TRAVELLER, registered_by=answerable)
        make_person_key(person=person)
    return person


def read_document_number(text: str) -> str:
    """
    Fold what was typed or scanned: capitals and digits, without the spaces, dashes and fillers around them.

    :raises DocumentNumberUnusable:
    """
    folded = re.sub(r"[\s<\-./]", "", text).upper()
    if not _NUMBER.fullmatch(folded):
        raise DocumentNumberUnusable(limit=MAX_NUMBER)
    return folded


def present_document(
    *, person: Person, number: str, context: str, exempt: bool, presented_to: User
) -> PresentedDocument:
    """
    Store that a document was presented; its number is sealed under the person's key.

    :param number: as :func:`read_document_number` returns it
    :param context: the act that it is presented in, such as ``passage:<uuid>``
    :raises PersonErased:
    """
    require_not_erased(person)
    return PresentedDocument.objects.create(
        context=context,
        person=person,
        number=seal_evidence(person=person, kind=EvidenceKind.NUMBER, value=number.encode("ascii")),
        exempt=exempt,
        presented_to=presented_to,
    )


def examine_portrait(photo: bytes) -> Photo:
    """
    Return the photo of a document's portrait, once it is good enough to be compared; outside any lock.

    :raises DocumentPhotoRefused:
    """
    try:
        decoded, _face = analyse_bytes(photo, policy=PROBE)
    except (PhotoRefused, FaceRefused) as refusal:
        raise DocumentPhotoRefused(reason=refusal.sentence, reason_code=refusal.code) from refusal
    return decoded


def keep_portrait(*, document: PresentedDocument, portrait: Photo) -> None:
    """Seal the portrait; one that it replaces and that was compared with nothing is destroyed."""
    with transaction.atomic():
        person = Person.objects.select_for_update().get(pk=document.person_id)
        _require_comparable(person)
        withdraw_portrait(document=document)
        document.portrait = seal_evidence(person=person, kind=EvidenceKind.DOCUMENT, value=portrait.encoded)
        document.save(update_fields=["portrait"])


def withdraw_portrait(*, document: PresentedDocument) -> None:
    """Take the portrait off the document; where no comparison rests on it, it is destroyed at once."""
    portrait, document.portrait = document.portrait, None
    document.save(update_fields=["portrait"])
    if portrait is not None and not DocumentMatch.objects.filter(portrait=portrait).exists():
        destroy_evidence(evidence=portrait, destroyed_for=WITHDRAWN)


def keep_as_disputed(*, document: PresentedDocument) -> None:
    """Keep what was presented for as long as a dispute about it may take; an exempt person's goes all the same."""
    PresentedDocument.objects.filter(pk=document.pk).update(disputed=True)


def match_document(
    *,
    document: PresentedDocument,
    capture: Still | Burst,
    source: CaptureSource,
    attempts_before: int,
    requested_by: User,
    camera: str = "",
    first_capture: DocumentMatch | None = None,
) -> DocumentMatch:
    """
    Compare the live face with the document's portrait and store the outcome, whichever it is.

    The live face is also searched on the watchlist; what is found stands in ``leads``.

    :param first_capture: the comparison that asked for this second capture: the mean of both is decided on
    :raises Refusal: portrait_missing, person_erased, person_exempt, liveness_missing, liveness_failed,
        photo_resubmitted, first_capture_used, and what :mod:`biometrics.engine.errors` names; nothing was decided then
    """
    person, portrait = document.person, document.portrait
    _require_comparable(person)
    if portrait is None:
        raise PortraitMissing
    printed = analyse_bytes(open_evidence(portrait), policy=PROBE)[1]
    seen = _look(capture, requested_by)
    _require_new(document, seen.face.descriptor, printed.descriptor)
    probes = [seen.face.descriptor]
    if first_capture is not None:
        probes.insert(0, _descriptor_of_first(first_capture, portrait))
    distance_e4 = comparison.distance_e4(comparison.template(probes), printed.descriptor)
    # The distance is symmetric: the captures are the k that are averaged, the portrait is the one they are held to.
    decision = read_calibration().decide(distance_e4, k=len(probes), m=1, may_capture_again=first_capture is None)
    match = DocumentMatch(
        id=uuid.uuid4(),
        document=document,
        portrait=portrait,
        first_capture=first_capture,
        challenge=seen.challenge,
        outcome=decision.outcome,
        distance_e4=distance_e4,
        requested_by=requested_by,
    )
    with transaction.atomic():
        # Compared without a lock: what was erased or taken back meanwhile no longer counts.
        _require_comparable(Person.objects.select_for_update().get(pk=person.pk))
        if not PresentedDocument.objects.filter(pk=document.pk, portrait=portrait).exists():
            raise PortraitMissing
        if first_capture is not None and DocumentMatch.objects.filter(first_capture=first_capture).exists():
            raise FirstCaptureUsed()
        match.probe = seal_evidence(person=person, kind=EvidenceKind.PROBE, value=seen.photo.encoded)
        record = _record(match, seen, decision, printed, k=len(probes))
        record |= {
            "captured_at": format_time(capture.captured_at),
            "device": str(source),
            "attempt": attempts_before + 1,
        }
        if camera:
            match.camera = seal_evidence(person=person, kind=EvidenceKind.NOTE, value=camera.encode())
            record["camera"] = match.camera.commitment
        if first_capture is not None:
            first = first_capture.record
            record["first_capture"] = {name: first[name] for name in _OF_FIRST if name in first}
        match.record_json = canonical.encode(record)
        match.save()
        leads = search_watchlist(descriptor=seen.face.descriptor, probe=match.probe, person=person)
        match.leads.set(leads)
        if leads or match.outcome == Verification.Outcome.NO_MATCH:
            keep_as_disputed(document=document)
    return match


def _require_comparable(person: Person) -> None:
    require_not_erased(person)
    if person.exempt:
        raise PersonExempt(name=display_name(person))


def _look(capture: Still | Burst, answered_by: User) -> _Seen:
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


def _require_new(document: PresentedDocument, live: NDArray[float64], printed: NDArray[float64]) -> None:
    """:raises PhotoResubmitted: where the live photo is the portrait, or one that was shown before in this passage"""
    limit = resubmission_e4()
    if comparison.distance_e4(live, printed) <= limit:
        raise PhotoResubmitted(shown_as="document")
    for match in document.matches.select_related("probe"):
        before = _describe_again(match.probe)
        if before is not None and comparison.distance_e4(live, before) <= limit:
            raise PhotoResubmitted(shown_as="verification")
    require_not_resubmitted(person=document.person, descriptor=live)


def _describe_again(photo: Evidence) -> NDArray[float64] | None:
    """Describe a sealed photo anew: its pixels are kept and its vector is not."""
    with suppress(*NOT_OPENED, PhotoRefused, FaceRefused):
        return analyse_bytes(open_evidence(photo), policy=PROBE)[1].descriptor
    return None


def _descriptor_of_first(first: DocumentMatch, portrait: Evidence) -> NDArray[float64]:
    asked = first.outcome == Verification.Outcome.SECOND_CAPTURE and first.portrait_id == portrait.pk
    descriptor = _describe_again(first.probe) if asked else None
    if descriptor is None:
        raise FirstCaptureUsed()
    return descriptor


def _record(match: DocumentMatch, seen: _Seen, decision: Decision, printed: Face, *, k: int) -> dict[str, Any]:
    face, point = seen.face, decision.point
    quality = face.quality.as_record()
    if face.second_face_e4 is not None:
        quality["second_face_e4"] = face.second_face_e4
    return {
        "verification": match.pk.urn,
        "person": match.document.person_id.urn,
        "outcome": str(match.outcome),
        "distance_e4": match.distance_e4,
        "threshold_e4": point.threshold_e4,
        "metric": point.metric,
        "k": k,
        "m": 1,
        "target_fmr": point.target_fmr,
        "dataset": point.dataset,
        "calibration": read_calibration().sha256,
        "models": analysis.models(),
        "runtime": analysis.runtime(),
        "quality": quality,
        "faces_in_frame": face.faces_in_frame,
        "liveness": seen.liveness,
        "probe": match.probe.commitment,
        "portrait": match.portrait.commitment,
        "portrait_quality": printed.quality.as_record(),
    }
