"""
Shipments and their manifests: make one, close one, and find one by whatever code a scanner or a clerk produces.

A manifest is taken whole or not at all, and every line that cannot be used is named at once. An unknown tag is never
made into goods: what no manifest holds stays unknown.
"""

import csv
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.csv_table import LineFault
from shipments.epc import (
    PC_PREFIXED,
    Epc,
    EpcMalformed,
    KeyMalformed,
    Named,
    check_bic,
    check_gln,
    check_grai,
    check_sscc,
    decode_epc,
    read_label,
    sgtin_uris,
    sscc_to_epc_hex,
)
from shipments.models import Consignment, LogisticUnit, ManifestItem, Party
from shipments.references import is_eori

MAX_MANIFEST_LINES = 100_000
MAX_CODE = 200
# SQLite and PostgreSQL both take far more parameters in one query; a query of this size is still read by a person.
_LOOKED_UP_AT_ONCE = 500

# ISO/IEC 15424 symbology identifiers that scanners put in front of GS1 data: GS1-128, DataMatrix, QR, DataBar.
_SYMBOLOGIES = ("]C1", "]d2", "]Q3", "]e0")
_RAW_URI = re.compile(r"urn:epc:raw:[0-9]{1,3}\.x([0-9A-Fa-f]+)", re.ASCII)


class ShipmentUnknown(Refusal):
    code = "shipment_unknown"
    message = _("No shipment has the code “%(scanned)s”. Scan its label, an SSCC or a tag, or type its reference.")
    status = 404


class ManifestRefused(Refusal):
    code = "manifest_refused"
    message = _("Nothing was saved: lines of the manifest that cannot be used: %(count)s. Mend them and send it again.")
    status = 422

    def __init__(self, lines: Sequence[LineFault]) -> None:
        self.lines = tuple(lines)
        super().__init__(
            count=len(self.lines),
            lines=[
                {"line": fault.line, "code": fault.code, "text": fault.text, "sentence": str(fault.sentence)}
                for fault in self.lines
            ],
        )


class ConsignmentRefused(Refusal):
    code = "consignment_refused"
    message = _("The shipment was not saved: %(problem)s")
    status = 422


class ConsignmentExists(Refusal):
    code = "consignment_exists"
    message = _("Shipment %(reference)s was not saved: its reference, UCR or an SSCC is already in use.")


class PartyRefused(Refusal):
    code = "party_refused"
    message = _("%(name)s was not saved: %(problem)s")
    status = 422


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """
    One expected tag. ``line`` counts from 1 and is what a report of faults names.

    ``unit`` names the unit that holds it, by its SSCC, GRAI or container code.
    """

    epc: str
    description: str = ""
    line: int = 0
    unit: str = ""
    hs_code: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """
    A pallet, a crate or a container under one code or more. Its tag is ``epc`` where given, or the SSCC-96 that
    ``company_prefix_length`` yields, or none. ``grai`` is as AI (8003) has it.
    """

    sscc: str = ""
    company_prefix_length: int | None = None
    epc: str = ""
    grai: str = ""
    bic: str = ""


def register_party(*, name: str, gln: str = "", eori: str = "") -> Party:
    """Add an organisation. :raises PartyRefused: where the name is empty, or a number is wrong or in use"""
    name = " ".join(name.split())
    if not name:
        raise PartyRefused(name=_("The party"), problem=_("it has no name."))
    if len(name) > 200 or not name.isprintable():
        problem = _("its name has more than 200 characters, or some that cannot be printed.")
        raise PartyRefused(name=_("The party"), problem=problem)
    if gln:
        try:
            check_gln(gln)
        except KeyMalformed as error:
            raise PartyRefused(name=name, problem=str(error)) from error
    if eori and not is_eori(eori):
        problem = _("an EORI or a tax number has 4 to 17 letters, digits and hyphens.")
        raise PartyRefused(name=name, problem=problem)
    try:
        with transaction.atomic():
            return Party.objects.create(name=name, gln=gln, eori=eori)
    except IntegrityError as error:
        raise PartyRefused(name=name, problem=_("another party has this GLN or EORI.")) from error


