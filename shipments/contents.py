"""
What was scanned, to the units and goods of one shipment. What no manifest and no unit knows is refused by its number.
"""

import uuid
from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.epc import PC_PREFIXED, Epc, EpcMalformed, decode_epc, read_label
from shipments.finding import MAX_CODE, bare_code, units_named
from shipments.models import Consignment, LogisticUnit, ManifestItem

__all__ = [
    "MAX_CODE",
    "MAX_CONTENTS",
    "ContentOfAnotherShipment",
    "ContentUnknown",
    "GoodsClosed",
    "TooManyContents",
    "UnitOfAnotherShipment",
    "find_contents",
    "holder_of",
    "lock_open_shipment",
    "name_of",
    "printable",
]

# One act, at most; a manifest of 100,000 lines is packed by its units.
MAX_CONTENTS = 10_000
_LOOKED_UP_AT_ONCE = 500


class GoodsClosed(Refusal):
    code = "shipment_closed"
    message = _("%(reference)s was closed: its journey has ended, and nothing of it is changed any more.")


class UnitOfAnotherShipment(Refusal):
    code = "unit_of_another_shipment"
    message = _("The unit %(unit)s belongs to shipment %(other)s, not to %(reference)s. Take it away.")


class ContentUnknown(Refusal):
    code = "content_unknown"
    message = _("“%(scanned)s” is no unit of a shipment and no tag of a manifest. Scan it again, or set it aside.")
    status = 422


class ContentOfAnotherShipment(Refusal):
    code = "wrong_consignment"
    message = _("%(scanned)s belongs to shipment %(other)s, not to %(reference)s. Take it away.")


class TooManyContents(Refusal):
    code = "too_many_contents"
    message = _("At most %(limit)s things are packed in one act. Pack the units that hold them.")
    status = 422


def find_contents(*, consignment: Consignment, codes: Collection[str]) -> list[LogisticUnit | ManifestItem]:
    """
    Return the units and goods of the shipment that ``codes`` name, each once, in that order.

    :raises Refusal: too_many_contents, content_unknown, wrong_consignment; each names the code that it is about
    """
    if len(codes) > MAX_CONTENTS:
        raise TooManyContents(limit=MAX_CONTENTS)
    scanned = [bare for code in codes if (bare := bare_code(code))]
    tags = {code: epc for code in scanned if (epc := _as_tag(code)) is not None}
    items = _by_epc(ManifestItem.objects, {epc.hex for epc in tags.values()})
    tagged = _by_epc(LogisticUnit.objects, {epc.hex for epc in tags.values()})
    found: dict[tuple[type, Any], LogisticUnit | ManifestItem] = {}
    for code in scanned:
        content: LogisticUnit | ManifestItem | None = None
        if code in tags:
            epc = tags[code]
            content = items.get(epc.hex) or tagged.get(epc.hex) or _unit_by_key(epc)
        else:
            content = _unit_by_label(code)
        if content is None:
            raise ContentUnknown(scanned=printable(code))
        if content.consignment_id != consignment.pk:
            raise ContentOfAnotherShipment(
                scanned=name_of(content), other=content.consignment.reference, reference=consignment.reference
            )
        found[type(content), content.pk] = content
    return list(found.values())


def _as_tag(code: str) -> Epc | None:
    """Read ``code`` as a tag's number; a label's eighteen digits are hex too, and are none."""
    if read_label(code) is not None:
        return None
    try:
        epc = decode_epc(code)
    except EpcMalformed:
        return None
    return None if PC_PREFIXED in epc.flags else epc


def _by_epc(rows: Any, epcs: Collection[str]) -> dict[str, Any]:
    """Map EPCs to the rows of open shipments that hold them."""
    found: dict[str, Any] = {}
    wanted = sorted(epcs)
    for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
        batch = wanted[start : start + _LOOKED_UP_AT_ONCE]
        held = rows.filter(epc_hex__in=batch, released_at__isnull=True).select_related("consignment")
        found |= {row.epc_hex: row for row in held}
    return found


def _unit_by_key(epc: Epc) -> LogisticUnit | None:
    """A pallet's tag may carry another scheme or filter value than the one that was tied to it."""
    if not epc.sscc and not epc.grai:
        return None
    key = {"sscc": epc.sscc} if epc.sscc else {"grai": epc.grai}
    return LogisticUnit.objects.filter(**key, released_at__isnull=True).select_related("consignment").first()


def _unit_by_label(code: str) -> LogisticUnit | None:
    named = read_label(code)
    if named is None:
        return None
    return units_named(named).filter(released_at__isnull=True).select_related("consignment").first()


def lock_open_shipment(pk: uuid.UUID) -> Consignment:
    """Lock the shipment's row, in a transaction, as handoffs do. :raises GoodsClosed:"""
    locked = Consignment.objects.select_for_update(of=("self",)).get(pk=pk)
    if locked.closed_at is not None:
        raise GoodsClosed(reference=locked.reference)
    return locked


def holder_of(content: LogisticUnit | ManifestItem) -> uuid.UUID | None:
    """Return the primary key of the unit that holds it."""
    return content.parent_id if isinstance(content, LogisticUnit) else content.logistic_unit_id


def name_of(content: LogisticUnit | ManifestItem) -> str:
    """Name it as people and entries do."""
    return content.code if isinstance(content, LogisticUnit) else content.epc_hex


def printable(text: str) -> str:
    """Cut what was scanned to what a sentence can show."""
    return "".join(letter for letter in text[:80] if letter.isprintable()).strip()
