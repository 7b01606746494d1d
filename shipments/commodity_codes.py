"""
Commodity codes after the Harmonized System: their structure and edition. Which codes a tariff has is not looked up.

The first six digits are the same everywhere: chapter (2), heading (4), subheading (6). A country adds two or four more.
"""

import re
from dataclasses import dataclass

EDITIONS = ("1988", "1992", "1996", "2002", "2007", "2012", "2017", "2022", "2028")
"""The years in which an edition of the HS came into force; 2028 is the next."""

NATIONAL_CHAPTERS = ("98", "99")

HS_MALFORMED = "hs_malformed"
HS_CHAPTER_UNKNOWN = "hs_chapter_unknown"
HS_NATIONAL_CHAPTER = "hs_national_chapter"
HS_EDITION_UNKNOWN = "hs_edition_unknown"

_CODE = re.compile(r"[0-9]{6}(?:[0-9]{2}){0,2}", re.ASCII)
_EDITION = re.compile(r"(?:19|20)[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CommodityCode:
    """A commodity code in its parts; ``national`` is empty, or the digits behind the sixth."""

    digits: str

    @property
    def chapter(self) -> str:
        return self.digits[:2]

    @property
    def heading(self) -> str:
        return self.digits[:4]

    @property
    def subheading(self) -> str:
        return self.digits[:6]

    @property
    def national(self) -> str:
        return self.digits[6:]


def fold_code(text: str) -> str:
    """Take off the points and spaces that tariffs print in a code."""
    return "".join(character for character in text if not character.isspace() and character != ".")


def read_code(digits: str) -> CommodityCode | None:
    """Return the parts of a code of 6, 8 or 10 digits; None where it is something else."""
    return CommodityCode(digits) if _CODE.fullmatch(digits) else None


def code_fault(digits: str) -> str:
    """Return HS_MALFORMED or HS_CHAPTER_UNKNOWN, or an empty string where the code can be one."""
    code = read_code(digits)
    if code is None:
        return HS_MALFORMED
    # Chapter 77 is reserved by the HS; 98 and 99 are left to each country, so six digits of them mean nothing.
    if code.chapter in NATIONAL_CHAPTERS:
        return "" if code.national else HS_CHAPTER_UNKNOWN
    return "" if "01" <= code.chapter <= "97" and code.chapter != "77" else HS_CHAPTER_UNKNOWN


def code_warnings(digits: str, edition: str) -> list[str]:
    """Say what is unusual: HS_NATIONAL_CHAPTER, HS_EDITION_UNKNOWN."""
    odd = {HS_NATIONAL_CHAPTER: digits[:2] in NATIONAL_CHAPTERS, HS_EDITION_UNKNOWN: edition not in EDITIONS}
    return [code for code, so in odd.items() if so]


def is_edition(text: str) -> bool:
    """Tell whether ``text`` is a year that an edition could have."""
    return _EDITION.fullmatch(text) is not None