def parse_manifest(text: str) -> list[ManifestLine]:
    """
    Read a manifest as typed or uploaded: one EPC per line, or CSV ``epc,description[,unit]`` with or without a header;
    a unit is named by its SSCC, GRAI or container code.

    Empty lines and lines that begin with ``#`` are skipped. Nothing is checked here but the form.

    :raises ManifestRefused: where there are too many lines, or one is no CSV
    """
    lines: list[ManifestLine] = []
    faults: list[LineFault] = []
    # Not splitlines(): it also breaks at characters that may stand in a description.
    for number, raw in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), start=1):
        row = raw.strip()
        if not row or row.startswith("#"):
            continue
        if len(lines) >= MAX_MANIFEST_LINES:
            faults.append(LineFault(number, "", "too_many_lines", _("A manifest has at most 100,000 lines.")))
            break
        try:
            fields = next(csv.reader([row], strict=True, skipinitialspace=True))
        except csv.Error:
            faults.append(LineFault(number, row[:80], "not_csv", _("The quotation marks of this line do not match.")))
            continue
        epc, description, unit, *rest = [field.strip() for field in fields] + ["", ""]
        if not lines and epc.casefold() == "epc":
            continue
        if any(rest):
            faults.append(
                LineFault(
                    number,
                    row[:80],
                    "too_many_fields",
                    _("A line has an EPC, a description and the code of a unit at most."),
                )
            )
            continue
        lines.append(ManifestLine(epc=epc, description=description, line=number, unit=unit))
    if faults:
        raise ManifestRefused(faults)
    return lines


def create_consignment(
    *,
    reference: str,
    consignor: Party,
    consignee: Party,
    description: str,
    manifest: Sequence[ManifestLine],
    units: Sequence[Unit] = (),
    ucr: str = "",
    mrn: str = "",
    declared_gross_mass_g: int | None = None,
) -> Consignment:
    """
    Open a shipment with its manifest and logistic units, all of it or nothing.

    :raises ManifestRefused: naming each line whose EPC is malformed, twice there, or in another open shipment
    :raises ConsignmentRefused: where the reference, the mass or a unit cannot be used
    :raises ConsignmentExists: where the reference, the UCR or an SSCC is in use
    """
    reference = "".join(_line_of_text(reference, 40, _("The reference")).split()).upper()
    ucr = "".join(_line_of_text(ucr, 35, _("The UCR")).split()).upper()
    mrn = "".join(_line_of_text(mrn, 18, _("The MRN")).split()).upper()
    description = _line_of_text(description, 500, _("The description"))
    if not reference:
        raise ConsignmentRefused(problem=_("it has no reference."))
    if declared_gross_mass_g is not None and declared_gross_mass_g <= 0:
        raise ConsignmentRefused(problem=_("its declared mass is not above zero."))
    rows = _unit_rows(units)
    items = _read_lines(manifest, rows)
    try:
        with transaction.atomic():
            consignment = Consignment.objects.create(
                reference=reference,
                ucr=ucr,
                mrn=mrn,
                consignor=consignor,
                consignee=consignee,
                description=description,
                declared_gross_mass_g=declared_gross_mass_g,
            )
            _save_units(rows, consignment)
            _store_items(consignment, items, rows)
    except IntegrityError as error:
        # Another shipment took one of these tags between the check and the insert: name the line.
        if faults := _taken(items):
            raise ManifestRefused(faults) from error
        raise ConsignmentExists(reference=reference) from error
    return consignment


