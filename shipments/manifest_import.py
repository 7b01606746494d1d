"""
Manifests as files: a CSV table or JSON, read whole, every line that cannot be used named at once (docs/goods.md).

All of it is taken or nothing is; a check says what would happen and leaves nothing behind. Built on
:func:`shipments.consignments.create_consignment`, which says what a manifest is.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from biip import ParseError
from biip.gs1_prefixes import GS1CompanyPrefix
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from shipments import commodity_codes
from shipments.code_lists import COUNTRIES, is_user_assigned
from shipments.consignments import (
    MAX_MANIFEST_LINES,
    ManifestLine,
    ManifestRefused,
    Unit,
    create_consignment,
    extend_manifest,
)
from shipments.csv_table import EXCERPT, LineFault, Row, TableRefused, read_table, read_text
from shipments.epc import (
    EpcMalformed,
    KeyMalformed,
    check_bic,
    check_grai,
    check_gtin,
    check_sscc,
    decode_epc,
    sgtin_to_epc_hex,
)
from shipments.intake import ManifestMissing, PartyNamed, party_on_file
from shipments.models import Consignment, LogisticUnit
from shipments.references import fold_reference

COLUMNS: dict[str, tuple[str, ...]] = {
    "epc": ("tag", "tag number", "etiqueta", "número de etiqueta"),
    "gtin": ("ean", "article number", "código de artículo"),
    "serial": ("serial number", "serie", "número de serie"),
    "description": ("goods", "descripción", "mercancía"),
    "sscc": ("pallet", "tarima"),
    "grai": ("crate", "caja retornable"),
    "bic": ("container", "contenedor"),
    "hs": ("hs code", "commodity code", "tariff code", "código sa", "fracción arancelaria", "fracción"),
    "origin": ("country of origin", "origen", "país de origen"),
    "quantity": ("qty", "cantidad"),
}
"""The columns of a manifest, and the names that a header may give them in English and Spanish."""

_CHECKS = {"sscc": check_sscc, "grai": check_grai, "bic": check_bic}
_LABEL = re.compile(r"\(00\)", re.ASCII)
_SERIAL = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)
_ONE = re.compile(r"0*1(?:[.,]0+)?", re.ASCII)
_LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class NewShipment:
    """What a manifest's file does not say: whose goods, from whom to whom."""

    reference: str
    consignor: PartyNamed
    consignee: PartyNamed
    description: str
    ucr: str = ""
    mrn: str = ""
    declared_gross_mass_g: int | None = None


