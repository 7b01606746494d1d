"""What every dialect's parser returns, and the field checks that dialects share. Trusts no type, range or spelling."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from shipments.epc import MAX_EPC_DIGITS, MAX_TID_DIGITS, EpcMalformed, fold_epc

MAX_NS = (1 << 63) - 1
MAX_BIGINT = (1 << 63) - 1
MAX_ANTENNA = 32767
RSSI_RANGE_CDBM = (-20_000, 10_000)
# One reader has one name. Many in one report are somebody's joke, and a set of them would grow with the body.
MAX_HOSTNAMES = 16
MAX_HOSTNAME = 253

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))",
    re.ASCII,
)
_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_NS = 1_000_000_000
_UNITS = {digits + 1: 10 ** (9 - digits) for digits in range(1, 10)}  # by the decimals' length with their Z


class FieldFault(Exception):
    """One event cannot be used; ``reason`` is a stable code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Read(NamedTuple):
    """One sighting of one tag, units as named: nanoseconds since 1970, hundredths of a dBm."""

    epc_hex: str
    read_at_ns: int
    reader_time: str
    antenna: int | None = None
    rssi_cdbm: int | None = None
    event_number: int | None = None
    tid: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """An event that is quarantined: where it stood in the report, why, and its beginning as printable ASCII."""

    position: int
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The reader dropped ``purged`` events that it had seen between the two times."""

    first_ns: int
    last_ns: int
    purged: int


@dataclass(frozen=True, slots=True)
class Trigger:
    """An input of the reader changed: a light barrier, a door contact, a button (GPI)."""

    port: int
    high: bool
    at_ns: int
    reader_time: str


@dataclass(slots=True)
class Parsed:
    """All that one report said. A heartbeat is a report of no events."""

    dialect: str = ""
    reads: list[Read] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    # What the body says that its sender is called: proves nothing, and tells where a credential has wandered.
    hostnames: set[str] = field(default_factory=set)
    # The GLN of the site at which the sender says that it stands, where the form has a place for it. It proves nothing
    # either.
    site: str = ""
    # When the whole report was sent, by the reader's clock, where the form has a place for it.
    sent_at_ns: int | None = None
    other_events: int = 0

    @property
    def events(self) -> int:
        return len(self.reads) + len(self.faults) + len(self.gaps) + len(self.triggers) + self.other_events

    @property
    def heartbeat(self) -> bool:
        return self.events == 0

    def note_hostname(self, value: Any) -> None:
        """Keep what the sender calls itself; what is no name is passed over, for a sighting counts for more."""
        if type(value) is not str or value in self.hostnames or len(self.hostnames) == MAX_HOSTNAMES:
            return
        if 0 < len(value) <= MAX_HOSTNAME and value.isascii() and value.isprintable():
            self.hostnames.add(value)


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    One vendor's way of reporting.

    :param recognises: whether one value of the report has this dialect's shape
    :param read_event: adds one value to the report, or raises :class:`FieldFault`
    """

    name: str
    recognises: Callable[[Any], bool]
    read_event: Callable[[Any, Parsed], None]


def parse_time(value: Any) -> int:
    """
    Return nanoseconds since 1970 of a time as readers spell it.

    RFC 3339 with up to nine decimals, an offset with or without its colon, or an integer of milliseconds or
    microseconds, which their magnitudes tell apart from 2001 on.

    :raises FieldFault: time_missing, time_malformed or time_out_of_range
    """
    if type(value) is str:
        # UTC with decimals is what nearly every read has: its parts stand where they stand.
        second, _point, decimals = value.partition(".")
        unit = _UNITS.get(len(decimals))
        if unit and len(second) == 19 and decimals[-1] == "Z" and decimals[:-1].isdigit() and value.isascii():
            whole = _second_of(second)
            if whole is not None:
                return _in_range(whole + int(decimals[:-1]) * unit)
    elif value is None:
        raise FieldFault("time_missing")
    elif type(value) is int:
        if 10**12 <= value < 10**13:
            return _in_range(value * 1_000_000)
        if 10**15 <= value < 10**16:
            return _in_range(value * 1_000)
        raise FieldFault("time_out_of_range")
    elif not isinstance(value, str):
        raise FieldFault("time_malformed")
    found = _TIME.fullmatch(value)
    if not found:
        raise FieldFault("time_malformed")
    minute, second, fraction, _utc, sign, hours, minutes = found.groups()
    # RFC 3339 section 5.6 allows second 60; a leap second counts as the first second of the next minute.
    if int(second) > 60:
        raise FieldFault("time_malformed")
    total = _minute_seconds(minute.upper()) + int(second)
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise FieldFault("time_malformed")
        offset = int(hours) * 3600 + int(minutes) * 60
        total -= offset if sign == "+" else -offset
    return _in_range(total * _NS + int((fraction or "0").ljust(9, "0")))


