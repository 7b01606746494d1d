"""Who does something to the goods: the account that is logged in, and the person who stands behind the act."""

import uuid
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
