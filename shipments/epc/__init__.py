"""
What a tag's bits and a label's letters mean: EPC binary to identities after GS1's Tag Data Standard, and the keys
themselves with their check digits. Trusts nothing that a tag, a label or a manifest says. No database.
"""

from shipments.epc.decoding import (
    BAD_CHECK_DIGIT,
    MAX_EPC_BITS,
    MAX_EPC_DIGITS,
    MAX_TID_DIGITS,
    PC_PREFIXED,
    SUSPECT,
    TRAILING_BITS,
    UNDECODABLE,
    UNENCODED_TAG,
    UNKNOWN_SCHEME,
    WRONG_LENGTH,
    Epc,
    EpcMalformed,
    decode_epc,
    fold_epc,
)
from shipments.epc.digital_link import digital_link
from shipments.epc.encoding import (
    gln_to_sgln_uri,
    grai_to_epc_hex,
    sgtin_plus_to_epc_hex,
    sgtin_to_epc_hex,
    sscc_plus_to_epc_hex,
    sscc_to_epc_hex,
)
from shipments.epc.keys import (
    KeyMalformed,
    check_bic,
    check_digit,
    check_gln,
    check_grai,
    check_gtin,
    check_sscc,
)
from shipments.epc.labels import Named, read_label, sgtin_uris, sscc_of_uri

__all__ = [
    "BAD_CHECK_DIGIT",
    "MAX_EPC_BITS",
    "MAX_EPC_DIGITS",
    "MAX_TID_DIGITS",
    "PC_PREFIXED",
    "SUSPECT",
    "TRAILING_BITS",
    "UNDECODABLE",
    "UNENCODED_TAG",
    "UNKNOWN_SCHEME",
    "WRONG_LENGTH",
    "Epc",
    "EpcMalformed",
    "KeyMalformed",
    "Named",
    "check_bic",
    "check_digit",
    "check_gln",
    "check_grai",
    "check_gtin",
    "check_sscc",
    "decode_epc",
    "digital_link",
    "fold_epc",
    "gln_to_sgln_uri",
    "grai_to_epc_hex",
    "read_label",
    "sgtin_plus_to_epc_hex",
    "sgtin_to_epc_hex",
    "sgtin_uris",
    "sscc_of_uri",
    "sscc_plus_to_epc_hex",
    "sscc_to_epc_hex",
]
