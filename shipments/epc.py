"""
What a tag's bits mean: EPC hex to pure identity URI after GS1's Tag Data Standard, and the check digits of GS1 keys.

Trusts nothing that a tag or a manifest says: a length that does not fit the header is never decoded, and what cannot be
decoded keeps its raw bits under ``urn:epc:raw:``. No database.
"""

import re
import warnings
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from refusals import Refusal

with warnings.catch_warnings():
    # epcpy's sources carry escapes that Python warns of when it first compiles them.
    warnings.simplefilter("ignore")
    from epcpy import ConvertException
    from epcpy.epc_schemes.base_scheme import TagEncodable
    from epcpy.epc_schemes.giai import GIAI
    from epcpy.epc_schemes.gid import GID
    from epcpy.epc_schemes.grai import GRAI
    from epcpy.epc_schemes.sgln import SGLN
    from epcpy.epc_schemes.sgtin import SGTIN, SGTINFilterValue
    from epcpy.epc_schemes.sscc import SSCC, SSCCFilterValue

WORD = 16
MAX_EPC_BITS = 31 * WORD  # the PC word's five length bits
MAX_EPC_DIGITS = MAX_EPC_BITS // 4
MAX_TID_DIGITS = 64

SUSPECT = "suspect"
TRAILING_BITS = "trailing_bits"
PC_PREFIXED = "pc_prefixed"
UNENCODED_TAG = "unencoded_tag"
WRONG_LENGTH = "wrong_length"
UNDECODABLE = "undecodable"
UNKNOWN_SCHEME = "unknown_scheme"

# TDS 1.13 section 14.2: header byte, scheme, bits that the scheme occupies.
_SCHEMES: dict[str, tuple[str, int, type[TagEncodable]]] = {
    "30": ("sgtin-96", 96, SGTIN),
    "31": ("sscc-96", 96, SSCC),
    "32": ("sgln-96", 96, SGLN),
    "33": ("grai-96", 96, GRAI),
    "34": ("giai-96", 96, GIAI),
    "35": ("gid-96", 96, GID),
    "36": ("sgtin-198", 198, SGTIN),
    "37": ("grai-170", 170, GRAI),
    "38": ("giai-202", 202, GIAI),
    "39": ("sgln-195", 195, SGLN),
}
# Where the seven-bit serial of an alphanumeric scheme begins; a GIAI's begins right behind the company prefix, whose
# width follows from the partition.
_SERIAL_STARTS = {"sgtin-198": 58, "grai-170": 58, "sgln-195": 55}
_PREFIX_BITS = (40, 37, 34, 30, 27, 24, 20)
# TDS table 14-1: 00 is a tag never programmed; E0 and E2 open a TID, which a blank chip may repeat as its EPC.
_BLANK_HEADERS = frozenset({"00", "E0", "E2"})