def extend_manifest(
    *, consignment: Consignment, manifest: Sequence[ManifestLine], units: Sequence[Unit] = (), replace: bool = False
) -> Consignment:
    """
    Add lines to a shipment's manifest, or put them in its place; all of them or none.

    Whether a handoff has used the manifest is not known here: see :mod:`custody.manifest_changes`.

    :param units: those that the shipment does not have yet
    :param replace: the lines that were there go; its units stay
    :raises ManifestRefused: naming each line whose EPC is malformed, twice there, or in another open shipment
    :raises ConsignmentRefused: where a unit cannot be used
    :raises ConsignmentExists: where an SSCC is in use
    """
    rows = _unit_rows(units)
    try:
        with transaction.atomic():
            consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=consignment.pk)
            if replace:
                consignment.manifest.all().delete()
            held = [*consignment.units.all(), *rows]
            items = _read_lines(manifest, held)
            _save_units(rows, consignment)
            _store_items(consignment, items, held)
    except IntegrityError as error:
        raise ConsignmentExists(reference=consignment.reference) from error
    return consignment


def _save_units(rows: Sequence[LogisticUnit], consignment: Consignment) -> None:
    for row in rows:
        row.consignment = consignment
        row.save(force_insert=True)


def _store_items(
    consignment: Consignment, items: Sequence[tuple[ManifestLine, Epc]], units: Sequence[LogisticUnit]
) -> None:
    by_code = _by_code(units)
    ManifestItem.objects.bulk_create(
        [
            ManifestItem(
                consignment=consignment,
                logistic_unit=by_code.get(_unit_code(line.unit)),
                epc_hex=epc.hex,
                epc_uri=epc.uri,
                gtin=epc.gtin,
                description=line.description,
                hs_code=line.hs_code,
                origin=line.origin,
            )
            for line, epc in items
        ],
        batch_size=1_000,
    )


def close_consignment(*, consignment: Consignment) -> Consignment:
    """Close a shipment whose journey has ended; its tags may then travel again in another one."""
    with transaction.atomic():
        consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=consignment.pk)
        if consignment.closed_at is None:
            consignment.closed_at = timezone.now()
            consignment.save(update_fields=["closed_at"])
            consignment.manifest.update(released_at=consignment.closed_at)
            consignment.units.update(released_at=consignment.closed_at)
    return consignment


def find_shipment(*, code: str) -> Consignment:
    """
    Return the shipment that ``code`` names: its reference or UCR; an SSCC, GRAI or container code as a label, a scanner
    or a Digital Link spells it; or one of its tags by its EPC in hex, as a URI, or as GTIN and serial.

    :raises ShipmentUnknown:
    """
    scanned = bare_code(code)
    found = _find_by_reference(scanned) or _find_by_label(scanned) or _find_by_tag(scanned)
    if found is None:
        raise ShipmentUnknown(scanned=_printable(code))
    return found


def which_shipment_holds(epc_hex: str) -> Consignment | None:
    """Return the shipment whose manifest holds the tag or whose pallet carries it; an open one before a closed one."""
    return which_shipments_hold([epc_hex]).get(epc_hex)


def which_shipments_hold(epcs: Collection[str]) -> dict[str, Consignment]:
    """Map each of ``epcs`` (uppercase hex) that some shipment holds to that shipment; see which_shipment_holds."""
    holders: dict[str, Consignment] = {}
    wanted = sorted(epcs)
    for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
        batch = wanted[start : start + _LOOKED_UP_AT_ONCE]
        # Oldest and closed first, so that the one to be returned is written last.
        items = (
            ManifestItem.objects.filter(epc_hex__in=batch)
            .select_related("consignment")
            .order_by(F("released_at").asc(nulls_last=True), "id")
        )
        holders |= {item.epc_hex: item.consignment for item in items}
        holders |= _carried_by_pallets([epc for epc in batch if epc not in holders])
    return holders


