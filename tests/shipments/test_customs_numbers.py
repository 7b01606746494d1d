"""UCR, MRN, container numbers, commodity codes and the code lists: what is checked, and what is only told."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipments.code_lists import COUNTRIES, CURRENCY_EXPONENTS, is_package_kind, is_user_assigned
from shipments.commodity_codes import code_fault, code_warnings, fold_code, is_edition, read_code
from shipments.iso6346 import check_digit, check_digit_holds, is_container_number
from shipments.references import fold_reference, is_ducr, is_eori, mrn_warnings, read_mrn, ucr_warnings

TODAY = date(2026, 11, 30)


# The vectors: published examples of ISO 6346, and MRNs from the specifications of customs' own test systems.
@pytest.mark.parametrize(
    "number", ["CSQU3054383", "MWCU6059784", "99IT9876AB88901209", "18GB0000601001EBD1", "18GB9JLC3CU1LFGVR2"]
)
def test_published_numbers_have_their_check_digit(number: str) -> None:
    assert check_digit(number[:-1]) == number[-1]


@pytest.mark.parametrize("prefix", ["MSKU605978", "27WF00000000000T4"])
def test_one_wrong_character_is_noticed(prefix: str) -> None:
    number = prefix + check_digit(prefix)
    # 0 stands for a remainder of 10 too: a few pairs of characters escape, and most do not.
    changed = [number[:at] + ("1" if number[at] != "1" else "2") + number[at + 1 :] for at in range(len(prefix))]
    assert sum(check_digit_holds(one) for one in changed) <= 2


@pytest.mark.parametrize(
    ("number", "fits"),
    [("CSQU3054383", True), ("CSQX3054383", False), ("CSQU305438", False), ("csqu3054383", False), ("", False)],
)
def test_a_container_number_has_one_form(number: str, fits: bool) -> None:
    assert is_container_number(number) is fits


def test_an_mrn_is_taken_apart() -> None:
    parts = read_mrn("26ES00080112345" + "6J" + check_digit("26ES000801123456J"))
    assert parts is not None
    assert (parts.year, parts.country, parts.category, parts.check_character) == (26, "ES", "transit", parts.expected)


@pytest.mark.parametrize(
    "mrn", ["", "26ES", "26ES000801123456J", "2XES000801123456J4", "26ES000801123456JA", "26E٣000801123456J4"]
)
def test_what_is_no_mrn_is_none(mrn: str) -> None:
    assert read_mrn(mrn) is None


@pytest.mark.parametrize(
    ("prefix", "kind", "expected"),
    [
        ("26ES000801123456J", "transit", []),
        ("26ES000801123456J", "import", ["mrn_category_differs"]),
        ("26ES000801123456A", "export", []),
        ("26QX000801123456A", "export", []),
        ("26YY000801123456A", "export", ["mrn_country_unknown"]),
        ("27ES000801123456A", "export", ["mrn_year_ahead"]),
        # Before the forms of 2023 the 17th character says nothing; and the last century's numbers are not ahead.
        ("22ES000801123456J", "import", []),
        ("99IT9876AB8890120", "import", []),
    ],
)
def test_an_odd_mrn_is_told(prefix: str, kind: str, expected: list[str]) -> None:
    assert mrn_warnings(prefix + check_digit(prefix), kind=kind, today=TODAY) == expected


def test_a_wrong_check_character_is_a_warning_and_no_more() -> None:
    wrong = "26ES000801123456J" + str((int(check_digit("26ES000801123456J")) + 1) % 10)
    assert read_mrn(wrong) is not None
    assert mrn_warnings(wrong, kind="transit", today=TODAY) == ["mrn_check_character"]


@pytest.mark.parametrize(
    ("ucr", "expected"),
    [
        ("6MX0614141LRD1042", []),
        ("9GB123456789012-ABC1234", []),
        ("MX0614141LRD1042", ["ucr_unusual"]),
        ("6MX" + "1" * 33, ["ucr_unusual"]),
        ("6MX/1", ["ucr_unusual"]),
        ("6YY1", ["ucr_country_unknown"]),
        ("6XI1", []),
    ],
)
def test_an_unusual_ucr_is_told(ucr: str, expected: list[str]) -> None:
    assert ucr_warnings(ucr) == expected


def test_a_ducr_is_known_by_its_eori() -> None:
    assert is_ducr("9GB123456789012-ABC1234")
    assert not is_ducr("9GB12345678901-ABC1234")
    assert not is_ducr("9GB123456789012-" + "A" * 19)
    assert not is_ducr("6MX0614141LRD1042")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_text_breaks_a_check(text: str) -> None:
    folded = fold_reference(text)
    ucr_warnings(folded)
    assert (read_mrn(folded) is None) or folded.isascii()
    mrn_warnings(folded, kind="export", today=TODAY)
    is_eori(folded)
    code_fault(fold_code(text))
    code_warnings(fold_code(text), text)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("854430", ""),
        ("85443000", ""),
        ("8544300000", ""),
        ("0101.21", ""),
        ("8544", "hs_malformed"),
        ("8544300", "hs_malformed"),
        ("85443000000", "hs_malformed"),
        ("85443O", "hs_malformed"),
        ("٨٥٤٤٣٠", "hs_malformed"),
        ("770000", "hs_chapter_unknown"),
        ("000000", "hs_chapter_unknown"),
        ("980200", "hs_chapter_unknown"),
        ("98020001", ""),
    ],
)
def test_a_commodity_code_has_a_structure(code: str, fault: str) -> None:
    assert code_fault(fold_code(code)) == fault


def test_a_commodity_code_in_its_parts() -> None:
    code = read_code("8544300012")
    assert code is not None
    assert (code.chapter, code.heading, code.subheading, code.national) == ("85", "8544", "854430", "0012")


def test_national_chapters_and_unknown_editions_are_told() -> None:
    assert code_warnings("854430", "2022") == []
    assert code_warnings("98020001", "2028") == ["hs_national_chapter"]
    assert code_warnings("854430", "2023") == ["hs_edition_unknown"]
    assert is_edition("2022")
    assert not is_edition("22")


def test_the_code_lists_know_what_trade_uses() -> None:
    assert {"MX", "US", "DE", "CN"} <= COUNTRIES
    assert "XI" not in COUNTRIES
    assert "YY" not in COUNTRIES
    assert is_user_assigned("XI")
    assert not is_user_assigned("YY")
    assert (CURRENCY_EXPONENTS["USD"], CURRENCY_EXPONENTS["JPY"], CURRENCY_EXPONENTS["KWD"]) == (2, 0, 3)
    assert "XAU" not in CURRENCY_EXPONENTS
    assert is_package_kind("CT") and is_package_kind("4G")
    assert not is_package_kind("CTN")
