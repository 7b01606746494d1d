"""
The one JSON form that the log admits: RFC 8785, restricted so that every language writes and reads it alike.

ASCII keys, no floats, integers within ±(2^53 − 1), no lone surrogates, bounded depth. Nothing that is read is trusted.
"""

import json
from collections.abc import Callable
from typing import Any

from ledger.tlog.errors import NotCanonical, excerpt

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32


def encode(value: Any, *, max_depth: int = MAX_DEPTH) -> bytes:
    """
    Return the canonical bytes of ``value``: dict, list, str, int, bool and None alone.

    :param max_depth: how many containers may stand inside each other
    :raises NotCanonical: if the value has no restricted canonical form
    """
    _check(value, max_depth)
    # RFC 8785 section 3.2.3 orders keys by UTF-16 code units; for ASCII keys that is Python's order of strings.
    # Its section 3.2.2.2 escapes strings as json does without ensure_ascii: \b \t \n \f \r \" \\ and \u00xx.
    text = _write(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical(
            "string", expected="Unicode text", found=f"the lone surrogate U+{ord(text[error.start]):04X}"
        ) from None


def decode(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """
    Return the value of canonical bytes; any other spelling of the same value is refused.

    :raises NotCanonical: if ``data`` is not exactly what :func:`encode` makes of its value
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except UnicodeDecodeError as error:
        raise NotCanonical("encoding", expected="UTF-8", found=f"{error.reason} at byte {error.start}") from None
    except RecursionError:
        raise NotCanonical("depth", expected=f"at most {max_depth} containers", found="far more") from None
    except ValueError as error:
        raise NotCanonical("JSON", expected="one JSON value", found=str(error)) from None
    again = encode(value, max_depth=max_depth)
    if again != data:
        at = next((i for i, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), min(len(again), len(data)))
        raise NotCanonical(
            f"spelling at byte {at}", expected=excerpt(again[at : at + 20]), found=excerpt(data[at : at + 20])
        )
    return value


def decode_object(data: bytes) -> dict[str, Any]:
    """
    Return the object of canonical bytes as :func:`decode` does, several times as fast.

    :raises NotCanonical: if ``data`` is not the canonical form of an object
    """
    # Writing it again finds other spellings, other orders and repeated keys. What survives that and is not admitted
    # (floats, long integers, keys that are not ASCII, depth) is looked for, or sent the long way.
    try:
        text = data.decode()
        value, end = _scan(text, 0)
        if (
            type(value) is dict
            and end == len(text)
            and _write(value) == text
            and text.count("{") + text.count("[") <= MAX_DEPTH
            and (text.isascii() or _ascii_keys(value))
        ):
            return value
    except (NotCanonical, ValueError, StopIteration, RecursionError):
        pass
    value = decode(data)
    if not isinstance(value, dict):
        raise NotCanonical("JSON", expected="an object", found=type(value).__name__)
    return value


def _check(value: Any, depth: int) -> None:
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical("integer", expected="at most 2^53 - 1 either way", found=f"{value.bit_length()} bits")
        return
    if not isinstance(value, (dict, list)):
        raise NotCanonical(
            "type", expected="dict, list, str, int, bool or None", found=f"{type(value).__name__} {excerpt(value)}"
        )
    if depth == 0:
        raise NotCanonical("depth", expected="fewer containers inside each other", found="one more than the limit")
    if isinstance(value, dict):
        for key, item in value.items():
            if not (isinstance(key, str) and key.isascii()):
                found = excerpt(key) if isinstance(key, str) else type(key).__name__
                raise NotCanonical("key", expected="an ASCII string", found=found)
            # Most items are strings, and calls are what checking costs.
            if type(item) is not str:
                _check(item, depth - 1)
    else:
        for item in value:
            if type(item) is not str:
                _check(item, depth - 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotCanonical("object", expected="each key once", found=f"{excerpt(key)} twice")
            seen.add(key)
    return found


def _integer(digits: str) -> int:
    # 2^53 - 1 has 16 digits. Longer ones are refused before int(), which is slow on thousands of them.
    if len(digits) > 17:
        raise NotCanonical("integer", expected="at most 2^53 - 1 either way", found=f"{len(digits)} characters")
    return int(digits)


def _refuse_number(text: str) -> Any:
    raise NotCanonical("number", expected="an integer", found=excerpt(text))


def _small_integer(digits: str) -> int:
    if len(digits) > 15:
        raise ValueError(digits)
    return int(digits)


_decoder: Any = json.JSONDecoder(parse_int=_small_integer, parse_float=_refuse_number, parse_constant=_refuse_number)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once
_write = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode


def _ascii_keys(value: Any) -> bool:
    if type(value) is dict:
        return all(key.isascii() and _ascii_keys(item) for key, item in value.items())
    return type(value) is not list or all(map(_ascii_keys, value))
