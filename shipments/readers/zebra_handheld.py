"""
Zebra RFD40 and RFD90 handhelds, ``dataEVT``: one envelope with ``data.tagData[]`` and ``data.barcodeData[]``, whose
``timestamp`` is that of all the reads in it. ``peakRssi`` is in dBm. A scanned barcode is no tag: another event.
"""

from typing import Any

from shipments.readers.json_body import Ambiguous
from shipments.readers.report import (
    MAX_BIGINT,
    Dialect,
    FieldFault,
    Parsed,
    Read,
    antenna_port,
    hex_epc,
    parse_time,
    reader_time_text,
    rssi_of_dbm,
    whole_number,
)
from shipments.readers.zebra import tid_of

NAME = "zebra_handheld"
HEARTBEAT = "heartbeat"


def recognises(value: Any) -> bool:
    if not isinstance(value, dict) or "eventType" in value:
        return False
    data = value.get("data")
    if isinstance(data, dict) and ("tagData" in data or "barcodeData" in data):
        return True
    return _is_about_the_device(value)


def unfold(value: Any) -> list[Any]:
    """Return each tag and barcode of a dataEVT as ``{"timestamp": …, "tagData": {…}}``; anything else as it is."""
    if not isinstance(value, dict) or isinstance(value, Ambiguous):
        return [value]
    data = value.get("data")
    if not isinstance(data, dict) or isinstance(data, Ambiguous) or not ("tagData" in data or "barcodeData" in data):
        return [value]
    parts = []
    for name in ("tagData", "barcodeData"):
        held = data.get(name, [])
        parts += [
            {"timestamp": value.get("timestamp"), name: one} for one in (held if isinstance(held, list) else [held])
        ]
    return parts


def read_event(value: Any, parsed: Parsed) -> None:
    """Add one tag, barcode or device event to ``parsed``. :raises FieldFault:"""
    if not isinstance(value, dict):
        raise FieldFault("not_an_event")
    if isinstance(value, Ambiguous) or isinstance(value.get("data"), Ambiguous):
        raise FieldFault("duplicate_keys")
    parsed.note_hostname(value.get("hostname"))
    if "tagData" in value:
        parsed.reads.append(_read(value["tagData"], value.get("timestamp")))
    elif "barcodeData" in value:
        parsed.other_events += 1
    elif not _is_about_the_device(value):
        raise FieldFault("event_body_missing")
    elif value.get("eventName") != HEARTBEAT:
        parsed.other_events += 1


def _is_about_the_device(value: dict[str, Any]) -> bool:
    """Heartbeats and exceptions, the connection to the broker, and alerts, long or short."""
    return "eventName" in value or "connectionState" in value or ("id" in value and "priority" in value)


def _read(tag: Any, time: Any) -> Read:
    if isinstance(tag, Ambiguous):
        raise FieldFault("duplicate_keys")
    if not isinstance(tag, dict):
        raise FieldFault("not_an_event")
    spelled, named = tag.get("EPC"), tag.get("EPCid")
    epc = hex_epc(named if spelled is None else spelled)
    if spelled is not None and named is not None and hex_epc(named) != epc:
        raise FieldFault("epc_contradicts_itself")
    return Read(
        epc_hex=epc,
        read_at_ns=parse_time(time),
        reader_time=reader_time_text(time),
        antenna=antenna_port(tag.get("antenna")),
        rssi_cdbm=rssi_of_dbm(tag.get("peakRssi")),
        event_number=whole_number(tag.get("eventNum"), "event_number_malformed", 0, MAX_BIGINT),
        tid=tid_of(tag.get("TID")),
    )


DIALECT = Dialect(name=NAME, recognises=recognises, read_event=read_event)
