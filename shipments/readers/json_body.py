"""
A report's bytes to its JSON values: an array, one object, or one value per line. Trusts nothing: neither depth, size,
numbers nor keys.

What spoils a single value is left in it as a mark, for the dialect to quarantine; what spoils the whole raises.
"""

import json
from dataclasses import dataclass
from typing import Any

from shipments.readers.fast_json import load_usual
from shipments.readers.report import Fault

MAX_EVENTS = 300_000  # the most that Impinj's webhook puts into one report
MAX_COMMAS = 6_000_000
MAX_CONTAINERS = 1_000_000
MAX_NUMBER_DIGITS = 40
EXCERPT = 400


class ReportUnreadable(Exception):
    """The bytes are no JSON report. ``reason`` is a stable code, ``detail`` tells where it fails."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class Ambiguous(dict[str, Any]):
    """An object in which a key stood twice: nobody can say which of the two the reader meant."""


class NotANumber:
    """NaN, an infinity, or a number too long to be one: kept as its spelling, equal to nothing."""

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling[:MAX_NUMBER_DIGITS]

    def __repr__(self) -> str:
        return self.spelling


@dataclass(frozen=True, slots=True)
class Body:
    """Values with their positions, and the lines that were no JSON. ``whole`` is set where the report is one value."""

    values: list[tuple[int, Any]]
    faults: list[Fault]
    whole: Any = None


def read_body(body: bytes) -> Body:
    """
    Split a report into its values.

    :raises ReportUnreadable: empty, not_utf8, too_many_events, too_deep, not_json or not_events
    """
    text = _text(body)
    try:
        value = _load(text)
    except ValueError as error:
        lines = _read_lines(text)
        if lines is None:
            raise ReportUnreadable("not_json", str(error)[:200]) from error
        return lines
    if isinstance(value, list):
        if len(value) > MAX_EVENTS:
            raise ReportUnreadable("too_many_events", str(len(value)))
        return Body(list(enumerate(value)), [])
    if isinstance(value, dict):
        return Body([(0, value)], [], whole=value)
    raise ReportUnreadable("not_events", type(value).__name__)


def read_usual_body(body: bytes) -> Body | None:
    """Read a report like :func:`read_body`, fast; None where only the strict reader can tell what it says."""
    if not body or _too_many(body):
        return None
    value = load_usual(body)
    if isinstance(value, list):
        return Body(list(enumerate(value)), []) if len(value) <= MAX_EVENTS else None
    return Body([(0, value)], [], whole=value) if isinstance(value, dict) else None


def excerpt(value: Any) -> str:
    """Return the beginning of a value as printable ASCII: NULs and lone surrogates stay escaped."""
    try:
        return json.dumps(value, default=repr)[:EXCERPT]
    except (RecursionError, ValueError):
        return "(nested too deep to print)"


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportUnreadable("not_utf8", f"byte {error.start}") from error
    if not text.strip():
        raise ReportUnreadable("empty")
    if _too_many(body):
        raise ReportUnreadable("too_many_events")
    return text


def _too_many(body: bytes) -> bool:
    # Counted before parsing: sixteen million empty arrays in 32 MiB would take gigabytes as objects.
    return len(body) > MAX_CONTAINERS and (
        body.count(b",") > MAX_COMMAS or body.count(b"{") + body.count(b"[") > MAX_CONTAINERS
    )


def _read_lines(text: str) -> Body | None:
    """Read newline-delimited JSON; None where the first line is no complete object, so that it is no such body."""
    # Not splitlines(): it breaks at U+2028 and others, which may stand inside a JSON string.
    lines = [(place, line) for place, line in enumerate(text.split("\n")) if line.strip()]
    if len(lines) < 2:
        return None
    try:
        if not isinstance(_load(lines[0][1]), dict):
            return None
    except ValueError:
        return None
    if len(lines) > MAX_EVENTS:
        raise ReportUnreadable("too_many_events", str(len(lines)))
    values: list[tuple[int, Any]] = []
    faults: list[Fault] = []
    for place, line in lines:
        try:
            values.append((place, _load(line)))
        except ValueError:
            faults.append(Fault(place, "not_json", excerpt(line[:EXCERPT])))
    return Body(values, faults)


def _load(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_constant=NotANumber,
        )
    except RecursionError as error:
        raise ReportUnreadable("too_deep") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Ambiguous(found)


def _integer(spelling: str) -> Any:
    # Python refuses to convert thousands of digits, which would cost the whole report for one bad event.
    return int(spelling) if len(spelling) <= MAX_NUMBER_DIGITS else NotANumber(spelling)
