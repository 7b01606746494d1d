"""
Erasure of a person: key, values and openings are destroyed, and an ``erasure`` entry says by which right.

Rows stay where others refer to them, opaque: identifiers, commitments that open nothing, and what the ledger says.
"""

import math
from collections import Counter
from typing import Any

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.errors import ErasureNotAllowed, ErasureRightUnknown
from biometrics.holds import require_not_erased, require_not_held
from biometrics.models import Badge, Evidence, LivenessChallenge, Person, Pin, WatchlistEntry
from biometrics.remains import clear_remains
from biometrics.retention import COMMITMENTS_AN_ENTRY
from biometrics.vault import destroy_evidence, destroy_person_key
from ledger.submission import Draft, submit_all


class Right(models.TextChoices):
    ERASURE = "erasure", _("The person asks for erasure")
    WITHDRAWN = "consent_withdrawn", _("The person withdrew the consent")
    PURPOSE_ENDED = "purpose_ended", _("The purpose has ended: the person no longer handles shipments here")
    UNLAWFUL = "unlawful", _("It was recorded without a lawful ground")


def erase_person(*, person: Person, erased_by: User, right: str) -> Person:
    """
    Destroy everything that is held about a person: key, name, photos, templates, probes, notes, PIN and badges.

    The account that the person logs in with is closed, and kept: entries name it as who acted. One transaction: after a
    crash all of it stands, or nothing does. The bytes in the database's files are cleared after the commit.

    :param right: one of :class:`Right`
    :raises Refusal: erasure_not_allowed, erasure_right_unknown, person_erased, held_by_authority
    """
    if not erased_by.may(Capability.ERASE_PEOPLE):
        raise ErasureNotAllowed(user=erased_by.get_username())
    if right not in Right.values:
        raise ErasureRightUnknown()
    with transaction.atomic():
        # The lock orders this with holds, purges and enrolments of the same person.
        person = Person.objects.select_for_update().get(pk=person.pk)
        require_not_erased(person)
        require_not_held(person)
        destroyed = _destroy_values(person, right)
        _end_what_stands(person, erased_by)
        submit_all(_drafts(person, right, erased_by, destroyed))
        # After the commit and not in it: no page is cleared while the transaction may still be rolled back.
        transaction.on_commit(clear_remains, robust=True)
    return person


def _destroy_values(person: Person, right: str) -> list[Evidence]:
    destroy_person_key(person=person)
    kept = Evidence.objects.filter(person=person, destroyed_at=None).order_by("created_at").defer("ciphertext", "nonce")
    destroyed = [row for row in kept if destroy_evidence(evidence=row, destroyed_for=right)]
    Pin.objects.filter(person=person).delete()
    Badge.objects.filter(person=person).delete()
    return destroyed


def _end_what_stands(person: Person, erased_by: User) -> None:
    now = timezone.now()
    person.templates.filter(active=True).update(active=False)
    person.consents.filter(withdrawn_at=None).update(withdrawn_at=now)
    person.challenges.filter(outcome=LivenessChallenge.Outcome.OPEN).update(
        outcome=LivenessChallenge.Outcome.FAILED, answered_at=now, failed_for="person_erased"
    )
    person.groups.clear()
    WatchlistEntry.objects.filter(subject=person, removed_at=None).update(removed_at=now, removed_by=erased_by)
    if person.user is not None:
        person.user.is_active = False
        person.user.save(update_fields=["is_active"])
    person.erased_at = now
    person.save(update_fields=["erased_at"])


def _drafts(person: Person, right: str, erased_by: User, destroyed: list[Evidence]) -> list[Draft]:
    """One entry for every 500 commitments; the counts stand whole in each."""
    parts = max(1, math.ceil(len(destroyed) / COMMITMENTS_AN_ENTRY))
    whole: dict[str, Any] = {
        "person": person.pk.urn,
        "scope": "person",
        "right": right,
        "by": erased_by.pk.urn,
        "kinds": {str(kind): count for kind, count in sorted(Counter(row.kind for row in destroyed).items())},
        "parts": parts,
    }
    return [
        Draft(
            kind="erasure",
            subject=person.pk.urn,
            body={
                **whole,
                "part": part + 1,
                "destroyed": [
                    row.commitment for row in destroyed[part * COMMITMENTS_AN_ENTRY : (part + 1) * COMMITMENTS_AN_ENTRY]
                ],
            },
            key=f"erasure:{person.pk}:{part + 1}",
        )
        for part in range(parts)
    ]
