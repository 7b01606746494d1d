"""
Many people's names at once, for a screen.

A name that does not open is left out, so that one altered row hides nobody else.
"""

import unicodedata
import uuid
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from biometrics.errors import KeyServiceFailed, MasterKeyMalformed, MasterKeyMissing
from biometrics.models import Evidence, EvidenceKind, Person, PersonKind
from biometrics.vault import NOT_OPENED, open_many

__all__ = ["NOT_OPENED", "find_by_name", "open_names"]


def open_names(people: Iterable[Person]) -> dict[uuid.UUID, str]:
    """
    Open the newest name of each person, with one query for names and one for keys.

    Whoever's does not open is not in the answer. Who was erased is "Erased person", and a traveller without a name is
    called that, in the reader's language.
    """
    asked = list(people)
    sealed = Evidence.objects.filter(person__in=asked, kind=EvidenceKind.NAME).order_by("created_at")
    newest = {row.person_id: row for row in sealed}
    erased = {person.pk for person in asked if person.erased_at is not None}
    erased |= {who for who, row in newest.items() if row.destroyed_at is not None}
    try:
        opened = open_many(newest.values())
    except (KeyServiceFailed, MasterKeyMalformed, MasterKeyMissing):
        opened = {}
    names = {who: opened[row.pk].decode("utf-8") for who, row in newest.items() if row.pk in opened}
    names |= {person.pk: person.get_kind_display() for person in asked if person.kind == PersonKind.TRAVELLER}
    return names | dict.fromkeys(erased, _("Erased person"))


def find_by_name(people: Sequence[Person], text: str) -> list[Person]:
    """
    Keep whose name holds every word of ``text``, whatever its case and accents, in the order of the names.

    Names are sealed, so that no database can search them: each is opened.
    """
    words, names = _folded(text).split(), open_names(people)
    found = [person for person in people if person.pk in names and _holds(names[person.pk], words)]
    return sorted(found, key=lambda person: _folded(names[person.pk]))


def _holds(name: str, words: Sequence[str]) -> bool:
    folded = _folded(name)
    return all(word in folded for word in words)


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()
