"""Whether a moment lies within allowed days and hours, in the wall time of their zone: also past midnight."""

import zoneinfo
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from custody.models.hours import EVERY_DAY, Hours


def days_of(hours: Hours) -> list[int]:
    """Return the allowed days of the week, Monday 0."""
    return [day for day in range(7) if hours.days >> day & 1]


def as_bits(days: Collection[int]) -> int:
    """Return the days of the week as they are stored; Monday is 0 and the lowest bit."""
    return sum(1 << day for day in set(days)) & EVERY_DAY


def within_hours(hours: Hours, moment: datetime) -> bool:
    """Tell whether ``moment`` lies within the hours. Hours past midnight count to the day on which they began."""
    local = moment.astimezone(zoneinfo.ZoneInfo(hours.time_zone))
    now, today = local.time().replace(tzinfo=None), local.weekday()
    if hours.opens_at is None or hours.closes_at is None:
        return today in days_of(hours)
    if hours.opens_at <= hours.closes_at:
        return today in days_of(hours) and hours.opens_at <= now < hours.closes_at
    if now >= hours.opens_at:
        return today in days_of(hours)
    return now < hours.closes_at and (today - 1) % 7 in days_of(hours)


def hours_problem(hours: Hours) -> Any:
    """Say what is wrong with the hours, as the end of a sentence; empty where nothing is."""
    if not hours.days:
        return _("it has no day of the week.")
    if (hours.opens_at is None) != (hours.closes_at is None):
        return _("its hours have a beginning without an end, or an end without a beginning.")
    if hours.opens_at is not None and hours.opens_at == hours.closes_at:
        return _("its hours end when they begin. Leave both empty for the whole day.")
    if hours.time_zone not in zoneinfo.available_timezones():
        return _("its time zone is none of the IANA names, for instance America/Ciudad_Juarez.")
    return ""
