"""Who may be named as the receiver of a handoff."""

from django.db.models import Q, QuerySet

from biometrics.models import ConsentPurpose, Person
from biometrics.people import people_on_file


def people_who_may_receive() -> QuerySet[Person]:
    """Return whose face can be verified, with a consent that stands, and who is exempt: an officer stands in there."""
    verified = Q(templates__active=True, consents__purpose=ConsentPurpose.CUSTODY, consents__withdrawn_at=None)
    return people_on_file().filter(verified | Q(exempt=True)).distinct()
