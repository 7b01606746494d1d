"""Authorised groups: who may be in a zone or do something together, each the gallery of its own identifications."""

from django.db import IntegrityError, transaction

from accounts.models import User
from biometrics.errors import GroupMemberUnusable, GroupNameUnusable
from biometrics.models import NEVER_REGISTERED, AuthorisedGroup, Person

MAX_NAME = 80


def make_group(*, name: str, made_by: User) -> AuthorisedGroup:
    """
    Make a group without members.

    :raises GroupNameUnusable: if the name is empty, too long, or that of another group
    """
    name = _clean(name)
    try:
        with transaction.atomic():
            return AuthorisedGroup.objects.create(name=name, made_by=made_by)
    except IntegrityError:
        raise GroupNameUnusable(limit=MAX_NAME) from None


def rename_group(*, group: AuthorisedGroup, name: str) -> AuthorisedGroup:
    """:raises GroupNameUnusable: as for :func:`make_group`"""
    group.name = _clean(name)
    try:
        with transaction.atomic():
            group.save(update_fields=["name"])
    except IntegrityError:
        raise GroupNameUnusable(limit=MAX_NAME) from None
    return group


def add_member(*, group: AuthorisedGroup, person: Person) -> None:
    """
    Put a person into a group; once is enough. A face that is not enrolled yet counts from its enrolment on.

    :raises GroupMemberUnusable: if the person is erased, exempt or on the watchlist
    """
    with transaction.atomic():
        # Locked, so that an erasure at the same time either sees the membership or is seen here.
        person = Person.objects.select_for_update().get(pk=person.pk)
        if person.erased_at is not None or person.exempt or person.kind in NEVER_REGISTERED:
            raise GroupMemberUnusable()
        group.members.add(person)


def remove_member(*, group: AuthorisedGroup, person: Person) -> None:
    """Take a person out of a group; nothing happens where they are not in it."""
    group.members.remove(person)


def _clean(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        raise GroupNameUnusable(limit=MAX_NAME)
    return name
