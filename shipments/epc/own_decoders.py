"""
The schemes of TDS 1.x that are decoded here and not by epcpy (TDS 1.13, section 14.5).

SGTIN-96 and SSCC-96, by plain integers: nearly every tag is one of the two, and the answers are epcpy's, several times
sooner. The four with letters in them, because epcpy cuts a GIAI at a colon and refuses a GRAI with many escapes: two
tags would bear one name.
"""

from dataclasses import dataclass

from shipments.epc.keys import check_digit
from shipments.epc.letters import ADMITTED, escape

_WIDTH = 7


@dataclass(frozen=True, slots=True)
class Keys:
    """What a tag names; ``grai`` as AI (8003) has it."""

    uri: str
    gtin: str = ""
    sscc: str = ""
    gln: str = ""
    grai: str = ""
    giai: str = ""
    serial: str = ""


# By partition value: bits of the company prefix. Its digits are twelve less the partition.
_PREFIX_BITS = (40, 37, 34, 30, 27, 24, 20)


def sgtin_96(value: int) -> Keys | None:
    """Read 96 bits; None where no encoder writes them."""
    parts = _split(value >> 38, (value >> 82) & 7, 44, other_digits=1)
    return parts and _sgtin(*parts, str(value & ((1 << 38) - 1)))


def sscc_96(value: int) -> Keys | None:
    """Read 96 bits, the last 24 of which say nothing; None where no encoder writes them."""
    parts = _split(value >> 24, (value >> 82) & 7, 58, other_digits=5)
    if parts is None:
        return None
    prefix, other = parts
    digits = other[0] + prefix + other[1:]
    return Keys(f"urn:epc:id:sscc:{prefix}.{other}", sscc=digits + check_digit(digits))


def sgtin_198(value: int) -> Keys | None:
    """Read 198 bits; None where no encoder writes them."""
    parts = _split(value >> 140, (value >> 184) & 7, 44, other_digits=1)
    serial = _letters(value, 140)
    return _sgtin(*parts, serial) if parts and serial else None


def sgln_195(value: int) -> Keys | None:
    """Read 195 bits; None where no encoder writes them."""
    parts = _split(value >> 140, (value >> 181) & 7, 41, other_digits=0)
    extension = _letters(value, 140)
    if not parts or not extension:
        return None
    prefix, other = parts
    gln = prefix + other + check_digit(prefix + other)
    return Keys(f"urn:epc:id:sgln:{prefix}.{other}.{escape(extension)}", gln=gln, serial=extension)


def grai_170(value: int) -> Keys | None:
    """Read 170 bits; None where no encoder writes them."""
    parts = _split(value >> 112, (value >> 156) & 7, 44, other_digits=0)
    serial = _letters(value, 112)
    if not parts or not serial:
        return None
    prefix, other = parts
    digits = prefix + other + check_digit(prefix + other)
    return Keys(f"urn:epc:id:grai:{prefix}.{other}.{escape(serial)}", grai=f"0{digits}{serial}")


def giai_202(value: int) -> Keys | None:
    """Read 202 bits; None where no encoder writes them."""
    partition = (value >> 188) & 7
    if partition >= len(_PREFIX_BITS):
        return None
    rest = 188 - _PREFIX_BITS[partition]
    prefix = f"{(value >> rest) & ((1 << _PREFIX_BITS[partition]) - 1):0{12 - partition}d}"
    asset = _letters(value, rest)
    if len(prefix) != 12 - partition or not asset or len(prefix + asset) > 30:
        return None
    return Keys(f"urn:epc:id:giai:{prefix}.{escape(asset)}", giai=prefix + asset)


def _sgtin(prefix: str, other: str, serial: str) -> Keys:
    digits = other[0] + prefix + other[1:]
    uri = f"urn:epc:id:sgtin:{prefix}.{other}.{escape(serial)}"
    return Keys(uri, gtin=digits + check_digit(digits), serial=serial)


def _split(key: int, partition: int, bits: int, *, other_digits: int) -> tuple[str, str] | None:
    if partition >= len(_PREFIX_BITS):
        return None
    other_bits = bits - _PREFIX_BITS[partition]
    prefix = f"{(key >> other_bits) & ((1 << _PREFIX_BITS[partition]) - 1):0{12 - partition}d}"
    number, width = key & ((1 << other_bits) - 1), other_digits + partition
    other = f"{number:0{width}d}" if width else ""
    if len(prefix) != 12 - partition or len(other) != width or (not width and number):
        return None
    return prefix, other


def _letters(value: int, bits: int) -> str:
    """Read the letters that fill the last ``bits`` up to the first NUL; empty where they are none that GS1 admits."""
    value &= (1 << bits) - 1
    letters: list[str] = []
    for shift in range(bits - _WIDTH, -1, -_WIDTH):
        code = (value >> shift) & 127
        if not code:
            # Letters behind the end would give two tags one name.
            return "".join(letters) if not value & ((1 << shift) - 1) else ""
        letters.append(chr(code))
        if letters[-1] not in ADMITTED:
            return ""
    spare = bits % _WIDTH
    return "" if value & ((1 << spare) - 1) else "".join(letters)
