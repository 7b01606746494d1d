"""Officers are accounts with an enrolled person behind them, so that what they do names somebody."""

from django.utils.translation import gettext_lazy as _

from accounts.models import User
from biometrics.models import Person
from refusals import Refusal


class OfficerNotOnFile(Refusal):
    code = "officer_not_on_file"
    message = _(
        "No enrolled person belongs to the account %(account)s. A supervisor enrols the officer and names the account."
    )


def person_of_officer(account: User) -> Person:
    """Return the person behind the account. :raises OfficerNotOnFile:"""
    officer = Person.objects.filter(user=account, erased_at=None).first()
    if officer is None:
        raise OfficerNotOnFile(account=account.get_username())
    return officer
