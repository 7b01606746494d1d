"""
The code lists that declarations speak in: ISO 3166-1 countries, ISO 4217 currencies, UN/ECE Rec. 21 packages.

Currencies are as of January 2026, those alone that goods can be paid in: no bond units, metals or test codes.
Countries come from the tz database's own table (the ``tzdata`` package), which is kept up to date with ISO 3166.
"""

import importlib.resources
import re

_NO_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_TWO_DIGITS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)

CURRENCY_EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
}
"""ISO 4217 alphabetic code to how many decimals its minor unit stands for."""

# ISO 3166-1, 8.1.3: never to be assigned, so that users may. Customs do: XI is Northern Ireland, XK Kosovo, QQ stores.
_USER_ASSIGNED = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ", re.ASCII)
# UN/ECE Recommendation 21, revision 5 and later: two letters, or a letter or digit and a letter or digit.
_PACKAGE = re.compile(r"[0-9A-Z]{2}", re.ASCII)


def _read_countries() -> frozenset[str]:
    table = importlib.resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#"))


COUNTRIES = _read_countries()
"""ISO 3166-1 alpha-2 codes that are assigned."""


def is_user_assigned(country: str) -> bool:
    """Tell whether ISO 3166-1 leaves ``country`` to its users; customs use some of them."""
    return _USER_ASSIGNED.fullmatch(country) is not None


def is_package_kind(code: str) -> bool:
    """Tell whether ``code`` has the form of UN/ECE Rec. 21; which of its codes exist is not looked up."""
    return _PACKAGE.fullmatch(code) is not None
