"""
Logistic units: put on file, packed into each other, unpacked, and tied to their tags.

What holds what changes under the lock of the shipment's row, so that two packings at once make no circle. An unknown
tag is never made into goods: what no manifest holds is refused by its number.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from shipments.consignments import Unit, read_unit, units_named
from shipments.entry_parts import goods_of, where_of
from shipments.epc import (
    MAX_TID_DIGITS,
    PC_PREFIXED,
    Epc,
    EpcMalformed,
    decode_epc,
    fold_epc,
    read_label,
)
from shipments.models import Consignment, LogisticUnit, ManifestItem, ReadPoint, Seal, SealState
from shipments.readers.report import FieldFault, hex_tid

PACKED, UNPACKED = "packed", "unpacked"
# A box in a case on a pallet in a crate in a container, and some to spare.
MAX_DEPTH = 8
# What an entry lists of each; the rest stands in its attachment.
LISTED = 100
# One act, at most; a manifest of 100,000 lines is packed by its units.
MAX_CONTENTS = 10_000
MAX_CODE = 200
_LOOKED_UP_AT_ONCE = 500


class GoodsClosed(Refusal):
    code = "shipment_closed"
    message = _("%(reference)s was closed: its journey has ended, and nothing of it is changed any more.")


class UnitExists(Refusal):
    code = "unit_exists"
    message = _("A unit with one of these codes, or this tag, belongs to shipment %(reference)s. Check the label.")


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


class TooManyContents(Refusal):
    code = "too_many_contents"
    message = _("At most %(limit)s things are packed in one act. Pack the units that hold them.")
    status = 422


class UnitSealed(Refusal):
    code = "unit_sealed"
    message = _("%(unit)s bears the seal %(number)s, which is intact. Break the seal first, with the reason.")


class TidUnusable(Refusal):
    code = "tid_malformed"
    message = _("“%(tid)s” is no TID. A TID has 8 to 64 hexadecimal digits, two for each byte.")
    status = 422


class TidMismatch(Refusal):
    code = "tid_mismatch"
    message = _(
        "Tag %(epc)s was tied to the chip %(bound)s and this is the chip %(read)s: it may be a copy. Set the goods "
        "aside and tell a supervisor."
    )


class UnitTagged(Refusal):
    code = "unit_tagged"
    message = _("%(unit)s carries the tag %(tag)s already.")


class TagUnfit(Refusal):
    code = "tag_unfit"
    message = _("The tag %(tag)s cannot be the tag of %(unit)s: %(problem)s")
    status = 422


class TagTaken(Refusal):
    code = "tag_taken"
    message = _("The tag %(tag)s is on the goods or on another unit of shipment %(reference)s.")


# Who is in what ---------------------------------------------------------------------------------------------------


class Nesting:
    """How a shipment's units stand inside each other, read once."""

    def __init__(self, consignment: Consignment | uuid.UUID) -> None:
        pk = consignment.pk if isinstance(consignment, Consignment) else consignment
        self.units = {unit.pk: unit for unit in LogisticUnit.objects.filter(consignment=pk)}
        self._inside: defaultdict[uuid.UUID | None, list[LogisticUnit]] = defaultdict(list)
        for unit in self.units.values():
            self._inside[unit.parent_id].append(unit)

    def directly_in(self, unit: LogisticUnit | None) -> list[LogisticUnit]:
        """Return the units that stand directly in ``unit``, or in none."""
        return self._inside[unit.pk if unit else None]

    def carriers(self, unit_id: uuid.UUID | None) -> list[LogisticUnit]:
        """Return the unit and those around it, innermost first. Ends at a circle, which no service makes."""
        found: dict[uuid.UUID, LogisticUnit] = {}
        while unit_id is not None and unit_id not in found and unit_id in self.units:
            found[unit_id] = self.units[unit_id]
            unit_id = found[unit_id].parent_id
        return list(found.values())

    def within(self, unit: LogisticUnit) -> list[LogisticUnit]:
        """Return the units inside ``unit`` at any depth, outer before inner."""
        found: dict[uuid.UUID, LogisticUnit] = {}
        waiting = list(self._inside[unit.pk])
        while waiting:
            inner = waiting.pop(0)
            if inner.pk not in found and inner.pk != unit.pk:
                found[inner.pk] = inner
                waiting += self._inside[inner.pk]
        return list(found.values())

    def height(self, unit: LogisticUnit) -> int:
        """How many units stand on the longest way from ``unit`` inwards, itself included."""
        level, height, seen = [unit], 0, {unit.pk}
        while level:
            height += 1
            level = [inner for outer in level for inner in self._inside[outer.pk] if inner.pk not in seen]
            seen.update(inner.pk for inner in level)
        return height


