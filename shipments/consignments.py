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
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.csv_table import LineFault
from shipments.epc import (
    PC_PREFIXED,
    Epc,
    EpcMalformed,
    KeyMalformed,
    check_gln,
    check_sscc,
    decode_epc,
    sscc_of_uri,
    sscc_to_epc_hex,
)
from shipments.models import Consignment, LogisticUnit, ManifestItem, Party
from shipments.references import is_eori

MAX_MANIFEST_LINES = 100_000
MAX_CODE = 200
# SQLite and PostgreSQL both take far more parameters in one query; a query of this size is still read by a person.
_LOOKED_UP_AT_ONCE = 500

_SSCC_CODE = re.compile(r"(?:\(00\)|00)?([0-9]{18})", re.ASCII)
# ISO/IEC 15424 symbology identifiers that scanners put in front of GS1 data: GS1-128, DataMatrix, QR, DataBar.
_SYMBOLOGIES = ("]C1", "]d2", "]Q3", "]e0")
_DIGITAL_LINK = re.compile(r"https?://[^/\s]+/(?:[^\s?#]*/)?00/([0-9]{18})(?:[/?#].*)?", re.ASCII)
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
    """One expected tag. ``line`` counts from 1 and is what a report of faults names."""

    epc: str
    description: str = ""
    line: int = 0
    unit_sscc: str = ""
    hs_code: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """
    A pallet or case. Its tag is ``epc`` where given, or the SSCC-96 that ``company_prefix_length`` yields, or none.
    """

    sscc: str
    company_prefix_length: int | None = None
    epc: str = ""


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
    Read a manifest as typed or uploaded: one EPC per line, or CSV ``epc,description[,sscc]`` with or without a header.

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
        epc, description, sscc, *rest = [field.strip() for field in fields] + ["", ""]
        if not lines and epc.casefold() == "epc":
            continue
        if any(rest):
            faults.append(
                LineFault(
                    number, row[:80], "too_many_fields", _("A line has an EPC, a description and an SSCC at most.")
                )
            )
            continue
        lines.append(ManifestLine(epc=epc, description=description, line=number, unit_sscc=sscc))
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
    unit_tags = _unit_tags(units)
    items = _read_lines(manifest, unit_tags)
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
            stored_units = {
                sscc: LogisticUnit.objects.create(consignment=consignment, sscc=sscc, epc_hex=epc_hex)
                for sscc, epc_hex in unit_tags.items()
            }
            _store_items(consignment, items, stored_units)
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
    unit_tags = _unit_tags(units)
    try:
        with transaction.atomic():
            consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=consignment.pk)
            if replace:
                consignment.manifest.all().delete()
            stored = {unit.sscc: unit for unit in consignment.units.exclude(sscc="")}
            items = _read_lines(manifest, unit_tags | dict.fromkeys(stored, ""))
            for sscc, epc_hex in unit_tags.items():
                stored[sscc] = LogisticUnit.objects.create(consignment=consignment, sscc=sscc, epc_hex=epc_hex)
            _store_items(consignment, items, stored)
    except IntegrityError as error:
        raise ConsignmentExists(reference=consignment.reference) from error
    return consignment


