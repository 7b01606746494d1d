"""RFC 3339 in UTC with milliseconds: one spelling of each moment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog.errors import TimeMalformed
from ledger.tlog.times import format_time, parse_time

MOMENT = datetime(2026, 11, 22, 14, 5, 9, 123_000, tzinfo=UTC)


def test_a_moment_and_its_text():
    assert format_time(MOMENT) == "2026-11-22T14:05:09.123Z"
    assert parse_time("2026-11-22T14:05:09.123Z") == MOMENT


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (MOMENT.astimezone(timezone(timedelta(hours=-7))), "2026-11-22T14:05:09.123Z"),
        (
            MOMENT.replace(microsecond=999_999),
            "2026-11-22T14:05:09.999Z",
        ),  # cut off, never rounded into the next second
        (MOMENT.replace(microsecond=0), "2026-11-22T14:05:09.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_it_is_written_in_utc_with_milliseconds(moment, text):
    assert format_time(moment) == text


@pytest.mark.parametrize(
    "moment",
    [MOMENT.replace(tzinfo=None), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))],
)
def test_a_moment_without_a_text_is_refused(moment):
    with pytest.raises(TimeMalformed):
        format_time(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22T14:05:09Z",
        "2026-11-22T14:05:09.12Z",
        "2026-11-22T14:05:09.1234Z",
        "2026-11-22T14:05:09,123Z",
        "2026-11-22T14:05:09.123z",
        "2026-11-22t14:05:09.123Z",
        "2026-11-22 14:05:09.123Z",
        "2026-11-22T14:05:09.123+00:00",
        "2026-11-22T14:05:09.123-07:00",
        "2026-11-22T14:05:09.123",
        "2026-11-22T14:05:09.123Z\n",
        " 2026-11-22T14:05:09.123Z",
        "26-11-22T14:05:09.123Z",
        "12026-11-22T14:05:09.123Z",
        "+2026-11-22T14:05:09.123Z",
        "2026-11-2٢T14:05:09.123Z",
        "２０２６-11-22T14:05:09.123Z",
        "2026-02-29T14:05:09.123Z",
        "2026-13-22T14:05:09.123Z",
        "0000-11-22T14:05:09.123Z",
        "2026-11-22T24:00:00.000Z",
        "2026-11-22T14:05:60.000Z",  # a leap second names no moment that Python or the others agree on
        "2026-W47-7T14:05:09.123Z",
    ],
)
def test_another_text_is_refused(text):
    with pytest.raises(TimeMalformed) as refused:
        parse_time(text)
    assert refused.value.found


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_texts_sort_as_their_moments_do(one, other):
    one, other = (moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in (one, other))
    assert parse_time(format_time(one)) == one
    assert (format_time(one) < format_time(other)) == (one < other)
