"""
Impinj Speedway Connect, the application on R120, R220, R420, xSpan and xArray: JSON, or key-value pairs as a form.

JSON is one event, events one behind the other, or ``{"reader_name": …, "mac_address": …, "tag_reads": [{…}, …]}``.
The form holds ``reader_name``, ``mac_address``, ``field_names``, ``field_delim`` and ``field_values``, a line a read.
``firstSeenTimestamp`` is RFC 3339 or microseconds, ``peakRssi`` dBm.
"""

import re
from typing import Any
from urllib.parse import parse_qs

from shipments.readers.json_body import Ambiguous, ReportUnreadable
from shipments.readers.report import (
    Dialect,
    FieldFault,
    Parsed,
    Read,
    antenna_port,
    hex_epc,
    hex_tid,
    parse_time,
    reader_time_text,
    rssi_of_dbm,
)

NAME = "speedway"
MAX_ROWS = 100_000
MAX_ESCAPES = 1_000_000  # each becomes an object of its own while the form is undone
MAX_FIELDS = 32
MAX_NAMES = 40

_FORM = re.compile(rb"\s*[A-Za-z_]{1,40}=")
_NUMBER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,6}\.[0-9]{1,6}", re.ASCII)
# The form's names for what JSON calls otherwise.
_JSON_NAMES = {
    "antenna_port": "antennaPort",
    "first_seen_timestamp": "firstSeenTimestamp",
    "peak_rssi": "peakRssi",
    "is_heartbeat": "isHeartBeat",
}


def recognises(value: Any) -> bool:
    if not isinstance(value, dict) or "eventType" in value:
        return False
    return isinstance(value.get("tag_reads"), list) or "isHeartBeat" in value or "firstSeenTimestamp" in value


def unfold(value: Any) -> list[Any]:
    """Return the single events of an envelope, its reader's name behind them; anything else as it is."""
    if not isinstance(value, dict) or isinstance(value, Ambiguous) or not isinstance(value.get("tag_reads"), list):
        return [value]
    return [*value["tag_reads"], {"reader_name": value.get("reader_name")}]


def read_event(value: Any, parsed: Parsed) -> None:
    """Add one event to ``parsed``. :raises FieldFault:"""
    if not isinstance(value, dict):
        raise FieldFault("not_an_event")
    if isinstance(value, Ambiguous):
        raise FieldFault("duplicate_keys")
    if value.keys() == {"reader_name"}:
        parsed.note_hostname(value["reader_name"])
        return
    # Its "epc" is then whatever text the operator set for heartbeats.
    if value.get("isHeartBeat") is True:
        return
    time = value.get("firstSeenTimestamp")
    parsed.reads.append(
        Read(
            epc_hex=hex_epc(value.get("epc")),
            read_at_ns=parse_time(time),
            reader_time=reader_time_text(time),
            antenna=antenna_port(value.get("antennaPort")),
            rssi_cdbm=rssi_of_dbm(value.get("peakRssi")),
            tid=hex_tid(value.get("tid")),
        )
    )


def is_form(body: bytes) -> bool:
    """Tell a form from JSON, which begins with no letter and ``=``."""
    return _FORM.match(body) is not None


def read_form(body: bytes) -> dict[str, Any]:
    """
    Return the envelope that a form says, as JSON would have said it.

    :raises ReportUnreadable: form_malformed or too_many_events
    """
    if body.count(b"%") > MAX_ESCAPES:
        raise ReportUnreadable("too_many_events")
    try:
        # ASCII as the standard has it; what stood escaped is UTF-8.
        form = parse_qs(
            body.decode("ascii").strip(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise ReportUnreadable("form_malformed", str(error)[:200]) from error
    if "field_values" not in form or "field_names" not in form or any(len(values) > 1 for values in form.values()):
        raise ReportUnreadable("form_malformed", "field_names and field_values are there once each")
    delimiter = form.get("field_delim", [","])[0] or ","
    names = [_json_name(name) for name in form["field_names"][0].split(delimiter)[:MAX_NAMES]]
    rows = [row for row in form["field_values"][0].replace("\\n", "\n").split("\n") if row.strip()]
    if len(rows) > MAX_ROWS:
        raise ReportUnreadable("too_many_events", str(len(rows)))
    return {
        "reader_name": form.get("reader_name", [None])[0],
        "tag_reads": [_event(names, row.split(delimiter, MAX_NAMES)) for row in rows],
    }


def _event(names: list[str], fields: list[str]) -> Any:
    if len(fields) != len(names):
        return ",".join(fields)  # as text: it is no event, and is quarantined as it stood
    return {name: _value(name, field) for name, field in zip(names, fields, strict=True)}


def _json_name(name: str) -> str:
    bare = name.strip().strip('"')
    return _JSON_NAMES.get(bare, bare)


def _value(name: str, field: str) -> Any:
    bare = field.strip().strip('"')
    if bare == "":
        return None
    if name in ("epc", "tid"):
        return bare
    if _NUMBER.fullmatch(bare):
        return int(bare)
    if _DECIMAL.fullmatch(bare):
        return float(bare)
    return {"true": True, "false": False}.get(bare.lower(), bare)


DIALECT = Dialect(name=NAME, recognises=recognises, read_event=read_event)
