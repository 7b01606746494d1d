"""Who declares: the people on file that an account may name as the one who submits a declaration."""

import uuid

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Person, PersonKind
from biometrics.people import people_on_file
from refusals import Refusal
from shipments.actors import Actor


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
