"""
Holds: an authority's order to keep the evidence about a person. While one stands, nothing destroys anything of it.

Holding and destroying both lock the person's row first, so that neither slips in while the other decides.
"""

import uuid
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from biometrics.errors import HeldByAuthority, HoldAlreadyLifted, HoldAuthorityMissing, PersonErased
from biometrics.models import EvidenceHold, Person

MAX_AUTHORITY = 120


def place_hold(*, person: Person, authority: str, placed_by: User) -> EvidenceHold:
    """
    Keep everything held about a person until the hold is lifted.

    :param authority: who ordered it, and the file number; no names of persons
    :raises Refusal: hold_authority_missing, person_erased
    """
    authority = " ".join(authority.split())
    if not authority or len(authority) > MAX_AUTHORITY:
        raise HoldAuthorityMissing(limit=MAX_AUTHORITY)
    with transaction.atomic():
        person = Person.objects.select_for_update().get(pk=person.pk)
        require_not_erased(person)
        return EvidenceHold.objects.create(person=person, authority=authority, placed_by=placed_by)


def lift_hold(*, hold: EvidenceHold, lifted_by: User) -> EvidenceHold:
    """
    End a hold; what became due meanwhile goes with the next purge, unless another hold stands.

    :raises HoldAlreadyLifted:
    """
    now = timezone.now()
    with transaction.atomic():
        if not EvidenceHold.objects.filter(pk=hold.pk, lifted_at=None).update(lifted_by=lifted_by, lifted_at=now):
            raise HoldAlreadyLifted()
        hold.refresh_from_db()
    return hold


def require_not_held(person: Person) -> None:
    """:raises HeldByAuthority: while a hold stands; call with the person's row locked"""
    hold = person.holds.filter(lifted_at=None).order_by("placed_at").first()
    if hold is not None:
        raise HeldByAuthority(authority=hold.authority)


def require_not_erased(person: Person) -> None:
    """:raises PersonErased:"""
    if person.erased_at is not None:
        raise PersonErased(at=person.erased_at.date().isoformat())


def held(people: Iterable[Person]) -> frozenset[uuid.UUID]:
    """Return the ids of those on whom a hold stands."""
    found = EvidenceHold.objects.filter(person__in=list(people), lifted_at=None)
    return frozenset(found.values_list("person_id", flat=True))
