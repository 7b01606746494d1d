"""Each vendor's way of reporting, as its published interface and its samples have it."""

import ast
import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from shipments.epc import decode_epc, fold_epc
from shipments.readers.json_body import ReportUnreadable
from shipments.readers.registry import DIALECTS, parse_report
from shipments.readers.report import MAX_HOSTNAMES, Gap, Parsed, Read, Trigger
from shipments.views.places import DIALECT_NAMES
from shipments.views.readers import REASONS
from tests.shipments.vendor_events import CUSTODY, EPC, EVENTS, HANDHELD, IMPINJ, SPEEDWAY, TID, ZEBRA

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "rfid" / "epc_vectors.json"


def parse(value: object, hint: str = "") -> Parsed:
    return parse_report(json.dumps(value).encode(), hint=hint)


def changed(event: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of ``event`` with the field at the dotted ``path`` replaced, or taken out where ``value`` is Ellipsis."""
    copy = deepcopy(event)
    *way, last = path.split(".")
    place: Any = copy
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    key = int(last) if last.isdigit() else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return copy


def told(parsed: Parsed) -> tuple[object, ...]:
    return (
        parsed.dialect,
        parsed.reads,
        parsed.gaps,
        parsed.triggers,
        [fault.reason for fault in parsed.faults],
        parsed.other_events,
    )


@pytest.mark.parametrize("name", EVENTS)
def test_the_body_tells_its_dialect_whatever_the_hint(name: str) -> None:
    assert set(EVENTS) == set(DIALECTS)
    for event in EVENTS[name]:
        plain = parse([event])
        assert (plain.dialect, plain.faults) == (name, [])
        for hint in DIALECTS:
            assert told(parse([event], hint)) == told(plain)


@pytest.mark.parametrize("name", EVENTS)
def test_an_array_lines_and_objects_without_a_separator_say_the_same(name: str) -> None:
    events = EVENTS[name] * 2
    array = parse(events)
    assert array.faults == []
    for separator in ("\n", "\r\n\r\n", "", " ", "\t\r\n "):
        stream = separator.join(json.dumps(event) for event in events).encode()
        assert told(parse_report(stream)) == told(array)
    spread = "".join(json.dumps(event, indent=2) for event in events).encode()
    assert told(parse_report(spread)) == told(array)
    assert parse(events[0]).events == parse(events[:1]).events


def test_impinj_gpi_and_hostname() -> None:
    parsed = parse(IMPINJ)
    assert parsed.triggers == [
        Trigger(port=1, high=True, at_ns=1793604241_000000001, reader_time="2026-11-02T07:24:01.000000001Z")
    ]
    assert parsed.hostnames == {"impinj-14-2f-f4"}
    assert (len(parsed.reads), len(parsed.gaps), parsed.other_events) == (1, 1, 1)
    assert parsed.reads[0].tid == TID


def test_zebra_fixed() -> None:
    parsed = parse(ZEBRA)
    assert parsed.reads == [
        Read(
            epc_hex=EPC,
            read_at_ns=1788592021_785000000,
            reader_time="2026-09-05T01:07:01.785-0600",
            antenna=1,
            rssi_cdbm=-5700,
            event_number=5938,
            tid=TID,
        )
    ]
    assert parsed.triggers == [
        Trigger(port=2, high=False, at_ns=1788783713_635000000, reader_time="2026-09-07T12:21:53.635+0000")
    ]
    assert (parsed.hostnames, parsed.other_events, parsed.events) == ({"FXR90C0FFEE"}, 1, 3)


def test_a_zebra_mode_that_reports_the_tag_alone() -> None:
    event = {
        "data": {"eventNum": 4808, "format": "epc", "idHex": "e2806894000040017790e471"},
        "timestamp": "2026-09-07T12:29:55.456+0000",
        "type": "SIMPLE",
    }
    (read,) = parse(event).reads
    assert (read.epc_hex, read.antenna, read.rssi_cdbm, read.tid) == ("E2806894000040017790E471", None, None, "")


def test_a_zebra_tag_whose_chip_gave_no_tid_was_seen_all_the_same() -> None:
    event = changed(ZEBRA[0], "data.TID", "Error: tag returned error code 0x03 = Memory overrun")
    assert (parse([event]).reads[0].tid, parse([event]).faults) == ("", [])


@pytest.mark.parametrize("event", [ZEBRA[2], HANDHELD[1], SPEEDWAY[2]])
def test_a_heartbeat_event_is_a_report_of_nothing(event: dict[str, Any]) -> None:
    parsed = parse(event)
    assert (parsed.heartbeat, parsed.faults, parsed.reads) == (True, [], [])


def test_a_handheld_reports_many_tags_at_one_time_and_barcodes() -> None:
    parsed = parse(HANDHELD)
    assert [(read.epc_hex, read.event_number, read.rssi_cdbm) for read in parsed.reads] == [
        (EPC, 1, -3900),
        ("3074257BF7194E4000001A86", 2, -6050),
    ]
    assert {read.reader_time for read in parsed.reads} == {"2026-08-24T14:15:22Z"}
    assert parsed.other_events == 3  # a barcode, an alert, a connection


def test_a_bad_tag_of_a_handheld_leaves_its_neighbours() -> None:
    event = changed(HANDHELD[0], "data.tagData.0.EPC", "xyz")
    parsed = parse([event, event])
    assert [(fault.position, fault.reason) for fault in parsed.faults] == [(0, "epc_malformed"), (3, "epc_malformed")]
    assert (len(parsed.reads), parsed.other_events) == (2, 2)


def test_speedway_connect_in_json() -> None:
    parsed = parse(SPEEDWAY)
    assert [(read.read_at_ns, read.rssi_cdbm, read.antenna) for read in parsed.reads] == [
        (1528935354_368790000, -5100, 7),
        (1793604240_225324000, -5050, 1),
    ]
    assert parsed.reads[0].tid == TID
    enveloped = parse({"reader_name": "speedway-12-36-0f", "mac_address": "00:16:25:12:36:0F", "tag_reads": SPEEDWAY})
    assert (enveloped.reads, enveloped.hostnames) == (parsed.reads, {"speedway-12-36-0f"})
    assert parse({"reader_name": "speedway-12-36-0f", "mac_address": "", "tag_reads": []}).heartbeat


def form(**fields: str) -> bytes:
    whole = {
        "reader_name": "speedway-12-36-0f",
        "mac_address": "00:16:25:12:36:0F",
        "line_ending": "\n",
        "field_delim": ",",
        "field_names": "antenna_port,epc,first_seen_timestamp,peak_rssi",
        "field_values": f'1,"{EPC}",1793604240225324,-58\n2,"3074257BF7194E4000001A86",1793604240225999,-60.5\n',
    }
    return urlencode({**whole, **fields}).encode()


def test_speedway_connect_as_a_form() -> None:
    parsed = parse_report(form())
    assert (parsed.dialect, parsed.faults, parsed.hostnames) == ("speedway", [], {"speedway-12-36-0f"})
    assert parsed.reads == [
        Read(EPC, 1793604240_225324000, "1793604240225324", antenna=1, rssi_cdbm=-5800),
        Read("3074257BF7194E4000001A86", 1793604240_225999000, "1793604240225999", antenna=2, rssi_cdbm=-6050),
    ]
    assert parse_report(form(field_values="")).heartbeat


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"field_values": f"1,{EPC},1793604240225324\n2,{EPC},1793604240225324,-58"}, "not_an_event"),
        ({"field_values": f"one,{EPC},1793604240225324,-58\n2,{EPC},1793604240225324,-58"}, "antenna_malformed"),
        ({"field_values": f"1,{EPC},yesterday,-58\n2,{EPC},1793604240225324,-58"}, "time_malformed"),
        ({"field_values": f"1,,1793604240225324,-58\n2,{EPC},1793604240225324,-58"}, "epc_missing"),
        ({"field_values": f"1,{EPC},,-58\n2,{EPC},1793604240225324,-58"}, "time_missing"),
    ],
)
def test_a_bad_row_of_a_form_leaves_its_neighbours(fields: dict[str, str], reason: str) -> None:
    parsed = parse_report(form(**fields))
    assert [(fault.position, fault.reason) for fault in parsed.faults] == [(0, reason)]
    assert [read.antenna for read in parsed.reads] == [2]


@pytest.mark.parametrize(
    "body",
    [
        b"field_values=1",
        b"x=1&" * 100 + b"x=1",
        b"field_names=epc&field_values=1&field_values=2",
        b"field_names=epc&field_values=%ff",
        "field_names=epc&field_values=\u0663".encode(),
        b"field_names=epc&field_values&x",
    ],
)
def test_a_form_that_is_not_speedway_connects_is_refused(body: bytes) -> None:
    with pytest.raises(ReportUnreadable) as refused:
        parse_report(body)
    assert refused.value.reason == "form_malformed"


def test_our_own_form_whole() -> None:
    parsed = parse(
        {
            "hostname": "bridge-1",
            "reads": [CUSTODY[0], CUSTODY[3]],
            "gaps": [CUSTODY[1]["gap"]],
            "triggers": [CUSTODY[2]["trigger"]],
        }
    )
    assert (len(parsed.reads), parsed.faults, parsed.hostnames) == (2, [], {"bridge-1"})
    assert parsed.gaps == [Gap(first_ns=1793604240 * 10**9, last_ns=1793604300 * 10**9, purged=12)]
    assert parsed.triggers == [Trigger(port=1, high=True, at_ns=1793604240 * 10**9, reader_time="2026-11-02T07:24:00Z")]
    assert parse({"gaps": [CUSTODY[1]["gap"]]}).gaps == parsed.gaps
    assert parse({"reads": [], "hostname": "bridge-1"}).heartbeat


POISON: list[tuple[str, dict[str, Any], str, object, str]] = [
    ("impinj", IMPINJ[1], "gpiTransitionEvent", ..., "event_body_missing"),
    ("impinj", IMPINJ[1], "gpiTransitionEvent.transition", "up", "trigger_malformed"),
    ("impinj", IMPINJ[1], "gpiTransitionEvent.transition", [], "trigger_malformed"),
    ("impinj", IMPINJ[1], "gpiTransitionEvent.gpi", True, "trigger_malformed"),
    ("impinj", IMPINJ[1], "gpiTransitionEvent.gpi", ..., "trigger_malformed"),
    ("impinj", IMPINJ[1], "timestamp", ..., "time_missing"),
    ("impinj", IMPINJ[2], "overflowEvent.eventsPurged", "many", "overflow_malformed"),
    ("zebra", ZEBRA[0], "type", 7, "event_type_malformed"),
    ("zebra", ZEBRA[0], "data", [], "event_body_missing"),
    ("zebra", ZEBRA[0], "data.idHex", ..., "epc_missing"),
    ("zebra", ZEBRA[0], "data.idHex", "3074257bf7194e4000001a8", "epc_malformed"),
    ("zebra", ZEBRA[0], "data.peakRssi", "-57", "rssi_malformed"),
    ("zebra", ZEBRA[0], "data.peakRssi", float("nan"), "rssi_malformed"),
    ("zebra", ZEBRA[0], "data.peakRssi", float("inf"), "rssi_malformed"),
    ("zebra", ZEBRA[0], "data.peakRssi", 10**400, "rssi_malformed"),
    ("zebra", ZEBRA[0], "data.peakRssi", True, "rssi_malformed"),
    ("zebra", ZEBRA[0], "data.eventNum", -1, "event_number_malformed"),
    ("zebra", ZEBRA[0], "data.antenna", 1.0, "antenna_malformed"),
    ("zebra", ZEBRA[0], "data.TID", "zz", "tid_malformed"),
    ("zebra", ZEBRA[0], "timestamp", "05/09/2026 01:07", "time_malformed"),
    ("zebra", ZEBRA[1], "type", "somethingNew", "event_type_unknown"),
    ("zebra", ZEBRA[1], "data.state", "OPEN", "trigger_malformed"),
    ("zebra", ZEBRA[1], "data.pin", "2", "trigger_malformed"),
    ("zebra_handheld", HANDHELD[0], "data.tagData", {}, "epc_missing"),
    ("zebra_handheld", HANDHELD[0], "data.tagData.1", "3074", "not_an_event"),
    ("zebra_handheld", HANDHELD[0], "data.tagData.1.EPC", "3075", "epc_contradicts_itself"),
    ("zebra_handheld", HANDHELD[0], "data.tagData.1.eventNum", "2", "event_number_malformed"),
    ("speedway", SPEEDWAY[0], "epc", ..., "epc_missing"),
    ("speedway", SPEEDWAY[0], "firstSeenTimestamp", ..., "time_missing"),
    ("speedway", SPEEDWAY[0], "firstSeenTimestamp", "1793604240225324", "time_malformed"),
    ("speedway", SPEEDWAY[0], "antennaPort", "7", "antenna_malformed"),
    ("custody", CUSTODY[1], "gap", 5, "gap_malformed"),
    ("custody", CUSTODY[1], "gap.purged", ..., "gap_malformed"),
    ("custody", CUSTODY[1], "gap.last", "2026-11-02T07:23:59Z", "gap_malformed"),
    ("custody", CUSTODY[2], "trigger", [], "trigger_malformed"),
    ("custody", CUSTODY[2], "trigger.high", 1, "trigger_malformed"),
    ("custody", CUSTODY[2], "trigger.at", ..., "time_missing"),
]


@pytest.mark.parametrize(("name", "event", "path", "value", "reason"), POISON)
def test_a_poison_event_is_told_and_its_neighbours_are_kept(
    name: str, event: dict[str, Any], path: str, value: object, reason: str
) -> None:
    sound = EVENTS[name][0]
    parsed = parse([sound, changed(event, path, value), sound])
    assert [fault.reason for fault in parsed.faults] == [reason]
    assert len(parsed.reads) >= 2 * len(parse(sound).reads)


@pytest.mark.parametrize(
    ("name", "twice"),
    [
        ("zebra", b'{"type":"CUSTOM","data":{"idHex":"3074","idHex":"3075"},"timestamp":1788592021785}'),
        ("zebra", b'{"type":"CUSTOM","type":"gpi","data":{"idHex":"3074"},"timestamp":1788592021785}'),
        ("zebra_handheld", b'{"timestamp":1788592021785,"data":{"tagData":[],"tagData":[{"EPC":"3074"}]}}'),
        ("zebra_handheld", b'{"timestamp":1788592021785,"data":{"tagData":[{"EPC":"3074","EPC":"3075"}]}}'),
        ("speedway", b'{"epc":"3074","epc":"3075","firstSeenTimestamp":1788592021785}'),
        ("speedway", b'{"tag_reads":[],"tag_reads":[{"epc":"3074","firstSeenTimestamp":1788592021785}]}'),
        ("custody", b'{"gap":{"purged":1,"purged":2}}'),
    ],
)
def test_a_key_that_stands_twice_could_mean_either(name: str, twice: bytes) -> None:
    parsed = parse_report(twice, hint=name)
    assert (parsed.reads, parsed.gaps, [fault.reason for fault in parsed.faults]) == ([], [], ["duplicate_keys"])


def test_what_follows_a_broken_object_in_a_stream() -> None:
    event = json.dumps(ZEBRA[0]).encode()
    cut = parse_report(event + event + event[:-20])
    assert (len(cut.reads), [(fault.position, fault.reason) for fault in cut.faults]) == (2, [(2, "not_json")])
    lines = parse_report(event + event + b"\n" + event[:-20] + b"\n" + event)
    assert (len(lines.reads), [(fault.position, fault.reason) for fault in lines.faults]) == (3, [(2, "not_json")])
    with pytest.raises(ReportUnreadable):
        parse_report(event[:-1])
    with pytest.raises(ReportUnreadable):
        parse_report(event + b"rubbish")


def test_hostnames_are_few_and_printable() -> None:
    events = [{**IMPINJ[0], "hostname": f"reader-{number}"} for number in range(1_000)]
    assert len(parse(events).hostnames) == MAX_HOSTNAMES
    for odd in ("", "a\nb", "\u0663", "x" * 300, 7, None, ["a"]):
        parsed = parse([{**IMPINJ[0], "hostname": odd}])
        assert (parsed.hostnames, parsed.faults) == (set(), [])


BOMBS = {
    "nested in an event": b'{"type":"CUSTOM","timestamp":1,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested by the line": b"{}\n" * 1_000 + b'{"a":' * 50_000,
    "openers by the line": b"{}\n" + b"[\n" * 800 + b"1," * 2_000_000,
    "unclosed strings by the line": b"{}\n" + b'{"a":"x\n' * 60_000,
    "faults by the line": b"{}\n" + b"]\n" * 100_000,
    "faults without lines": b"{}{" + b"]" * 5_000_000,
    "an envelope of nothing": b'{"reads":[' + b"0," * 100_000 + b"0]}",
    "envelopes of nothing": b'{"data":{"tagData":[0,0,0]},"timestamp":1}' * 40_000,
    "a form of escapes": b"field_names=epc&field_values=" + b"%0A" * 2_000_000,
    "a form of rows": b"field_names=epc&field_values=" + b"1%0A" * 200_000,
    "a form of fields": b"a=1&" * 1_000_000,
    "NUL bytes": b'[{"type":"CUSTOM"\x00}]',
    "NULs escaped": b'[{"type":"\\u0000","data":{"idHex":"\\u0000"}}]',
    "UTF-16": json.dumps(ZEBRA).encode("utf-16"),
    "UTF-32": json.dumps(ZEBRA).encode("utf-32-le"),
    "latin-1": '[{"type":"CUSTOM","data":{"hostName":"México"}}]'.encode("latin-1"),
    "an integer without end": b'[{"type":"CUSTOM","data":{"eventNum":' + b"9" * 1_000_000 + b"}}]",
    "a float without end": b'[{"type":"CUSTOM","data":{"peakRssi":' + b"9" * 1_000_000 + b".5}}]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_quarantined_at_once(name: str) -> None:
    began = time.process_time()
    try:
        parsed = parse_report(BOMBS[name])
    except ReportUnreadable:
        pass
    else:
        assert parsed.reads == []
        assert parsed.faults
    assert time.process_time() - began < 5


def test_every_dialect_and_reason_has_its_words_on_the_readers_page() -> None:
    assert set(DIALECT_NAMES) == set(DIALECTS)
    used = set()
    for module in (Path(__file__).resolve().parents[2] / "shipments" / "readers").glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used |= {node.value} if node.value.endswith(("_malformed", "_missing", "_unknown")) else set()
    assert used - set(REASONS) == set()


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared EPC vectors are not beside this checkout")
def test_the_shared_vectors_come_through_every_dialect() -> None:
    for vector in json.loads(VECTORS.read_text()):
        hexadecimal = vector["hex"]
        events = [
            changed(changed(IMPINJ[0], "tagInventoryEvent.epcHex", hexadecimal), "tagInventoryEvent.epc", ...),
            changed(ZEBRA[0], "data.idHex", hexadecimal.lower()),
            {**HANDHELD[0], "data": {"tagData": [{"EPC": hexadecimal}]}},
            changed(SPEEDWAY[0], "epc", hexadecimal),
            changed(CUSTODY[0], "epc", hexadecimal),
        ]
        for event in events:
            (read,) = parse(event).reads
            assert read.epc_hex == fold_epc(hexadecimal)
            assert vector["uri"] in (None, decode_epc(read.epc_hex).uri)
