"""Times as the log writes them: RFC 3339 in UTC with milliseconds, of fixed width, so that text order is time order."""

import re
from datetime import UTC, datetime

from ledger.tlog.errors import TimeMalformed, excerpt

# [0-9] and not \d: \d and int() accept the digits of other scripts.
_SHAPE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")


def format_time(moment: datetime) -> str:
    """
    Write an aware datetime as ``2026-11-22T14:05:09.123Z``; what is finer than a millisecond is cut off.

    :raises TimeMalformed: if the datetime is naive or leaves the years 1 to 9999 in UTC
    """
    if moment.utcoffset() is None:
        raise TimeMalformed("time", expected="a datetime with a time zone", found=excerpt(moment))
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        raise TimeMalformed("time", expected="the years 1 to 9999 in UTC", found=excerpt(moment)) from None
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_time(text: str) -> datetime:
    """
    Read what :func:`format_time` writes, and nothing else.

    :raises TimeMalformed: if the text has another shape or names no moment
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise TimeMalformed("time", expected="the form 2026-11-22T14:05:09.123Z", found=excerpt(text))
    year, month, day, hour, minute, second, millisecond = (int(part) for part in shape.groups())
    try:
        return datetime(year, month, day, hour, minute, second, millisecond * 1000, tzinfo=UTC)
    except ValueError as error:
        raise TimeMalformed("time", expected="a moment that exists", found=f"{excerpt(text)} ({error})") from None
