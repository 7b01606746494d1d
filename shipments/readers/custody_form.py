"""
Our own documented form, for bridges and for readers whose body is a template: ``{"reads": [{…}, …]}``, or one read a
line.

A read: ``epc`` (hex) and ``read_at`` (RFC 3339, or integer milliseconds or microseconds) are required; ``antenna``,
``rssi_cdbm`` (hundredths of a dBm), ``tid`` (hex) and ``event_number`` are optional integers and text. Unknown fields
are left alone. The envelope may say when it was sent, as ``sent_at``: it tells a clock that is wrong from reads that
waited.
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
    hex_tid,
    parse_time,
    reader_time_text,
    rssi_cdbm,
    whole_number,
)

NAME = "custody"


def recognises(value: Any) -> bool:
    return isinstance(value, dict) and "epc" in value and "eventType" not in value


def is_envelope(value: Any) -> bool:
    """Tell whether the whole report is ``{"reads": [...]}``."""
    return isinstance(value, dict) and not isinstance(value, Ambiguous) and isinstance(value.get("reads"), list)


def sent_at_ns(envelope: dict[str, Any]) -> int | None:
    """Return when the envelope says that it was sent, or None; what cannot be read costs no report."""
    try:
        return parse_time(envelope.get("sent_at"))
    except FieldFault:
        return None


def read_event(value: Any, parsed: Parsed) -> None:
    """Add one read to ``parsed``. :raises FieldFault:"""
    if not isinstance(value, dict):
        raise FieldFault("not_an_event")
    if isinstance(value, Ambiguous):
        raise FieldFault("duplicate_keys")
    time = value.get("read_at")
    parsed.reads.append(
        Read(
            epc_hex=hex_epc(value.get("epc")),
            read_at_ns=parse_time(time),
            reader_time=reader_time_text(time),
            antenna=antenna_port(value.get("antenna")),
            rssi_cdbm=rssi_cdbm(value.get("rssi_cdbm")),
            event_number=whole_number(value.get("event_number"), "event_number_malformed", 0, MAX_BIGINT),
            tid=hex_tid(value.get("tid")),
        )
    )


DIALECT = Dialect(name=NAME, recognises=recognises, read_event=read_event)