def _store_items(
    consignment: Consignment, items: Sequence[tuple[ManifestLine, Epc]], units: dict[str, LogisticUnit]
) -> None:
    ManifestItem.objects.bulk_create(
        [
            ManifestItem(
                consignment=consignment,
                logistic_unit=units.get(line.unit_sscc),
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
    return consignment


def find_shipment(*, code: str) -> Consignment:
    """
    Return the shipment that ``code`` names: its reference, its UCR, an SSCC as a label or a scanner spells it, or the
    EPC of one of its tags in hex or as a URI.

    :raises ShipmentUnknown:
    """
    scanned = _bare_code(code)
    found = _find_by_reference(scanned) or _find_by_sscc(scanned) or _find_by_tag(scanned)
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
    # By its SSCC too: a pallet's tag may carry another filter value than the one we would write.
    ssccs: dict[str, str] = {}
    for epc_hex in epcs:
        with suppress(EpcMalformed):
            ssccs[epc_hex] = decode_epc(epc_hex).sscc
    tagged = Q(epc_hex__in=list(ssccs)) | Q(sscc__in=[sscc for sscc in ssccs.values() if sscc])
    units = LogisticUnit.objects.filter(tagged).select_related("consignment")
    by_tag = {unit.epc_hex: unit.consignment for unit in units if unit.epc_hex}
    by_sscc = {unit.sscc: unit.consignment for unit in units}
    found = {epc_hex: by_tag.get(epc_hex) or by_sscc.get(sscc) for epc_hex, sscc in ssccs.items()}
    return {epc_hex: consignment for epc_hex, consignment in found.items() if consignment}


def _find_by_reference(scanned: str) -> Consignment | None:
    folded = "".join(scanned.split()).upper()
    if not folded:
        return None
    # A UCR may look like another shipment's reference: the reference is ours and goes first.
    by_reference = Consignment.objects.filter(reference=folded).first()
    return by_reference or Consignment.objects.filter(ucr=folded).first()


def _find_by_sscc(scanned: str) -> Consignment | None:
    link = _DIGITAL_LINK.fullmatch(scanned)
    label = link or _SSCC_CODE.fullmatch("".join(scanned.split()))
    sscc = label.group(1) if label else sscc_of_uri(scanned)
    if not sscc:
        return None
    unit = LogisticUnit.objects.filter(sscc=sscc).select_related("consignment").first()
    return unit.consignment if unit else None


def _find_by_tag(scanned: str) -> Consignment | None:
    if scanned.startswith("urn:epc:id:"):
        item = (
            ManifestItem.objects.filter(epc_uri=scanned)
            .select_related("consignment")
            .order_by(F("released_at").desc(nulls_first=True), "-id")
            .first()
        )
        return item.consignment if item else None
    raw = _RAW_URI.fullmatch(scanned)
    try:
        return which_shipment_holds(decode_epc(raw.group(1) if raw else scanned).hex)
    except EpcMalformed:
        return None


def _bare_code(code: str) -> str:
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


def _unit_tags(units: Sequence[Unit]) -> dict[str, str]:
    """Map each unit's SSCC to its tag's EPC, empty where it has none. :raises ConsignmentRefused:"""
    tags: dict[str, str] = {}
    for unit in units:
        try:
            sscc = check_sscc(unit.sscc)
            tag = unit.epc and decode_epc(unit.epc)
            if not tag and unit.company_prefix_length is not None:
                tag = decode_epc(sscc_to_epc_hex(sscc, unit.company_prefix_length))
        except (KeyMalformed, EpcMalformed) as error:
            problem = error.sentence if isinstance(error, EpcMalformed) else str(error)
            raise ConsignmentRefused(problem=problem) from error
        if tag and tag.sscc and tag.sscc != sscc:
            raise ConsignmentRefused(
                problem=_("the tag %(tag)s says SSCC %(said)s, its unit is %(sscc)s.")
                % {"tag": tag.hex, "said": tag.sscc, "sscc": sscc}
            )
        if sscc in tags:
            raise ConsignmentRefused(problem=_("SSCC %(sscc)s is there twice.") % {"sscc": sscc})
        tags[sscc] = tag.hex if tag else ""
    return tags


def _read_lines(manifest: Sequence[ManifestLine], unit_tags: dict[str, str]) -> list[tuple[ManifestLine, Epc]]:
    """Decode every line. :raises ManifestRefused: with all faults at once"""
    items: list[tuple[ManifestLine, Epc]] = []
    faults: list[LineFault] = []
    first_line: dict[str, int] = {}
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
        elif line.unit_sscc and line.unit_sscc not in unit_tags:
            sentence = _("SSCC %(sscc)s is none of this shipment's units.") % {"sscc": _printable(line.unit_sscc)}
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
