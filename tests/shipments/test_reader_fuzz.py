"""
Whatever bytes arrive: they are read or refused, by no other way than ReportUnreadable, and no event of them is lost.

``FUZZ_CASES`` is how many cases each dialect gets, a quarter of them in each test: 200, and 10,000 as the long form.
"""

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipments.epc import fold_epc
from shipments.readers import registry
from shipments.readers.json_body import ReportUnreadable
from shipments.readers.registry import DIALECTS, parse_report
from shipments.readers.report import Parsed
from tests.shipments.vendor_events import EPC, EVENTS, TID

CASES = int(os.environ.get("FUZZ_CASES", "200"))
often = settings(max_examples=max(1, CASES // 4), deadline=None, suppress_health_check=[HealthCheck.too_slow])
HINTS = st.sampled_from(["", *DIALECTS])

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
TELLING = st.sampled_from(
    [
        *(EPC, TID, "MHQle_cZTkAAABqF", "2026-11-02T07:24:00Z", 1788592021785, 2, -5750, 10**30, "HIGH", "", [], {}),
        *("tagInventory", "overflow", "gpiTransition", "CUSTOM", "gpi", "heartbeat", "low-to-high", "Error: none"),
    ]
)


def words(value: Any) -> set[str]:
    """Every key in the events of all dialects, so that one dialect's fields turn up in another's events."""
    if isinstance(value, dict):
        return set(value).union(*map(words, value.values()))
    return set().union(*map(words, value)) if isinstance(value, list) else set()


KEYS = st.sampled_from(sorted(words(list(EVENTS.values())) | {"reads", "gaps", "triggers", "tag_reads", "reader_name"}))
MADE_UP = st.recursive(
    VALUES | TELLING,
    lambda inner: st.dictionaries(KEYS, inner, max_size=6) | st.lists(inner, max_size=4),
    max_leaves=16,
)


@st.composite
def altered(draw: st.DrawFn, events: list[dict[str, Any]]) -> Any:
    """An event as its vendor has it, with up to three of its parts replaced, taken out or added."""
    event = json.loads(json.dumps(draw(st.sampled_from(events))))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = event
        while True:
            inside = place.values() if isinstance(place, dict) else place
            deeper = [one for one in inside if isinstance(one, dict | list) and one]
            if not deeper or draw(st.booleans()):
                break
            place = draw(st.sampled_from(deeper))
        key = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                place[key] = draw(TELLING | VALUES)
            case "remove":
                del place[key]
            case "add" if isinstance(place, dict):
                place[draw(KEYS)] = draw(TELLING | VALUES)
        if not event:
            break
    return event


def check(parsed: Parsed) -> None:
    """What the database requires of whatever a parser lets through."""
    for read in parsed.reads:
        assert fold_epc(read.epc_hex) == read.epc_hex
        assert 0 <= read.read_at_ns < 2**63
        assert read.reader_time.isascii()
        assert 0 < len(read.reader_time) <= 40
        assert read.antenna is None or 0 <= read.antenna <= 32767
        assert read.rssi_cdbm is None or -(2**31) <= read.rssi_cdbm < 2**31
        assert read.event_number is None or 0 <= read.event_number < 2**63
        assert len(read.tid) <= 64
    for trigger in parsed.triggers:
        assert 0 <= trigger.port <= 32767
        assert type(trigger.high) is bool
        assert 0 <= trigger.at_ns < 2**63
        assert 0 < len(trigger.reader_time) <= 40
    for gap in parsed.gaps:
        assert 0 <= gap.first_ns <= gap.last_ns < 2**63
        assert 0 <= gap.purged < 2**63
    for name in parsed.hostnames:
        assert name.isascii()
        assert name.isprintable()
        assert 0 < len(name) <= 253
    for fault in parsed.faults:
        assert fault.excerpt.isascii()
        assert len(fault.excerpt) <= 500
        assert "\x00" not in fault.excerpt
        assert len(fault.reason) <= 40
    positions = [fault.position for fault in parsed.faults]
    assert len(set(positions)) == len(positions)


def parse_whatever(body: bytes, hint: str = "") -> Parsed | None:
    try:
        parsed = parse_report(body, hint=hint)
    except ReportUnreadable:
        return None
    check(parsed)
    return parsed


def each_dialect(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("name", EVENTS)(test)


@settings(often, max_examples=CASES)
@given(st.binary(max_size=400), HINTS)
def test_any_bytes_are_read_or_refused(body: bytes, hint: str) -> None:
    parse_whatever(body, hint)


@settings(often, max_examples=CASES)
@given(MADE_UP, HINTS)
def test_any_json_of_familiar_words_is_read_or_refused(value: object, hint: str) -> None:
    parse_whatever(json.dumps(value).encode(), hint)


@each_dialect
@often
@given(st.data(), HINTS)
def test_an_altered_event_takes_nothing_from_its_neighbours(name: str, data: st.DataObject, hint: str) -> None:
    sound = EVENTS[name][0]
    odd = data.draw(altered(EVENTS[name]) | MADE_UP)
    expected = parse_report(json.dumps([sound]).encode()).reads
    parsed = parse_whatever(json.dumps([sound, odd, sound]).encode(), hint)
    assert parsed is not None
    assert parsed.dialect == name
    assert parsed.reads[: len(expected)] == expected
    assert parsed.reads[-len(expected) :] == expected


@each_dialect
@often
@given(st.data())
def test_no_event_vanishes(name: str, data: st.DataObject) -> None:
    """Each event is a read, a gap, a trigger, another event, a fault, or a heartbeat that says so itself."""
    event = data.draw(altered(EVENTS[name]))
    parsed = parse_whatever(json.dumps([EVENTS[name][0], event]).encode())
    assert parsed is not None
    alone = parse_whatever(json.dumps([EVENTS[name][0]]).encode())
    assert alone is not None
    if parsed.events == alone.events:
        assert says_nothing(event)


def says_nothing(event: Any) -> bool:
    text = json.dumps(event).lower()
    if "heartbeat" in text or set(event) <= {"hostname", "reader_name"}:
        return True
    lists = [*event.values(), *(event["data"].values() if isinstance(event.get("data"), dict) else [])]
    return [] in lists  # an envelope that holds no read


@each_dialect
@often
@given(st.data(), st.sampled_from(["\n", "\r\n\r\n", "", " "]))
def test_a_stream_says_what_the_array_says(name: str, data: st.DataObject, separator: str) -> None:
    events = data.draw(st.lists(altered(EVENTS[name]), min_size=2, max_size=4))
    array = parse_whatever(json.dumps(events).encode())
    stream = parse_whatever(separator.join(map(json.dumps, events)).encode())
    assert array is not None
    assert stream == array


@each_dialect
@often
@given(st.data(), st.integers(0, 1200), st.binary(min_size=1, max_size=4), HINTS)
def test_a_damaged_report_is_read_or_refused(
    name: str, data: st.DataObject, place: int, damage: bytes, hint: str
) -> None:
    events = data.draw(st.lists(st.sampled_from(EVENTS[name]), min_size=1, max_size=3))
    separator = data.draw(st.sampled_from(["", "\n", None]))
    body = (json.dumps(events) if separator is None else separator.join(map(json.dumps, events))).encode()
    parse_whatever(body[:place] + damage + body[place + len(damage) :], hint)
    parse_whatever(body[:place] + damage + body[place:], hint)
    parse_whatever(body[:place], hint)


@often
@given(
    st.dictionaries(
        st.sampled_from(["reader_name", "field_names", "field_values", "field_delim", "mac_address"]),
        st.text(max_size=40) | st.sampled_from(["antenna_port,epc,first_seen_timestamp", f"1,{EPC},1793604240225324"]),
        min_size=1,
    ),
    st.binary(max_size=6),
)
def test_any_form_is_read_or_refused(fields: dict[str, str], damage: bytes) -> None:
    parse_whatever(urlencode(fields).encode())
    parse_whatever(urlencode(fields).encode() + damage)


@each_dialect
@often
@given(st.data(), HINTS)
def test_the_fast_reader_says_what_the_strict_one_says(name: str, data: st.DataObject, hint: str) -> None:
    events = data.draw(st.lists(altered(EVENTS[name]) | MADE_UP, max_size=3))
    body = json.dumps(events, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "read_usual_body", lambda body: None)
        strictly = parse_whatever(body, hint)
    assert parse_whatever(body, hint) == strictly
