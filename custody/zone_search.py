"""Who was in a zone between two moments, and for how much of that time a camera was watching at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Prefetch, QuerySet

from custody.models import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent


@dataclass(frozen=True)
class Watch:
    """
    How a camera watched within the span asked about.

    ``gaps`` are the parts of it in which no frame arrived: nobody seen there means nothing.
    """

    camera: Camera
    watched: timedelta
    gaps: Sequence[tuple[datetime, datetime]]


def who_was_there(*, zone: Zone, since: datetime, until: datetime) -> QuerySet[ZoneEvent]:
    """Return the stays that touch the span, the earliest first, with their alerts."""
    return (
        ZoneEvent.objects.filter(zone=zone, last_seen_at__gte=since, first_seen_at__lte=until)
        .select_related("person", "camera")
        .prefetch_related(Prefetch("alerts", ZoneAlert.objects.select_related("statement")))
        .order_by("first_seen_at")
    )


def how_watched(*, zone: Zone, since: datetime, until: datetime) -> list[Watch]:
    """Return for each camera of the zone how much of the span it covered, and the gaps in between."""
    return [_watch(camera, since, until) for camera in zone.cameras.order_by("name")]


def _watch(camera: Camera, since: datetime, until: datetime) -> Watch:
    spans = CameraCoverage.objects.filter(camera=camera, until__gte=since, since__lte=until).order_by("since")
    gaps: list[tuple[datetime, datetime]] = []
    watched, reached = timedelta(), since
    for span in spans:
        begins, ends = max(span.since, since), min(span.until, until)
        if begins > reached:
            gaps.append((reached, begins))
        watched += max(timedelta(), ends - max(begins, reached))
        reached = max(reached, ends)
    if reached < until:
        gaps.append((reached, until))
    return Watch(camera, watched, gaps)
