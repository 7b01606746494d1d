"""
The "+" schemes of TDS 2.x: whole keys in binary-coded decimal, serials in whichever encoding took the fewest bits.

No company prefix length is in such a tag, so it has no pure identity URI: it is named by its Digital Link (TDS 2.3,
section 14.2), as its "96" twin can be. Behind the key may stand AIDC data where the toggle bit says so.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2

from shipments.epc.letters import ADMITTED

MAX_SERIAL = 20
HEADERS = {"F7": "sgtin+", "F9": "sscc+", "FB": "dsgtin+"}

_HEADER_BITS = 8
_TOGGLE = 8
_KEY_STARTS = 12  # behind the header, the toggle bit and three filter bits
_DATE_BITS = 20
_GTIN_DIGITS, _SSCC_DIGITS = 14, 18
# TDS 2.3 section 14.5.3: which date stands in front of a DSGTIN+'s GTIN.
_DATE_TYPES = 7
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CODE_40 = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"


class PlusMalformed(ValueError):
    """Bits that no encoder of the scheme writes."""


@dataclass(frozen=True, slots=True)
class Plus:
    """What stands in the tag, and how many bits it took; ``more`` where AIDC data may follow."""

    bits: int
    more: bool
    gtin: str = ""
    serial: str = ""
    sscc: str = ""


def decode_plus(binary: str, scheme: str) -> Plus:
    """
    Read the bits of an ``sgtin+``, ``dsgtin+`` or ``sscc+`` tag; check digits are the caller's to hold.

    :raises PlusMalformed:
    """
    more = binary[_TOGGLE : _TOGGLE + 1] == "1"
    if scheme == "sscc+":
        sscc, end = _digits(binary, _KEY_STARTS, _SSCC_DIGITS)
        return Plus(end, more, sscc=sscc)
    start = _KEY_STARTS
    if scheme == "dsgtin+":
        _check_date(_take(binary, start, _DATE_BITS))
        start += _DATE_BITS
    gtin, end = _digits(binary, start, _GTIN_DIGITS)
    serial, end = decode_serial(binary, end)
    return Plus(end, more, gtin=gtin, serial=serial)


def encode_sscc_plus(sscc: str, filter_value: int) -> str:
    return f"{0xF9:08b}0{filter_value:03b}" + _bcd(sscc)


def encode_sgtin_plus(gtin: str, serial: str, filter_value: int) -> str:
    return f"{0xF7:08b}0{filter_value:03b}" + _bcd(gtin) + encode_serial(serial)


def decode_serial(binary: str, start: int) -> tuple[str, int]:
    """
    Read a serial of AI (21) by its encoding indicator (section 14.5.6) and return it with the place behind it.

    :raises PlusMalformed:
    """
    indicator = int(_take(binary, start, 3), 2)
    length = int(_take(binary, start + 3, 5), 2)
    start += 8
    if not 1 <= length <= MAX_SERIAL:
        raise PlusMalformed(f"a serial of {length} characters")
    if indicator not in _METHODS:
        raise PlusMalformed(f"encoding indicator {indicator}")
    method = _METHODS[indicator]
    bits = method.bits(length)
    return method.decode(_take(binary, start, bits), length), start + bits


def encode_serial(serial: str) -> str:
    """
    Return the bits of a serial of AI (21) in the encoding that takes the fewest.

    :raises PlusMalformed: where it has none or more than 20 characters, or one that GS1 does not admit
    """
    if not 1 <= len(serial) <= MAX_SERIAL:
        raise PlusMalformed(f"a serial of {len(serial)} characters")
    fitting = [indicator for indicator, method in _METHODS.items() if method.letters.fullmatch(serial)]
    if not fitting:
        raise PlusMalformed(f"the serial {serial!r} has characters that GS1 does not admit")
    # The lower indicator where two take as many bits.
    indicator = min(fitting, key=lambda candidate: _METHODS[candidate].bits(len(serial)))
    return f"{indicator:03b}{len(serial):05b}" + _METHODS[indicator].encode(serial)


@dataclass(frozen=True, slots=True)
class _Method:
    letters: re.Pattern[str]
    bits: Callable[[int], int]
    decode: Callable[[str, int], str]
    encode: Callable[[str], str]


def _take(binary: str, start: int, bits: int) -> str:
    taken = binary[start : start + bits]
    if len(taken) < bits:
        raise PlusMalformed("the bits end inside a value")
    return taken


def _digits(binary: str, start: int, count: int) -> tuple[str, int]:
    packed = f"{int(_take(binary, start, 4 * count), 2):0{count}X}"
    if not packed.isdecimal():
        raise PlusMalformed("a nibble above nine")
    return packed, start + 4 * count


def _bcd(digits: str) -> str:
    return f"{int(digits, 16):0{4 * len(digits)}b}"


def _check_date(bits: str) -> None:
    kind, year, month, day = int(bits[:4], 2), int(bits[4:11], 2), int(bits[11:15], 2), int(bits[15:], 2)
    if kind >= _DATE_TYPES or year > 99 or not 1 <= month <= 12:
        raise PlusMalformed("no date")
    # Day 00 is "some day of that month". Centuries: 00 was a leap year, as every year divisible by four is here.
    if day > monthrange(2000 + year, month)[1]:
        raise PlusMalformed("no date")


def _integer_bits(length: int) -> int:
    return ceil(length * log2(10))


def _decode_integer(bits: str, length: int) -> str:
    digits = f"{int(bits, 2):0{length}d}"
    if len(digits) > length:
        raise PlusMalformed("a number with more digits than it says")
    return digits


def _decode_letters(alphabet: str, width: int) -> Callable[[str, int], str]:
    def decode(bits: str, length: int) -> str:
        return "".join(alphabet[int(bits[place : place + width], 2)] for place in range(0, width * length, width))

    return decode


def _encode_letters(alphabet: str, width: int) -> Callable[[str], str]:
    def encode(serial: str) -> str:
        return "".join(f"{alphabet.index(letter):0{width}b}" for letter in serial)

    return encode


def _decode_ascii(bits: str, length: int) -> str:
    serial = "".join(chr(int(bits[place : place + 7], 2)) for place in range(0, 7 * length, 7))
    if not ADMITTED.issuperset(serial):
        raise PlusMalformed("a character that GS1 does not admit")
    return serial


def _decode_code_40(bits: str, length: int) -> str:
    letters = []
    for place in range(0, len(bits), 16):
        packed = int(bits[place : place + 16], 2) - 1
        if not 0 <= packed < 40**3:
            raise PlusMalformed("no three letters of URN Code 40")
        letters += [packed // 1600, packed // 40 % 40, packed % 40]
    # PAD fills the last group, and stands nowhere else.
    if 0 in letters[:length] or any(letters[length:]):
        raise PlusMalformed("padding in the wrong place")
    return "".join(_CODE_40[letter] for letter in letters[:length])


def _encode_code_40(serial: str) -> str:
    places = [_CODE_40.index(letter) for letter in serial]
    places += [0] * (-len(places) % 3)
    groups = [places[at : at + 3] for at in range(0, len(places), 3)]
    return "".join(f"{1600 * first + 40 * second + third + 1:016b}" for first, second, third in groups)


# TDS 2.3 table E, by encoding indicator; 6 and 7 are reserved.
_METHODS = {
    0: _Method(
        re.compile(r"[0-9]+", re.ASCII),
        _integer_bits,
        _decode_integer,
        lambda serial: f"{int(serial):0{_integer_bits(len(serial))}b}",
    ),
    1: _Method(
        re.compile(r"[0-9A-F]+", re.ASCII),
        lambda length: 4 * length,
        _decode_letters("0123456789ABCDEF", 4),
        _encode_letters("0123456789ABCDEF", 4),
    ),
    2: _Method(
        re.compile(r"[0-9a-f]+", re.ASCII),
        lambda length: 4 * length,
        _decode_letters("0123456789abcdef", 4),
        _encode_letters("0123456789abcdef", 4),
    ),
    3: _Method(
        re.compile(r"[0-9A-Za-z_-]+", re.ASCII),
        lambda length: 6 * length,
        _decode_letters(_BASE64, 6),
        _encode_letters(_BASE64, 6),
    ),
    4: _Method(
        re.compile(f"[{re.escape(''.join(sorted(ADMITTED)))}]+", re.ASCII),
        lambda length: 7 * length,
        _decode_ascii,
        lambda serial: "".join(f"{ord(letter):07b}" for letter in serial),
    ),
    5: _Method(
        re.compile(r"[0-9A-Z.:-]+", re.ASCII),
        lambda length: 16 * -(-length // 3),
        _decode_code_40,
        _encode_code_40,
    ),
}
