"""
Find a shipment by whatever code a scanner or a clerk produces: its reference, a label, a tag.

An open shipment goes before a closed one. What no manifest holds stays unknown.
"""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.epc import EpcMalformed, Named, decode_epc, read_label, sgtin_uris
from shipments.models import Consignment, LogisticUnit, ManifestItem

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


def find_shipment(*, code: str) -> Consignment:
    """
    Return the shipment that ``code`` names: its reference or UCR; an SSCC, GRAI or container code as a label, a scanner
    or a Digital Link spells it; or one of its tags by its EPC in hex, as a URI, or as GTIN and serial.

    :raises ShipmentUnknown:
    """
    scanned = bare_code(code)
    found = _find_by_reference(scanned) or _find_by_label(scanned) or _find_by_tag(scanned)
    if found is None:
        raise ShipmentUnknown(scanned=printable(code))
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


def printable(text: str) -> str:
    """Return the start of a code as a refusal may repeat it."""
    return "".join(letter for letter in text[:80] if letter.isprintable()).strip()
