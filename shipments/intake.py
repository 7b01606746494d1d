"""
A shipment as a clerk enters it: parties by name or GLN, units and manifest as text. All of it is taken or nothing is.

Trusts no text: whatever cannot be used is named, and the caller still holds all that was typed.
"""

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from shipments.consignments import (
    ConsignmentRefused,
    PartyRefused,
    Unit,
    create_consignment,
    parse_manifest,
    register_party,
)
from shipments.epc import read_label
from shipments.models import Consignment, Party
from shipments.references import fold_reference


class ManifestMissing(ConsignmentRefused):
    code = "manifest_missing"
    message = _("The shipment was not saved: its manifest names no tag. Type one on each line, or choose a file.")


@dataclass(frozen=True)
class PartyNamed:
    """A party as typed; the GLN decides where there is one, then the EORI, the name otherwise."""

    name: str
    gln: str = ""
    eori: str = ""


def take_in_shipment(
    *,
    reference: str,
    consignor: PartyNamed,
    consignee: PartyNamed,
    description: str,
    manifest: str,
    units: str = "",
    ucr: str = "",
    declared_gross_mass_g: int | None = None,
) -> Consignment:
    """
    Open a shipment, and put parties on file that are not yet.

    :param manifest: as :func:`shipments.consignments.parse_manifest` reads it
    :param units: one SSCC, GRAI or container code on each line, with the number of its tag behind a comma where it
        carries one
    :raises Refusal: manifest_missing, and what ``parse_manifest``, ``register_party`` and ``create_consignment`` raise
    """
    lines = parse_manifest(manifest)
    if not lines:
        raise ManifestMissing
    with transaction.atomic():
        return create_consignment(
            reference=reference,
            consignor=party_on_file(consignor),
            consignee=party_on_file(consignee),
            description=description,
            manifest=lines,
            units=_read_units(units),
            ucr=ucr,
            declared_gross_mass_g=declared_gross_mass_g,
        )


def party_on_file(named: PartyNamed) -> Party:
    """
    Return the party that is meant, put on file now where it is not yet.

    :raises PartyRefused: where the name does not fit a number, or several parties have the name
    """
    name, gln, eori = " ".join(named.name.split()), "".join(named.gln.split()), fold_reference(named.eori)
    for title, number, found in (
        ("GLN", gln, Party.objects.filter(gln=gln)),
        ("EORI", eori, Party.objects.filter(eori=eori)),
    ):
        known = found.first() if number else None
        if known is None:
            continue
        if known.name.casefold() != name.casefold():
            raise PartyRefused(
                name=name,
                problem=_("%(title)s %(number)s belongs to %(holder)s. Enter that name, or the %(title)s of %(name)s.")
                % {"title": title, "number": number, "holder": known.name, "name": name},
            )
        return known
    if gln or eori:
        return register_party(name=name, gln=gln, eori=eori)
    same = list(Party.objects.filter(name__iexact=name).order_by("gln", "eori", "pk")[:2])
    # Those without a number sort first: with one of them the bare name is no riddle.
    if len(same) == 2 and (same[0].gln or same[0].eori):
        raise PartyRefused(name=name, problem=_("several parties have this name. Enter the GLN of the one meant."))
    return same[0] if same else register_party(name=name)


def _read_units(text: str) -> list[Unit]:
    units = []
    for line in text.splitlines():
        code, _comma, epc = (part.strip() for part in line.partition(","))
        if not code and not epc:
            continue
        named = read_label(code)
        if named is not None and not named.gtin:
            units.append(Unit(sscc=named.sscc, grai=named.grai, bic=named.bic, epc=epc))
        else:
            # What names nothing is refused as the SSCC that most units have.
            units.append(Unit(sscc="".join(code.split()).removeprefix("(00)") or "-", epc=epc))
    return units
