"""
Which dialect a report speaks, told by its shape. A new dialect is a module with a ``DIALECT``, added to the tuple here.

A report of JSON that no dialect knows is kept and its events are quarantined: a 4xx would make some readers retry it
for ever, and a later dialect can still read the stored bytes.
"""

from typing import Any

from shipments.readers import custody_form, impinj
from shipments.readers.json_body import MAX_EVENTS, Ambiguous, ReportUnreadable, excerpt, read_body
from shipments.readers.report import Dialect, Fault, FieldFault, Parsed

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (impinj.DIALECT, custody_form.DIALECT)}


def parse_report(body: bytes, *, hint: str = "") -> Parsed:
    """
    Read a report of any known dialect.

    :param hint: the dialect to try first, where a report fits several or carries no event at all
    :raises ReportUnreadable: where the bytes are no JSON report at all
    """
    found = read_body(body)
    values = found.values
    if custody_form.is_envelope(found.whole):
        values = list(enumerate(found.whole["reads"]))
        if len(values) > MAX_EVENTS:
            raise ReportUnreadable("too_many_events", str(len(values)))
        dialect: Dialect | None = custody_form.DIALECT
    else:
        dialect = _recognise(values, hint)
    parsed = Parsed(dialect=dialect.name if dialect else "", faults=list(found.faults))
    if custody_form.is_envelope(found.whole):
        parsed.sent_at_ns = custody_form.sent_at_ns(found.whole)
    for position, value in values:
        try:
            if dialect is None:
                raise FieldFault("duplicate_keys" if isinstance(value, Ambiguous) else "dialect_unknown")
            dialect.read_event(value, parsed)
        except FieldFault as fault:
            parsed.faults.append(Fault(position, fault.reason, excerpt(value)))
    return parsed


def _recognise(values: list[tuple[int, Any]], hint: str) -> Dialect | None:
    candidates = sorted(DIALECTS.values(), key=lambda dialect: dialect.name != hint)
    for _position, value in values:
        for dialect in candidates:
            if dialect.recognises(value):
                return dialect
    # No event tells: an idle reader's empty array, or nothing but poison.
    return DIALECTS.get(hint)
