"""
The same face under two records: a question that an enrolment left, and that an officer answers once and for good.

Trusts the account that was authenticated. Either answer is an entry; neither names or shows anybody.
"""

import uuid
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Capability
from biometrics.errors import (
    DuplicateConfirmed,
    DuplicateDecidedBefore,
    DuplicateNoteMissing,
    DuplicateNotYours,
    DuplicateUndecided,
)
from biometrics.models import DuplicateReview, Evidence, EvidenceKind, Person, Template
from biometrics.vault import seal_evidence
from ledger.submission import submit
from ledger.tlog.times import format_time

KIND = "duplicate_decided"
MAX_NOTE = 500

_State = DuplicateReview.State


def open_review(
    *,
    person: Person,
    other: Person,
    capture: bytes,
    distance_e4: int,
    threshold_e4: int,
    target_fmr: str,
    raised_by: User,
) -> DuplicateReview:
    """
    Ask an officer whether ``person`` is ``other``; the question that waits already is returned where there is one.

    Call outside the transaction of the enrolment that is refused: it would take the question with it.

    :param capture: one encoded photo of ``person``, which the officer sees beside the other's
    """
    with transaction.atomic():
        # Locked, so that two enrolments at once do not both ask.
        person = Person.objects.select_for_update().get(pk=person.pk)
        waiting = DuplicateReview.objects.filter(person=person, other=other, state=_State.PENDING).first()
        return waiting or DuplicateReview.objects.create(
            person=person,
            other=other,
            capture=seal_evidence(person=person, kind=EvidenceKind.PHOTO, value=capture),
            distance_e4=distance_e4,
            threshold_e4=threshold_e4,
            target_fmr=target_fmr,
            raised_by=raised_by,
        )


def decide_duplicate(*, review: DuplicateReview, same_person: bool, decided_by: User, note: str) -> DuplicateReview:
    """
    Decide whether the two records are one person, and submit the ``duplicate_decided`` entry.

    Two different people may be enrolled from then on; of one person's two records this one never is.

    :param note: what the decision rests on, at most 500 characters; sealed under the person's key
    :raises Refusal: duplicate_not_yours, duplicate_note_missing, duplicate_decided_before
    """
    if not decided_by.may(Capability.DECIDE_DUPLICATES):
        raise DuplicateNotYours(user=decided_by.get_username())
    note = " ".join(note.split())
    if not note or len(note) > MAX_NOTE:
        raise DuplicateNoteMissing(limit=MAX_NOTE)
    with transaction.atomic():
        # Of two officers who decide at once, the second waits here and is then refused.
        review = DuplicateReview.objects.select_for_update().get(pk=review.pk)
        if review.state != _State.PENDING:
            raise DuplicateDecidedBefore(state=review.get_state_display())
        review.state = _State.SAME if same_person else _State.DIFFERENT
        review.decided_by, review.decided_at = decided_by, timezone.now()
        review.note = seal_evidence(person=review.person, kind=EvidenceKind.NOTE, value=note.encode("utf-8"))
        review.statement = submit(
            kind=KIND, subject=review.person_id.urn, body=_entry_body(review), key=f"{KIND}:{review.pk}"
        )
        review.save()
    return review


def require_no_duplicate(person: Person) -> None:
    """:raises Refusal: duplicate_undecided, duplicate_confirmed; a record in either state is not enrolled"""
    states = set(DuplicateReview.objects.filter(person=person).values_list("state", flat=True))
    if _State.SAME in states:
        raise DuplicateConfirmed()
    if _State.PENDING in states:
        raise DuplicateUndecided()


def told_apart(person: Person) -> frozenset[uuid.UUID]:
    """Return the active templates of everybody of whom an officer decided that ``person`` is not they."""
    decided = DuplicateReview.objects.filter(Q(person=person) | Q(other=person), state=_State.DIFFERENT)
    pairs = decided.values_list("person", "other")
    others = {other for pair in pairs for other in pair} - {person.pk}
    return frozenset(Template.objects.filter(active=True, person__in=others).values_list("pk", flat=True))


def faces_of(review: DuplicateReview) -> tuple[Evidence, Evidence | None]:
    """Return the photo that was taken, and the first of the other's newest template; None where there is none left."""
    newest = review.other.templates.order_by("-active", "-version").first()
    photo = newest.photos.select_related("evidence").first() if newest else None
    return review.capture, photo.evidence if photo else None


def _entry_body(review: DuplicateReview) -> dict[str, Any]:
    if review.decided_by is None or review.decided_at is None or review.note is None:
        raise ValueError(f"{review} is not decided")
    return {
        "review": review.pk.urn,
        "person": review.person_id.urn,
        "other": review.other_id.urn,
        "decision": str(review.state),
        "capture": review.capture.commitment,
        "distance_e4": review.distance_e4,
        "threshold_e4": review.threshold_e4,
        "target_fmr": review.target_fmr,
        "note": review.note.commitment,
        "raised_by": review.raised_by.pk.urn,
        "raised_at": format_time(review.raised_at),
        "decided_by": review.decided_by.pk.urn,
        "decided_at": format_time(review.decided_at),
    }
