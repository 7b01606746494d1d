"""
Our own documented form, for bridges and for readers whose body is a template: ``{"reads": [{…}, …]}``, or one read a
line. ``docs/readers.md`` describes it whole.

A read: ``epc`` (hex) and ``read_at`` (RFC 3339, or integer milliseconds or microseconds) are required; ``antenna``,
``rssi_cdbm`` (hundredths of a dBm), ``tid`` (hex) and ``event_number`` are optional integers and text. Beside the reads
may stand ``gaps`` (``first``, ``last``, ``purged``), ``triggers`` (``port``, ``high``, ``at``), ``hostname``, ``site``
(the GLN where the sender says that it stands) and ``sent_at``, which tells a clock that is wrong from reads that
waited; by the line, gaps and triggers are
``{"gap": {…}}`` and ``{"trigger": {…}}``. Unknown fields are left alone.
"""

from typing import Any

from shipments.epc import KeyMalformed, check_gln
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
    hex_epc,
    hex_tid,
    input_port,
    parse_time,
    reader_time_text,
    rssi_cdbm,
    whole_number,
)

NAME = "custody"
LISTS = ("reads", "gaps", "triggers")
# What tells another vendor's event that happens to have an "epc" too.
FOREIGN = frozenset({"eventType", "firstSeenTimestamp", "isHeartBeat", "data"})


def recognises(value: Any) -> bool:
    if not isinstance(value, dict) or not FOREIGN.isdisjoint(value):
        return False
    return "epc" in value or "gap" in value or "trigger" in value or _is_envelope(value)


def unfold(value: Any) -> list[Any]:
    """Return the single reads, gaps and triggers of an envelope; anything else as it is."""
    if not _is_envelope(value):
        return [value]
    parts = list(value.get("reads", []))
    for name, one in (("gaps", "gap"), ("triggers", "trigger")):
        held = value.get(name, [])
        # What is no list becomes one fault, not nothing.
        parts += [{one: item} for item in (held if isinstance(held, list) else [held])]
    parts += [{name: value[name]} for name in ("hostname", "site", "sent_at") if name in value]
    return parts


def read_event(value: Any, parsed: Parsed) -> None:
    """Add one read, gap or trigger to ``parsed``. :raises FieldFault:"""
    if not isinstance(value, dict):
        raise FieldFault("not_an_event")
    if isinstance(value, Ambiguous):
        raise FieldFault("duplicate_keys")
    if "hostname" in value:
        parsed.note_hostname(value["hostname"])
        if len(value) == 1:
            return
    if value.keys() == {"site"}:
        parsed.site = _gln(value["site"])
        return
    if value.keys() == {"sent_at"}:
        parsed.sent_at_ns = _sent_at_ns(value["sent_at"])
        return
    if "epc" not in value and "gap" in value:
        parsed.gaps.append(_gap(_inner(value["gap"], "gap_malformed")))
    elif "epc" not in value and "trigger" in value:
        parsed.triggers.append(_trigger(_inner(value["trigger"], "trigger_malformed")))
    else:
        parsed.reads.append(_read(value))


def _is_envelope(value: Any) -> bool:
    if not isinstance(value, dict) or isinstance(value, Ambiguous) or "epc" in value:
        return False
    return isinstance(value.get("reads", []), list) and any(isinstance(value.get(name), list) for name in LISTS)


def _gln(value: Any) -> str:
    # What is no GLN claims nothing.
    try:
        return check_gln(value) if isinstance(value, str) else ""
    except KeyMalformed:
        return ""


def _sent_at_ns(time: Any) -> int | None:
    # What cannot be read costs no report.
    try:
        return parse_time(time)
    except FieldFault:
        return None


def _inner(value: Any, reason: str) -> dict[str, Any]:
    if isinstance(value, Ambiguous):
        raise FieldFault("duplicate_keys")
    if not isinstance(value, dict):
        raise FieldFault(reason)
    return value


def _read(value: dict[str, Any]) -> Read:
    time = value.get("read_at")
    # By position: by name takes three times as long, and a portal sends a thousand of them a second.
    return Read(
        hex_epc(value.get("epc")),
        parse_time(time),
        reader_time_text(time),
        antenna_port(value.get("antenna")),
        rssi_cdbm(value.get("rssi_cdbm")),
        whole_number(value.get("event_number"), "event_number_malformed", 0, MAX_BIGINT),
        hex_tid(value.get("tid")),
    )


def _gap(value: dict[str, Any]) -> Gap:
    first, last = parse_time(value.get("first")), parse_time(value.get("last"))
    purged = whole_number(value.get("purged"), "gap_malformed", 0, MAX_BIGINT)
    if purged is None or last < first:
        raise FieldFault("gap_malformed")
    return Gap(first_ns=first, last_ns=last, purged=purged)


def _trigger(value: dict[str, Any]) -> Trigger:
    time, high = value.get("at"), value.get("high")
    if type(high) is not bool:
        raise FieldFault("trigger_malformed")
    return Trigger(
        port=input_port(value.get("port")), high=high, at_ns=parse_time(time), reader_time=reader_time_text(time)
    )


DIALECT = Dialect(name=NAME, recognises=recognises, read_event=read_event)
