"""GS1 Digital Link: the web address under which a key is known, the same whatever scheme a tag carried it in."""

from urllib.parse import quote

_RESOLVER = "https://id.gs1.org"


def digital_link(
    *,
    gtin: str = "",
    serial: str = "",
    sscc: str = "",
    gln: str = "",
    extension: str = "",
    grai: str = "",
    giai: str = "",
) -> str:
    """
    Return the canonical Digital Link of one key (GS1 Digital Link: URI Syntax, section 5); empty where none is given.

    :param grai: as AI (8003) has it, with the zero in front
    :param extension: of a GLN; "0" stands for the place as a whole and is left out
    """
    if sscc:
        return f"{_RESOLVER}/00/{sscc}"
    if gtin:
        return f"{_RESOLVER}/01/{gtin}/21/{quote(serial, safe='')}"
    if gln:
        place = f"{_RESOLVER}/414/{gln}"
        return place if extension in ("", "0") else f"{place}/254/{quote(extension, safe='')}"
    if grai:
        return f"{_RESOLVER}/8003/{quote(grai, safe='')}"
    if giai:
        return f"{_RESOLVER}/8004/{quote(giai, safe='')}"
    return ""