_HEX = re.compile(r"[0-9A-F]+", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_SSCC_URI = re.compile(r"urn:epc:id:sscc:[0-9]{6,12}\.[0-9]{5,11}", re.ASCII)


class EpcMalformed(Refusal):
    """The text is no EPC in hexadecimal. ``reason`` is a stable code: empty, not_hex, odd_digits or too_long."""

    code = "epc_malformed"
    message = _("“%(text)s” is no tag number. A tag number has 2 to 124 hexadecimal digits, two for each byte.")
    status = 422

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        # A lone surrogate could not be written out again.
        super().__init__(text=text[:60].encode("utf-8", "replace").decode(), reason=reason)


class KeyMalformed(ValueError):
    """A GS1 key with a wrong length, a character that is no digit, or a wrong check digit."""


@dataclass(frozen=True, slots=True)
class Epc:
    """A tag's EPC: its bits as upper-case hex, and what they say."""

    hex: str
    uri: str
    scheme: str
    flags: tuple[str, ...] = ()
    gtin: str = ""
    sscc: str = ""


def fold_epc(text: str) -> str:
    """
    Return the EPC's hex with spaces out and case folded, in whole 16-bit words where its scheme ends inside one.

    A reader sends an SGTIN-198 as 13 words, a label printer as 25 bytes: both name one tag.

    :raises EpcMalformed:
    """
    digits = "".join(text.split())
    if not digits:
        raise EpcMalformed("empty", text)
    # Before the case is folded: str.upper() turns some letters into ASCII ones.
    if not digits.isascii():
        raise EpcMalformed("not_hex", text)
    digits = digits.upper()
    if not _HEX.fullmatch(digits):
        raise EpcMalformed("not_hex", text)
    if len(digits) % 2:
        raise EpcMalformed("odd_digits", text)
    if len(digits) > MAX_EPC_DIGITS:
        raise EpcMalformed("too_long", text)
    scheme = _SCHEMES.get(digits[:2])
    if scheme and scheme[1] != 96 and len(digits) * 4 == _whole(scheme[1], 8):
        digits = digits.ljust(_whole(scheme[1], WORD) // 4, "0")
    return digits


def decode_epc(text: str) -> Epc:
    """
    Decode ``text``, a tag's EPC in hex, after TDS 1.x by the exact bit length of its header.

    What does not decode gets ``urn:epc:raw:<bits>.x<hex>`` and a flag that says why.

    :raises EpcMalformed: where the text is no whole number of hex bytes of at most 496 bits
    """
    digits = fold_epc(text)
    known = _SCHEMES.get(digits[:2])
    if known and len(digits) * 4 == _whole(known[1], WORD):
        return _decode_scheme(digits, *known)
    if _carries_pc_word(digits):
        return _raw(digits, PC_PREFIXED)
    if known:
        return _raw(digits, WRONG_LENGTH)
    return _raw(digits, UNENCODED_TAG if digits[:2] in _BLANK_HEADERS else UNKNOWN_SCHEME)


def sscc_to_epc_hex(sscc: str, company_prefix_length: int) -> str:
    """
    Return the SSCC-96 hex of an 18-digit SSCC (filter value 2, full case).

    :raises KeyMalformed: where the SSCC or the length of the company prefix (6 to 12) cannot be used
    """
    check_sscc(sscc)
    _check_prefix_length(company_prefix_length)
    unit = SSCC.from_gs1_element_string(f"(00){sscc}", company_prefix_length)
    return _hex_of(unit.binary(SSCCFilterValue.FULL_CASE))


def sgtin_to_epc_hex(gtin: str, serial: int, company_prefix_length: int) -> str:
    """
    Return the SGTIN-96 hex of a GTIN-14 and a numeric serial (filter value 1, point of sale item).

    :raises KeyMalformed: where the GTIN, the serial (below 2^38) or the length of the company prefix cannot be used
    """
    check_gtin(gtin)
    _check_prefix_length(company_prefix_length)
    if not 0 <= serial < 1 << 38:
        raise KeyMalformed(f"The serial {serial} does not fit SGTIN-96, which takes 0 to 2^38 - 1.")
    item = SGTIN.from_gs1_element_string(f"(01){gtin.zfill(14)}(21){serial}", company_prefix_length)
    return _hex_of(item.binary(SGTIN.BinaryCodingScheme.SGTIN_96, SGTINFilterValue.POS_ITEM))


def gln_to_sgln_uri(gln: str, extension: str, company_prefix_length: int) -> str:
    """
    Return the SGLN URI of a place: its GLN and an extension ("0" for the place as a whole).

    :raises KeyMalformed: where the GLN, the extension or the length of the company prefix cannot be used
    """
    check_gln(gln)
    _check_prefix_length(company_prefix_length)
    try:
        return str(SGLN.from_gs1_element_string(f"(414){gln}(254){extension}", company_prefix_length).epc_uri)
    except (ConvertException, ValueError) as error:
        raise KeyMalformed(f"The extension {extension!r} does not fit an SGLN.") from error


def sscc_of_uri(uri: str) -> str:
    """Return the 18 digits behind ``urn:epc:id:sscc:…``, or an empty string where it is no such URI."""
    if not _SSCC_URI.fullmatch(uri):
        return ""
    try:
        return str(SSCC(uri).gs1_key())
    except ConvertException:
        return ""


def check_digit(digits: str) -> str:
    """Return the GS1 mod-10 check digit that follows ``digits`` (GS1 General Specifications, section 7.9)."""
    weighted = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return str(-weighted % 10)


def check_gtin(gtin: str) -> str:
    """Return ``gtin`` (8, 12, 13 or 14 digits) where its check digit holds. :raises KeyMalformed:"""
    return _checked(gtin, (8, 12, 13, 14), "GTIN")


def check_sscc(sscc: str) -> str:
    """Return the 18 digits of ``sscc`` where the check digit holds. :raises KeyMalformed:"""
    return _checked(sscc, (18,), "SSCC")


def check_gln(gln: str) -> str:
    """Return the 13 digits of ``gln`` where the check digit holds. :raises KeyMalformed:"""
    return _checked(gln, (13,), "GLN")


def _decode_scheme(digits: str, scheme: str, bits: int, kind: type[TagEncodable]) -> Epc:
    binary = f"{int(digits, 16):0{len(digits) * 4}b}"
    body, padding = binary[:bits], binary[bits:]
    # epcpy reads on behind a serial's terminating NUL and would join what it finds there to the serial.
    if not _ends_cleanly(body, scheme):
        return _raw(digits, UNDECODABLE)
    try:
        identity = kind.from_binary(body)
    except (ConvertException, ValueError, KeyError, IndexError):
        return _raw(digits, UNDECODABLE)
    flags = []
    if "1" in padding or (scheme == "sscc-96" and "1" in body[72:]):
        flags.append(TRAILING_BITS)
    # Chip makers deliver tags whose default EPC reads as an SGTIN: filter value 0 and serial 0 give them away.
    if scheme == "sgtin-96" and body[8:11] == "000" and "1" not in body[58:]:
        flags.append(SUSPECT)
    return Epc(
        hex=digits,
        uri=str(identity.epc_uri),
        scheme=scheme,
        flags=tuple(flags),
        gtin=str(identity.gs1_key()) if isinstance(identity, SGTIN) else "",
        sscc=str(identity.gs1_key()) if isinstance(identity, SSCC) else "",
    )


def _ends_cleanly(body: str, scheme: str) -> bool:
    if scheme == "giai-202":
        partition = int(body[11:14], 2)
        if partition >= len(_PREFIX_BITS):
            return False
        start = 14 + _PREFIX_BITS[partition]
    elif scheme in _SERIAL_STARTS:
        start = _SERIAL_STARTS[scheme]
    else:
        return True
    letters = [body[place : place + 7] for place in range(start, len(body) - 6, 7)]
    if "0000000" not in letters:
        return True
    end = letters.index("0000000")
    return "1" not in body[start + 7 * end :]


def _carries_pc_word(digits: str) -> bool:
    rest = digits[4:]
    scheme = _SCHEMES.get(rest[:2])
    if not scheme or len(digits) % 4 or len(rest) * 4 != _whole(scheme[1], WORD):
        return False
    # Gen2 section 6.3.2.1.2.2: the PC word opens with the EPC's length in words.
    return int(digits[:4], 16) >> 11 == len(rest) // 4


def _raw(digits: str, flag: str) -> Epc:
    return Epc(hex=digits, uri=f"urn:epc:raw:{len(digits) * 4}.x{digits}", scheme="raw", flags=(flag,))


def _whole(bits: int, unit: int) -> int:
    return -(-bits // unit) * unit


def _hex_of(binary: str) -> str:
    return f"{int(binary, 2):0{len(binary) // 4}X}"


def _check_prefix_length(length: int) -> None:
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
