import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipments.epc import (
    EpcMalformed,
    KeyMalformed,
    check_digit,
    check_gln,
    check_gtin,
    check_sscc,
    decode_epc,
    fold_epc,
    gln_to_sgln_uri,
    sgtin_to_epc_hex,
    sscc_of_uri,
    sscc_to_epc_hex,
)

# Decodes that other tools agree on: hex, scheme, URI, flags.
VECTORS = [
    ("3074257BF7194E4000001A85", "sgtin-96", "urn:epc:id:sgtin:0614141.812345.6789", ()),
    ("3174257BF4499602D2000000", "sscc-96", "urn:epc:id:sscc:0614141.1234567890", ()),
    ("3274257BF46072000000162E", "sgln-96", "urn:epc:id:sgln:0614141.12345.5678", ()),
    ("3374257BF40C0E400000162E", "grai-96", "urn:epc:id:grai:0614141.12345.5678", ()),
    ("3474257BF40000000000162E", "giai-96", "urn:epc:id:giai:0614141.5678", ()),
    ("3500E86F8000A9E000000586", "gid-96", "urn:epc:id:gid:952056.2718.1414", ()),
    (
        "3674257BF6B7A659B2C2BF1000000000000000000000000000",
        "sgtin-198",
        "urn:epc:id:sgtin:0614141.712345.32a%2Fb",
        (),
    ),
    ("300833B2DDD9014000000000", "sgtin-96", "urn:epc:id:sgtin:0867360217.005.0", ("suspect",)),
    ("E2801160600002084E1D2B7C", "raw", "urn:epc:raw:96.xE2801160600002084E1D2B7C", ("unencoded_tag",)),
    ("000000000000000000000000", "raw", "urn:epc:raw:96.x000000000000000000000000", ("unencoded_tag",)),
    # The PC word in front of a good EPC decodes to a bogus SGTIN where the length is not held against the header.
    ("30003074257BF7194E4000001A85", "raw", "urn:epc:raw:112.x30003074257BF7194E4000001A85", ("pc_prefixed",)),
    ("3074257BF7194E40", "raw", "urn:epc:raw:64.x3074257BF7194E40", ("wrong_length",)),
    ("3174257BF4499602D2000001", "sscc-96", "urn:epc:id:sscc:0614141.1234567890", ("trailing_bits",)),
    # Partition 7 is reserved.
    ("307C257BF7194E4000001A85", "raw", "urn:epc:raw:96.x307C257BF7194E4000001A85", ("undecodable",)),
    # TDS 2 "+" schemes carry no partition.
    ("F90106141412345678908000", "raw", "urn:epc:raw:96.xF90106141412345678908000", ("unknown_scheme",)),
    # Letters behind a serial's end.
    (
        "3674257BF6B7A659B2C2BF1000000000000000000000000400",
        "raw",
        "urn:epc:raw:208.x3674257BF6B7A659B2C2BF100000000000000000000000040000",
        ("undecodable",),
    ),
]


@pytest.mark.parametrize(("digits", "scheme", "uri", "flags"), VECTORS)
def test_known_tags(digits: str, scheme: str, uri: str, flags: tuple[str, ...]) -> None:
    epc = decode_epc(digits)
    assert (epc.scheme, epc.uri, epc.flags) == (scheme, uri, flags)


@pytest.mark.parametrize("spelling", ["3074257bf7194e4000001a85", " 3074 257B F719 4E40 0000 1A85\n"])
def test_case_and_spaces_do_not_matter(spelling: str) -> None:
    assert decode_epc(spelling).hex == "3074257BF7194E4000001A85"


def test_keys_stand_beside_the_uri() -> None:
    assert decode_epc("3074257BF7194E4000001A85").gtin == "80614141123458"
    assert decode_epc("3174257BF4499602D2000000").sscc == "106141412345678908"


