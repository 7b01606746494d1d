"""Which passages there were: at a crossing, between two moments, of a shipment, with an outcome."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from custody.models import DECISIONS, Crossing, Passage
from shipments.models import Consignment


@dataclass(frozen=True)
class Shares:
    """Of the passages that were decided: how many, and at how many the traveller showed no face."""

    decided: int
    without_face: int

    @property
    def percent(self) -> int:
        return round(100 * self.without_face / self.decided) if self.decided else 0


def find_passages(
    *,
    crossing: Crossing | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    consignment: Consignment | None = None,
    state: str = "",
) -> QuerySet[Passage]:
    """Return the passages that were begun in the span, the newest first."""
    found = Passage.objects.select_related(
        "crossing__read_point__site", "consignment", "traveller", "statement", "document", "opened_by"
    )
    if crossing is not None:
        found = found.filter(crossing=crossing)
    if since is not None:
        found = found.filter(opened_at__gte=since)
    if until is not None:
        found = found.filter(opened_at__lt=until)
    if consignment is not None:
        found = found.filter(consignment=consignment)
    if state:
        found = found.filter(state=state)
    return found


def count_shares(passages: QuerySet[Passage]) -> Shares:
    """Count who showed no face: never a reason to look closer at them; too many are one to look at the crossing."""
    decided = passages.filter(state__in=DECISIONS).order_by()
    return Shares(decided.count(), decided.exclude(without_face="").count())
