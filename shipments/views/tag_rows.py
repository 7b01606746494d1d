"""
The tags of a reading as lines to look at: what needs a hand first, what is in order last.

It reads the result and decides nothing; names come from the manifests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from shipments.epc import decode_epc
from shipments.finding import which_shipments_hold
from shipments.models import Consignment, LogisticUnit, ManifestItem
from shipments.reconciliation import Reconciliation, StrayTag
from shipments.session_tags import SeenTag
from shipments.smoothing import FAINT, FEW_READS

# Of each state. A manifest may have 100,000 lines, and the list is drawn anew with each report.
LISTED = 100

_WHY_WEAK = {
    FEW_READS: gettext_lazy("Read too few times to count."),
    FAINT: gettext_lazy("Read too faintly to count: it may only have passed by."),
}


@dataclass(frozen=True)
class TagRow:
    """
    ``state`` as partials/tag_list.html names it: elsewhere, unexpected, mismatch, not_seen, awaited, weak, inferred or
    seen.
    """

    state: str
    name: str
    code: str
    note: str = ""


@dataclass(frozen=True)
class TagRows:
    rows: list[TagRow]
    seen: int
    expected: int
    strays: int
    unlisted: int
    inferred: int = 0
    weak: int = 0
    doubtful: int = 0
    gaps: int = 0

    @property
    def complete(self) -> bool:
        return self.seen + self.inferred == self.expected

    @property
    def missing(self) -> int:
        return self.expected - self.seen - self.inferred


def tag_rows(shipment: Consignment, result: Reconciliation, *, reading: bool) -> TagRows:
    """
    Lay out what was read of ``shipment``, at most :data:`LISTED` lines of each state.

    :param reading: whether more may come: a tag that was not seen is only awaited
    """
    mismatched = set(result.tid_mismatch)
    weak_expected = set(result.weak).intersection(result.not_seen)
    strays = sorted(result.strays, key=lambda stray: stray.shipment is None)[:LISTED]
    rows = _stray_rows(strays, set(result.unencoded))
    other_chip = sorted(mismatched)[:LISTED]
    note = _("Its number was read from another chip than the one that it was bound to. Look at the label.")
    rows += _named_rows(shipment, other_chip, "mismatch", dict.fromkeys(other_chip, note))
    unseen = "awaited" if reading else "not_seen"
    faintly = _("Read too weakly to count.")
    not_seen = result.not_seen[:LISTED]
    rows += _named_rows(shipment, not_seen, unseen, dict.fromkeys(weak_expected, faintly))
    weak = [epc for epc in result.weak if epc not in weak_expected][:LISTED]
    rows += [TagRow("weak", _("A tag nearby"), _short(decode_epc(epc).uri), faintly) for epc in weak]
    inferred = result.inferred[:LISTED]
    packed_in = _("Inferred: it is packed in %(unit)s, whose tag was read.")
    by = {item.epc_hex: packed_in % {"unit": item.by} for item in inferred}
    rows += _named_rows(shipment, list(by), "inferred", by)
    seen = [epc for epc in result.seen if epc not in mismatched][:LISTED]
    rows += _named_rows(shipment, seen, "seen", {})
    told = len(result.strays) + result.expected + len(result.weak) - len(weak_expected)
    # A unit's own tag is no item: it is told only where it answered from another chip.
    told += len(mismatched.difference(result.seen))
    return TagRows(
        rows=rows,
        seen=len(result.seen),
        expected=result.expected,
        strays=len(result.strays),
        unlisted=max(told - len(rows), 0),
        inferred=len(result.inferred),
        weak=len(result.weak),
        doubtful=len(mismatched),
        gaps=result.gaps,
    )


def plain_rows(tags: Sequence[SeenTag]) -> TagRows:
    """Lay out the tags of a reading that checks no shipment, each with the shipment that it belongs to."""
    counted, weak = [tag for tag in tags if not tag.weak], [tag for tag in tags if tag.weak]
    listed = [tag.epc_hex for tag in counted[:LISTED]]
    holders = which_shipments_hold(listed)
    items = {
        item.epc_hex: item
        for item in ManifestItem.objects.filter(epc_hex__in=listed, consignment__in=holders.values()).order_by("-id")
    }
    rows = []
    for tag in counted[:LISTED]:
        holder, item = holders.get(tag.epc_hex), items.get(tag.epc_hex)
        if holder is None:
            rows.append(TagRow("unexpected", _("A tag of no known shipment"), _short(tag.uri)))
            continue
        name = _name(item) if item else _("Pallet or case tag")
        note = _("Of shipment %(reference)s.") % {"reference": holder.reference}
        rows.append(TagRow("seen", name, _short(tag.uri), note))
    rows.sort(key=lambda row: (row.state != "unexpected", row.note, row.name, row.code))
    rows += [
        TagRow("weak", _("A tag nearby"), _short(tag.uri), " ".join(str(_WHY_WEAK.get(why, why)) for why in tag.weak))
        for tag in weak[:LISTED]
    ]
    return TagRows(rows=rows, seen=len(counted), expected=0, strays=0, unlisted=len(tags) - len(rows), weak=len(weak))


def scanned_row(shipment: Consignment, epc_hex: str, result: Reconciliation) -> TagRow:
    """Lay out one tag of ``shipment`` that was scanned by hand."""
    item = shipment.manifest.filter(epc_hex=epc_hex).first()
    if item is None:
        return TagRow(
            "seen", _("Pallet or case tag"), _short(decode_epc(epc_hex).uri), _("It belongs to this shipment.")
        )
    if epc_hex in result.seen:
        return TagRow("seen", _name(item), _short(item.epc_uri), _("On this shipment, and the reader has read it."))
    return TagRow("awaited", _name(item), _short(item.epc_uri), _("On this shipment. The reader has not read it yet."))


def _named_rows(shipment: Consignment, epcs: Iterable[str], state: str, notes: Mapping[str, str]) -> list[TagRow]:
    wanted = list(epcs)
    items = {item.epc_hex: item for item in shipment.manifest.filter(epc_hex__in=wanted)}
    rows = []
    for epc in wanted:
        item = items.get(epc)
        name, uri = (_name(item), item.epc_uri) if item else (_("Pallet or case tag"), decode_epc(epc).uri)
        rows.append(TagRow(state, name, _short(uri), notes.get(epc, "")))
    return sorted(rows, key=lambda row: (row.name, row.code))


def _stray_rows(strays: Sequence[StrayTag], unencoded: set[str]) -> list[TagRow]:
    elsewhere = [stray.epc_hex for stray in strays if stray.shipment]
    references = {stray.shipment for stray in strays if stray.shipment}
    items = {
        item.epc_hex: item
        for item in ManifestItem.objects.filter(epc_hex__in=elsewhere, consignment__reference__in=references)
    }
    pallets = set(LogisticUnit.objects.filter(epc_hex__in=elsewhere).values_list("epc_hex", flat=True))
    return [_stray_row(stray, items.get(stray.epc_hex), pallets, unencoded) for stray in strays]


def _stray_row(stray: StrayTag, item: ManifestItem | None, pallets: set[str], unencoded: set[str]) -> TagRow:
    code = _short(decode_epc(stray.epc_hex).uri)
    if stray.shipment is None and stray.epc_hex in unencoded:
        note = _("Not on the manifest: it carries no number of its own yet.")
        return TagRow("unexpected", _("A tag that was never encoded"), code, note)
    if stray.shipment is None:
        return TagRow("unexpected", _("A tag of no known shipment"), code, _("Not on the manifest."))
    name = _name(item) if item else _("Pallet or case tag") if stray.epc_hex in pallets else _("Tag")
    note = _("Belongs to shipment %(other)s. Take it away.") % {"other": stray.shipment}
    return TagRow("elsewhere", name, code, note)


def _name(item: ManifestItem) -> str:
    return item.description or item.gtin or _("Tag")


def _short(uri: str) -> str:
    # The scheme of the pure identity URI says nothing on a list where every line has it, and breaks the line.
    return uri.removeprefix("urn:epc:id:")
