"""
What the product says when it declines to act: a stable code for machines, a sentence for the person in front of it.

Every app raises subclasses of :class:`Refusal`; the web pages and the API render them in one place each.
"""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

__all__ = ["Refusal"]


class Refusal(Exception):
    """
    An action declined for a reason that its user can read and act on.

    Subclasses set ``code`` (stable, snake_case), ``message`` (a translatable template with ``%(name)s`` fields) and the
    HTTP ``status`` that the API answers with.
    """

    code: ClassVar[str] = "refused"
    message: Any = _("The action was refused.")
    status: ClassVar[int] = 409

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(facts)

    @property
    def sentence(self) -> str:
        """What happened and what to do, in the reader's language."""
        return str(self.message) % self.facts if self.facts else str(self.message)

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"
