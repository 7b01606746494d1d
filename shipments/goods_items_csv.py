"""
The items of a declaration as a CSV table: what a clerk pastes from a sheet, in kilograms and whole currency units.

Only the table's form and its measures are read here; what the items may say, :mod:`shipments.declared` decides.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from shipments.code_lists import CURRENCY_EXPONENTS
from shipments.csv_table import EXCERPT, read_table
from shipments.declared import MAX_ITEMS, Fault
from shipments.references import fold_reference

COLUMNS: dict[str, tuple[str, ...]] = {
    "item": ("number", "no", "partida", "número"),
    "hs": ("hs code", "commodity code", "tariff code", "código sa", "fracción arancelaria", "fracción"),
    "hs_edition": ("edition", "edición"),
    "description": ("goods", "descripción", "mercancía"),
    "packages": ("bultos",),
    "package_kind": ("kind of packages", "tipo de bultos"),
    "marks": ("marcas",),
    "gross_kg": ("gross", "gross mass", "gross mass kg", "peso bruto", "peso bruto kg"),
    "net_kg": ("net", "net mass", "net mass kg", "peso neto", "peso neto kg"),
    "value": ("amount", "valor"),
    "currency": ("moneda", "divisa"),
    "origin": ("country of origin", "origen", "país de origen"),
    "procedure": ("procedure code", "procedimiento", "régimen"),
}
"""The columns, and the names that a header may give them in English and Spanish."""

# A comma before three digits may part thousands or decimals: it is not guessed.
_NUMBER = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,4})|,([0-9]{1,2}|[0-9]{4}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReadItems:
    """Items as :func:`shipments.declared.read_declared` takes them, and what of the table cannot be used."""

    items: list[dict[str, Any]]
    faults: list[Fault]
    ignored: Sequence[str]


def read_items(text: str) -> ReadItems:
    """Read the table. :raises TableRefused: where it has no header that is known"""
    if not text.strip():
        return ReadItems([], [], ())
    table = read_table(text, columns=COLUMNS, most=MAX_ITEMS)
    faults = [Fault("items", fault.text, fault.code, fault.sentence, line=fault.line) for fault in table.faults]
    items = []
    for place, row in enumerate(table.rows, start=1):
        cells: dict[str, Any] = {"line": row.line}
        for name, cell in row.cells.items():
            if name in ("gross_kg", "net_kg"):
                grams = _scaled(cell, 3)
                if grams is None:
                    faults.append(_not_a_number(name, cell, place, row.line, 3))
                cells[name.replace("_kg", "_g")] = grams if grams is not None else 1
            elif name == "value":
                decimals = CURRENCY_EXPONENTS.get(fold_reference(row.cells.get("currency", "")), 2)
                minor = _scaled(cell, decimals)
                if minor is None:
                    faults.append(_not_a_number(name, cell, place, row.line, decimals))
                cells["value_minor"] = minor if minor is not None else 0
            else:
                cells["number" if name == "item" else name] = cell
        items.append(cells)
    return ReadItems(items, faults, table.ignored)


def write_items(items: Sequence[Mapping[str, Any]]) -> str:
    """Write a document's items as the table that :func:`read_items` reads: a form is filled with it."""
    used = [name for name in COLUMNS if name in ("item", "hs", "description", "gross_kg") or _any(items, name)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(used)
    writer.writerows([[_cell(item, name) for name in used] for item in items])
    return out.getvalue()


def _any(items: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(_cell(item, name) != "" for item in items)


def _cell(item: Mapping[str, Any], name: str) -> object:
    if name == "item":
        return item["number"]
    if name in ("gross_kg", "net_kg"):
        grams = item.get(name.replace("_kg", "_g"))
        return "" if grams is None else _plain(grams, 3)
    if name == "value":
        minor = item.get("value_minor")
        return "" if minor is None else _plain(minor, CURRENCY_EXPONENTS[item["currency"]])
    return item.get(name, "")


def _plain(whole: int, decimals: int) -> str:
    return format(Decimal(whole).scaleb(-decimals), "f")


def _scaled(cell: str, decimals: int) -> int | None:
    """Return the number as whole thousandths, hundredths or whatever ``decimals`` says; None where it is none."""
    found = _NUMBER.fullmatch("".join(cell.split()))
    if found is None:
        return None
    whole, fraction = found[1], (found[2] or found[3] or "")
    if len(fraction.rstrip("0")) > decimals:
        return None
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


def _not_a_number(name: str, cell: str, place: int, line: int, decimals: int) -> Fault:
    sentence = _(
        "Write the number with a point and at most %(decimals)s decimals, and nothing between the thousands: 1234.5."
    ) % {"decimals": decimals}
    return Fault(name, cell[:EXCERPT], "not_a_number", sentence, item=place, line=line)
