"""Who held custody of a shipment in a span of time, by its accepted handoffs in the order in which they were sealed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from uuid import UUID

from biometrics.models import Person
from custody.models import Handoff, HandoffState
from shipments.models import Consignment


@dataclass(frozen=True, slots=True)
class CustodySpan:
    """From the handoff at which all was well, or from a time that was given, and who held custody since."""

    last_good: Handoff | None
    since: datetime | None
    custodians: list[Person]


def span_before(
    consignment: Consignment, until: datetime, *, leaving_out: Handoff | None, not_good: Collection[UUID | None] = ()
) -> CustodySpan:
    """
    Go back from ``until`` to the newest accepted handoff that is not among ``not_good``.

    Without one, the window reaches back to the first handoff, and has no beginning.

    :param leaving_out: a handoff that ends the window, and whose receiver is not in it
    """
    held: list[Handoff] = []
    last_good = None
    for handoff in reversed(_before(consignment, until, leaving_out)):
        held.append(handoff)
        if handoff.pk not in not_good:
            last_good = handoff
            break
    since = last_good.closed_at if last_good is not None else None
    # A clock that was set back makes no window end before it begins.
    return CustodySpan(last_good, min(since, until) if since else None, _persons(held[::-1]))


def who_held(
    consignment: Consignment, since: datetime, until: datetime, *, leaving_out: Handoff | None = None
) -> list[Person]:
    """Return who held custody at some moment from ``since`` to ``until``, in the order in which they took it."""
    handoffs = _before(consignment, until, leaving_out)
    held = [
        handoff
        for handoff, after in zip_longest(handoffs, handoffs[1:])
        if after is None or after.closed_at is None or after.closed_at > since
    ]
    return _persons(held)


def _before(consignment: Consignment, until: datetime, leaving_out: Handoff | None) -> list[Handoff]:
    accepted = Handoff.objects.filter(consignment=consignment, state=HandoffState.ACCEPTED, closed_at__lte=until)
    if leaving_out is not None:
        accepted = accepted.exclude(pk=leaving_out.pk)
        if leaving_out.statement_id is not None:
            accepted = accepted.filter(statement_id__lt=leaving_out.statement_id)
    return list(accepted.select_related("to_person", "statement").order_by("statement_id"))


def _persons(handoffs: list[Handoff]) -> list[Person]:
    return list({handoff.to_person_id: handoff.to_person for handoff in handoffs}.values())
