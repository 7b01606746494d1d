import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipments import iso6346
from shipments.epc import (
    EpcMalformed,
    KeyMalformed,
    check_bic,
    check_digit,
    check_gln,
    check_grai,
    check_gtin,
    check_sscc,
    decode_epc,
    fold_epc,
    gln_to_sgln_uri,
    grai_to_epc_hex,
    read_label,
    sgtin_plus_to_epc_hex,
    sgtin_to_epc_hex,
    sgtin_uris,
    sscc_of_uri,
    sscc_plus_to_epc_hex,
    sscc_to_epc_hex,
)
from shipments.epc.plus_schemes import decode_serial, encode_serial
from shipments.epc.tds1 import GIAI, GRAI, SGLN, SGTIN, SSCC, ConvertException

# Decodes that were run with other tools; kept outside the repository, and in the table below as far as they are needed.
SHARED_VECTORS = Path(__file__).resolve().parents[3] / "shared" / "rfid" / "epc_vectors.json"
GS1 = "https://id.gs1.org"

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
    # Alphanumeric extensions, serials and asset references (TDS 2.3, appendix E.3).
    (
        "3976451FD46072CD9615F8800000000000000000000000000000",
        "sgln-195",
        "urn:epc:id:sgln:9521141.12345.32a%2Fb",
        (),
    ),
    ("3776451FD40C0E59B2C2BF1000000000000000000000", "grai-170", "urn:epc:id:grai:9521141.12345.32a%2Fb", ()),
    (
        "3876451FD59B2C2BF10000000000000000000000000000000000",
        "giai-202",
        "urn:epc:id:giai:9521141.32a%2Fb",
        (),
    ),
    # The "+" schemes hold no company prefix length: they are named by their Digital Link.
    ("F90106141412345678908000", "sscc+", f"{GS1}/00/106141412345678908", ()),
    ("F90095201234567891235", "sscc+", f"{GS1}/00/095201234567891235", ()),
    ("F73795211411234538566CB0AFC4", "sgtin+", f"{GS1}/01/79521141123453/21/32a%2Fb", ()),
    ("FB342CDE795211411234538566CB0AFC4", "dsgtin+", f"{GS1}/01/79521141123453/21/32a%2Fb", ()),
    # Bits where nothing should stand, a key whose check digit is wrong, a nibble that is no digit, month 13.
    ("F90106141412345678908001", "sscc+", f"{GS1}/00/106141412345678908", ("trailing_bits",)),
    ("F90106141412345678909000", "raw", "urn:epc:raw:96.xF90106141412345678909000", ("bad_check_digit",)),
    ("F901061414123456789A8000", "raw", "urn:epc:raw:96.xF901061414123456789A8000", ("undecodable",)),
    (
        "FB342DBE795211411234538566CB0AFC4000",
        "raw",
        "urn:epc:raw:144.xFB342DBE795211411234538566CB0AFC4000",
        ("undecodable",),
    ),
    # One word too many is data only where the toggle bit says so.
    ("F901061414123456789080000000", "raw", "urn:epc:raw:112.xF901061414123456789080000000", ("wrong_length",)),
    ("F981061414123456789081234567", "sscc+", f"{GS1}/00/106141412345678908", ()),
    ("F901061414123456", "raw", "urn:epc:raw:64.xF901061414123456", ("undecodable",)),
    ("3000F90106141412345678908000", "raw", "urn:epc:raw:112.x3000F90106141412345678908000", ("pc_prefixed",)),
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
    assert len(epc.uri) <= 160
    assert epc.uri.startswith(("urn:epc:id:", "urn:epc:raw:", f"{GS1}/0"))
    assert epc.uri.isascii()
    assert decode_epc(epc.hex) == epc


@given(
    st.sampled_from([f"{header:02X}" for header in range(0x30, 0x3A)] + ["F7", "F9", "FB"]),
    st.binary(min_size=11, max_size=25),
)
def test_any_bits_behind_a_known_header_decode_to_something(header: str, rest: bytes) -> None:
    epc = decode_epc(header + rest.hex())
    assert epc.scheme == "raw" or epc.uri.startswith("urn:epc:id:") or epc.uri == epc.digital_link


