"""
What a declaration says, as values: read from JSON or from a form, checked, written as canonical JSON, and compared.

No database. Every field that cannot be used is named at once; what is odd but possible is a warning and is declared as
it stands, for a declaration is what somebody said, and the ledger keeps it in their words.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _

from shipments import commodity_codes
from shipments.code_lists import COUNTRIES, CURRENCY_EXPONENTS, is_package_kind, is_user_assigned
from shipments.iso6346 import check_digit_holds, is_container_number
from shipments.references import MAX_LRN, fold_reference, mrn_warnings, read_mrn

FORMAT = "custody-declaration/v1"
CONTENT = ("kind", "lrn", "mrn", "office", "items", "documents", "containers", "seals")
ROLES = ("declarant", "representative", "importer", "exporter")
MAX_ITEMS = 999  # what EU customs take in one declaration
MAX_NUMBERS = 999
MAX_TEXT = 512
MAX_GRAMS = 10**12
MAX_MINOR = 10**15
MAX_PACKAGES = 10**8
# RFC 8785 as the ledger restricts it: larger integers are not the same number in every language.
MAX_SUM = 2**53 - 1

DEFAULT_EDITION = "2022"

NET_ABOVE_GROSS = "net_above_gross"
COUNTRY_USER_ASSIGNED = "country_user_assigned"
CONTAINER_CHECK_DIGIT = "container_check_digit"
ORIGIN_MISSING = "origin_missing"

WARNINGS = {
    "ucr_unusual": _("The UCR is not of the usual form: a digit for the year, a country, and up to 32 characters."),
    "ucr_country_unknown": _("The UCR names a country that ISO 3166 does not know."),
    "mrn_check_character": _("The check character of the MRN is not the one that follows from the others."),
    "mrn_country_unknown": _("The MRN names a country that ISO 3166 does not know."),
    "mrn_year_ahead": _("The MRN is of a year that has not begun."),
    "mrn_category_differs": _(
        "The letter before the last character of the MRN stands for another kind of declaration."
    ),
    "hs_national_chapter": _("A commodity code is of chapter 98 or 99, which each country uses for itself."),
    "hs_edition_unknown": _(
        "A commodity code names a year in which no edition of the Harmonized System came into force."
    ),
    "net_above_gross": _("An item’s net mass is above its gross mass."),
    "country_user_assigned": _("A country of origin is one of the codes that ISO 3166 leaves to its users."),
    "container_check_digit": _("The check digit of a container number is not the one that follows from the others."),
    "origin_missing": _("An item names no country of origin."),
}
"""What is odd but possible, by its stable code."""

_OFFICE = re.compile(r"[0-9A-Z]{2,17}", re.ASCII)
_PROCEDURE = re.compile(r"[0-9A-Z]{2,7}", re.ASCII)
_DOCUMENT_TYPE = re.compile(r"[0-9A-Z]{1,5}", re.ASCII)
# No quotation mark and no backslash, which no such number has and which JSON writes twice as long.
_NUMBER = re.compile(r"[ !#-\[\]-~]{1,70}", re.ASCII)
_SEAL = re.compile(r"[!#-\[\]-~]{1,20}", re.ASCII)
_LRN = re.compile(r"[0-9A-Z./_-]{1,22}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Something that cannot be declared as it is.

    :param item: the item's number, 0 for the declaration's head
    :param line: of the file that the item stood in, where there was one
    """

    field: str
    text: str
    code: str
    sentence: Any
    item: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class DeclaredItem:
    """
    Goods under one commodity code. Masses in grams, ``value_minor`` in the currency's minor unit (ISO 4217).

    An empty text, and None, stand for what was not declared.
    """

    number: int
    hs: str
    hs_edition: str
    description: str
    gross_g: int
    packages: int = 0
    package_kind: str = ""
    marks: str = ""
    net_g: int | None = None
    value_minor: int | None = None
    currency: str = ""
    origin: str = ""
    procedure: str = ""

    def document(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "number": self.number,
            "hs": self.hs,
            "hs_edition": self.hs_edition,
            "description": self.description,
            "gross_g": self.gross_g,
            "packages": self.packages,
            "package_kind": self.package_kind,
            "marks": self.marks,
            "net_g": self.net_g,
            "value_minor": self.value_minor,
            "currency": self.currency,
            "origin": self.origin,
            "procedure": self.procedure,
        }
        return {name: value for name, value in fields.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class Declared:
    """The content of a declaration, apart from who its parties are."""

    kind: str
    lrn: str
    items: tuple[DeclaredItem, ...]
    mrn: str = ""
    office: str = ""
    documents: tuple[tuple[str, str], ...] = ()
    containers: tuple[str, ...] = ()
    seals: tuple[str, ...] = ()

    @property
    def gross_g(self) -> int:
        return sum(item.gross_g for item in self.items)

    @property
    def net_g(self) -> int | None:
        """The net mass of all items, None where one of them names none."""
        masses = [item.net_g for item in self.items]
        return None if None in masses else sum(mass for mass in masses if mass is not None)

    @property
    def packages(self) -> int:
        return sum(item.packages for item in self.items)

    def values(self) -> dict[str, int]:
        """Map each currency to the sum of the items' values in its minor unit."""
        sums: Counter[str] = Counter()
        for item in self.items:
            if item.value_minor is not None:
                sums[item.currency] += item.value_minor
        return dict(sorted(sums.items()))

    def warnings(self, *, today: date) -> list[str]:
        """Say what is odd, as codes of WARNINGS, each once, in the order of that table."""
        odd = set(mrn_warnings(self.mrn, kind=self.kind, today=today)) if self.mrn else set()
        for item in self.items:
            odd.update(commodity_codes.code_warnings(item.hs, item.hs_edition))
            if item.net_g is not None and item.net_g > item.gross_g:
                odd.add(NET_ABOVE_GROSS)
            if not item.origin:
                odd.add(ORIGIN_MISSING)
            elif is_user_assigned(item.origin):
                odd.add(COUNTRY_USER_ASSIGNED)
        if not all(check_digit_holds(container) for container in self.containers):
            odd.add(CONTAINER_CHECK_DIGIT)
        return [code for code in WARNINGS if code in odd]

    def document(self, *, goods: dict[str, str], parties: dict[str, dict[str, str]]) -> dict[str, Any]:
        """
        Return the whole declaration as it is written into an entry's attachment. What was not declared is absent.

        :param goods: ``reference`` and, where there is one, ``ucr``
        :param parties: by role, their identifiers; no name stands in it
        """
        document: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.kind,
            "lrn": self.lrn,
            "mrn": self.mrn,
            "office": self.office,
            "goods": goods,
            "parties": parties,
            "items": [item.document() for item in self.items],
            "documents": [{"type": kind, "number": number} for kind, number in self.documents],
            "containers": list(self.containers),
            "seals": list(self.seals),
        }
        return {name: value for name, value in document.items() if value not in ("", [], {})}