def _carried_by_pallets(epcs: Sequence[str]) -> dict[str, Consignment]:
    # By its keys too: a pallet's tag may carry another filter value or scheme than the one we would write.
    keys: dict[str, str] = {}
    for epc_hex in epcs:
        with suppress(EpcMalformed):
            epc = decode_epc(epc_hex)
            keys[epc_hex] = epc.sscc or epc.grai
    named = [key for key in keys.values() if key]
    units = (
        LogisticUnit.objects.filter(Q(epc_hex__in=list(keys)) | Q(sscc__in=named) | Q(grai__in=named))
        .select_related("consignment")
        .order_by(F("released_at").asc(nulls_last=True), "id")
    )
    by_tag = {unit.epc_hex: unit.consignment for unit in units if unit.epc_hex}
    by_key = {key: unit.consignment for unit in units for key in (unit.sscc, unit.grai) if key}
    found = {epc_hex: by_tag.get(epc_hex) or by_key.get(key) for epc_hex, key in keys.items()}
    return {epc_hex: consignment for epc_hex, consignment in found.items() if consignment}


def _find_by_reference(scanned: str) -> Consignment | None:
    folded = "".join(scanned.split()).upper()
    if not folded:
        return None
    # A UCR may look like another shipment's reference: the reference is ours and goes first.
    by_reference = Consignment.objects.filter(reference=folded).first()
    return by_reference or Consignment.objects.filter(ucr=folded).first()


def _find_by_label(scanned: str) -> Consignment | None:
    named = read_label(scanned)
    if named is None:
        return None
    if named.gtin:
        return _holder(ManifestItem.objects.filter(epc_uri__in=sgtin_uris(named.gtin, named.serial)))
    return _holder(units_named(named))


def units_named(named: Named) -> QuerySet[LogisticUnit]:
    """Return the units under a code, of every shipment that they ever belonged to."""
    codes = {name: getattr(named, name) for name in ("sscc", "grai", "bic")}
    given = {name: code for name, code in codes.items() if code}
    return LogisticUnit.objects.filter(**given) if given else LogisticUnit.objects.none()


def _holder(rows: QuerySet[ManifestItem] | QuerySet[LogisticUnit]) -> Consignment | None:
    """The open shipment of the rows before a closed one, the newest of those first."""
    newest = rows.select_related("consignment").order_by(F("released_at").desc(nulls_first=True), "-id").first()
    return newest.consignment if newest else None


def _find_by_tag(scanned: str) -> Consignment | None:
    if scanned.startswith("urn:epc:id:"):
        return _holder(ManifestItem.objects.filter(epc_uri=scanned))
    raw = _RAW_URI.fullmatch(scanned)
    try:
        return which_shipment_holds(decode_epc(raw.group(1) if raw else scanned).hex)
    except EpcMalformed:
        return None


def bare_code(code: str) -> str:
    """Take off what a scanner adds: a symbology identifier, FNC1 (sent as the control character GS) and line ends."""
    bare = "".join(letter for letter in code[:MAX_CODE] if letter.isprintable()).strip()
    for symbology in _SYMBOLOGIES:
        bare = bare.removeprefix(symbology)
    return bare.encode("utf-8", "ignore").decode()


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:80] if letter.isprintable()).strip()


def _line_of_text(text: str, limit: int, name: Any) -> str:
    folded = " ".join(text.split())
    # PostgreSQL takes no NUL, and no text that cannot be written as UTF-8.
    if len(folded) > limit or not folded.isprintable():
        raise ConsignmentRefused(
            problem=_("%(name)s has more than %(limit)s characters, or some that cannot be printed.")
            % {"name": name, "limit": limit}
        )
    return folded


def _unit_rows(units: Sequence[Unit]) -> list[LogisticUnit]:
    """Return the rows to be stored, each checked. :raises ConsignmentRefused:"""
    rows: list[LogisticUnit] = []
    codes: set[str] = set()
    for unit in units:
        row = read_unit(unit)
        for code in row.codes().values():
            if code in codes:
                raise ConsignmentRefused(problem=_("the unit %(code)s is there twice.") % {"code": code})
            codes.add(code)
        rows.append(row)
    return rows


