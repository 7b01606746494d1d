"""
Which dialect a report speaks, told by its shape. A new dialect is a module with a ``DIALECT``, added to the tuple here;
where one value of its reports holds several events, it brings an ``unfold`` as well.

A report of JSON that no dialect knows is kept and its events are quarantined: a 4xx would make some readers retry it
for ever, and a later dialect can still read the stored bytes.
"""

from collections.abc import Callable
from typing import Any

from shipments.readers import custody_form, impinj, speedway, zebra, zebra_handheld
from shipments.readers.json_body import (
    MAX_EVENTS,
    MAX_EXCERPTS,
    Ambiguous,
    Body,
    ReportUnreadable,
    excerpt,
    read_body,
    read_usual_body,
)
from shipments.readers.report import Dialect, Fault, FieldFault, Parsed

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (impinj.DIALECT, zebra.DIALECT, zebra_handheld.DIALECT, speedway.DIALECT, custody_form.DIALECT)
}
# One value of the report to the single events in it; what is no envelope comes back alone.
UNFOLD: dict[str, Callable[[Any], list[Any]]] = {
    zebra_handheld.NAME: zebra_handheld.unfold,
    speedway.NAME: speedway.unfold,
    custody_form.NAME: custody_form.unfold,
}


def parse_report(body: bytes, *, hint: str = "") -> Parsed:
    """
    Read a report of any known dialect.

    :param hint: the dialect to try first, where a report fits several or carries no event at all
    :raises ReportUnreadable: where the bytes are no report at all: neither JSON nor Speedway Connect's form
    """
    if speedway.is_form(body):
        return _read_events(Body([(0, speedway.read_form(body))], []), hint)
    usual = read_usual_body(body)
    parsed = _read_events(usual, hint) if usual else None
    # Where anything is at fault the strict reader says what: it knows a number too long to be one, and keys met twice.
    return parsed if parsed and not parsed.faults else _read_events(read_body(body), hint)


def _read_events(found: Body, hint: str) -> Parsed:
    dialect = _recognise(found.values, hint)
    values, faults = found.values, found.faults
    if dialect is not None and dialect.name in UNFOLD:
        values, faults = _unfold(found, UNFOLD[dialect.name])
    parsed = Parsed(dialect=dialect.name if dialect else "", faults=list(faults))
    for position, value in values:
        try:
            if dialect is None:
                raise FieldFault("duplicate_keys" if isinstance(value, Ambiguous) else "dialect_unknown")
            dialect.read_event(value, parsed)
        except FieldFault as fault:
            told = excerpt(value) if len(parsed.faults) < MAX_EXCERPTS else ""
            parsed.faults.append(Fault(position, fault.reason, told))
    return parsed


def _unfold(found: Body, unfold: Callable[[Any], list[Any]]) -> tuple[list[tuple[int, Any]], list[Fault]]:
    """Count the positions anew: no two events of a report may share one, nor one with a fault of the body."""
    values: list[tuple[int, Any]] = []
    single = True
    for _position, value in found.values:
        parts = unfold(value)
        single = single and len(parts) == 1 and parts[0] is value
        values += enumerate(parts, len(values))
        if len(values) > MAX_EVENTS:
            raise ReportUnreadable("too_many_events", f"more than {MAX_EVENTS}")
    if single:
        return found.values, found.faults
    behind = enumerate(found.faults, len(values))
    return values, [Fault(place, fault.reason, fault.excerpt) for place, fault in behind]


def _recognise(values: list[tuple[int, Any]], hint: str) -> Dialect | None:
    candidates = sorted(DIALECTS.values(), key=lambda dialect: dialect.name != hint)
    for _position, value in values:
        for dialect in candidates:
            if dialect.recognises(value):
                return dialect
    # No event tells: an idle reader's empty array, or nothing but poison.
    return DIALECTS.get(hint)
