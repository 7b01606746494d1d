"""
A posted body to its JSON, strictly, and JSON to bytes again without touching a number's spelling.

Trusts nothing: size, depth, numbers, keys that stand twice. What cannot be kept and given back as it was is refused.
"""

import json
import math
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from django.utils.translation import gettext_lazy as _

from refusals import Refusal

MAX_BODY = 16 * 1024 * 1024
MAX_EVENTS = 10_000
MAX_DEPTH = 32
MAX_CONTAINERS = 1_000_000
MAX_DIGITS = 40


class DocumentTooLarge(Refusal):
    code = "document_too_large"
    message = _("The document has more than %(limit)s. Send it in parts.")
    status = 413


class DocumentUnreadable(Refusal):
    """``reason`` is a stable code: empty, not_utf8, not_json, gzip, too_deep, duplicate_keys, number or text."""

    code = "document_unreadable"
    message = _("The document cannot be read: %(problem)s")
    status = 400

    def __init__(self, reason: str, problem: Any) -> None:
        self.reason = reason
        super().__init__(reason=reason, problem=problem)


class _Twice(ValueError):
    pass


class _Number(ValueError):
    pass


def read_json(body: bytes) -> Any:
    """
    Return the one JSON value of ``body``; numbers with a fraction or an exponent as :class:`~decimal.Decimal`.

    :raises DocumentTooLarge:
    :raises DocumentUnreadable:
    """
    if len(body) > MAX_BODY:
        raise DocumentTooLarge(limit=_("%(mib)s MiB") % {"mib": MAX_BODY >> 20})
    # Counted before parsing: millions of empty objects would take gigabytes.
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise DocumentTooLarge(limit=_("a million objects and lists"))
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
        )
    except UnicodeDecodeError as error:
        problem = _("it is not UTF-8 at byte %(place)s.") % {"place": error.start}
        raise DocumentUnreadable("not_utf8", problem) from error
    except RecursionError as error:
        raise DocumentUnreadable("too_deep", _("its objects lie too deep inside each other.")) from error
    except _Twice as error:
        raise DocumentUnreadable("duplicate_keys", _("“%(key)s” stands twice in an object.") % {"key": error}) from None
    except _Number as error:
        raise DocumentUnreadable("number", _("“%(text)s” is no number to rely on.") % {"text": error}) from None
    except ValueError as error:
        if not text.strip():
            raise DocumentUnreadable("empty", _("it is empty.")) from None
        raise DocumentUnreadable("not_json", _("it is no JSON (%(why)s).") % {"why": str(error)[:100]}) from None
    _check(value)
    return value


def write_json(value: Any) -> bytes:
    """Return ``value`` as UTF-8 JSON, keys in their order, decimals as they were spelled."""
    return orjson.dumps(value, default=_spelled)


def as_written(json_text: str) -> orjson.Fragment:
    """Let JSON that was stored go into :func:`write_json` as it is."""
    return orjson.Fragment(json_text)


def _spelled(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(name for name, _value in pairs)
        raise _Twice(_printable(counted.most_common(1)[0][0]))
    return found


def _integer(spelling: str) -> int | Decimal:
    # What 64 bits do not hold is kept by its digits.
    return int(spelling) if len(spelling) <= 18 else _decimal(spelling)


def _decimal(spelling: str) -> Decimal:
    try:
        number = Decimal(spelling) if len(spelling) <= MAX_DIGITS else Decimal("NaN")
        # Others read a number as a float: one that has no such value would be something else to each of them.
        if math.isfinite(float(number)):
            return number
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise _Number(_printable(spelling))


def _constant(spelling: str) -> Any:
    raise _Number(spelling)


def _check(value: Any) -> None:
    """:raises DocumentUnreadable: where it is nested too deep, or holds text that is no Unicode"""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise DocumentUnreadable("too_deep", _("its objects lie more than %(n)s deep.") % {"n": MAX_DEPTH})
        inside: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inside += one
                inside += one.values()
            elif isinstance(one, list):
                inside += one
            elif isinstance(one, str) and not one.isascii():
                try:
                    one.encode()
                except UnicodeEncodeError:
                    raise DocumentUnreadable("text", _("it holds half a character (a lone surrogate).")) from None
        level = inside


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:60])
