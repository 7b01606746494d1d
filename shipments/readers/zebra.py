"""
Zebra FX7500, FX9600, FXR60 and FXR90, IoT Connector: ``{"data": {…}, "timestamp": …, "type": …}`` as an array, as one
object, or as objects one behind the other. Management events come in the same envelope.

``type`` is the operating mode of a tag event (SIMPLE, INVENTORY, PORTAL, CONVEYOR, CUSTOM …) and the kind of a
management event (heartbeat, gpi, gpo …). ``peakRssi`` is in dBm; it and ``antenna`` stand there only where the mode
reports them. A heartbeat says that the reader lives and is counted as no event.
"""

from typing import Any

from shipments.readers.json_body import Ambiguous
from shipments.readers.report import (
    MAX_BIGINT,
    Dialect,
    FieldFault,
    Parsed,
    Read,
    Trigger,
    antenna_port,
    hex_epc,
    hex_tid,
    input_port,
    parse_time,
    reader_time_text,
    rssi_of_dbm,
    whole_number,
)

NAME = "zebra"
HEARTBEAT = "heartbeat"
MODES = frozenset({"simple", "inventory", "portal", "conveyor", "custom", "directionality"})
OTHER_EVENTS = frozenset({"gpo", "error", "warning", "firmwareupdateprogress", "userapp", "ble_data"})
STATES = {"HIGH": True, "LOW": False}


def recognises(value: Any) -> bool:
    if not isinstance(value, dict) or "type" not in value or "data" not in value:
        return False
    data = value["data"]
    return not (isinstance(data, dict) and ("tagData" in data or "barcodeData" in data))


def read_event(value: Any, parsed: Parsed) -> None:
    """Add one event to ``parsed``. :raises FieldFault:"""
    if not isinstance(value, dict):
        raise FieldFault("not_an_event")
    if isinstance(value, Ambiguous):
        raise FieldFault("duplicate_keys")
    kind, data = value.get("type"), value.get("data")
    if not isinstance(kind, str):
        raise FieldFault("event_type_malformed")
    if isinstance(data, Ambiguous):
        raise FieldFault("duplicate_keys")
    folded = kind.lower()
    if folded in OTHER_EVENTS:
        parsed.other_events += 1
        return
    if not isinstance(data, dict):
        raise FieldFault("event_body_missing")
    _note_hostname(value, data, parsed)
    if folded == HEARTBEAT:
        return
    if folded == "gpi":
        parsed.triggers.append(_trigger(data, value.get("timestamp")))
    elif folded in MODES or "idHex" in data:  # a mode of a later firmware is read like the known ones
        parsed.reads.append(_read(data, value.get("timestamp")))
    else:
        raise FieldFault("event_type_unknown")


def tid_of(value: Any) -> str:
    """Return a TID field. The firmware writes "Error: …" into it where the chip gave none: the tag was still seen."""
    return "" if isinstance(value, str) and value.startswith("Error") else hex_tid(value)


def _read(data: dict[str, Any], time: Any) -> Read:
    return Read(
        epc_hex=hex_epc(data.get("idHex")),
        read_at_ns=parse_time(time),
        reader_time=reader_time_text(time),
        antenna=antenna_port(data.get("antenna")),
        rssi_cdbm=rssi_of_dbm(data.get("peakRssi")),
        event_number=whole_number(data.get("eventNum"), "event_number_malformed", 0, MAX_BIGINT),
        tid=tid_of(data.get("TID")),
    )


def _trigger(data: dict[str, Any], time: Any) -> Trigger:
    state = data.get("state")
    if not isinstance(state, str) or state.upper() not in STATES:
        raise FieldFault("trigger_malformed")
    return Trigger(
        port=input_port(data.get("pin")),
        high=STATES[state.upper()],
        at_ns=parse_time(time),
        reader_time=reader_time_text(time),
    )


def _note_hostname(value: dict[str, Any], data: dict[str, Any], parsed: Parsed) -> None:
    system = data.get("system")  # where a heartbeat keeps it
    for place in (value, data, system if isinstance(system, dict) else {}):
        for name in ("hostName", "hostname"):
            if name in place:
                parsed.note_hostname(place[name])


DIALECT = Dialect(name=NAME, recognises=recognises, read_event=read_event)
