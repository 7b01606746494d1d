"""Who may receive a shipment, by name. Names are opened for the screen alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from biometrics.directory import find_by_name, open_names
from biometrics.models import Person
from custody.receivers import people_who_may_receive

LISTED = 40


@dataclass(frozen=True)
class Receiver:
    person: Person
    name: str


def find_receivers(text: str = "") -> list[Person]:
    """Keep whose name holds every word of ``text`` among those who may receive."""
    return find_by_name(list(people_who_may_receive()), text)


def with_names(people: Sequence[Person]) -> list[Receiver]:
    """Name ``people`` for the screen, in their order; whose name does not open is left out."""
    names = open_names(people)
    return [Receiver(person, names[person.pk]) for person in people if person.pk in names]
