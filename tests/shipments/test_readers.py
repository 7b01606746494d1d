"""What readers really send, and what a hostile or broken one may send instead."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipments.readers import registry
from shipments.readers.json_body import ReportUnreadable, read_usual_body
from shipments.readers.registry import parse_report
from shipments.readers.report import FieldFault, Gap, Parsed, Read, format_ns, parse_time

IMPINJ_EVENT = {
    "timestamp": "2026-11-02T07:24:00.277766184Z",
    "hostname": "impinj-14-2f-f4",
    "eventType": "tagInventory",
    "tagInventoryEvent": {
        "epc": "MHQle_cZTkAAABqF",
        "epcHex": "3074257BF7194E4000001A85",
        "antennaPort": 2,
        "peakRssiCdbm": -5750,
        "frequency": 921625,
        "lastSeenTime": "2026-11-02T07:24:00.225324Z",
        "phaseAngle": 208.82,
    },
}


def impinj(**inner: object) -> dict[str, object]:
    """The event above with fields of its body replaced; None takes a field out."""
    body = {**IMPINJ_EVENT["tagInventoryEvent"], **inner}
    return {**IMPINJ_EVENT, "tagInventoryEvent": {name: value for name, value in body.items() if value is not None}}


def parse(value: object, hint: str = "") -> Parsed:
    return parse_report(json.dumps(value).encode(), hint=hint)


def test_an_impinj_webhook() -> None:
    parsed = parse([IMPINJ_EVENT])
    assert parsed.dialect == "impinj"
    assert parsed.reads == [
        Read(
            epc_hex="3074257BF7194E4000001A85",
            read_at_ns=1793604240_225324000,
            reader_time="2026-11-02T07:24:00.225324Z",
            antenna=2,
            rssi_cdbm=-5750,
        )
    ]
    assert parsed.faults == []


def test_an_impinj_reader_with_base64_alone_and_no_last_seen_time() -> None:
    read = parse([impinj(epcHex=None, lastSeenTime=None, tid="4oARkaUDAGXybMv_")]).reads[0]
    assert read.epc_hex == "3074257BF7194E4000001A85"
    assert read.tid == "E2801191A5030065F26CCBFF"
    assert (read.reader_time, read.read_at_ns) == ("2026-11-02T07:24:00.277766184Z", 1793604240_277766184)


def test_an_impinj_reader_with_hex_alone() -> None:
    read = parse([impinj(epc=None, epcHex="3074257bf7194e4000001a85", tidHex="e2801191a5030065f26ccbff")]).reads[0]
    assert (read.epc_hex, read.tid) == ("3074257BF7194E4000001A85", "E2801191A5030065F26CCBFF")


@pytest.mark.parametrize("body", [b"[]", b" [ ]\r\n", b'{"reads": []}'])
def test_a_heartbeat(body: bytes) -> None:
    assert parse_report(body).heartbeat


def test_a_single_object_and_a_stream_of_lines() -> None:
    assert len(parse(IMPINJ_EVENT).reads) == 1
    line = json.dumps(IMPINJ_EVENT).encode()
    # CRLF alone keeps an idle stream open.
    assert len(parse_report(line + b"\r\n\r\n\r\n" + line + b"\n").reads) == 2


def test_overflow_is_a_gap_in_coverage() -> None:
    overflow = {
        "timestamp": "2026-11-02T07:30:00Z",
        "eventType": "overflow",
        "overflowEvent": {
            "firstEventTimestamp": "2026-11-02T07:24:00Z",
            "lastEventTimestamp": "2026-11-02T07:25:00Z",
            "eventsPurged": 1200,
        },
    }
    parsed = parse([overflow, IMPINJ_EVENT])
    assert parsed.gaps == [Gap(first_ns=1793604240 * 10**9, last_ns=1793604300 * 10**9, purged=1200)]
    assert (len(parsed.reads), parsed.faults) == (1, [])


@pytest.mark.parametrize("kind", ["antennaConnected", "antennaDisconnected", "inventoryStatus", "antennaActivation"])
def test_other_impinj_events_are_counted(kind: str) -> None:
    parsed = parse([{"timestamp": "2026-11-02T07:30:00Z", "eventType": kind, f"{kind}Event": {"antennaPort": 1}}])
    assert (parsed.other_events, parsed.faults, parsed.heartbeat) == (1, [], False)


def test_our_own_form() -> None:
    parsed = parse(
        {
            "reads": [
                {
                    "epc": "3074 257B F719 4E40 0000 1A85",
                    "read_at": 1793604240225,
                    "antenna": 1,
                    "rssi_cdbm": -6100,
                    "tid": "e2801160600002084e1d2b7c",
                    "event_number": 5938,
                    "note": "unknown fields are left alone",
                }
            ]
        }
    )
    assert parsed.dialect == "custody"
    assert parsed.reads == [
        Read(
            epc_hex="3074257BF7194E4000001A85",
            read_at_ns=1793604240_225000000,
            reader_time="1793604240225",
            antenna=1,
            rssi_cdbm=-6100,
            event_number=5938,
            tid="E2801160600002084E1D2B7C",
        )
    ]


def test_our_own_form_by_the_line_keeps_what_follows_a_broken_line() -> None:
    good = b'{"epc":"3074257BF7194E4000001A85","read_at":"2026-11-02T07:24:00Z"}'
    parsed = parse_report(good + b'\n{"epc":"30742\n' + good.replace(b"1A85", b"1A86"))
    assert [read.epc_hex[-4:] for read in parsed.reads] == ["1A85", "1A86"]
    assert [(fault.position, fault.reason) for fault in parsed.faults] == [(1, "not_json")]


@pytest.mark.parametrize(
    ("spelling", "nanoseconds"),
    [
        ("2023-06-28T07:24:00.277766184Z", 1687937040_277766184),
        ("2026-11-02T07:24:00.225324Z", 1793604240_225324000),
        ("2026-09-05T01:07:01.785-0600", 1788592021_785000000),
        ("2026-09-05T01:07:01.785-06:00", 1788592021_785000000),
        ("2026-09-05t07:07:01z", 1788592021_000000000),
        (1788592021785, 1788592021_785000000),
        (1788592021785123, 1788592021_785123000),
        ("2016-12-31T23:59:60Z", 1483228800_000000000),
        ("2024-02-29T00:00:00Z", 1709164800_000000000),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_the_five_spellings_of_time(spelling: object, nanoseconds: int) -> None:
    assert parse_time(spelling) == nanoseconds
    if isinstance(spelling, str):
        assert parse_time(format_ns(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        (None, "time_missing"),
        ("", "time_malformed"),
        ("2026-11-02T07:24:00", "time_malformed"),
        ("2026-11-02 07:24:00Z", "time_malformed"),
        ("2026-13-02T07:24:00Z", "time_malformed"),
        ("2026-02-29T07:24:00Z", "time_malformed"),
        ("2026-11-02T24:00:00Z", "time_malformed"),
        ("2026-11-02T07:24:61Z", "time_malformed"),
        ("2026-11-02T07:24:00.1234567890Z", "time_malformed"),
        ("2026-11-02T07:24:00+24:00", "time_malformed"),
        ("٢٠٢٦-11-02T07:24:00Z", "time_malformed"),
        ("2026-11-02T07:24:00Z\n", "time_malformed"),
        ("2026-11-02T07:24:00Z\x00", "time_malformed"),
        ("1788592021785", "time_malformed"),
        (True, "time_malformed"),
        (1788592021785.5, "time_malformed"),
        ({}, "time_malformed"),
        (1788592021, "time_out_of_range"),
        (-1788592021785, "time_out_of_range"),
        (10**30, "time_out_of_range"),
        ("1969-12-31T23:59:59Z", "time_out_of_range"),
        ("9999-12-31T23:59:59Z", "time_out_of_range"),
        ("0000-01-01T00:00:00Z", "time_malformed"),
    ],
)
def test_times_that_no_reader_means(spelling: object, reason: str) -> None:
    with pytest.raises(FieldFault) as fault:
        parse_time(spelling)
    assert fault.value.reason == reason


POISON = [
    (5, "not_an_event"),
    (None, "not_an_event"),
    ("epc", "not_an_event"),
    ([], "not_an_event"),
    ({}, "event_type_malformed"),
    ({"eventType": 7}, "event_type_malformed"),
    ({"eventType": "tagInvent٠ry"}, "event_type_unknown"),
    ({"eventType": "tagInventory"}, "event_body_missing"),
    ({"eventType": "tagInventory", "tagInventoryEvent": []}, "event_body_missing"),
    ({"eventType": "overflow", "overflowEvent": {"eventsPurged": 3}}, "time_missing"),
    (
        {
            "eventType": "overflow",
            "overflowEvent": {
                "firstEventTimestamp": "2026-11-02T07:24:00Z",
                "lastEventTimestamp": "2026-11-02T07:23:00Z",
                "eventsPurged": 3,
            },
        },
        "overflow_malformed",
    ),
    (impinj(epc=None, epcHex=None), "epc_missing"),
    (impinj(epc="MHQle_cZTkAAABqG"), "epc_contradicts_itself"),
    (impinj(epc="MHQle_cZ\nTkAAABqF"), "epc_malformed"),
    (impinj(epc="MHQle_cZTkAAABq", epcHex=None), "epc_malformed"),
    (impinj(epc="====", epcHex=None), "epc_malformed"),
    (impinj(epc="A", epcHex=None), "epc_malformed"),
    (impinj(epc="", epcHex=None), "epc_malformed"),
    (impinj(epcHex="3074257BF7194E4000001A8"), "epc_malformed"),
    (impinj(epcHex="3074\x00"), "epc_malformed"),
    (impinj(epcHex="\ud800"), "epc_malformed"),
    (impinj(epcHex=3074), "epc_malformed"),
    (impinj(epcHex="30" * 63, epc=None), "epc_malformed"),
    (impinj(antennaPort="٣"), "antenna_malformed"),
    (impinj(antennaPort="3"), "antenna_malformed"),
    (impinj(antennaPort=True), "antenna_malformed"),
    (impinj(antennaPort=-1), "antenna_malformed"),
    (impinj(antennaPort=10**400), "antenna_malformed"),
    (impinj(peakRssiCdbm=-57.5), "rssi_malformed"),
    (impinj(peakRssiCdbm=float("nan")), "rssi_malformed"),
    (impinj(peakRssiCdbm=float("inf")), "rssi_malformed"),
    (impinj(peakRssiCdbm=10**9), "rssi_malformed"),
    (impinj(tidHex="zz"), "tid_malformed"),
    (impinj(tidHex="E2" * 33), "tid_malformed"),
    (impinj(tid="4oARkaUDAGXybMv_", tidHex="E280"), "tid_contradicts_itself"),
    (impinj(lastSeenTime="yesterday"), "time_malformed"),
]


@pytest.mark.parametrize(("event", "reason"), POISON)
def test_a_poison_event_is_told_and_its_neighbours_are_kept(event: object, reason: str) -> None:
    parsed = parse([IMPINJ_EVENT, event, IMPINJ_EVENT])
    assert [(fault.position, fault.reason) for fault in parsed.faults] == [(1, reason)]
    assert len(parsed.reads) == 2
    assert parsed.faults[0].excerpt.isascii()
    assert "\x00" not in parsed.faults[0].excerpt


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        ({"read_at": 1788592021785}, "epc_missing"),
        ({"epc": "3074", "read_at": None}, "time_missing"),
        ({"epc": "3074", "read_at": 1788592021785, "event_number": -1}, "event_number_malformed"),
        ({"epc": "3074", "read_at": 1788592021785, "event_number": 2**63}, "event_number_malformed"),
        ({"epc": "3074", "read_at": 1788592021785, "event_number": "٣"}, "event_number_malformed"),
        ({"epc": ["3074"], "read_at": 1788592021785}, "epc_malformed"),
    ],
)
def test_a_poison_read_in_our_own_form(read: object, reason: str) -> None:
    parsed = parse({"reads": [read, {"epc": "3075", "read_at": 1788592021785}]})
    assert [(fault.position, fault.reason) for fault in parsed.faults] == [(0, reason)]
    assert [kept.epc_hex for kept in parsed.reads] == ["3075"]


@pytest.mark.parametrize(
    "twice",
    [
        b'{"eventType":"overflow","eventType":"tagInventory","tagInventoryEvent":{}}',
        b'{"eventType":"tagInventory","tagInventoryEvent":{"epcHex":"3074","epcHex":"3075"}}',
    ],
)
def test_a_key_that_stands_twice_could_mean_either(twice: bytes) -> None:
    parsed = parse_report(b"[" + twice + b"]")
    assert [fault.reason for fault in parsed.faults] == ["duplicate_keys"]


def test_two_lists_of_reads_in_one_report_could_mean_either() -> None:
    parsed = parse_report(b'{"reads":[],"reads":[{"epc":"3074","read_at":1788592021785}]}')
    assert (parsed.reads, [fault.reason for fault in parsed.faults]) == ([], ["duplicate_keys"])


def test_json_that_no_dialect_knows_is_kept_for_one_that_will() -> None:
    parsed = parse([{"kind": "SIMPLE", "seen": {"idHex": "3074"}}])
    assert (parsed.dialect, [fault.reason for fault in parsed.faults]) == ("", ["dialect_unknown"])


def test_the_readers_hint_decides_where_nothing_else_does() -> None:
    assert parse([], hint="impinj").dialect == "impinj"
    assert parse([{"x": 1}], hint="impinj").faults[0].reason == "event_type_malformed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"[", "not_json"),
        (b'[{"eventType":"tagInventory"', "not_json"),
        (b"hello", "not_json"),
        (b"[]\x00", "not_json"),
        (b'[{"a":"\x00"}]', "not_json"),
        (b"\xff\xfe[\x00]\x00", "not_utf8"),
        (b'[{"hostname":"M\xe9xico"}]', "not_utf8"),
        (b"null", "not_events"),
        (b'"[]"', "not_events"),
        (b"9" * 5000, "not_events"),
        (b"[" * 100_000, "too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
        (b"[" + b"[]," * 1_200_000 + b"[]]", "too_many_events"),
        (b"[" + b"0," * 7_000_000 + b"0]", "too_many_events"),
        (b"[" + b"0," * 300_000 + b"0]", "too_many_events"),
        (b'{"reads":[' + b"0," * 300_000 + b"0]}", "too_many_events"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else value,
)
def test_a_body_that_is_no_report_is_refused_at_once(body: bytes, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(ReportUnreadable) as refused:
        parse_report(body)
    assert refused.value.reason == reason
    assert time.monotonic() - began < 1


def test_an_event_nested_as_deep_as_the_parser_goes_does_not_break_the_excerpt() -> None:
    for depth in range(100, 1000, 50):
        deep = b"[" * depth + b"]" * depth
        try:
            parsed = parse_report(b'[{"eventType":"tagInventory","x":' + deep + b"}]")
        except ReportUnreadable as error:
            outcome = error.reason
        else:
            (outcome,) = [fault.reason for fault in parsed.faults]
        assert outcome in ("event_body_missing", "too_deep")


def test_a_full_report_of_the_largest_reader_is_read() -> None:
    one = json.dumps(IMPINJ_EVENT, separators=(",", ":")).encode()
    body = b"[" + b",".join([one] * 30_000) + b"]"
    assert len(parse_report(body).reads) == 30_000


ODD_PIECES = st.sampled_from(
    [
        *(json.dumps(piece).encode() for piece in (IMPINJ_EVENT, {"epc": "30", "read_at": 1795356300000}, [], {}, 1.5)),
        b'{"epc":"30","epc":"31","read_at":1795356300000}',
        b'{"epc" :"30","epc" :"31","read_at":1795356300000}',
        b'{"epc":"30","read_at":1795356300000,"x":{"a":1,"a":1}}',
        b'{"epc":"30","read_at":1795356300000,"\\u0065pc":"31"}',
        b'{"epc":"30","read_at":1795356300000,"antenna":' + b"9" * 30 + b"}",
        b'{"epc":"30","read_at":1795356300000,"antenna":-0}',
        b'{"epc":"30","read_at":1795356300000,"antenna":1e400}',
        b'{"epc":"30","read_at":1795356300000,"note":"a\\"b:"}',
        b'{"epc":"30","read_at":"2026-11-02T07:24:60.5Z"}',
        b'{"epc":"30","read_at":"2026-11-02T07:24:61.5Z"}',
        b'{"epc":"30","read_at":"2026-11-02T07:24:00.1234567890Z"}',
        b'{"epc":"30","read_at":"2026-02-30T07:24:00.1Z"}',
        b'{"epc":"30","read_at":NaN}',
        b'{"reads":[{"epc":"30","read_at":1795356300000}],"reads":[]}',
        b"\xef\xbb\xbf[]",
        b'"\xff"',
        b'"\x00"',
        b"[" * 300 + b"]" * 300,
        b"\n",
        b",",
        b"[",
        b"]",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.lists(ODD_PIECES, max_size=5).map(b",".join)), st.booleans())
def test_the_fast_reader_says_what_the_strict_one_says(body: bytes, as_array: bool) -> None:
    if as_array:
        body = b"[" + body + b"]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "read_usual_body", lambda body: None)
        strictly = read_or_reason(body)
    assert read_or_reason(body) == strictly


def test_most_reports_take_the_fast_way() -> None:
    usual = read_usual_body(json.dumps([IMPINJ_EVENT]).encode())
    assert usual is not None
    assert usual.values == [(0, IMPINJ_EVENT)]


def read_or_reason(body: bytes) -> object:
    try:
        return parse_report(body)
    except ReportUnreadable as unreadable:
        return unreadable.reason, unreadable.detail
