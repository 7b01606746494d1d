"""
Logistic units: put on file, packed into each other, and unpacked.

What holds what changes under the lock of the shipment's row, so that two packings at once make no circle. An unknown
tag is never made into goods: what no manifest holds is refused by its number.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledger import attachments
from ledger.submission import submit
from ledger.tlog import canonical
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.actors import Actor
from shipments.consignments import Unit, read_unit
from shipments.contents import (
    MAX_CODE,
    MAX_CONTENTS,
    GoodsClosed,
    UnitOfAnotherShipment,
    find_contents,
    holder_of,
    lock_open_shipment,
    name_of,
)
from shipments.entry_parts import goods_of, where_of
from shipments.models import Consignment, LogisticUnit, ManifestItem, ReadPoint, Seal, SealState
from shipments.nesting import Nesting, carriers_of, units_within
from shipments.unit_tags import TidCheck, bind_tag, check_tid, check_tids, fold_tid, require_free

__all__ = [
    "LISTED",
    "MAX_CODE",
    "MAX_CONTENTS",
    "MAX_DEPTH",
    "GoodsClosed",
    "Nesting",
    "TidCheck",
    "UnitOfAnotherShipment",
    "bind_tag",
    "carriers_of",
    "check_tid",
    "check_tids",
    "closing_seal",
    "find_contents",
    "lock_open_shipment",
    "pack",
    "register_unit",
    "units_within",
    "unpack",
]

PACKED, UNPACKED = "packed", "unpacked"
# A box in a case on a pallet in a crate in a container, and some to spare.
MAX_DEPTH = 8
# What an entry lists of each; the rest stands in its attachment.
LISTED = 100
_LOOKED_UP_AT_ONCE = 500


class UnitExists(Refusal):
    code = "unit_exists"
    message = _("A unit with one of these codes, or this tag, belongs to shipment %(reference)s. Check the label.")


class NothingToPack(Refusal):
    code = "nothing_to_pack"
    message = _("Nothing was named that is not in %(unit)s already. Scan what goes into it.")
    status = 422


class NothingToUnpack(Refusal):
    code = "nothing_to_unpack"
    message = _("%(unit)s holds nothing that could be taken out.")
    status = 422


class PackedElsewhere(Refusal):
    code = "packed_elsewhere"
    message = _("%(scanned)s is in %(holder)s. Unpack it there first.")


class NotInUnit(Refusal):
    code = "not_in_unit"
    message = _("%(scanned)s is not in %(unit)s. Look where it is on the page of the shipment.")


class UnitInItself(Refusal):
    code = "unit_in_itself"
    message = _("%(scanned)s cannot go into %(unit)s: it holds %(unit)s, or is it.")


class UnitTooDeep(Refusal):
    code = "unit_too_deep"
    message = _("Units stand inside each other at most %(limit)s deep. Pack this one higher up.")


class UnitSealed(Refusal):
    code = "unit_sealed"
    message = _("%(unit)s bears the seal %(number)s, which is intact. Break the seal first, with the reason.")


def closing_seal(unit: LogisticUnit, nesting: Nesting) -> Seal | None:
    """Return an intact seal on the unit or on one that holds it: while it is, nothing goes in or out."""
    around = [carrier.pk for carrier in nesting.carriers(unit.pk)]
    return Seal.objects.filter(unit__in=around, ended_at__isnull=True, state=SealState.INTACT).first()


# The acts ---------------------------------------------------------------------------------------------------------


def register_unit(*, consignment: Consignment, unit: Unit, tid: str = "") -> LogisticUnit:
    """
    Put another unit of an open shipment on file, with its tag where it carries one.

    :raises Refusal: shipment_closed, consignment_refused (a code or the tag cannot be used), unit_exists, tag_taken,
        tid_malformed
    """
    row = read_unit(unit)
    row.tid = fold_tid(tid) if row.epc_hex else ""
    with transaction.atomic():
        row.consignment = lock_open_shipment(consignment.pk)
        if row.epc_hex:
            require_free(row.epc_hex)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            taken = Q(pk__in=[])
            for name, code in row.codes().items():
                taken |= Q(**{name: code})
            if row.epc_hex:
                taken |= Q(epc_hex=row.epc_hex)
            holder = LogisticUnit.objects.filter(taken).select_related("consignment").first()
            raise UnitExists(reference=holder.consignment.reference if holder else "") from error
    return row


def pack(
    *,
    unit: LogisticUnit,
    contents: Sequence[str],
    actor: Actor,
    read_point: ReadPoint | None = None,
    acted_at: datetime | None = None,
) -> list[LogisticUnit | ManifestItem]:
    """
    Put units and tagged goods into ``unit``: all of them or none. One ``unit_packed`` entry.

    :param contents: units by any code of theirs, tagged goods and units by their EPC in hex
    :returns: what was not in the unit before
    :raises Refusal: shipment_closed, nothing_to_pack, too_many_contents, content_unknown, wrong_consignment,
        packed_elsewhere, unit_in_itself, unit_too_deep, unit_sealed
    """
    with transaction.atomic():
        consignment = lock_open_shipment(unit.consignment_id)
        unit, nesting = _again(unit, consignment)
        _require_unsealed(unit, nesting)
        named = [
            content
            for content in find_contents(consignment=consignment, codes=contents)
            if holder_of(content) != unit.pk
        ]
        if not named:
            raise NothingToPack(unit=unit.code)
        around = nesting.carriers(unit.pk)
        for content in named:
            _require_packable(content, unit, around, nesting)
        _move(named, unit)
        _submit(PACKED, unit, consignment, named, actor, read_point, acted_at)
    return named


def unpack(
    *,
    unit: LogisticUnit,
    actor: Actor,
    contents: Sequence[str] = (),
    read_point: ReadPoint | None = None,
    acted_at: datetime | None = None,
) -> list[LogisticUnit | ManifestItem]:
    """
    Take units and tagged goods out of ``unit``; everything that stands directly in it, where ``contents`` is empty.

    One ``unit_packed`` entry. What was taken out stands in no unit until it is packed again.

    :raises Refusal: shipment_closed, nothing_to_unpack, too_many_contents, content_unknown, wrong_consignment,
        not_in_unit, unit_sealed
    """
    with transaction.atomic():
        consignment = lock_open_shipment(unit.consignment_id)
        unit, nesting = _again(unit, consignment)
        _require_unsealed(unit, nesting)
        named: list[LogisticUnit | ManifestItem]
        if contents:
            named = find_contents(consignment=consignment, codes=contents)
            for content in named:
                if holder_of(content) != unit.pk:
                    raise NotInUnit(scanned=name_of(content), unit=unit.code)
        else:
            named = [*nesting.directly_in(unit), *unit.items.all()]
        if not named:
            raise NothingToUnpack(unit=unit.code)
        _move(named, None)
        _submit(UNPACKED, unit, consignment, named, actor, read_point, acted_at)
    return named


# Under the lock ---------------------------------------------------------------------------------------------------


def _again(unit: LogisticUnit, consignment: Consignment) -> tuple[LogisticUnit, Nesting]:
    """Read the unit and its neighbours anew, now that nobody else moves them."""
    nesting = Nesting(consignment)
    return nesting.units[unit.pk], nesting


def _require_unsealed(unit: LogisticUnit, nesting: Nesting) -> None:
    seal = closing_seal(unit, nesting)
    if seal is not None:
        raise UnitSealed(unit=nesting.units[seal.unit_id].code, number=seal.number)


def _require_packable(
    content: LogisticUnit | ManifestItem, unit: LogisticUnit, around: list[LogisticUnit], nesting: Nesting
) -> None:
    holder = nesting.units.get(held) if (held := holder_of(content)) else None
    # A circle is told as such, also where the unit stands in another one.
    if isinstance(content, LogisticUnit):
        if any(content.pk == carrier.pk for carrier in around):
            raise UnitInItself(scanned=content.code, unit=unit.code)
        if holder is None and len(around) + nesting.height(content) > MAX_DEPTH:
            raise UnitTooDeep(limit=MAX_DEPTH)
    if holder is not None:
        raise PackedElsewhere(scanned=name_of(content), holder=holder.code)


def _move(contents: Iterable[LogisticUnit | ManifestItem], unit: LogisticUnit | None) -> None:
    units = [content.pk for content in contents if isinstance(content, LogisticUnit)]
    items = [content.pk for content in contents if isinstance(content, ManifestItem)]
    for start in range(0, len(units), _LOOKED_UP_AT_ONCE):
        LogisticUnit.objects.filter(pk__in=units[start : start + _LOOKED_UP_AT_ONCE]).update(parent=unit)
    for start in range(0, len(items), _LOOKED_UP_AT_ONCE):
        ManifestItem.objects.filter(pk__in=items[start : start + _LOOKED_UP_AT_ONCE]).update(logistic_unit=unit)


# The entry --------------------------------------------------------------------------------------------------------


def _submit(
    act: str,
    unit: LogisticUnit,
    consignment: Consignment,
    contents: list[LogisticUnit | ManifestItem],
    actor: Actor,
    read_point: ReadPoint | None,
    acted_at: datetime | None,
) -> None:
    # A GRAI of eighteen digits looks like an SSCC: each code is told with what it is.
    units = sorted(
        (content.code, next(iter(content.codes()))) for content in contents if isinstance(content, LogisticUnit)
    )
    epcs = sorted(content.epc_hex for content in contents if isinstance(content, ManifestItem))
    whole = {"units": [code for code, _kind in units], "unit_kinds": [kind for _code, kind in units], "epcs": epcs}
    children: dict[str, Any] = {part: listed[:LISTED] for part, listed in whole.items()} | {"total": len(contents)}
    if len(contents) > LISTED:
        children["document"] = attachments.store(canonical.encode(whole), media_type="application/json")
    body = {
        "act": act,
        "unit": unit.codes(),
        "goods": goods_of(consignment),
        "children": children,
        "when": {"acted_at": format_time(acted_at or timezone.now())},
        "by": actor.body(),
    } | where_of(read_point)
    submit(kind="unit_packed", subject=consignment.pk.urn, body=body, key=f"unit_packed:{uuid.uuid4()}")
