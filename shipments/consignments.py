"""
Shipments and their manifests: make one, add to one, close one.

A manifest is taken whole or not at all, and every line that cannot be used is named at once. An unknown tag is never
made into goods: what no manifest holds stays unknown.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.csv_table import LineFault
from shipments.epc import (
    PC_PREFIXED,
    Epc,
    EpcMalformed,
    KeyMalformed,
    check_bic,
    check_gln,
    check_grai,
    check_sscc,
    decode_epc,
    read_label,
    sscc_to_epc_hex,
)
from shipments.finding import printable
from shipments.models import Consignment, LogisticUnit, ManifestItem, Party
from shipments.references import is_eori

MAX_MANIFEST_LINES = 100_000


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
            faults.append(LineFault(number, printable(line.epc), error.code, error.sentence))
            continue
        sentence: Any
        if PC_PREFIXED in epc.flags:
            sentence = _("This is a tag number with its PC word in front. Leave out the first four digits.")
            faults.append(LineFault(number, epc.hex, PC_PREFIXED, sentence))
        elif epc.hex in first_line:
            sentence = _("This tag is on line %(line)s already.") % {"line": first_line[epc.hex]}
            faults.append(LineFault(number, epc.hex, "tag_twice", sentence))
        elif line.unit and _unit_code(line.unit) not in unit_codes:
            sentence = _("%(code)s is none of this shipment’s units.") % {"code": printable(line.unit)}
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