def read_declared(told: Mapping[str, Any], *, kinds: Sequence[str]) -> tuple[Declared | None, list[Fault]]:
    """
    Read a declaration's content from plain values, as JSON or a form yields them (docs/goods.md).

    :returns: the content, None where a field cannot be used; and every such field
    """
    faults = [_unknown(field) for field in told if field not in CONTENT]
    told = dict(told)
    sentence: Any
    for field in ("kind", "lrn", "mrn", "office"):
        if not _is_plain(told.get(field)):
            faults.append(Fault(field, _text(told[field])[:80], "not_text", _NOT_TEXT))
            told[field] = ""
    kind, lrn = _text(told.get("kind")), fold_reference(_text(told.get("lrn")))
    mrn, office = fold_reference(_text(told.get("mrn"))), fold_reference(_text(told.get("office")))
    if kind not in kinds:
        faults.append(Fault("kind", kind, "kind_unknown", _("Choose the kind of the declaration.")))
    if not _LRN.fullmatch(lrn):
        sentence = _("The local reference has 1 to %(most)s letters, digits and the signs . / _ -.") % {"most": MAX_LRN}
        faults.append(Fault("lrn", lrn, "lrn_malformed", sentence))
    if mrn and read_mrn(mrn) is None:
        sentence = _(
            "An MRN has 18 characters: two digits for the year, a country, 13 letters or digits, a check digit. Leave "
            "it empty until customs give one."
        )
        faults.append(Fault("mrn", mrn, "mrn_malformed", sentence))
    if office and not _OFFICE.fullmatch(office):
        sentence = _("A customs office has 2 to 17 letters and digits, for instance ES000801.")
        faults.append(Fault("office", office, "office_malformed", sentence))
    documents = _documents(told.get("documents"), faults)
    containers = _containers(told.get("containers"), faults)
    seals = _seals(told.get("seals"), faults)
    items = _items(told.get("items"), faults)
    if faults:
        return None, faults
    return Declared(kind, lrn, tuple(items), mrn, office, tuple(documents), tuple(containers), tuple(seals)), []


