"""How a reader is doing, in a word: when it was last heard, and what it has sent since yesterday."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.utils.formats import number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from shipments.models import RawReport, Reader
from shipments.reader_alerts import is_silent

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Health:
    """As partials/chip.html takes it."""

    tone: str
    icon: str
    word: str


def tell_health(reader: Reader, now: datetime) -> Health:
    if not reader.enabled:
        return Health("plain", "ban", _("Switched off"))
    if reader.last_seen_at is None:
        return Health("waiting", "hourglass", _("Never heard"))
    if is_silent(reader, now):
        return Health(
            "warn", "wifi-off", _("Silent for %(time)s") % {"time": timesince(reader.last_seen_at, now, depth=1)}
        )
    return Health("ok", "wifi", _("Connected"))


def tell_clock(reader: Reader) -> tuple[str, bool]:
    """Say in words how a reader's clock stands to ours, and whether that is wrong."""
    if reader.clock_skew_ms is None:
        return _("not measured yet"), False
    seconds = abs(reader.clock_skew_ms) / 1000
    if seconds <= settings.READER_CLOCK_SKEW_LIMIT:
        limit = f"{settings.READER_CLOCK_SKEW_LIMIT:g}"
        return _("within %(limit)s seconds of ours") % {"limit": limit}, False
    told = number_format(round(seconds), force_grouping=True)
    if reader.clock_skew_ms > 0:
        return _("%(seconds)s seconds ahead of ours: set it") % {"seconds": told}, True
    return _("%(seconds)s seconds behind ours: set it") % {"seconds": told}, True


def count_last_day(reader: Reader, now: datetime) -> dict[str, Any]:
    """What the reader sent within a day: reports, reads, reads known already, quarantined events, admitted gaps."""
    # With the read point, whose index leads to the day's rows: a reader may have millions of reports.
    reports = RawReport.objects.filter(read_point=reader.read_point_id, reader=reader, received_at__gte=now - DAY)
    return reports.order_by().aggregate(
        reports=Count("pk"), reads=Sum("reads_new"), quarantined=Sum("quarantined"), gaps=Sum("gaps")
    )