@dataclass(slots=True)
class ReadManifest:
    """A file's lines, and of those that cannot be used why. ``units`` maps a line to the kind and code of its unit."""

    lines: list[ManifestLine] = field(default_factory=list)
    units: dict[int, tuple[str, str]] = field(default_factory=dict)
    faults: list[LineFault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportedManifest:
    """What an import did, or, where ``checked`` alone, what it would do: lines and units that are new."""

    consignment: Consignment | None
    lines: int
    units: int
    ignored: tuple[str, ...]
    checked: bool


def read_manifest(content: bytes | str, *, company_prefix_length: int | None = None) -> ReadManifest:
    """
    Read a manifest's file: JSON where it begins with a bracket, CSV otherwise.

    :param company_prefix_length: of the GTINs, where lines name GTIN and serial; left out, GS1's own table tells it
    :raises TableRefused: where nothing of it can be read
    """
    text = read_text(content) if isinstance(content, bytes) else content
    if text.lstrip()[:1] in ("{", "["):
        return read_lines(_json_lines(text), company_prefix_length=company_prefix_length)
    table = read_table(text, columns=COLUMNS, most=MAX_MANIFEST_LINES)
    read = _read_rows(table.rows, company_prefix_length)
    read.faults += table.faults
    read.ignored += table.ignored
    return read


def read_lines(lines: Sequence[Any], *, company_prefix_length: int | None = None) -> ReadManifest:
    """Read a manifest's lines from JSON: objects with the names of COLUMNS, numbered from 1."""
    rows: list[Row] = []
    faults: list[LineFault] = []
    unknown: dict[str, None] = {}
    sentence: Any
    for number, line in enumerate(lines, start=1):
        if number > MAX_MANIFEST_LINES:
            sentence = _("A file has at most %(most)s lines. Split it.") % {"most": MAX_MANIFEST_LINES}
            faults.append(LineFault(number, "", "too_many_lines", sentence))
            break
        if not isinstance(line, Mapping) or any(isinstance(value, list | dict | float) for value in line.values()):
            sentence = _("A line is an object whose values are texts or whole numbers.")
            faults.append(LineFault(number, _writable(line)[:EXCERPT], "not_a_line", sentence))
            continue
        cells = {
            _writable(name): "" if value is None else " ".join(_writable(value).split()) for name, value in line.items()
        }
        unknown |= dict.fromkeys(name[:EXCERPT] for name in cells if name not in COLUMNS)
        rows.append(Row(number, {name: cell for name, cell in cells.items() if cell and name in COLUMNS}))
    read = _read_rows(rows, company_prefix_length)
    read.faults += faults
    read.ignored += unknown
    return read


def import_manifest(*, manifest: ReadManifest, shipment: NewShipment, check_only: bool = False) -> ImportedManifest:
    """
    Open a shipment with the manifest that was read, all of it or nothing.

    :raises ManifestRefused: naming every line that cannot be used
    :raises Refusal: manifest_missing, and what ``party_on_file`` and ``create_consignment`` raise
    """

    def store(new_units: Sequence[tuple[str, str]]) -> Consignment:
        return create_consignment(
            reference=shipment.reference,
            consignor=party_on_file(shipment.consignor),
            consignee=party_on_file(shipment.consignee),
            description=shipment.description,
            ucr=shipment.ucr,
            mrn=shipment.mrn,
            declared_gross_mass_g=shipment.declared_gross_mass_g,
            manifest=manifest.lines,
            units=[_new_unit(kind, code) for kind, code in new_units],
        )

    return _import(manifest, store, None, check_only)


def change_manifest(
    *, consignment: Consignment, manifest: ReadManifest, replace: bool = False, check_only: bool = False
) -> ImportedManifest:
    """
    Add what was read to a shipment's manifest, or put it in its place. For callers that know that no handoff has used
    it: :mod:`custody.manifest_changes`.

    :raises ManifestRefused: naming every line that cannot be used
    :raises Refusal: manifest_missing, and what ``extend_manifest`` raises
    """

    def store(new_units: Sequence[tuple[str, str]]) -> Consignment:
        units = [_new_unit(kind, code) for kind, code in new_units]
        return extend_manifest(consignment=consignment, manifest=manifest.lines, units=units, replace=replace)

    return _import(manifest, store, consignment, check_only)


def _import(
    manifest: ReadManifest,
    store: Callable[[Sequence[tuple[str, str]]], Consignment],
    consignment: Consignment | None,
    check_only: bool,
) -> ImportedManifest:
    if not manifest.lines and not manifest.faults:
        raise ManifestMissing
    own = _units_on_file(manifest, consignment)
    new_units = list(dict.fromkeys(unit for unit in manifest.units.values() if unit not in own))
    faults = list(manifest.faults)
    stored: Consignment | None = None
    try:
        with transaction.atomic():
            stored = store(new_units)
            if faults or check_only:
                # Stored all the same, and undone: what the database alone finds out is told too.
                transaction.set_rollback(True)
    except ManifestRefused as refused:
        faults += refused.lines
    if faults:
        raise ManifestRefused(sorted(faults, key=lambda fault: fault.line))
    return ImportedManifest(
        consignment=consignment if check_only else stored,
        lines=len(manifest.lines),
        units=len(new_units),
        ignored=tuple(manifest.ignored),
        checked=check_only,
    )


def _units_on_file(manifest: ReadManifest, consignment: Consignment | None) -> dict[tuple[str, str], LogisticUnit]:
    """Map the units that this shipment has to their rows; another shipment's make faults of their lines."""
    own: dict[tuple[str, str], LogisticUnit] = {}
    elsewhere: dict[tuple[str, str], str] = {}
    for kind in ("sscc", "grai", "bic"):
        codes = sorted({code for one, code in manifest.units.values() if one == kind})
        for start in range(0, len(codes), _LOOKED_UP_AT_ONCE):
            batch = codes[start : start + _LOOKED_UP_AT_ONCE]
            standing = LogisticUnit.objects.filter(released_at__isnull=True, **{f"{kind}__in": batch})
            for unit in standing.select_related("consignment"):
                named = (kind, getattr(unit, kind))
                if consignment is not None and unit.consignment_id == consignment.pk:
                    own[named] = unit
                else:
                    elsewhere[named] = unit.consignment.reference
    for line, named in manifest.units.items():
        if named in elsewhere:
            sentence = _("This unit belongs to shipment %(reference)s.") % {"reference": elsewhere[named]}
            manifest.faults.append(LineFault(line, named[1], "unit_in_other_shipment", sentence))
    refused = {line for line, named in manifest.units.items() if named in elsewhere}
    if refused:
        manifest.lines[:] = [line for line in manifest.lines if line.line not in refused]
        for line in refused:
            del manifest.units[line]
    return own


def _new_unit(kind: str, code: str) -> Unit:
    return Unit(
        sscc=code if kind == "sscc" else "", grai=code if kind == "grai" else "", bic=code if kind == "bic" else ""
    )


# One line -----------------------------------------------------------------------------------------------------------


class _LineRefused(Exception):
    def __init__(self, text: str, code: str, sentence: Any) -> None:
        self.text, self.code, self.sentence = text, code, sentence
        super().__init__(code)


def _read_rows(rows: Iterable[Row], prefix_length: int | None) -> ReadManifest:
    read = ReadManifest()
    for row in rows:
        try:
            unit = _unit(row.cells)
            line = ManifestLine(
                epc=_tag(row.cells, prefix_length),
                description=row.cells.get("description", ""),
                line=row.line,
                unit=unit[1] if unit else "",
                hs_code=_hs(row.cells),
                origin=_origin(row.cells),
            )
        except _LineRefused as refused:
            read.faults.append(LineFault(row.line, refused.text[:EXCERPT], refused.code, refused.sentence))
            continue
        read.lines.append(line)
        if unit:
            read.units[row.line] = unit
    return read


def _tag(cells: Mapping[str, str], prefix_length: int | None) -> str:
    quantity = cells.get("quantity", "")
    if quantity and not _ONE.fullmatch(quantity):
        sentence = _("A line stands for one tag, so that its quantity is 1. Write a line for each item.")
        raise _LineRefused(quantity, "quantity_not_one", sentence)
    epc, gtin, serial = (cells.get(name, "") for name in ("epc", "gtin", "serial"))
    if not epc and not gtin:
        raise _LineRefused(" ".join(cells.values()), "no_tag", _("This line names no tag. Give its EPC."))
    if not gtin:
        return epc
    gtin = "".join(gtin.split())
    try:
        check_gtin(gtin)
    except KeyMalformed as error:
        raise _LineRefused(gtin, "gtin_malformed", str(error)) from error
    if epc:
        _require_same(epc, gtin.zfill(14))
        return epc
    if not serial:
        sentence = _(
            "A GTIN names a kind of goods and no single item, so that no tag can be matched with it. Give the serial "
            "number of each item, or the EPC of its tag, one line for each."
        )
        raise _LineRefused(gtin, "gtin_without_serial", sentence)
    if not _SERIAL.fullmatch(serial):
        sentence = _("This serial number does not fit an SGTIN-96: digits without a leading zero. Give the tag’s EPC.")
        raise _LineRefused(serial, "serial_not_numeric", sentence)
    try:
        return sgtin_to_epc_hex(gtin, int(serial), prefix_length or _prefix_length(gtin.zfill(14)))
    except KeyMalformed as error:
        raise _LineRefused(f"{gtin} {serial}", "gtin_not_encoded", str(error)) from error


def _require_same(epc: str, gtin: str) -> None:
    try:
        said = decode_epc(epc).gtin
    except EpcMalformed:
        return  # create_consignment names it
    if said != gtin:
        sentence = _("The tag says GTIN %(said)s, this line %(gtin)s.") % {"said": said or "–", "gtin": gtin}
        raise _LineRefused(epc, "gtin_differs", sentence)


def _prefix_length(gtin: str) -> int:
    try:
        prefix = GS1CompanyPrefix.extract(gtin[1:])
    except ParseError:
        prefix = None
    if prefix is None:
        sentence = _(
            "GS1’s table does not say how long the company prefix of this GTIN is. Say it with the import, or give the "
            "tag’s EPC."
        )
        raise _LineRefused(gtin, "company_prefix_unknown", sentence)
    return len(prefix.value)


def _unit(cells: Mapping[str, str]) -> tuple[str, str] | None:
    named = [(kind, cells[kind]) for kind in ("sscc", "grai", "bic") if kind in cells]
    if not named:
        return None
    kind, text = named[0]
    if len(named) > 1:
        sentence = _("An item is on one unit: give its SSCC, its GRAI or its container number, not several.")
        raise _LineRefused(" ".join(code for _kind, code in named), "several_units", sentence)
    if kind == "grai":
        # As it is printed under the bars, it may lack the filling zero of AI (8003).
        code = "".join(text.split())
        with suppress(KeyMalformed):
            return kind, check_grai(f"0{code}")
    else:
        code = fold_reference(_LABEL.sub("", text))
    try:
        return kind, _CHECKS[kind](code)
    except KeyMalformed as error:
        raise _LineRefused(text, f"{kind}_malformed", str(error)) from error


def _hs(cells: Mapping[str, str]) -> str:
    code = commodity_codes.fold_code(cells.get("hs", ""))
    if code and commodity_codes.code_fault(code):
        sentence = _("A commodity code has 6, 8 or 10 digits and begins with a chapter of the Harmonized System.")
        raise _LineRefused(cells["hs"], commodity_codes.code_fault(code), sentence)
    return code


def _origin(cells: Mapping[str, str]) -> str:
    origin = fold_reference(cells.get("origin", ""))
    if origin and origin not in COUNTRIES and not is_user_assigned(origin):
        sentence = _("ISO 3166 has no such country. Write two letters, as MX.")
        raise _LineRefused(cells["origin"], "country_unknown", sentence)
    return origin


def _writable(value: Any) -> str:
    # JSON can spell a lone surrogate, which could not be written out again.
    return str(value).encode("utf-8", "replace").decode()


def _json_lines(text: str) -> list[Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableRefused(problem=_("it begins as JSON, and is none.")) from error
    lines = told.get("lines") if isinstance(told, dict) else told
    if not isinstance(lines, list):
        raise TableRefused(problem=_("its JSON holds no list of lines."))
    return lines


def as_report(faults: Iterable[LineFault]) -> list[tuple[int, str, str, str]]:
    """Return the faults as the rows of a report: line, code, sentence, the offending text."""
    return [(fault.line, fault.code, str(fault.sentence), fault.text) for fault in faults]
