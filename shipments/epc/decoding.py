"""
A tag's bits to what they name, after GS1's Tag Data Standard (TDS 1.x by epcpy, the "+" schemes by our own).

A length that does not fit the header is never decoded, and what cannot be decoded keeps its raw bits under
``urn:epc:raw:``.
"""

import re
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.epc import own_decoders
from shipments.epc.digital_link import digital_link
from shipments.epc.keys import check_digit
from shipments.epc.plus_schemes import HEADERS, PlusMalformed, decode_plus
from shipments.epc.tds1 import GIAI, GID, GRAI, SGLN, ConvertException, TagEncodable

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
BAD_CHECK_DIGIT = "bad_check_digit"

# TDS 1.13 section 14.2: header byte, scheme, bits that the scheme occupies.
_SCHEMES: dict[str, tuple[str, int]] = {
    "30": ("sgtin-96", 96),
    "31": ("sscc-96", 96),
    "32": ("sgln-96", 96),
    "33": ("grai-96", 96),
    "34": ("giai-96", 96),
    "35": ("gid-96", 96),
    "36": ("sgtin-198", 198),
    "37": ("grai-170", 170),
    "38": ("giai-202", 202),
    "39": ("sgln-195", 195),
}
_BY_EPCPY: dict[str, type[TagEncodable]] = {"sgln-96": SGLN, "grai-96": GRAI, "giai-96": GIAI, "gid-96": GID}
_BY_US = {
    "sgtin-96": own_decoders.sgtin_96,
    "sscc-96": own_decoders.sscc_96,
    "sgtin-198": own_decoders.sgtin_198,
    "grai-170": own_decoders.grai_170,
    "giai-202": own_decoders.giai_202,
    "sgln-195": own_decoders.sgln_195,
}
# TDS table 14-1: 00 is a tag never programmed; E0 and E2 open a TID, which a blank chip may repeat as its EPC.
_BLANK_HEADERS = frozenset({"00", "E0", "E2"})

_HEX = re.compile(r"[0-9A-F]+", re.ASCII)


class EpcMalformed(Refusal):
    """The text is no EPC in hexadecimal. ``reason`` is a stable code: empty, not_hex, odd_digits or too_long."""

    code = "epc_malformed"
    message = _("“%(text)s” is no tag number. A tag number has 2 to 124 hexadecimal digits, two for each byte.")
    status = 422

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        # A lone surrogate could not be written out again.
        super().__init__(text=text[:60].encode("utf-8", "replace").decode(), reason=reason)


@dataclass(frozen=True, slots=True)
class Epc:
    """
    A tag's EPC: its bits as upper-case hex, and what they say.

    The keys and the serial are equal for every scheme that carries them; ``uri`` is the pure identity URI, which needs
    the length of the company prefix, and of a "+" scheme, which does not hold it, the Digital Link. ``serial`` is that
    of a GTIN, and the extension of a GLN.
    """

    hex: str
    uri: str
    scheme: str
    flags: tuple[str, ...] = ()
    gtin: str = ""
    sscc: str = ""
    gln: str = ""
    grai: str = ""
    giai: str = ""
    serial: str = ""

    @property
    def digital_link(self) -> str:
        """The GS1 Digital Link of what is named, or an empty string where it is no GS1 key."""
        return digital_link(
            gtin=self.gtin,
            serial=self.serial,
            sscc=self.sscc,
            gln=self.gln,
            extension=self.serial,
            grai=self.grai,
            giai=self.giai,
        )


