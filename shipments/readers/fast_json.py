"""
The usual report read fast: JSON in which nothing is ambiguous, or no answer at all.

orjson keeps the last of two equal keys and makes a float of a number that is too long, without a word. So its answer
counts only where the text shows that no key was dropped, and the caller goes to :mod:`shipments.readers.json_body`
wherever anything in the report turns out to be at fault: what is said of a fault is always the strict reader's.
"""

from typing import Any

import orjson

UNUSUAL = object()
"""Not read here: the strict reader decides."""


def load_usual(body: bytes) -> Any:
    """Return the value of ``body`` where it is JSON without escapes and repeated keys, :data:`UNUSUAL` otherwise."""
    # Without a backslash each quotation mark opens or closes a key or a string, so that a dropped pair shows in their
    # number: it takes its key's two along, and gives none.
    if b"\\" in body:
        return UNUSUAL
    try:
        value = orjson.loads(body)
        written = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return UNUSUAL
    return value if written.count(b'"') == body.count(b'"') else UNUSUAL
