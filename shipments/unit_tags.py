"""
Tags and the chips in them: which tag a unit carries, and which chip stood behind an EPC when somebody looked.

An EPC is copied with a tag writer; the TID is the chip's own, written by its maker. Another chip under a known EPC is a
copy until somebody explains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.contents import UnitOfAnotherShipment, find_contents, lock_open_shipment, printable
from shipments.epc import MAX_TID_DIGITS, PC_PREFIXED, Epc, decode_epc, fold_epc
from shipments.models import Consignment, LogisticUnit, ManifestItem
from shipments.readers.report import FieldFault, hex_tid

_LOOKED_UP_AT_ONCE = 500


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


def bind_tag(*, consignment: Consignment, epc: str, tid: str = "", unit: LogisticUnit | None = None) -> Epc:
    """
    Tie a tag to what carries it: to ``unit``, or, without one, to the goods or unit whose EPC it is.

    The TID is the chip's own number. Once tied, another chip under the same EPC is a copy until somebody explains it.

    :raises Refusal: shipment_closed, epc_malformed, tid_malformed, tag_unfit, tag_taken, unit_tagged, content_unknown,
        wrong_consignment, tid_mismatch
    """
    decoded, chip = decode_epc(epc), fold_tid(tid)
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
    require_free(epc.hex)
    unit.epc_hex = epc.hex
    try:
        with transaction.atomic():
            unit.save(update_fields=["epc_hex"])
    except IntegrityError:
        # In another shipment, whose row was not locked here, somebody was faster.
        require_free(epc.hex)
        raise
    return unit


def require_free(epc_hex: str) -> None:
    """:raises TagTaken: where goods or a unit of an open shipment carry the tag"""
    for rows in (ManifestItem.objects, LogisticUnit.objects):
        row = rows.filter(epc_hex=epc_hex, released_at__isnull=True).select_related("consignment").first()
        if row is not None:
            raise TagTaken(tag=epc_hex, reference=row.consignment.reference)


def fold_tid(tid: str) -> str:
    """Return a TID as upper-case hex, empty where there is none. :raises TidUnusable:"""
    if not tid.strip():
        return ""
    try:
        folded = hex_tid("".join(tid.split()))
    except FieldFault as error:
        raise TidUnusable(tid=printable(tid)) from error
    if not 8 <= len(folded) <= MAX_TID_DIGITS:
        raise TidUnusable(tid=printable(tid))
    return folded