def read_unit(unit: Unit) -> LogisticUnit:
    """Return an unsaved row for ``unit``, its codes and its tag checked. :raises ConsignmentRefused:"""
    try:
        sscc = unit.sscc and check_sscc(unit.sscc)
        grai, bic = unit.grai and check_grai(unit.grai), unit.bic and check_bic(unit.bic)
        tag = decode_epc(unit.epc) if unit.epc else None
        if tag is None and sscc and unit.company_prefix_length is not None:
            tag = decode_epc(sscc_to_epc_hex(sscc, unit.company_prefix_length))
    except (KeyMalformed, EpcMalformed) as error:
        problem = error.sentence if isinstance(error, EpcMalformed) else str(error)
        raise ConsignmentRefused(problem=problem) from error
    if not (sscc or grai or bic):
        raise ConsignmentRefused(problem=_("a unit has neither SSCC nor GRAI nor container code."))
    if tag is not None and (tag.sscc or tag.grai) and (tag.sscc, tag.grai) not in ((sscc, ""), ("", grai)):
        raise ConsignmentRefused(
            problem=_("the tag %(tag)s says %(key)s %(said)s, its unit is %(code)s.")
            % {
                "tag": tag.hex,
                "key": "SSCC" if tag.sscc else "GRAI",
                "said": tag.sscc or tag.grai,
                "code": sscc or grai or bic,
            }
        )
    return LogisticUnit(sscc=sscc, grai=grai, bic=bic, epc_hex=tag.hex if tag else "")


def _by_code(rows: Sequence[LogisticUnit]) -> dict[str, LogisticUnit]:
    return {code: row for row in rows for code in row.codes().values()}


def _unit_code(text: str) -> str:
    named = read_label(text)
    return (named and (named.sscc or named.grai or named.bic)) or text


def _read_lines(manifest: Sequence[ManifestLine], units: Sequence[LogisticUnit]) -> list[tuple[ManifestLine, Epc]]:
    """Decode every line. :raises ManifestRefused: with all faults at once"""
    items: list[tuple[ManifestLine, Epc]] = []
    faults: list[LineFault] = []
    first_line: dict[str, int] = {}
    unit_codes = _by_code(units)
    for place, line in enumerate(manifest, start=1):
        number = line.line or place
        try:
            epc = decode_epc(line.epc)
        except EpcMalformed as error:
            faults.append(LineFault(number, _printable(line.epc), error.code, error.sentence))
            continue
        sentence: Any
        if PC_PREFIXED in epc.flags:
            sentence = _("This is a tag number with its PC word in front. Leave out the first four digits.")
            faults.append(LineFault(number, epc.hex, PC_PREFIXED, sentence))
        elif epc.hex in first_line:
            sentence = _("This tag is on line %(line)s already.") % {"line": first_line[epc.hex]}
            faults.append(LineFault(number, epc.hex, "tag_twice", sentence))
        elif line.unit and _unit_code(line.unit) not in unit_codes:
            sentence = _("%(code)s is none of this shipment’s units.") % {"code": _printable(line.unit)}
            faults.append(LineFault(number, epc.hex, "unit_unknown", sentence))
        elif len(line.description) > 200 or not line.description.isprintable():
            sentence = _("The description has more than 200 characters, or some that cannot be printed.")
            faults.append(LineFault(number, epc.hex, "description_refused", sentence))
        else:
            first_line[epc.hex] = number
            items.append((line, epc))
    faults += _taken(items)
    if faults:
        raise ManifestRefused(sorted(faults, key=lambda fault: fault.line))
    return items


def _taken(items: Sequence[tuple[ManifestLine, Epc]]) -> list[LineFault]:
    holders: dict[str, str] = {}
    for start in range(0, len(items), 500):
        batch = [epc.hex for _line, epc in items[start : start + 500]]
        held = ManifestItem.objects.filter(epc_hex__in=batch, released_at__isnull=True)
        holders |= dict(held.values_list("epc_hex", "consignment__reference"))
    return [
        LineFault(
            line.line or place,
            epc.hex,
            "tag_in_other_shipment",
            _("This tag is on the manifest of shipment %(reference)s.") % {"reference": holders[epc.hex]},
        )
        for place, (line, epc) in enumerate(items, start=1)
        if epc.hex in holders
    ]