@given(st.sampled_from([0x30, 0x31]), st.integers(0, 7), st.integers(0, 6), st.integers(0, (1 << 82) - 1))
def test_the_two_commonest_schemes_say_what_epcpy_says(header: int, chosen: int, partition: int, rest: int) -> None:
    value = header << 88 | chosen << 85 | partition << 82 | rest
    epc = decode_epc(f"{value:024X}")
    kind = SGTIN if header == 0x30 else SSCC
    try:
        identity = kind.from_binary(f"{value:096b}")
    except ConvertException:
        assert epc.flags == ("undecodable",)
        return
    assert (epc.uri, epc.gtin or epc.sscc) == (identity.epc_uri, identity.gs1_key())


LINKS = {
    "3074257BF7194E4000001A85": f"{GS1}/01/80614141123458/21/6789",
    "3174257BF4499602D2000000": f"{GS1}/00/106141412345678908",
    "3274257BF46072000000162E": f"{GS1}/414/0614141123452/254/5678",
    "3274257BF460720000000000": f"{GS1}/414/0614141123452",
    "3374257BF40C0E400000162E": f"{GS1}/8003/006141411234525678",
    "3474257BF40000000000162E": f"{GS1}/8004/06141415678",
    "3674257BF6B7A659B2C2BF1000000000000000000000000000": f"{GS1}/01/70614141123451/21/32a%2Fb",
    "3976451FD46072CD9615F8800000000000000000000000000000": f"{GS1}/414/9521141123454/254/32a%2Fb",
    "3776451FD40C0E59B2C2BF1000000000000000000000": f"{GS1}/8003/0952114112345432a%2Fb",
    "3876451FD59B2C2BF10000000000000000000000000000000000": f"{GS1}/8004/952114132a%2Fb",
    "3500E86F8000A9E000000586": "",
    "E2801160600002084E1D2B7C": "",
}


@pytest.mark.parametrize(("digits", "link"), LINKS.items())
def test_a_key_has_a_digital_link_and_other_numbers_have_none(digits: str, link: str) -> None:
    assert decode_epc(digits).digital_link == link


def test_the_decodes_of_other_tools_are_ours_too() -> None:
    if not SHARED_VECTORS.exists():
        pytest.skip(f"no {SHARED_VECTORS.name} beside the repository; the table above holds what it says")
    for vector in json.loads(SHARED_VECTORS.read_text()):
        epc = decode_epc(vector["hex"])
        assert epc.uri == (vector["uri"] or f"urn:epc:raw:{4 * len(epc.hex)}.x{epc.hex}")
        if "flag" in vector:
            assert vector["flag"] in epc.flags
        if "element" in vector:
            label = read_label(vector["element"])
            assert label is None or label.sscc == epc.sscc
            assert label is None or label.grai == epc.grai


def test_a_plus_tag_and_its_96_twin_name_the_same_thing() -> None:
    twins = [
        (sscc_plus_to_epc_hex("106141412345678908"), sscc_to_epc_hex("106141412345678908", 7)),
        (sgtin_plus_to_epc_hex("80614141123458", "6789"), sgtin_to_epc_hex("80614141123458", 6789, 7)),
    ]
    for plus, twin in twins:
        one, other = decode_epc(plus), decode_epc(twin)
        assert (one.sscc, one.gtin, one.serial) == (other.sscc, other.gtin, other.serial)
        assert one.digital_link == other.digital_link == one.uri
        assert one.uri != other.uri


def test_a_plus_tag_is_one_tag_in_nibbles_bytes_and_words() -> None:
    spelled = {decode_epc(f"F90095201234567891235{zeros}").hex for zeros in ("", "0", "000")}
    assert spelled == {"F90095201234567891235000"}


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


@given(st.integers(0, 10**17 - 1))
def test_any_sscc_comes_back_from_a_plus_tag(number: int) -> None:
    sscc = f"{number:017d}"
    sscc += check_digit(sscc)
    assert decode_epc(sscc_plus_to_epc_hex(sscc)).sscc == sscc


GS1_LETTERS = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
SERIALS = st.one_of(
    *(st.text(letters, min_size=1, max_size=20) for letters in ("0123456789", "0123456789ABCDEF", "0123456789abcdef")),
    *(st.text(letters, min_size=1, max_size=20) for letters in ("09AZ.:-", "09AZaz_-", GS1_LETTERS)),
)


@given(st.integers(0, 10**13 - 1), SERIALS)
@example(0, "0" * 20)
@example(0, "007")
def test_any_serial_comes_back_from_a_plus_tag(number: int, serial: str) -> None:
    gtin = f"{number:013d}"
    gtin += check_digit(gtin)
    epc = decode_epc(sgtin_plus_to_epc_hex(gtin, serial))
    assert (epc.gtin, epc.serial, epc.flags) == (gtin, serial, ())


