"""What a site is watched for. A change is an entry: who may loosen a limit is seen to have loosened it."""

import zoneinfo
from collections.abc import Collection
from datetime import time
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from custody.models import SiteWatch
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.models import Site

MOST_HOURS = 24 * 366


class SiteWatchNotYours(Refusal):
    code = "site_watch_not_yours"
    message = _("Supervisors say what a site is watched for.")
    status = 403


class SiteWatchRefused(Refusal):
    code = "site_watch_refused"
    message = _("%(site)s was not changed: %(problem)s")
    status = 422


def watch_site(
    *,
    site: Site,
    by: User,
    days: Collection[int] = range(7),
    opens_at: time | None = None,
    closes_at: time | None = None,
    time_zone: str = "UTC",
    dwell_limit_h: int | None = None,
    latitude_e6: int | None = None,
    longitude_e6: int | None = None,
) -> SiteWatch:
    """
    Say when a site is open, for how long goods may stand there, and where it is; from now on.

    :param days: days of the week on which it is open, Monday 0
    :param opens_at: wall time in ``time_zone``; with ``closes_at`` or not at all
    :param dwell_limit_h: None for the limit that settings name
    :raises SiteWatchNotYours, SiteWatchRefused:
    """
    if not by.may(Capability.MANAGE_GOODS):
        raise SiteWatchNotYours
    told: dict[str, Any] = {
        "days": sum(1 << day for day in set(days) if 0 <= day < 7),
        "opens_at": opens_at,
        "closes_at": closes_at,
        "time_zone": time_zone,
        "dwell_limit_h": dwell_limit_h,
        "latitude_e6": latitude_e6,
        "longitude_e6": longitude_e6,
    }
    if problem := _problem(told):
        raise SiteWatchRefused(site=site.name, problem=problem)
    with transaction.atomic():
        Site.objects.select_for_update().get(pk=site.pk)
        watch = SiteWatch.objects.filter(site=site).first()
        if watch is not None and all(getattr(watch, name) == value for name, value in told.items()):
            return watch
        watch = SiteWatch(site=site, set_by=by, set_at=timezone.now(), **told)
        watch.save()
        body: dict[str, Any] = {
            "site": site.gln,
            "watch": {
                name: f"{value:%H:%M}" if isinstance(value, time) else value
                for name, value in told.items()
                if value is not None
            },
            "by": {"operator": by.pk.urn},
            "when": {"set_at": format_time(watch.set_at)},
        }
        # By its time to the microsecond: the same rule may come back after another one.
        key = f"site_watched:{site.pk}:{int(watch.set_at.timestamp() * 1_000_000)}"
        submit(kind="site_watched", subject=site.pk.urn, body=body, key=key)
    return watch


def _problem(told: dict[str, Any]) -> Any:
    opens_at, closes_at = told["opens_at"], told["closes_at"]
    if not told["days"]:
        return _("it has no day on which it is open.")
    if (opens_at is None) != (closes_at is None):
        return _("its hours have a beginning without an end, or an end without a beginning.")
    if opens_at is not None and opens_at == closes_at:
        return _("its hours end when they begin. Leave both empty for the whole day.")
    if told["time_zone"] not in zoneinfo.available_timezones():
        return _("its time zone is none of the IANA names, for instance America/Ciudad_Juarez.")
    if told["dwell_limit_h"] is not None and not 1 <= told["dwell_limit_h"] <= MOST_HOURS:
        return _("goods may stand for 1 to %(most)s hours.") % {"most": MOST_HOURS}
    latitude, longitude = told["latitude_e6"], told["longitude_e6"]
    if (latitude is None) != (longitude is None):
        return _("latitude and longitude are given together.")
    if latitude is not None and not (abs(latitude) <= 90_000_000 and abs(longitude) <= 180_000_000):
        return _("latitude is at most 90 degrees, longitude at most 180.")
    return ""
