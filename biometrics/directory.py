"""
Many people's names at once, for a screen.

A name that does not open is left out, so that one altered row hides nobody else.
"""

import unicodedata
import uuid
from collections.abc import Iterable, Sequence

from biometrics.errors import EvidenceNotOpened, MasterKeyMalformed, MasterKeyMissing, MasterKeyWrong, PersonKeyMissing
from biometrics.models import Evidence, EvidenceKind, Person
from biometrics.vault import open_evidence

NOT_OPENED = (EvidenceNotOpened, PersonKeyMissing, MasterKeyMalformed, MasterKeyMissing, MasterKeyWrong)


def open_names(people: Iterable[Person]) -> dict[uuid.UUID, str]:
    """Open the newest name of each person; whoever's does not open is not in the answer."""
    sealed = Evidence.objects.filter(person__in=list(people), kind=EvidenceKind.NAME).order_by("created_at")
    names: dict[uuid.UUID, str] = {}
    for evidence in {row.person_id: row for row in sealed}.values():
        try:
            names[evidence.person_id] = open_evidence(evidence).decode("utf-8")
        except NOT_OPENED:
            continue
    return names


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
