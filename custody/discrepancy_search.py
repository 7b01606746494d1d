"""The officers' queue: which discrepancies there are, the gravest and oldest first."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from django.db.models import Case, IntegerField, QuerySet, Value, When

from accounts.models import User
from custody.discrepancy_codes import Code, Severity
from custody.models import Discrepancy

_RANK = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}
STATES = ("open", "resolved", "all")
WHOSE = ("all", "mine", "unassigned")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query string asks for; what it cannot mean is left out."""

    state: str = "open"
    whose: str = "all"
    severity: str = ""
    code: str = ""
    shipment: uuid.UUID | None = None

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Self:
        try:
            shipment = uuid.UUID(asked.get("shipment", ""))
        except ValueError:
            shipment = None

        def known(name: str, values: Sequence[str], otherwise: str) -> str:
            value = asked.get(name, "")
            return value if value in values else otherwise

        return cls(
            state=known("state", STATES, "open"),
            whose=known("whose", WHOSE, "all"),
            severity=known("severity", Severity.values, ""),
            code=known("code", Code.values, ""),
            shipment=shipment,
        )

    def query(self, **changed: str) -> dict[str, str]:
        """Return it as parameters, some changed, and without those that say what is so anyhow."""
        plain = {"state": "open", "whose": "all"}
        named = {
            "state": self.state,
            "whose": self.whose,
            "severity": self.severity,
            "code": self.code,
            "shipment": str(self.shipment or ""),
        } | changed
        return {name: value for name, value in named.items() if value and plain.get(name) != value}


def find_discrepancies(*, asked: Asked, by: User) -> QuerySet[Discrepancy]:
    """Return what is asked for: open ones first, by severity, and of those the oldest first."""
    found = Discrepancy.objects.select_related("consignment", "reader", "site", "assignee", "statement", "resolution")
    if asked.state != "all":
        found = found.filter(outcome="") if asked.state == "open" else found.exclude(outcome="")
    if asked.whose != "all":
        found = found.filter(assignee=by if asked.whose == "mine" else None)
    if asked.severity:
        found = found.filter(severity=asked.severity)
    if asked.code:
        found = found.filter(code=asked.code)
    if asked.shipment is not None:
        found = found.filter(consignment=asked.shipment)
    rank = Case(*(When(severity=name, then=Value(rank)) for name, rank in _RANK.items()), output_field=IntegerField())
    closed = Case(When(outcome="", then=Value(0)), default=Value(1), output_field=IntegerField())
    newest = "-resolved_at" if asked.state == "resolved" else "opened_at"
    order = [newest] if asked.state == "resolved" else [closed, rank, newest]
    return found.order_by(*order, "pk")