@pytest.mark.parametrize(
    ("serial", "indicator", "bits"),
    [
        # TDS 2.3, table E and table B: the fewest bits, whichever letters occur.
        ("6789", 0, 14),
        ("00042", 0, 17),
        ("1A9F", 1, 16),
        ("1a9f", 2, 16),
        ("rif981", 3, 36),
        ("32a/b", 4, 35),
        ("LOT-2026:A4.77", 5, 80),
    ],
)
def test_each_serial_is_written_by_the_method_that_takes_the_fewest_bits(
    serial: str, indicator: int, bits: int
) -> None:
    written = encode_serial(serial)
    assert (int(written[:3], 2), int(written[3:8], 2), len(written) - 8) == (indicator, len(serial), bits)
    assert decode_serial(written, 0) == (serial, len(written))


@pytest.mark.parametrize("serial", ["", "x" * 21, "a b", "é", "#", "a\n"])
def test_a_serial_that_gs1_does_not_admit_is_written_nowhere(serial: str) -> None:
    with pytest.raises(KeyMalformed):
        sgtin_plus_to_epc_hex("80614141123458", serial)


# Header, bits of what stands between a seven-digit company prefix and the letters, its digits, bits of the letters.
LONG_SCHEMES = {
    "sgtin-198": ("36", 20, 6, 140),
    "sgln-195": ("39", 17, 5, 140),
    "grai-170": ("37", 20, 5, 112),
    "giai-202": ("38", 0, 0, 164),
}


def long_tag(scheme: str, other: int, letters: str) -> str:
    """Write a tag of a scheme with letters under the company prefix 0614141 (partition 5)."""
    header, other_bits, _digits, letter_bits = LONG_SCHEMES[scheme]
    middle = f"{other:0{other_bits}b}" if other_bits else ""
    text = "".join(f"{ord(letter):07b}" for letter in letters).ljust(letter_bits, "0")
    bits = f"{int(header, 16):08b}001101{614141:024b}{middle}{text}"
    bits = bits.ljust(-(-len(bits) // 16) * 16, "0")
    return f"{int(bits, 2):0{len(bits) // 4}X}"


@given(st.sampled_from(sorted(LONG_SCHEMES)), st.integers(0, 99_999), st.text(GS1_LETTERS, min_size=1, max_size=16))
@example("giai-202", 0, "0:7")  # epcpy cuts it at the colon
@example("grai-170", 0, '"' * 16)  # and refuses this one for the length of its escapes
def test_letters_come_back_from_the_long_schemes(scheme: str, other: int, letters: str) -> None:
    epc = decode_epc(long_tag(scheme, other, letters))
    assert (epc.scheme, epc.flags) == (scheme, ())
    assert (epc.serial or epc.grai or epc.giai).endswith(letters)
    # The extension 0 stands for the place as a whole, and is left out.
    assert epc.digital_link.endswith(quote(letters, safe="")) or (scheme, letters) == ("sgln-195", "0")
    assert unquote(epc.uri).endswith(letters)


@given(st.sampled_from(sorted(LONG_SCHEMES)), st.integers(0, 99_999), st.text("09AZaz_-", min_size=1, max_size=16))
def test_the_long_schemes_say_what_epcpy_says(scheme: str, other: int, letters: str) -> None:
    kind = {"sgtin-198": SGTIN, "sgln-195": SGLN, "grai-170": GRAI, "giai-202": GIAI}[scheme]
    tag = long_tag(scheme, other, letters)
    bits = int(scheme.rpartition("-")[2])
    assert decode_epc(tag).uri == kind.from_binary(f"{int(tag, 16):0{4 * len(tag)}b}"[:bits]).epc_uri


@pytest.mark.parametrize("scheme", sorted(LONG_SCHEMES))
@pytest.mark.parametrize("letters", ["", "a\x01", "a b", "a\x00b", "a#"])
def test_letters_that_gs1_does_not_admit_are_not_decoded(scheme: str, letters: str) -> None:
    assert decode_epc(long_tag(scheme, 1, letters)).flags == ("undecodable",)


@pytest.mark.parametrize("serial", ["5678", "32a", "0007", "A-9"])
def test_a_grai_comes_back_from_its_tag(serial: str) -> None:
    grai = f"00614141123452{serial}"
    assert decode_epc(grai_to_epc_hex(grai, 7)).grai == grai


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("00106141412345678908", {"sscc": "106141412345678908"}),
        ("(00)106141412345678908", {"sscc": "106141412345678908"}),
        ("1 0614141 2345 6789 08", {"sscc": "106141412345678908"}),
        (f"{GS1}/00/106141412345678908", {"sscc": "106141412345678908"}),
        ("https://acme.example/eu/00/106141412345678908?37=12", {"sscc": "106141412345678908"}),
        ("urn:epc:id:sscc:0614141.1234567890", {"sscc": "106141412345678908"}),
        ("(8003)006141411234525678", {"grai": "006141411234525678"}),
        ("8003006141411234525678", {"grai": "006141411234525678"}),
        ("0061414112345232A7", {"grai": "0061414112345232A7"}),
        (f"{GS1}/8003/006141411234525678", {"grai": "006141411234525678"}),
        ("urn:epc:id:grai:0614141.12345.5678", {"grai": "006141411234525678"}),
        ("CSQU3054383", {"bic": "CSQU3054383"}),
        ("csqu 305438-3", {"bic": "CSQU3054383"}),
        ("urn:epc:id:bic:CSQU3054383", {"bic": "CSQU3054383"}),
        ("(01)80614141123458(21)6789", {"gtin": "80614141123458", "serial": "6789"}),
        (f"{GS1}/01/80614141123458/21/32a%2Fb", {"gtin": "80614141123458", "serial": "32a/b"}),
    ],
)
def test_a_label_says_its_key_however_it_is_spelled(text: str, named: dict[str, str]) -> None:
    found = read_label(text)
    assert found is not None
    assert {name: getattr(found, name) for name in named} == named


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LRD-1042",
        "(00)106141412345678909",
        f"{GS1}/00/106141412345678909",
        "CSQU3054384",
        "CSQX3054383",
        "(8003)00614141123452",
        "(8003)006141411234535678",
        "https://id.gs1.org/",
        "urn:epc:id:grai:0614141.12345",
        "٣" * 18,
        "(01)80614141123458",
    ],
)
def test_a_label_with_a_wrong_check_digit_names_nothing(text: str) -> None:
    assert read_label(text) is None