def _items(told: Any, faults: list[Fault]) -> list[DeclaredItem]:
    rows = told if isinstance(told, list) else []
    if not rows:
        faults.append(Fault("items", "", "items_missing", _("A declaration names at least one item of goods.")))
        return []
    if len(rows) > MAX_ITEMS:
        sentence = _("A declaration has at most %(most)s items. Split it.") % {"most": MAX_ITEMS}
        faults.append(Fault("items", str(len(rows)), "too_many_items", sentence))
        return []
    items, numbers = [], set()
    for place, row in enumerate(rows, start=1):
        found = _ItemFaults(row if isinstance(row, Mapping) else {}, place)
        number = found.integer("number", 1, MAX_ITEMS) if _given(found.row.get("number")) else place
        if number is not None and number in numbers:
            found.add("number", "item_twice", _("Two items have this number."))
        numbers.add(number)
        item = _read_item(found, number or place)
        faults += found.faults
        items.append(item)
    if not faults:
        _check_sums(items, faults)
    return sorted(items, key=lambda item: item.number)


class _ItemFaults:
    """One item's row, and what of it cannot be used."""

    def __init__(self, row: Mapping[str, Any], place: int) -> None:
        self.row = dict(row)
        self.place = place
        self.faults: list[Fault] = []
        for field, value in row.items():
            if field not in _ITEM:
                self.faults.append(_unknown(field, item=place))
            elif not _is_plain(value):
                self.add(field, "not_text", _NOT_TEXT)
                self.row[field] = ""

    def add(self, field: str, code: str, sentence: Any) -> None:
        line = self.row.get("line")
        self.faults.append(
            Fault(
                field,
                _text(self.row.get(field))[:80],
                code,
                sentence,
                item=self.place,
                line=line if isinstance(line, int) else 0,
            )
        )

    def integer(self, field: str, least: int, most: int) -> int | None:
        value = _integer(self.row.get(field))
        if value is None or not least <= value <= most:
            sentence = _("A whole number from %(least)s to %(most)s stands here.") % {"least": least, "most": most}
            self.add(field, "not_a_whole_number", sentence)
            return None
        return value

    def words(self, field: str) -> str:
        words = " ".join(_text(self.row.get(field)).split())
        if len(words) > MAX_TEXT or not words.isprintable():
            sentence = _("This text has more than %(most)s characters, or some that cannot be printed.")
            self.add(field, "text_refused", sentence % {"most": MAX_TEXT})
        return words


def _read_item(found: _ItemFaults, number: int) -> DeclaredItem:
    row = found.row
    hs = commodity_codes.fold_code(_text(row.get("hs")))
    edition = _text(row.get("hs_edition")) or DEFAULT_EDITION
    if fault := commodity_codes.code_fault(hs):
        found.add("hs", fault, _HS_FAULTS[fault])
    if not commodity_codes.is_edition(edition):
        found.add("hs_edition", "hs_edition_malformed", _("The edition is a year, for instance 2022."))
    description = found.words("description")
    if not description:
        found.add("description", "description_missing", _("Say what the goods are."))
    packages = found.integer("packages", 0, MAX_PACKAGES) if _given(row.get("packages")) else 0
    package_kind = fold_reference(_text(row.get("package_kind")))
    if package_kind and not is_package_kind(package_kind):
        found.add("package_kind", "package_kind_malformed", _("A kind of package has two characters, for instance CT."))
    elif packages and not package_kind:
        found.add("package_kind", "package_kind_missing", _("Say what kind the packages are, for instance CT."))
    gross_g = found.integer("gross_g", 1, MAX_GRAMS)
    net_g = found.integer("net_g", 1, MAX_GRAMS) if _given(row.get("net_g")) else None
    value_minor = found.integer("value_minor", 0, MAX_MINOR) if _given(row.get("value_minor")) else None
    currency = fold_reference(_text(row.get("currency")))
    if currency and currency not in CURRENCY_EXPONENTS:
        found.add("currency", "currency_unknown", _("ISO 4217 has no such currency. Write three letters, as USD."))
    elif bool(currency) != _given(row.get("value_minor")):
        found.add("currency", "value_half", _("A value has an amount and a currency: one of them is missing."))
    origin = fold_reference(_text(row.get("origin")))
    if origin and origin not in COUNTRIES and not is_user_assigned(origin):
        found.add("origin", "country_unknown", _("ISO 3166 has no such country. Write two letters, as MX."))
    procedure = fold_reference(_text(row.get("procedure")))
    if procedure and not _PROCEDURE.fullmatch(procedure):
        found.add("procedure", "procedure_malformed", _("A procedure has 2 to 7 letters and digits, as 1000."))
    return DeclaredItem(
        number=number,
        hs=hs,
        hs_edition=edition,
        description=description,
        gross_g=gross_g or 0,
        packages=packages or 0,
        package_kind=package_kind if packages else "",
        marks=found.words("marks"),
        net_g=net_g,
        value_minor=value_minor,
        currency=currency,
        origin=origin,
        procedure=procedure,
    )


