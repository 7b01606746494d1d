"""
The references that customs know goods by: UCR, MRN and EORI. Their forms alone: no authority is asked.

A wrong form is a fault, for nobody could have issued it. What is merely unusual is a warning: traders write UCRs of
their own making, and the goods travel all the same.
"""

import re
from dataclasses import dataclass
from datetime import date

from shipments.code_lists import COUNTRIES, is_user_assigned
from shipments.iso6346 import check_digit

MAX_UCR = 35
MAX_LRN = 22

UCR_UNUSUAL = "ucr_unusual"
UCR_COUNTRY_UNKNOWN = "ucr_country_unknown"
MRN_CHECK_CHARACTER = "mrn_check_character"
MRN_COUNTRY_UNKNOWN = "mrn_country_unknown"
MRN_YEAR_AHEAD = "mrn_year_ahead"
MRN_CATEGORY_DIFFERS = "mrn_category_differs"

# WCO's recommendation on the UCR: year, country, and then what the issuer likes; ISO 15459 and GS1 keep to the same.
_UCR = re.compile(r"[0-9]([A-Z]{2})[0-9A-Z()-]{1,32}", re.ASCII)
# The United Kingdom's DUCR: the trader's EORI (GB and 12 digits), a hyphen, at most 18 characters.
_DUCR = re.compile(r"[0-9]GB[0-9]{12}-[0-9A-Z()-]{1,18}", re.ASCII)
_MRN = re.compile(r"[0-9]{2}[A-Z]{2}[0-9A-Z]{13}[0-9]", re.ASCII)
# An EORI is a country and up to 15 characters; the tax numbers of other countries are of all shapes.
_EORI = re.compile(r"[0-9A-Z-]{4,17}", re.ASCII)

# Delegated Regulation (EU) 2015/2446, annex B: what the 17th character of an MRN says, since the forms of 2023. Letters
# of summaries and of storage are left out: several kinds of declaration have them.
_CATEGORIES = {
    **dict.fromkeys("ABE", "export"),
    "D": "reexport",
    **dict.fromkeys("JKLM", "transit"),
    **dict.fromkeys("RV", "import"),
}
_CATEGORIES_SINCE = 23


@dataclass(frozen=True, slots=True)
class Mrn:
    """A movement reference number in its parts; ``category`` is empty where its letter says none that is known."""

    year: int
    country: str
    identifier: str
    category: str
    check_character: str
    expected: str


def fold_reference(text: str) -> str:
    """Return ``text`` as registers hold it: no spaces, upper case. What is not ASCII stays, to be refused."""
    folded = "".join(text.split())
    # str.upper() makes ASCII of some letters that are not.
    return folded.upper() if folded.isascii() else folded


def ucr_warnings(ucr: str) -> list[str]:
    """Say what is unusual about a UCR: UCR_UNUSUAL, UCR_COUNTRY_UNKNOWN."""
    found = _UCR.fullmatch(ucr)
    if found is None or len(ucr) > MAX_UCR:
        return [UCR_UNUSUAL]
    if not _is_country(found.group(1)):
        return [UCR_COUNTRY_UNKNOWN]
    return []


def is_ducr(ucr: str) -> bool:
    """Tell whether ``ucr`` is a DUCR of the United Kingdom, with its EORI of twelve digits."""
    return _DUCR.fullmatch(ucr) is not None


def read_mrn(mrn: str) -> Mrn | None:
    """Return the parts of an MRN; None where it is not 18 characters of its form."""
    if not _MRN.fullmatch(mrn):
        return None
    year = int(mrn[:2])
    # Older ones have anything there: a letter says something since the forms of 2023 alone.
    category = _CATEGORIES.get(mrn[16], "") if _CATEGORIES_SINCE <= year < 90 else ""
    return Mrn(year, mrn[2:4], mrn[4:17], category, mrn[17], check_digit(mrn[:17]))


def mrn_warnings(mrn: str, *, kind: str, today: date) -> list[str]:
    """
    Say what is odd about an MRN of the right form.

    The check character is never a reason to refuse: customs of some countries have issued numbers without a right one.

    :param kind: the declaration's: export, import, transit, reexport, temporary_storage
    """
    parts = read_mrn(mrn)
    if parts is None:
        return []
    odd = {
        MRN_CHECK_CHARACTER: parts.check_character != parts.expected,
        MRN_COUNTRY_UNKNOWN: not _is_country(parts.country),
        MRN_YEAR_AHEAD: today.year % 100 < parts.year < 90,
        MRN_CATEGORY_DIFFERS: bool(parts.category) and parts.category != kind,
    }
    return [code for code, so in odd.items() if so]


def is_eori(text: str) -> bool:
    """Tell whether ``text`` may be an EORI or the tax number that stands for one: 4 to 17 letters, digits, hyphens."""
    return _EORI.fullmatch(text) is not None


def _is_country(code: str) -> bool:
    return code in COUNTRIES or is_user_assigned(code)