def format_ns(nanoseconds: int) -> str:
    """Return RFC 3339 UTC with nine decimals: ``2026-11-02T07:24:00.225324000Z``."""
    seconds, rest = divmod(nanoseconds, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def reader_time_text(value: Any) -> str:
    """Return the reader's time as it stood in the report; call after :func:`parse_time` accepted it."""
    return str(value)


def hex_epc(value: Any) -> str:
    """Return the EPC of a hex field, folded. :raises FieldFault:"""
    if not isinstance(value, str):
        raise FieldFault("epc_missing" if value is None else "epc_malformed")
    try:
        return _fold_again(value) if len(value) <= MAX_EPC_DIGITS else fold_epc(value)
    except EpcMalformed as error:
        raise FieldFault("epc_malformed") from error


# A tag at a door is read many times over. Bounded in length too: spaces around a number are left out, not counted.
_fold_again = lru_cache(maxsize=4096)(fold_epc)


def base64_hex(value: Any, reason: str) -> str:
    """
    Return the upper-case hex behind base64 of either alphabet, padded or not.

    Strict, for ``base64`` alone skips what it does not know: one misread character would make another tag.

    :raises FieldFault: with ``reason``
    """
    if not isinstance(value, str):
        raise FieldFault(reason)
    return _unpack_again(value, reason) if len(value) <= MAX_EPC_DIGITS else _unpack_base64(value, reason)


def _unpack_base64(value: str, reason: str) -> str:
    folded = value.replace("+", "-").replace("/", "_")
    if not _BASE64.fullmatch(folded):
        raise FieldFault(reason)
    bare = folded.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if folded not in (bare, padded):
        raise FieldFault(reason)
    try:
        decoded = base64.urlsafe_b64decode(padded)
    except (binascii.Error, ValueError) as error:
        raise FieldFault(reason) from error
    if base64.urlsafe_b64encode(decoded).decode() != padded:
        raise FieldFault(reason)
    return decoded.hex().upper()


_unpack_again = lru_cache(maxsize=4096)(_unpack_base64)


def hex_tid(value: Any) -> str:
    """Return a TID field as upper-case hex, or an empty string where there is none. :raises FieldFault:"""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not _HEX.fullmatch(value) or len(value) > MAX_TID_DIGITS:
        raise FieldFault("tid_malformed")
    return value.upper()


def whole_number(value: Any, reason: str, low: int, high: int) -> int | None:
    """Return an optional JSON integer within the range. ``True`` is no integer here. :raises FieldFault:"""
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        raise FieldFault(reason)
    return value


def antenna_port(value: Any) -> int | None:
    if type(value) is int and 0 <= value <= MAX_ANTENNA:
        return value
    return whole_number(value, "antenna_malformed", 0, MAX_ANTENNA)


def rssi_cdbm(value: Any) -> int | None:
    if type(value) is int and -20_000 <= value <= 10_000:
        return value
    return whole_number(value, "rssi_malformed", *RSSI_RANGE_CDBM)


def rssi_of_dbm(value: Any) -> int | None:
    """Return hundredths of a dBm of a field in dBm, whole or with decimals. :raises FieldFault:"""
    if value is None:
        return None
    if type(value) not in (int, float) or not -1_000 < value < 1_000:  # which NaN and the infinities are not either
        raise FieldFault("rssi_malformed")
    return rssi_cdbm(round(value * 100))


def input_port(value: Any) -> int:
    """Return the number of a reader's input (GPI). :raises FieldFault:"""
    port = whole_number(value, "trigger_malformed", 0, MAX_ANTENNA)
    if port is None:
        raise FieldFault("trigger_malformed")
    return port


def _in_range(nanoseconds: int) -> int:
    if not 0 <= nanoseconds <= MAX_NS:
        raise FieldFault("time_out_of_range")
    return nanoseconds


@lru_cache(maxsize=256)
def _second_of(text: str) -> int | None:
    """Nanoseconds since 1970 of ``YYYY-MM-DDTHH:MM:SS``, or None where it is no such text."""
    found = _TIME.fullmatch(text + "Z")
    return (_minute_seconds(found[1].upper()) + int(found[2])) * _NS if found and int(found[2]) <= 60 else None


@lru_cache(maxsize=256)
def _minute_seconds(minute: str) -> int:
    """Seconds since 1970 of ``YYYY-MM-DDTHH:MM``. Reads come in bursts: one minute is asked for again and again."""
    hour, past = int(minute[11:13]), int(minute[14:16])
    if hour > 23 or past > 59:
        raise FieldFault("time_malformed")
    try:
        day = date(int(minute[:4]), int(minute[5:7]), int(minute[8:10])).toordinal() - _EPOCH
    except ValueError as error:
        raise FieldFault("time_malformed") from error
    return day * 86400 + hour * 3600 + past * 60
