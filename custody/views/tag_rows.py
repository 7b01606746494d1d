"""
A handoff's tags as lines to look at: what needs a hand first, what is in order last.

It reads the reconciliation and decides nothing; names come from the manifests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from custody.models import Handoff, HandoffState
from custody.reconciliation import Reconciliation
from shipments.epc import decode_epc
from shipments.models import LogisticUnit, ManifestItem

# Of each state. A manifest may have 100,000 lines, and the list is drawn anew with each report.
LISTED = 100


@dataclass(frozen=True)
class TagRow:
    """``state`` as partials/tag_list.html names it: elsewhere, unexpected, not_seen, awaited or seen."""

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

    @property
    def complete(self) -> bool:
        return self.seen == self.expected

    @property
    def missing(self) -> int:
        return self.expected - self.seen


def tag_rows(handoff: Handoff, result: Reconciliation) -> TagRows:
    """Lay out the reconciliation of ``handoff``, at most :data:`LISTED` lines of each state."""
    # While the reader still reads, a tag that was not seen is only awaited.
    unseen = "awaited" if handoff.state == HandoffState.READING else "not_seen"
    strays = sorted(result.strays, key=lambda stray: stray.shipment is None)[:LISTED]
    not_seen, seen = result.not_seen[:LISTED], result.seen[:LISTED]
    rows = [_stray_row(stray.epc_hex, stray.shipment) for stray in strays]
    rows += _manifest_rows(handoff, not_seen, unseen)
    rows += _manifest_rows(handoff, seen, "seen")
    return TagRows(
        rows=rows,
        seen=len(result.seen),
        expected=result.expected,
        strays=len(result.strays),
        unlisted=len(result.strays) + result.expected - len(rows),
    )


def scanned_row(handoff: Handoff, epc_hex: str, result: Reconciliation) -> TagRow:
    """Lay out one tag of the handoff's shipment that was scanned by hand."""
    item = handoff.consignment.manifest.filter(epc_hex=epc_hex).first()
    if item is None:
        return TagRow(
            "seen", _("Pallet or case tag"), _short(decode_epc(epc_hex).uri), _("It belongs to this shipment.")
        )
    if epc_hex in result.seen:
        return TagRow("seen", _name(item), _short(item.epc_uri), _("On this shipment, and the reader has read it."))
    return TagRow("awaited", _name(item), _short(item.epc_uri), _("On this shipment. The reader has not read it yet."))


def _manifest_rows(handoff: Handoff, epcs: Iterable[str], state: str) -> list[TagRow]:
    items = handoff.consignment.manifest.filter(epc_hex__in=list(epcs))
    return sorted(
        (TagRow(state, _name(item), _short(item.epc_uri)) for item in items), key=lambda row: (row.name, row.code)
    )


def _stray_row(epc_hex: str, shipment: str | None) -> TagRow:
    code = _short(decode_epc(epc_hex).uri)
    if shipment is None:
        return TagRow("unexpected", _("A tag of no known shipment"), code, _("Not on the manifest."))
    item = ManifestItem.objects.filter(epc_hex=epc_hex, consignment__reference=shipment).first()
    pallet = LogisticUnit.objects.filter(epc_hex=epc_hex).exists()
    name = _name(item) if item else _("Pallet or case tag") if pallet else _("Tag")
    note = _("Belongs to shipment %(other)s. Take it away.") % {"other": shipment}
    return TagRow("elsewhere", name, code, note)


def _name(item: ManifestItem) -> str:
    return item.description or item.gtin or _("Tag")


def _short(uri: str) -> str:
    # The scheme of the pure identity URI says nothing on a list where every line has it, and breaks the line.
    return uri.removeprefix("urn:epc:id:")
