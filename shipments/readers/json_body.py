"""
A report's bytes to its JSON values: an array, one object, one value per line, or objects one behind the other. Trusts
nothing: neither depth, size, numbers nor keys.

What spoils a single value is left in it as a mark, for the dialect to quarantine; what spoils the whole raises.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from shipments.readers.fast_json import load_usual
from shipments.readers.report import Fault

MAX_EVENTS = 300_000  # the most that Impinj's webhook puts into one report
MAX_COMMAS = 6_000_000
MAX_CONTAINERS = 1_000_000
MAX_NUMBER_DIGITS = 40
EXCERPT = 400
MAX_EXCERPTS = 10_000  # of one report: a flood of poison is counted, and told of by its first events

_BLANKS = re.compile(r"[ \t\r\n]*")


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
    """Values with their positions, and what between them was no JSON."""

    values: list[tuple[int, Any]]
    faults: list[Fault]


def read_body(body: bytes) -> Body:
    """
    Split a report into its values.

    :raises ReportUnreadable: empty, not_utf8, too_many_events, too_deep, not_json or not_events
    """
    text = _text(body)
    try:
        value = _load(text)
    except ValueError as error:
        stream = _read_stream(text)
        if stream is None:
            raise ReportUnreadable("not_json", str(error)[:200]) from error
        return stream
    if isinstance(value, list):
        if len(value) > MAX_EVENTS:
            raise ReportUnreadable("too_many_events", str(len(value)))
        return Body(list(enumerate(value)), [])
    if isinstance(value, dict):
        return Body([(0, value)], [])
    raise ReportUnreadable("not_events", type(value).__name__)


def read_usual_body(body: bytes) -> Body | None:
    """Read a report like :func:`read_body`, fast; None where only the strict reader can tell what it says."""
    if not body or _too_many(body):
        return None
    value = load_usual(body)
    if isinstance(value, list):
        return Body(list(enumerate(value)), []) if len(value) <= MAX_EVENTS else None
    return Body([(0, value)], []) if isinstance(value, dict) else None


def excerpt(value: Any) -> str:
    """Return the beginning of a value as printable ASCII: NULs and lone surrogates stay escaped."""
    try:
        return _ENCODER.encode(value)[:EXCERPT]
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


def _read_stream(text: str) -> Body | None:
    """
    Read values by the line, or objects one behind the other over any lines.

    :returns: None where the body begins otherwise, so that it is neither
    """
    # Not splitlines(): it breaks at U+2028 and others, which may stand inside a JSON string.
    chunks = [line for line in text.split("\n") if line.strip()]
    head, rest = _read_values(chunks[0])
    if rest or not isinstance(head[0], dict):
        chunks = [text]
        head, rest = _read_values(text)
        if not head or not isinstance(head[0], dict) or not (len(head) > 1 or rest.startswith("{")):
            return None
    values: list[tuple[int, Any]] = []
    faults: list[Fault] = []
    place = 0
    for chunk in chunks:
        # A line is read once and given up at its first fault: were it sought for a next beginning, a hostile body
        # could have each byte read many times.
        found, rest = _read_values(chunk)
        values += enumerate(found, place)
        place += len(found)
        if rest:
            told = excerpt(rest[:EXCERPT]) if len(faults) < MAX_EXCERPTS else ""
            faults.append(Fault(place, "not_json", told))
            place += 1
        if place > MAX_EVENTS:
            raise ReportUnreadable("too_many_events", f"more than {MAX_EVENTS}")
    return Body(values, faults)


def _read_values(text: str) -> tuple[list[Any], str]:
    """Return the values that stand one behind the other in ``text``, and from where on it is no JSON."""
    values: list[Any] = []
    start = _BLANKS.match(text).end()  # type: ignore[union-attr]  # it matches everything
    while start < len(text):
        try:
            value, end = _DECODER.raw_decode(text, start)
        except RecursionError as error:
            raise ReportUnreadable("too_deep") from error
        except ValueError:
            break
        values.append(value)
        start = _BLANKS.match(text, end).end()  # type: ignore[union-attr]
    return values, text[start:]


def _load(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ReportUnreadable("too_deep") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Ambiguous(found)


def _integer(spelling: str) -> Any:
    # Python refuses to convert thousands of digits, which would cost the whole report for one bad event.
    return int(spelling) if len(spelling) <= MAX_NUMBER_DIGITS else NotANumber(spelling)


_ENCODER = json.JSONEncoder(default=repr)
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=NotANumber)
