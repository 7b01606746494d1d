"""Who may receive a shipment: the people whose face can be verified. Names are opened for the screen alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from biometrics.directory import find_by_name, open_names
from biometrics.models import ConsentPurpose, Person
from biometrics.people import people_on_file
from custody.authorisations import UnauthorisedCustodian, who_may_not
from shipments.models import Consignment, Site

LISTED = 40


@dataclass(frozen=True)
class Receiver:
    person: Person
    name: str
    refusal: UnauthorisedCustodian | None = None


def find_receivers(text: str = "") -> list[Person]:
    """Keep whose name holds every word of ``text`` among those with an active template and a standing consent."""
    people = people_on_file().filter(
        templates__active=True, consents__purpose=ConsentPurpose.CUSTODY, consents__withdrawn_at=None
    )
    return find_by_name(list(people.distinct()), text)


def with_names(people: Sequence[Person]) -> list[Receiver]:
    """Name ``people`` for the screen, in their order; whose name does not open is left out."""
    names = open_names(people)
    return [Receiver(person, names[person.pk]) for person in people if person.pk in names]


def with_rights(people: Sequence[Person], *, consignment: Consignment, site: Site) -> list[Receiver]:
    """Name ``people``, and say who of them may not take the shipment at the site, and why."""
    named = {receiver.person: receiver.name for receiver in with_names(people)}
    refusals = who_may_not(people=named, consignment=consignment, site=site, at=timezone.now())
    return [Receiver(person, name, refusals.get(person.pk)) for person, name in named.items()]
