"""
What a scanner or a clerk hands over, to the keys in it: a label's digits, element strings, a Digital Link, an EPC URI.

biip knows the application identifiers and the Digital Link's grammar; it reports a wrong check digit and goes on, so
each key is checked here.
"""

import re
from dataclasses import dataclass

from biip import BiipException
from biip.gs1_digital_link_uris import GS1DigitalLinkURI
from biip.gs1_element_strings import GS1ElementStrings
from biip.gs1_messages import GS1Message

from shipments.epc.digital_link import digital_link
from shipments.epc.keys import KeyMalformed, check_bic, check_grai, check_gtin, check_sscc
from shipments.epc.letters import escape
from shipments.epc.tds1 import GRAI, SSCC, ConvertException

MAX_LABEL = 200

_SSCC_CODE = re.compile(r"(?:\(00\)|00)?([0-9]{18})", re.ASCII)
_SSCC_URI = re.compile(r"urn:epc:id:sscc:[0-9]{6,12}\.[0-9]{5,11}", re.ASCII)
_LINK = re.compile(r"https?://\S+", re.ASCII | re.IGNORECASE)
_HRI = re.compile(r"\([0-9]{2,4}\)")
# What separates the parts of a container's code on its door: CSQU 305438-3.
_BETWEEN = re.compile(r"[\s\-./]+")


@dataclass(frozen=True, slots=True)
class Named:
    """The keys that a label names; ``serial`` is that of the GTIN, ``grai`` as AI (8003) has it."""

    sscc: str = ""
    grai: str = ""
    bic: str = ""
    gtin: str = ""
    serial: str = ""


def read_label(text: str) -> Named | None:
    """Return the keys that ``text`` names, each with its check digit held; None where it names none."""
    text = text.strip()[:MAX_LABEL]
    if text.startswith("urn:epc:id:"):
        return _of_uri(text)
    try:
        if _LINK.fullmatch(text):
            return _of_elements(GS1DigitalLinkURI.parse(text).element_strings)
        if _HRI.match(text) and (named := _of_elements(GS1Message.parse_hri(text).element_strings)):
            return named
    # Pieces of a label in another order than GS1's end in errors of the parser's own.
    except (BiipException, ValueError, LookupError):
        pass
    bare = "".join(text.split())
    if sscc := _SSCC_CODE.fullmatch(bare):
        return _checked("sscc", sscc.group(1))
    if bic := _checked("bic", _BETWEEN.sub("", text).upper()):
        return bic
    return _checked("grai", bare.removeprefix("8003"))


def sscc_of_uri(uri: str) -> str:
    """Return the 18 digits behind ``urn:epc:id:sscc:…``, or an empty string where it is no such URI."""
    if not _SSCC_URI.fullmatch(uri):
        return ""
    try:
        return str(SSCC(uri).gs1_key())
    except ConvertException:
        return ""


def sgtin_uris(gtin: str, serial: str) -> list[str]:
    """
    Return every URI under which a tag of this GTIN and serial may be on a manifest.

    The Digital Link, and the pure identity URI for each length that the company prefix may have: the label tells none.
    """
    gtin = gtin.zfill(14)
    indicator, digits = gtin[0], gtin[1:13]
    link = digital_link(gtin=gtin, serial=serial)
    return [link] + [
        f"urn:epc:id:sgtin:{digits[:length]}.{indicator}{digits[length:]}.{escape(serial)}" for length in range(6, 13)
    ]


def _of_uri(uri: str) -> Named | None:
    if sscc := sscc_of_uri(uri):
        return Named(sscc=sscc)
    if uri.startswith("urn:epc:id:bic:"):
        return _checked("bic", uri.removeprefix("urn:epc:id:bic:"))
    if uri.startswith("urn:epc:id:grai:"):
        try:
            return _checked("grai", f"0{GRAI(uri).gs1_key()}")
        except (ConvertException, ValueError, LookupError):
            return None
    return None


def _of_elements(elements: GS1ElementStrings) -> Named | None:
    values = {element.ai.ai: element.value for element in elements}
    if "00" in values:
        return _checked("sscc", values["00"])
    if "8003" in values:
        return _checked("grai", values["8003"])
    if "01" in values and "21" in values:
        named = _checked("gtin", values["01"])
        return named and Named(gtin=named.gtin.zfill(14), serial=values["21"])
    return None


def _checked(name: str, key: str) -> Named | None:
    check = {"sscc": check_sscc, "grai": check_grai, "bic": check_bic, "gtin": check_gtin}[name]
    try:
        return Named(**{name: check(key)})
    except KeyMalformed:
        return None