_ITEM = (*DeclaredItem.__dataclass_fields__, "line")
_NOT_TEXT = _("A text or a whole number stands here.")


def _unknown(field: str, *, item: int = 0) -> Fault:
    return Fault(_text(field)[:40], "", "field_unknown", _("A declaration has no such field."), item=item)


_HS_FAULTS = {
    commodity_codes.HS_MALFORMED: _("A commodity code has 6, 8 or 10 digits."),
    commodity_codes.HS_CHAPTER_UNKNOWN: _("The Harmonized System has no such chapter."),
}


def _check_sums(items: Sequence[DeclaredItem], faults: list[Fault]) -> None:
    values: Counter[str] = Counter()
    for item in items:
        values[item.currency] += item.value_minor or 0
    if any(total > MAX_SUM for total in values.values()):
        sentence = _(
            "The items’ values add up to more than the ledger can write. Check them, or split the declaration."
        )
        faults.append(Fault("items", "", "total_too_large", sentence))


def _documents(told: Any, faults: list[Fault]) -> list[tuple[str, str]]:
    documents: list[tuple[str, str]] = []
    for entry in _listed(told, "documents", faults):
        kind, number = "", ""
        if isinstance(entry, Mapping):
            kind, number = fold_reference(_text(entry.get("type"))), " ".join(_text(entry.get("number")).split())
        if not _DOCUMENT_TYPE.fullmatch(kind) or not _NUMBER.fullmatch(number):
            sentence = _(
                "A document has a type of up to 5 letters and digits, as N730, and a number of up to 70 signs."
            )
            faults.append(Fault("documents", f"{kind} {number}"[:80].strip(), "document_malformed", sentence))
        elif (kind, number) not in documents:
            documents.append((kind, number))
    return documents


def _containers(told: Any, faults: list[Fault]) -> list[str]:
    containers: list[str] = []
    for entry in _listed(told, "containers", faults):
        number = fold_reference(_text(entry)).replace("-", "")
        if not is_container_number(number):
            sentence = _("A container number has four letters, the last one U, J or Z, and seven digits.")
            faults.append(Fault("containers", number[:80], "container_malformed", sentence))
        elif number not in containers:
            containers.append(number)
    return containers


def _seals(told: Any, faults: list[Fault]) -> list[str]:
    seals: list[str] = []
    for entry in _listed(told, "seals", faults):
        number = "".join(_text(entry).split())
        if not _SEAL.fullmatch(number):
            sentence = _("A seal’s number has up to 20 letters, digits and signs of ASCII.")
            faults.append(Fault("seals", number[:80], "seal_malformed", sentence))
        elif number not in seals:
            seals.append(number)
    return seals


def _listed(told: Any, field: str, faults: list[Fault]) -> list[Any]:
    if told in (None, ""):
        return []
    if not isinstance(told, list) or len(told) > MAX_NUMBERS:
        sentence = _("This is a list of at most %(most)s.") % {"most": MAX_NUMBERS}
        faults.append(Fault(field, "", "not_a_list", sentence))
        return []
    return told


def _given(value: Any) -> bool:
    return value is not None and value != ""


def _text(value: Any) -> str:
    """What stands in a field, as text without a lone surrogate."""
    return "" if value is None else str(value).strip().encode("utf-8", "replace").decode()


def _is_plain(value: Any) -> bool:
    """Tell text, whole numbers and nothing from what no field of a declaration can be: 0.5, true, a list."""
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _integer(value: Any) -> int | None:
    text = _text(value)
    # int() reads the digits of every script, and underscores between them.
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        return None
    return int(text)
