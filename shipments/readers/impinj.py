"""
Impinj R700 and R720, IoT device interface: arrays of events by webhook, an empty array when idle, or a stream of lines.

``lastSeenTime`` is when the tag was seen and is preferred; ``timestamp`` is when the event was queued. An overflow
event is the reader's admission that it dropped others; ``gpiTransition`` is a light barrier or a door contact.
"""

from typing import Any

from shipments.epc import MAX_TID_DIGITS
from shipments.readers.json_body import Ambiguous
from shipments.readers.report import (
    MAX_BIGINT,
    Dialect,
    FieldFault,
    Gap,
    Parsed,
    Read,
    Trigger,
    antenna_port,
    base64_hex,
    hex_epc,
    hex_tid,
    input_port,
    parse_time,
    reader_time_text,
    rssi_cdbm,
    whole_number,
)

NAME = "impinj"
OTHER_EVENTS = frozenset(
    {"antennaConnected", "antennaDisconnected", "inventoryStatus", "antennaActivation", "diagnostic"}
)
TRANSITIONS = {"low-to-high": True, "high-to-low": False}


def recognises(value: Any) -> bool:
    return isinstance(value, dict) and ("eventType" in value or "tagInventoryEvent" in value)


def read_event(value: Any, parsed: Parsed) -> None:
    """Add one event to ``parsed``. :raises FieldFault:"""
    if not isinstance(value, dict):
        raise FieldFault("not_an_event")
    kind = value.get("eventType", "tagInventory" if "tagInventoryEvent" in value else None)
    if not isinstance(kind, str):
        raise FieldFault("event_type_malformed")
    if isinstance(value, Ambiguous):
        raise FieldFault("duplicate_keys")
    parsed.note_hostname(value.get("hostname"))
    if kind in OTHER_EVENTS:
        parsed.other_events += 1
        return
    if kind not in ("tagInventory", "overflow", "gpiTransition"):
        raise FieldFault("event_type_unknown")
    inner = value.get(f"{kind}Event")
    if not isinstance(inner, dict):
        raise FieldFault("event_body_missing")
    if isinstance(inner, Ambiguous):
        raise FieldFault("duplicate_keys")
    if kind == "overflow":
        parsed.gaps.append(_gap(inner))
    elif kind == "gpiTransition":
        parsed.triggers.append(_trigger(inner, value.get("timestamp")))
    else:
        parsed.reads.append(_read(inner, value.get("timestamp")))


def _read(event: dict[str, Any], queued_at: Any) -> Read:
    time = event.get("lastSeenTime", queued_at)
    # By position: by name takes three times as long, and a portal sends a thousand of them a second.
    return Read(
        _epc(event),
        parse_time(time),
        reader_time_text(time),
        antenna_port(event.get("antennaPort")),
        rssi_cdbm(event.get("peakRssiCdbm")),
        None,
        _tid(event),
    )


def _epc(event: dict[str, Any]) -> str:
    spelled, packed = event.get("epcHex"), event.get("epc")
    if spelled is None and packed is None:
        raise FieldFault("epc_missing")
    if packed is None:
        return hex_epc(spelled)
    unpacked = hex_epc(base64_hex(packed, "epc_malformed"))
    if spelled is not None and spelled != unpacked and hex_epc(spelled) != unpacked:
        raise FieldFault("epc_contradicts_itself")
    return unpacked


def _tid(event: dict[str, Any]) -> str:
    spelled, packed = hex_tid(event.get("tidHex")), event.get("tid")
    if packed is None or packed == "":
        return spelled
    unpacked = base64_hex(packed, "tid_malformed")
    if len(unpacked) > MAX_TID_DIGITS:
        raise FieldFault("tid_malformed")
    if spelled and spelled != unpacked:
        raise FieldFault("tid_contradicts_itself")
    return unpacked


def _gap(event: dict[str, Any]) -> Gap:
    first = parse_time(event.get("firstEventTimestamp"))
    last = parse_time(event.get("lastEventTimestamp"))
    purged = whole_number(event.get("eventsPurged"), "overflow_malformed", 0, MAX_BIGINT)
    if purged is None or last < first:
        raise FieldFault("overflow_malformed")
    return Gap(first_ns=first, last_ns=last, purged=purged)


def _trigger(event: dict[str, Any], time: Any) -> Trigger:
    transition = event.get("transition")
    if type(transition) is not str or transition not in TRANSITIONS:
        raise FieldFault("trigger_malformed")
    return Trigger(
        port=input_port(event.get("gpi")),
        high=TRANSITIONS[transition],
        at_ns=parse_time(time),
        reader_time=reader_time_text(time),
    )


DIALECT = Dialect(name=NAME, recognises=recognises, read_event=read_event)
