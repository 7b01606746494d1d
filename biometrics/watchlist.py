"""
The watchlist: faces that two officers, by an authority and until a day, want to hear of when they appear.

A hit is a lead to an officer and never a verdict: nothing is refused, delayed or shown at the desk because of it. What
is told of a lead to anybody else is an entry of identifiers and commitments.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from accounts.roles import Capability
from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import Face, analyse_bytes
from biometrics.engine.calibration import read_calibration
from biometrics.engine.errors import FaceRefused, PhotoRefused
from biometrics.engine.quality import PROBE
from biometrics.engine.search_calibration import GalleryTooLarge, read_search_calibration
from biometrics.errors import (
    LeadDecidedBefore,
    PersonErased,
    PhotosDisagree,
    PhotosMissing,
    SecondOfficerNeeded,
    WatchlistAuthorityMissing,
    WatchlistConfirmedBefore,
    WatchlistEntryEnded,
    WatchlistExpiryUnusable,
    WatchlistFull,
    WatchlistNotYours,
    WatchlistPhotoRefused,
    WatchlistReasonMissing,
)
from biometrics.gallery import open_watchlist, standing_watchlist, vector_to_bytes
from biometrics.identification import TARGET_FPIR, Found, search_gallery
from biometrics.models import (
    Evidence,
    EvidenceKind,
    Person,
    PersonKind,
    Verification,
    WatchlistEntry,
    WatchlistLead,
    WatchlistPhoto,
)
from biometrics.vault import make_person_key, seal_evidence
from ledger.submission import submit
from ledger.tlog.times import format_time

CHANGED = "watchlist_changed"
LEAD = "watchlist_lead"
MOST_PHOTOS = 5
MAX_AUTHORITY = 120
MAX_REASON = 500
MAX_NAME = 120
# Whoever is to be looked for longer is proposed again, and two officers think again.
LONGEST = timedelta(days=366)
# Photos of years apart are what there is: laxer than an enrolment's, and two officers see them.
AGREEMENT_FMR = "1e-2"
# Within this time the same person and entry are the same lead, however often the face is captured.
SAME_LEAD = timedelta(hours=1)

logger = logging.getLogger(__name__)


# Who is on it -------------------------------------------------------------------------------------------------------


def propose_watchlisted(
    *,
    photos: Sequence[bytes],
    reason: str,
    authority: str,
    expires_at: datetime,
    proposed_by: User,
    name: str = "",
) -> WatchlistEntry:
    """
    Propose a face for the watchlist. It is searched for once another officer has confirmed it.

    :param photos: 1 to 5 encoded stills, each good enough for a probe, of one face
    :param reason: at most 500 characters; sealed
    :param authority: who ordered it, and the file number, at most 120 characters; the entry holds a commitment to it
    :param expires_at: at most 366 days from now
    :param name: sealed, where it is known
    :raises Refusal: watchlist_not_yours, watchlist_reason_missing, watchlist_authority_missing,
        watchlist_expiry_unusable, photos_missing, watchlist_photo_refused, photos_disagree
    """
    _require_keeper(proposed_by)
    reason = _require_reason(reason)
    authority, name = " ".join(authority.split()), " ".join(name.split())[:MAX_NAME]
    if not authority or len(authority) > MAX_AUTHORITY:
        raise WatchlistAuthorityMissing(limit=MAX_AUTHORITY)
    now = timezone.now()
    if not now < expires_at <= now + LONGEST:
        raise WatchlistExpiryUnusable(days=LONGEST.days)
    # The face work is done before the transaction opens.
    examined = _examine(photos)
    models = analysis.models()
    with transaction.atomic():
        subject = Person.objects.create(kind=PersonKind.WATCHLISTED, registered_by=proposed_by)
        make_person_key(person=subject)
        if name:
            _seal(subject, EvidenceKind.NAME, name)
        template = comparison.template([face.descriptor for _encoded, face in examined])
        entry = WatchlistEntry.objects.create(
            subject=subject,
            reason=_seal(subject, EvidenceKind.NOTE, reason),
            authority=authority,
            k=len(examined),
            template=_seal(subject, EvidenceKind.TEMPLATE, vector_to_bytes(template)),
            landmarks_sha256=models["landmarks"]["sha256"],
            descriptor_sha256=models["descriptor"]["sha256"],
            expires_at=expires_at,
            proposed_by=proposed_by,
        )
        kept = WatchlistPhoto.objects.bulk_create(
            WatchlistPhoto(entry=entry, evidence=_seal(subject, EvidenceKind.PHOTO, encoded), number=number)
            for number, (encoded, _face) in enumerate(examined, start=1)
        )
        _submit_change(
            entry,
            "proposed",
            proposed_by,
            entry.proposed_at,
            template=entry.template.commitment,
            photos=[photo.evidence.commitment for photo in kept],
            reason=entry.reason.commitment,
            authority=_seal(subject, EvidenceKind.NOTE, authority).commitment,
            expires_at=format_time(expires_at),
            k=entry.k,
            metric=comparison.METRIC,
            models=models,
            runtime=analysis.runtime(),
        )
    return entry


def confirm_watchlisted(*, entry: WatchlistEntry, confirmed_by: User) -> WatchlistEntry:
    """
    Confirm what another officer proposed: from now on the face is searched for.

    :raises Refusal: watchlist_not_yours, watchlist_entry_ended, watchlist_confirmed_before, second_officer_needed,
        watchlist_full
    """
    _require_keeper(confirmed_by)
    with transaction.atomic():
        entry = _lock_standing(entry)
        if entry.confirmed_at is not None:
            raise WatchlistConfirmedBefore()
        if entry.proposed_by_id == confirmed_by.pk:
            raise SecondOfficerNeeded(user=confirmed_by.get_username())
        _require_room()
        entry.confirmed_by, entry.confirmed_at = confirmed_by, timezone.now()
        entry.save(update_fields=["confirmed_by", "confirmed_at"])
        _submit_change(
            entry,
            "confirmed",
            confirmed_by,
            entry.confirmed_at,
            proposed_by=entry.proposed_by.pk.urn,
            template=entry.template.commitment,
            expires_at=format_time(entry.expires_at),
        )
    return entry


def remove_watchlisted(*, entry: WatchlistEntry, removed_by: User, reason: str) -> WatchlistEntry:
    """
    Take an entry off the watchlist, or withdraw a proposal; one officer is enough to stop looking for somebody.

    :param reason: at most 500 characters; sealed
    :raises Refusal: watchlist_not_yours, watchlist_reason_missing, watchlist_entry_ended
    """
    _require_keeper(removed_by)
    reason = _require_reason(reason)
    with transaction.atomic():
        entry = _lock_standing(entry)
        entry.removed_by, entry.removed_at = removed_by, timezone.now()
        entry.save(update_fields=["removed_by", "removed_at"])
        sealed = _seal(entry.subject, EvidenceKind.NOTE, reason)
        _submit_change(entry, "removed", removed_by, entry.removed_at, reason=sealed.commitment)
    return entry


def entry_state(entry: WatchlistEntry) -> str:
    """Name where an entry stands now: proposed, searched, expired or removed."""
    if entry.removed_at is not None:
        return "removed"
    if entry.expires_at <= timezone.now():
        return "expired"
    return "proposed" if entry.confirmed_at is None else "searched"


def _require_keeper(user: User) -> None:
    if not user.may(Capability.KEEP_WATCHLIST):
        raise WatchlistNotYours(user=user.get_username())


def _require_reason(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > MAX_REASON:
        raise WatchlistReasonMissing(limit=MAX_REASON)
    return text


def _require_room() -> None:
    """Refuse while an officer is there to hear it what would otherwise stop every search."""
    size = standing_watchlist().count() + 1
    try:
        read_search_calibration().point(gallery_size=size, target_fpir=TARGET_FPIR)
    except GalleryTooLarge:
        raise WatchlistFull(size=size - 1, rate=TARGET_FPIR) from None


def _lock_standing(entry: WatchlistEntry) -> WatchlistEntry:
    """Lock the entry, so that of two officers at once the second meets what the first did."""
    locked = (
        WatchlistEntry.objects.select_for_update(of=("self",))
        .select_related("subject", "template", "proposed_by")
        .get(pk=entry.pk)
    )
    if locked.removed_at is not None or locked.expires_at <= timezone.now() or locked.subject.erased_at is not None:
        raise WatchlistEntryEnded()
    return locked


def _examine(photos: Sequence[bytes]) -> list[tuple[bytes, Face]]:
    if not 1 <= len(photos) <= MOST_PHOTOS:
        raise PhotosMissing(least=1, most=MOST_PHOTOS, given=len(photos))
    examined = [_examine_one(data, number) for number, data in enumerate(photos, start=1)]
    agrees = read_calibration().threshold(k=1, m=1, target_fmr=AGREEMENT_FMR)
    first = examined[0][1].descriptor
    for number, (_encoded, face) in enumerate(examined[1:], start=2):
        if not agrees.accepts(comparison.distance_e4(first, face.descriptor)):
            raise PhotosDisagree(photo=number)
    return examined


def _examine_one(data: bytes, number: int) -> tuple[bytes, Face]:
    try:
        photo, face = analyse_bytes(data, policy=PROBE)
    except (PhotoRefused, FaceRefused) as refusal:
        raise WatchlistPhotoRefused(photo=number, reason=refusal.sentence, reason_code=refusal.code) from refusal
    return photo.encoded, face


def _submit_change(entry: WatchlistEntry, action: str, by: User, at: datetime, **facts: Any) -> None:
    submit(
        kind=CHANGED,
        subject=entry.subject_id.urn,
        body={
            "entry": entry.pk.urn,
            "person": entry.subject_id.urn,
            "action": action,
            "by": by.pk.urn,
            "at": format_time(at),
            **facts,
        },
        key=f"{CHANGED}:{entry.pk}:{action}",
    )


# What was found -----------------------------------------------------------------------------------------------------


def search_watchlist(
    *,
    descriptor: NDArray[np.float64],
    probe: Evidence,
    person: Person | None = None,
    verification: Verification | None = None,
) -> list[WatchlistLead]:
    """
    Search the watchlist for a face, and store a lead to an officer for each entry that it is near enough to.

    Call inside the transaction that stores the probe. Nothing that happens to the person depends on the answer.

    :param descriptor: float64 of 128, of length one, of one photo
    :param probe: the sealed photo, which the officer sees
    :param person: who it is said to be
    :returns: the leads, new ones and those of the last hour that say the same
    """
    try:
        found = list(search_gallery(open_watchlist(), descriptor))
    except GalleryTooLarge:
        # Confirming refuses before it comes to this; another calibration may have been set since.
        logger.exception("the watchlist was not searched: it is larger than the search calibration can answer for")
        return []
    # Asked once more: what was opened a moment ago may have been removed or erased since.
    standing = standing_watchlist().in_bulk([hit.row.key for hit in found])
    leads = []
    for hit in found:
        if hit.row.key in standing:
            lead = _lead_of_the_last_hour(hit, person) or _make_lead(
                standing[hit.row.key], hit, probe=probe, person=person, verification=verification
            )
            leads.append(lead)
    return leads


def _lead_of_the_last_hour(hit: Found, person: Person | None) -> WatchlistLead | None:
    if person is None:
        return None
    recent = WatchlistLead.objects.filter(entry=hit.row.key, person=person, found_at__gt=timezone.now() - SAME_LEAD)
    return recent.order_by("-found_at").first()


def _make_lead(
    entry: WatchlistEntry,
    hit: Found,
    *,
    probe: Evidence,
    person: Person | None,
    verification: Verification | None,
) -> WatchlistLead:
    lead = WatchlistLead(
        id=uuid.uuid4(),
        entry=entry,
        person=person,
        verification=verification,
        probe=probe,
        distance_e4=hit.distance_e4,
        threshold_e4=hit.threshold_e4,
        gallery_size=hit.gallery_size,
        target_fpir=hit.point.target_fpir,
    )
    # Who it is said to be stands in the row alone: the log is mirrored, and resembling somebody is no act.
    body = {
        "lead": lead.pk.urn,
        "entry": entry.pk.urn,
        "action": "found",
        "at": format_time(lead.found_at),
        "probe": probe.commitment,
        "metric": comparison.METRIC,
        "k": hit.row.k,
        "m": 1,
        "distance_e4": hit.distance_e4,
        "threshold_e4": hit.threshold_e4,
        "gallery_size": hit.gallery_size,
        "calibrated_size": hit.point.gallery_size,
        "target_fpir": hit.point.target_fpir,
        "dataset": hit.point.dataset,
        "basis": hit.point.basis,
        "calibration": read_search_calibration().sha256,
    }
    if verification is not None:
        body["verification"] = verification.pk.urn
    lead.statement = submit(kind=LEAD, subject=entry.subject_id.urn, body=body, key=f"{LEAD}:{lead.pk}")
    lead.save()
    return lead


def decide_lead(*, lead: WatchlistLead, confirmed: bool, decided_by: User, note: str) -> WatchlistLead:
    """
    Record what an officer makes of a lead, once: the two are one person, or they are not.

    :param note: what the decision rests on, at most 500 characters; sealed
    :raises Refusal: watchlist_not_yours, watchlist_reason_missing, lead_decided_before, person_erased
    """
    _require_keeper(decided_by)
    note = _require_reason(note)
    with transaction.atomic():
        lead = (
            WatchlistLead.objects.select_for_update(of=("self",))
            .select_related("entry__subject", "person")
            .get(pk=lead.pk)
        )
        if lead.state != WatchlistLead.State.OPEN:
            raise LeadDecidedBefore(state=lead.get_state_display())
        lead.state = WatchlistLead.State.CONFIRMED if confirmed else WatchlistLead.State.DISMISSED
        lead.decided_by, lead.decided_at = decided_by, timezone.now()
        lead.note = _seal(_whose_note(lead), EvidenceKind.NOTE, note)
        lead.decision = submit(
            kind=LEAD,
            subject=lead.entry.subject_id.urn,
            body={
                "lead": lead.pk.urn,
                "entry": lead.entry_id.urn,
                "action": "decided",
                "decision": str(lead.state),
                "note": lead.note.commitment,
                "by": decided_by.pk.urn,
                "at": format_time(lead.decided_at),
            },
            key=f"{LEAD}:{lead.pk}:decided",
        )
        lead.save()
    return lead


def _whose_note(lead: WatchlistLead) -> Person:
    """Seal the note under the key of whoever it speaks of, so that it goes when they are erased."""
    for person in (lead.person, lead.entry.subject):
        if person is not None and person.erased_at is None:
            return person
    raise PersonErased(at=(lead.entry.subject.erased_at or timezone.now()).date().isoformat())


def _seal(person: Person, kind: EvidenceKind, text: str | bytes) -> Evidence:
    return seal_evidence(person=person, kind=kind, value=text.encode("utf-8") if isinstance(text, str) else text)
