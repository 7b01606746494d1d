"""Who does something to the goods: the account that is logged in, and the person who stands behind the act."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import User


@dataclass(frozen=True, slots=True)
class Actor:
    """
    An act's author. The goods know people by their random identifiers alone; ``custody`` says whose they are.

    :param account: who operated the screen or the program
    :param person: the person who acted, as ``biometrics`` has them on file
    """

    account: User
    person: uuid.UUID

    def body(self) -> dict[str, Any]:
        """The ``by`` of an entry's body."""
        return {"person": self.person.urn, "operator": self.account.pk.urn}


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What showed that the person themselves acted: made by ``custody``, opaque here, embedded whole in the entry.

    :param document: the SHA-256 of what the person was shown when they were verified; nothing else may be submitted
    :param parts: of the entry's body
    """

    document: str
    parts: Mapping[str, Any]