def fold_epc(text: str) -> str:
    """
    Return the EPC's hex with spaces out and case folded, in whole 16-bit words where its scheme ends inside one.

    A reader sends an SGTIN-198 as 13 words, a label printer as 25 bytes, and GS1 writes an SSCC+ as 21 digits: each
    names one tag.

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
    plus = digits[:2] in HEADERS
    if len(digits) % 2 and not plus:
        raise EpcMalformed("odd_digits", text)
    if len(digits) > MAX_EPC_DIGITS:
        raise EpcMalformed("too_long", text)
    if plus:
        return digits.ljust(_whole(len(digits) * 4, WORD) // 4, "0")
    scheme = _SCHEMES.get(digits[:2])
    if scheme and scheme[1] != 96 and len(digits) * 4 == _whole(scheme[1], 8):
        digits = digits.ljust(_whole(scheme[1], WORD) // 4, "0")
    return digits


def decode_epc(text: str) -> Epc:
    """
    Decode ``text``, a tag's EPC in hex, by the exact bit length of its header (TDS 2.3, section 14.2).

    What does not decode gets ``urn:epc:raw:<bits>.x<hex>`` and a flag that says why.

    :raises EpcMalformed: where the text is no whole number of hex bytes of at most 496 bits
    """
    digits = fold_epc(text)
    header = digits[:2]
    known = _SCHEMES.get(header)
    if known and len(digits) * 4 == _whole(known[1], WORD):
        return _decode_scheme(digits, *known)
    if header in HEADERS:
        return _decode_plus(digits, HEADERS[header])
    if _carries_pc_word(digits):
        return _raw(digits, PC_PREFIXED)
    if known:
        return _raw(digits, WRONG_LENGTH)
    return _raw(digits, UNENCODED_TAG if header in _BLANK_HEADERS else UNKNOWN_SCHEME)


def _decode_scheme(digits: str, scheme: str, bits: int) -> Epc:
    spare = len(digits) * 4 - bits
    value = int(digits, 16) >> spare
    keys = _BY_US[scheme](value) if scheme in _BY_US else _by_epcpy(_BY_EPCPY[scheme], f"{value:0{bits}b}")
    if keys is None:
        return _raw(digits, UNDECODABLE)
    flags: tuple[str, ...] = ()
    # The last 24 bits of an SSCC-96 say nothing.
    if int(digits, 16) & ((1 << (24 if scheme == "sscc-96" else spare)) - 1):
        flags = (TRAILING_BITS,)
    # Chip makers deliver tags whose default EPC reads as an SGTIN: filter value 0 and serial 0 give them away.
    if scheme == "sgtin-96" and keys.serial == "0" and not value >> 85 & 7:
        flags = (SUSPECT,)
    return Epc(digits, keys.uri, scheme, flags, keys.gtin, keys.sscc, keys.gln, keys.grai, keys.giai, keys.serial)


def _by_epcpy(kind: type[TagEncodable], binary: str) -> own_decoders.Keys | None:
    try:
        identity = kind.from_binary(binary)
    except (ConvertException, ValueError, KeyError, IndexError):
        return None
    uri = str(identity.epc_uri)
    if isinstance(identity, SGLN):
        return own_decoders.Keys(uri, gln=str(identity.gs1_key()), serial=uri.rpartition(".")[2])
    if isinstance(identity, GRAI):
        # AI (8003) has a zero in front of the thirteen digits.
        return own_decoders.Keys(uri, grai=f"0{identity.gs1_key()}")
    return own_decoders.Keys(uri, giai=str(identity.gs1_key()) if isinstance(identity, GIAI) else "")


def _decode_plus(digits: str, scheme: str) -> Epc:
    binary = f"{int(digits, 16):0{len(digits) * 4}b}"
    try:
        found = decode_plus(binary, scheme)
    except PlusMalformed:
        return _raw(digits, UNDECODABLE)
    if not found.more and len(binary) != _whole(found.bits, WORD):
        return _raw(digits, WRONG_LENGTH)
    key = found.sscc or found.gtin
    if key[-1] != check_digit(key[:-1]):
        return _raw(digits, BAD_CHECK_DIGIT)
    keys = {"gtin": found.gtin, "serial": found.serial, "sscc": found.sscc}
    # Behind a toggle bit that is set stand AIDC data, which name nothing.
    odd = not found.more and "1" in binary[found.bits :]
    return Epc(hex=digits, uri=digital_link(**keys), scheme=scheme, flags=(TRAILING_BITS,) if odd else (), **keys)


def _carries_pc_word(digits: str) -> bool:
    rest = digits[4:]
    # Gen2 section 6.3.2.1.2.2: the PC word opens with the EPC's length in words.
    if len(digits) % 4 or not rest or int(digits[:4], 16) >> 11 != len(rest) // 4:
        return False
    if rest[:2] in HEADERS:
        return _decode_plus(rest, HEADERS[rest[:2]]).scheme != "raw"
    scheme = _SCHEMES.get(rest[:2])
    return scheme is not None and len(rest) * 4 == _whole(scheme[1], WORD)


def _raw(digits: str, flag: str) -> Epc:
    return Epc(hex=digits, uri=f"urn:epc:raw:{len(digits) * 4}.x{digits}", scheme="raw", flags=(flag,))


def _whole(bits: int, unit: int) -> int:
    return -(-bits // unit) * unit