def carriers_of(items: Iterable[ManifestItem]) -> dict[int, list[LogisticUnit]]:
    """Map each item's primary key to the units that hold it now, innermost first; an empty list where none does."""
    held = list(items)
    nestings = {pk: Nesting(pk) for pk in {item.consignment_id for item in held}}
    return {item.pk: nestings[item.consignment_id].carriers(item.logistic_unit_id) for item in held}


def units_within(unit: LogisticUnit) -> list[LogisticUnit]:
    """Return the units inside ``unit`` at any depth, outer before inner."""
    return Nesting(unit.consignment_id).within(unit)


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
    row.tid = _fold_tid(tid) if row.epc_hex else ""
    with transaction.atomic():
        row.consignment = lock_open_shipment(consignment.pk)
        if row.epc_hex:
            _require_free(row.epc_hex)
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
            if _holder_id(content) != unit.pk
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
                if _holder_id(content) != unit.pk:
                    raise NotInUnit(scanned=_name(content), unit=unit.code)
        else:
            named = [*nesting.directly_in(unit), *unit.items.all()]
        if not named:
            raise NothingToUnpack(unit=unit.code)
        _move(named, None)
        _submit(UNPACKED, unit, consignment, named, actor, read_point, acted_at)
    return named


def bind_tag(*, consignment: Consignment, epc: str, tid: str = "", unit: LogisticUnit | None = None) -> Epc:
    """
    Tie a tag to what carries it: to ``unit``, or, without one, to the goods or unit whose EPC it is.

    The TID is the chip's own number. Once tied, another chip under the same EPC is a copy until somebody explains it.

    :raises Refusal: shipment_closed, epc_malformed, tid_malformed, tag_unfit, tag_taken, unit_tagged, content_unknown,
        wrong_consignment, tid_mismatch
    """
    decoded, chip = decode_epc(epc), _fold_tid(tid)
    with transaction.atomic():
        consignment = lock_open_shipment(consignment.pk)
        carrier: LogisticUnit | ManifestItem
        if unit is not None:
            carrier = _tag_unit(unit, consignment, decoded)
        else:
            [carrier] = find_contents(consignment=consignment, codes=[decoded.hex])
        if chip:
            if carrier.tid and carrier.tid != chip:
                raise TidMismatch(epc=decoded.hex, bound=carrier.tid, read=chip)
            carrier.tid = chip
            carrier.save(update_fields=["tid"])
    return decoded


# What a chip says -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TidCheck:
    """
    A tag's chip against the one that it was tied to.

    ``state`` is *match*, *mismatch*, or *unbound* where no chip was tied to the EPC or none was read.
    """

    epc_hex: str
    read: str
    bound: str
    state: str


def check_tid(*, epc: str, tid: str) -> TidCheck:
    """Hold the chip that was read under ``epc`` against the one it was tied to. :raises EpcMalformed:"""
    epc_hex = fold_epc(epc)
    return check_tids({epc_hex: tid})[epc_hex]


def check_tids(read: Mapping[str, str]) -> dict[str, TidCheck]:
    """
    Hold each EPC's chip against the one that it was tied to in an open shipment.

    :param read: TIDs as hex, in any case, by EPC in uppercase hex; an empty one was not read
    """
    bound: dict[str, str] = {}
    wanted = sorted(read)
    for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
        batch = wanted[start : start + _LOOKED_UP_AT_ONCE]
        for rows in (ManifestItem.objects, LogisticUnit.objects):
            tied = rows.filter(epc_hex__in=batch, released_at__isnull=True).exclude(tid="")
            bound |= dict(tied.values_list("epc_hex", "tid"))
    return {
        epc_hex: _check(epc_hex, "".join(tid.split()).upper(), bound.get(epc_hex, "")) for epc_hex, tid in read.items()
    }


def _check(epc_hex: str, read: str, bound: str) -> TidCheck:
    if not read or not bound:
        return TidCheck(epc_hex, read, bound, "unbound")
    return TidCheck(epc_hex, read, bound, "match" if read == bound else "mismatch")


# What was scanned -------------------------------------------------------------------------------------------------