@given(st.text(max_size=60))
@example("https://[")
@example("(00)(00)")
@example("(8003)(21)")
def test_any_label_names_something_or_nothing(text: str) -> None:
    read_label(text)
    read_label(f"https://id.gs1.org/{text}")
    read_label(f"(01){text}")


def test_the_uris_of_a_gtin_and_serial_hold_the_one_that_a_tag_gives() -> None:
    assert decode_epc("3074257BF7194E4000001A85").uri in sgtin_uris("80614141123458", "6789")
    assert decode_epc("F73795211411234538566CB0AFC4").uri in sgtin_uris("79521141123453", "32a/b")
    long = decode_epc("3674257BF6B7A659B2C2BF1000000000000000000000000000")
    assert long.uri in sgtin_uris(long.gtin, long.serial)


@pytest.mark.parametrize(("code", "digit"), [("CSQU305438", "3"), ("MSKU123456", "5"), ("TEXU307007", "9")])
def test_container_codes_have_the_check_digit_of_iso_6346(code: str, digit: str) -> None:
    assert iso6346.check_digit(code) == digit
    assert check_bic(code + digit) == code + digit


def test_a_remainder_of_ten_is_written_as_zero() -> None:
    # ISO 6346 advises against such serials; containers have them all the same.
    codes = [f"CSQU{number:06d}" for number in range(100)]
    tens = [code for code in codes if _remainder(code) == 10]
    assert tens
    assert {iso6346.check_digit(code) for code in tens} == {"0"}


def _remainder(code: str) -> int:
    values = {"C": 13, "S": 30, "Q": 28, "U": 32}
    return sum((values.get(letter) or int(letter)) * 2**place for place, letter in enumerate(code)) % 11


@pytest.mark.parametrize(
    ("check", "key"),
    [
        (check_bic, "CSQU3054384"),
        (check_bic, "CSQ3054383"),
        (check_bic, "CSQU305438٣"),
        (check_grai, "00614141123452"),
        (check_grai, "00614141123453567"),
        (check_grai, "10614141123452567"),
        (check_grai, "00614141123452" + "x" * 17),
        (check_grai, "00614141123452a b"),
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
