"""Keys to a tag's bits: what a label printer is told to write, and the URIs of places."""

from shipments.epc.keys import KeyMalformed, check_gln, check_grai, check_gtin, check_prefix_length, check_sscc
from shipments.epc.plus_schemes import PlusMalformed, encode_sgtin_plus, encode_sscc_plus
from shipments.epc.tds1 import (
    GRAI,
    SGLN,
    SGTIN,
    SSCC,
    ConvertException,
    GRAIFilterValue,
    SGTINFilterValue,
    SSCCFilterValue,
)

WORD = 16


def sscc_to_epc_hex(sscc: str, company_prefix_length: int) -> str:
    """
    Return the SSCC-96 hex of an 18-digit SSCC (filter value 2, full case).

    :raises KeyMalformed: where the SSCC or the length of the company prefix (6 to 12) cannot be used
    """
    check_sscc(sscc)
    check_prefix_length(company_prefix_length)
    unit = SSCC.from_gs1_element_string(f"(00){sscc}", company_prefix_length)
    return _hex_of(unit.binary(SSCCFilterValue.FULL_CASE))


def sscc_plus_to_epc_hex(sscc: str) -> str:
    """Return the SSCC+ hex of an 18-digit SSCC (filter value 2) in whole words. :raises KeyMalformed:"""
    return _hex_of(encode_sscc_plus(check_sscc(sscc), int(SSCCFilterValue.FULL_CASE.value)))


def sgtin_to_epc_hex(gtin: str, serial: int, company_prefix_length: int) -> str:
    """
    Return the SGTIN-96 hex of a GTIN-14 and a numeric serial (filter value 1, point of sale item).

    :raises KeyMalformed: where the GTIN, the serial (below 2^38) or the length of the company prefix cannot be used
    """
    check_gtin(gtin)
    check_prefix_length(company_prefix_length)
    if not 0 <= serial < 1 << 38:
        raise KeyMalformed(f"The serial {serial} does not fit SGTIN-96, which takes 0 to 2^38 - 1.")
    item = SGTIN.from_gs1_element_string(f"(01){gtin.zfill(14)}(21){serial}", company_prefix_length)
    return _hex_of(item.binary(SGTIN.BinaryCodingScheme.SGTIN_96, SGTINFilterValue.POS_ITEM))


def sgtin_plus_to_epc_hex(gtin: str, serial: str) -> str:
    """
    Return the SGTIN+ hex of a GTIN and a serial of 1 to 20 characters (filter value 1) in whole words.

    :raises KeyMalformed:
    """
    try:
        return _hex_of(encode_sgtin_plus(check_gtin(gtin).zfill(14), serial, int(SGTINFilterValue.POS_ITEM.value)))
    except PlusMalformed as error:
        raise KeyMalformed(f"The serial {serial[:40]!r} does not fit SGTIN+: {error}.") from error


def grai_to_epc_hex(grai: str, company_prefix_length: int) -> str:
    """
    Return the GRAI-170 hex of a GRAI with its serial.

    :raises KeyMalformed: where the GRAI or the length of the company prefix cannot be used
    """
    grai = check_grai(grai)
    check_prefix_length(company_prefix_length)
    asset = GRAI.from_gs1_element_string(f"(8003){grai}", company_prefix_length)
    return _hex_of(asset.binary(GRAI.BinaryCodingScheme.GRAI_170, GRAIFilterValue.ALL_OTHERS))


def gln_to_sgln_uri(gln: str, extension: str, company_prefix_length: int) -> str:
    """
    Return the SGLN URI of a place: its GLN and an extension ("0" for the place as a whole).

    :raises KeyMalformed: where the GLN, the extension or the length of the company prefix cannot be used
    """
    check_gln(gln)
    check_prefix_length(company_prefix_length)
    try:
        return str(SGLN.from_gs1_element_string(f"(414){gln}(254){extension}", company_prefix_length).epc_uri)
    except (ConvertException, ValueError) as error:
        raise KeyMalformed(f"The extension {extension!r} does not fit an SGLN.") from error


def _hex_of(binary: str) -> str:
    whole = binary.ljust(-(-len(binary) // WORD) * WORD, "0")
    return f"{int(whole, 2):0{len(whole) // 4}X}"