def find_contents(*, consignment: Consignment, codes: Collection[str]) -> list[LogisticUnit | ManifestItem]:
    """
    Return the units and goods of the shipment that ``codes`` name, each once, in that order.

    :raises Refusal: too_many_contents, content_unknown, wrong_consignment; each names the code that it is about
    """
    if len(codes) > MAX_CONTENTS:
        raise TooManyContents(limit=MAX_CONTENTS)
    scanned = [code.strip()[:MAX_CODE] for code in codes if code.strip()]
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
            raise ContentUnknown(scanned=_printable(code))
        if content.consignment_id != consignment.pk:
            raise ContentOfAnotherShipment(
                scanned=_name(content), other=content.consignment.reference, reference=consignment.reference
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


# Under the lock ---------------------------------------------------------------------------------------------------


def lock_open_shipment(pk: uuid.UUID) -> Consignment:
    """Lock the shipment's row, in a transaction, as handoffs do. :raises GoodsClosed:"""
    locked = Consignment.objects.select_for_update(of=("self",)).get(pk=pk)
    if locked.closed_at is not None:
        raise GoodsClosed(reference=locked.reference)
    return locked


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
    holder = nesting.units.get(held) if (held := _holder_id(content)) else None
    # A circle is told as such, also where the unit stands in another one.
    if isinstance(content, LogisticUnit):
        if any(content.pk == carrier.pk for carrier in around):
            raise UnitInItself(scanned=content.code, unit=unit.code)
        if holder is None and len(around) + nesting.height(content) > MAX_DEPTH:
            raise UnitTooDeep(limit=MAX_DEPTH)
    if holder is not None:
        raise PackedElsewhere(scanned=_name(content), holder=holder.code)


def _move(contents: Iterable[LogisticUnit | ManifestItem], unit: LogisticUnit | None) -> None:
    units = [content.pk for content in contents if isinstance(content, LogisticUnit)]
    items = [content.pk for content in contents if isinstance(content, ManifestItem)]
    for start in range(0, len(units), _LOOKED_UP_AT_ONCE):
        LogisticUnit.objects.filter(pk__in=units[start : start + _LOOKED_UP_AT_ONCE]).update(parent=unit)
    for start in range(0, len(items), _LOOKED_UP_AT_ONCE):
        ManifestItem.objects.filter(pk__in=items[start : start + _LOOKED_UP_AT_ONCE]).update(logistic_unit=unit)


def _tag_unit(unit: LogisticUnit, consignment: Consignment, epc: Epc) -> LogisticUnit:
    unit = LogisticUnit.objects.select_related("consignment").get(pk=unit.pk)
    if unit.consignment_id != consignment.pk:
        raise UnitOfAnotherShipment(unit=unit.code, other=unit.consignment.reference, reference=consignment.reference)
    if unit.epc_hex == epc.hex:
        return unit
    if unit.epc_hex:
        raise UnitTagged(unit=unit.code, tag=unit.epc_hex)
    if PC_PREFIXED in epc.flags:
        problem = _("its number has the PC word in front. Leave out the first four digits.")
        raise TagUnfit(tag=epc.hex, unit=unit.code, problem=problem)
    said = epc.sscc or epc.grai
    if said and said not in (unit.sscc, unit.grai):
        raise TagUnfit(tag=epc.hex, unit=unit.code, problem=_("it says %(said)s.") % {"said": said})
    _require_free(epc.hex)
    unit.epc_hex = epc.hex
    unit.save(update_fields=["epc_hex"])
    return unit


def _require_free(epc_hex: str) -> None:
    for rows in (ManifestItem.objects, LogisticUnit.objects):
        row = rows.filter(epc_hex=epc_hex, released_at__isnull=True).select_related("consignment").first()
        if row is not None:
            raise TagTaken(tag=epc_hex, reference=row.consignment.reference)


def _fold_tid(tid: str) -> str:
    if not tid.strip():
        return ""
    try:
        folded = hex_tid("".join(tid.split()))
    except FieldFault as error:
        raise TidUnusable(tid=_printable(tid)) from error
    if not 8 <= len(folded) <= MAX_TID_DIGITS:
        raise TidUnusable(tid=_printable(tid))
    return folded


def _holder_id(content: LogisticUnit | ManifestItem) -> uuid.UUID | None:
    return content.parent_id if isinstance(content, LogisticUnit) else content.logistic_unit_id


def _name(content: LogisticUnit | ManifestItem) -> str:
    return content.code if isinstance(content, LogisticUnit) else content.epc_hex


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:80] if letter.isprintable()).strip()


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
    units = sorted(content.code for content in contents if isinstance(content, LogisticUnit))
    epcs = sorted(content.epc_hex for content in contents if isinstance(content, ManifestItem))
    children: dict[str, Any] = {"units": units[:LISTED], "epcs": epcs[:LISTED], "total": len(contents)}
    if len(contents) > LISTED:
        whole = canonical.encode({"units": units, "epcs": epcs})
        children["document"] = attachments.store(whole, media_type="application/json")
    body = {
        "act": act,
        "unit": unit.codes(),
        "goods": goods_of(consignment),
        "children": children,
        "when": {"acted_at": format_time(acted_at or timezone.now())},
        "by": actor.body(),
    } | where_of(read_point)
    submit(kind="unit_packed", subject=consignment.pk.urn, body=body, key=f"unit_packed:{uuid.uuid4()}")
