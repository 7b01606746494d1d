"""Who declares: whom an account may name as the one who submits, and what a version's entry says of its author."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Person, PersonKind
from biometrics.people import people_on_file
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from refusals import Refusal
from shipments.actors import Actor
from shipments.models import DeclarationVersion


class DeclarantUnknown(Refusal):
    code = "declarant_unknown"
    message = _(
        "Nothing was submitted: this person is not on file, or may not be named by this account. Choose another."
    )
    status = 422


def people_who_declare(account: User) -> QuerySet[Person]:
    """
    Return whom ``account`` may name: everybody on file for those who see people anyway.

    A representative sees the person of their own account, or, where it has none, other representatives.
    """
    people = people_on_file()
    if account.may(Capability.SEE_PEOPLE):
        return people
    if people.filter(user=account).exists():
        return people.filter(user=account)
    return people.filter(kind=PersonKind.REPRESENTATIVE)


def declaring(*, account: User, person: uuid.UUID) -> Actor:
    """Return the author of a submission. :raises DeclarantUnknown: where ``account`` may not name ``person``"""
    if not people_who_declare(account).filter(pk=person).exists():
        raise DeclarantUnknown
    return Actor(account=account, person=person)


@dataclass(frozen=True, slots=True)
class Author:
    """
    Who submitted a version, and what verified them, as its entry has it.

    :param person: an identifier as in entries
    :param face: the whole verification record; empty where no face was verified
    :param second_factor: empty where none was asked for
    """

    person: str
    face: dict[str, Any]
    second_factor: str

    def told(self) -> dict[str, Any] | None:
        """What the API says of it; None where nobody's face was verified."""
        if not self.face:
            return None
        named = ("verification", "outcome", "distance_e4", "threshold_e4", "captured_at")
        return {name: self.face.get(name) for name in named} | {"second_factor": self.second_factor or None}


def author_of(version: DeclarationVersion) -> Author:
    """Read the author from what was sealed, or waits to be; the row beside it is asked where neither can be read."""
    statement = version.statement
    try:
        if statement.entry is not None:
            body = parse_entry(bytes(statement.entry.note)).body
        else:
            body = canonical.decode(bytes(statement.body))
        return Author(body["by"]["person"], body.get("face", {}), body.get("second_factor", ""))
    except (TlogError, KeyError, TypeError, AttributeError):
        return Author(version.person.urn, {}, "")