def test_a_198_bit_tag_is_one_tag_in_bytes_and_in_words() -> None:
    as_bytes = "3674257BF6B7A659B2C2BF1000000000000000000000000000"
    assert decode_epc(as_bytes) == decode_epc(as_bytes + "00")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("30742", "odd_digits"),
        ("3074257BF7194E4000001A8G", "not_hex"),
        ("0x3074257BF7194E4000001A", "not_hex"),
        ("٣٠٧٤", "not_hex"),
        ("３０７４", "not_hex"),
        ("30\x0074", "not_hex"),
        ("\ud80030", "not_hex"),
        ("30" * 63, "too_long"),
    ],
)
def test_malformed_hex_is_named(text: str, reason: str) -> None:
    with pytest.raises(EpcMalformed) as refused:
        decode_epc(text)
    assert refused.value.reason == reason
    assert "is no tag number" in refused.value.sentence
    refused.value.sentence.encode()


@given(st.binary(min_size=1, max_size=62))
@example(bytes.fromhex("3074257BF7194E4000001A85"))
def test_any_bits_decode_to_something(bits: bytes) -> None:
    epc = decode_epc(bits.hex())
    assert bytes.fromhex(epc.hex).startswith(bits)
    assert epc.uri.startswith(("urn:epc:id:", "urn:epc:raw:"))
    assert epc.uri.isascii()
    assert decode_epc(epc.hex) == epc


@given(st.sampled_from([f"{header:02X}" for header in range(0x30, 0x3A)]), st.binary(min_size=11, max_size=25))
def test_any_bits_behind_a_known_header_decode_to_something(header: str, rest: bytes) -> None:
    epc = decode_epc(header + rest.hex())
    assert epc.scheme == "raw" or epc.uri.startswith("urn:epc:id:")


@given(st.text())
def test_any_text_decodes_or_is_refused(text: str) -> None:
    try:
        folded = fold_epc(text)
    except EpcMalformed as error:
        reason = error.reason
    else:
        assert decode_epc(text).hex == folded
        return
    assert reason in {"empty", "not_hex", "odd_digits", "too_long"}


def test_sscc_and_sgtin_are_written_as_they_are_read() -> None:
    assert decode_epc(sscc_to_epc_hex("106141412345678908", 7)).sscc == "106141412345678908"
    assert decode_epc(sgtin_to_epc_hex("80614141123458", 6789, 7)).uri == "urn:epc:id:sgtin:0614141.812345.6789"


@given(st.integers(0, 10**17 - 1), st.integers(6, 12))
def test_any_sscc_comes_back(number: int, prefix_length: int) -> None:
    sscc = f"{number:017d}"
    sscc += check_digit(sscc)
    epc = decode_epc(sscc_to_epc_hex(sscc, prefix_length))
    assert epc.sscc == sscc
    assert sscc_of_uri(epc.uri) == sscc


@pytest.mark.parametrize(
    ("check", "key"),
    [
        (check_sscc, "106141412345678909"),
        (check_sscc, "10614141234567890"),
        (check_sscc, "10614141234567890٨"),
        (check_gln, "0614141123453"),
        (check_gln, ""),
        (check_gtin, "80614141123459"),
        (check_gtin, "8061414112345８"),
    ],
)
def test_wrong_keys_are_refused(check, key: str) -> None:
    with pytest.raises(KeyMalformed):
        check(key)


@pytest.mark.parametrize("length", [5, 13, -1])
def test_a_company_prefix_has_six_to_twelve_digits(length: int) -> None:
    with pytest.raises(KeyMalformed):
        sscc_to_epc_hex("106141412345678908", length)


@pytest.mark.parametrize("serial", [-1, 1 << 38])
def test_a_serial_that_does_not_fit_is_refused(serial: int) -> None:
    with pytest.raises(KeyMalformed):
        sgtin_to_epc_hex("80614141123458", serial, 7)


@pytest.mark.parametrize("extension", ["", "a b", "x" * 21, "é"])
def test_an_extension_that_does_not_fit_is_refused(extension: str) -> None:
    with pytest.raises(KeyMalformed):
        gln_to_sgln_uri("0614141123452", extension, 7)


def test_it_imports_where_warnings_are_errors_and_nothing_is_compiled_yet(tmp_path) -> None:
    # epcpy's sources raise a warning when Python first compiles them: on a fresh machine that was an import error.
    subprocess.run(
        [sys.executable, "-W", "error", "-c", "import shipments.epc"],
        check=True,
        env={"PYTHONPYCACHEPREFIX": str(tmp_path), "PATH": ""},
    )
