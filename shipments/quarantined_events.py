"""Events that could not be used, over all readers."""

from django.db.models import QuerySet

from shipments.models import QuarantinedEvent, Reader

# A count beyond says "and more": counting a million of them would take longer than showing any.
MOST_COUNTED = 1_000


def quarantined_events(*, reader: Reader | None = None, reason: str = "") -> QuerySet[QuarantinedEvent]:
    """Events of one reader or all, for one reason or any, newest first, each with its report but without its bytes."""
    events = QuarantinedEvent.objects.select_related("report__reader__read_point__site").defer("report__body")
    if reader is not None:
        events = events.filter(report__reader=reader)
    if reason:
        events = events.filter(reason=reason)
    return events.order_by("-id")


def count_quarantined(*, reader: Reader | None = None, reason: str = "") -> int:
    """Return how many there are, at most :data:`MOST_COUNTED` and one."""
    return quarantined_events(reader=reader, reason=reason)[: MOST_COUNTED + 1].count()
