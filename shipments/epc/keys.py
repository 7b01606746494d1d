"""GS1 keys and container codes by themselves: their lengths, their letters and their check digits."""

import re

from shipments import iso6346

_DIGITS = re.compile(r"[0-9]+", re.ASCII)
# GS1 General Specifications figure 7.11-1: what a serial may be written in.
_SERIAL = re.compile(r"[!-\"%-/0-9:-?A-Z_a-z]*", re.ASCII)
_MAX_GRAI_SERIAL = 16


class KeyMalformed(ValueError):
    """A key with a wrong length, a character that may not stand in it, or a wrong check digit."""


def check_digit(digits: str) -> str:
    """Return the GS1 mod-10 check digit that follows ``digits`` (GS1 General Specifications, section 7.9)."""
    # By code points: this runs for every tag that is read. "0" is 48, and 48 is 8 modulo 10.
    codes = digits.encode("ascii")
    thrice, once = codes[::-2], codes[-2::-2]
    return str((8 * (3 * len(thrice) + len(once)) - 3 * sum(thrice) - sum(once)) % 10)


def check_gtin(gtin: str) -> str:
    """Return ``gtin`` (8, 12, 13 or 14 digits) where its check digit holds. :raises KeyMalformed:"""
    return _checked(gtin, (8, 12, 13, 14), "GTIN")


def check_sscc(sscc: str) -> str:
    """Return the 18 digits of ``sscc`` where the check digit holds. :raises KeyMalformed:"""
    return _checked(sscc, (18,), "SSCC")


def check_gln(gln: str) -> str:
    """Return the 13 digits of ``gln`` where the check digit holds. :raises KeyMalformed:"""
    return _checked(gln, (13,), "GLN")


def check_grai(grai: str) -> str:
    """
    Return ``grai``, as AI (8003) has it, where the check digit holds: 0, the 13 digits of the asset type, a serial.

    Without a serial, of 1 to 16 characters, it names a kind of crate and not this one.

    :raises KeyMalformed:
    """
    if len(grai) < 14 or grai[0] != "0":
        raise KeyMalformed(f"GRAI {grai[:40]!r}: expected 0, 13 digits and a serial.")
    _checked(grai[1:14], (13,), "GRAI")
    serial = grai[14:]
    if not 1 <= len(serial) <= _MAX_GRAI_SERIAL or not _SERIAL.fullmatch(serial):
        raise KeyMalformed(f"GRAI {grai[:40]!r}: expected a serial of 1 to 16 characters behind the 14 digits.")
    return grai


def check_bic(bic: str) -> str:
    """
    Return a container's code, four letters and seven digits, where the check digit holds (ISO 6346, annex A).

    :raises KeyMalformed:
    """
    if not iso6346.is_container_number(bic):
        raise KeyMalformed(f"Container code {bic[:40]!r}: expected three letters, U, J or Z, and seven digits.")
    expected = iso6346.check_digit(bic[:10])
    if bic[10] != expected:
        raise KeyMalformed(f"Container code {bic}: check digit {bic[10]}, expected {expected}.")
    return bic


def check_prefix_length(length: int) -> None:
    """:raises KeyMalformed: where no GS1 company prefix is that long"""
    if not 6 <= length <= 12:
        raise KeyMalformed(f"A GS1 company prefix has 6 to 12 digits, not {length}.")


def _checked(key: str, lengths: tuple[int, ...], name: str) -> str:
    if not _DIGITS.fullmatch(key) or len(key) not in lengths:
        wanted = ", ".join(str(length) for length in lengths)
        raise KeyMalformed(f"{name} {key[:40]!r}: expected {wanted} digits.")
    expected = check_digit(key[:-1])
    if key[-1] != expected:
        raise KeyMalformed(f"{name} {key}: check digit {key[-1]}, expected {expected}.")
    return key
