"""
What read sessions say of a shipment: each of its items seen, inferred by the unit around it, or not seen, and what was
read besides. Manifest and open aggregation come from the database, the rule from :mod:`shipments.reconciliation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shipments.epc import SUSPECT, UNENCODED_TAG, sscc_of_uri
from shipments.finding import which_shipments_hold
from shipments.models import Consignment, LogisticUnit
from shipments.reconciliation import Doubts, Reconciliation, Units, reconcile
from shipments.session_tags import SeenTag

CLOCKS_DIFFER = timedelta(minutes=5)
# A box in a case on a pallet in a container on a wagon: rows nested deeper than this were not written by the services.
DEEPEST = 12


@dataclass(frozen=True)
class SessionReads:
    """
    One session as evidence: its tags, the weak ones among them, and the times between which it was open, by our clock.

    :param gaps: first and last nanosecond of each stretch of which a reader admitted to have lost reads
    """

    tags: Sequence[SeenTag]
    since: datetime
    until: datetime
    gaps: Sequence[tuple[int, int]] = ()

    def has_gap(self) -> bool:
        """Whether reads were lost while it was open, as far as clocks agree."""
        first_ns, last_ns = self._span_ns()
        return any(first <= last_ns and last >= first_ns for first, last in self.gaps)

    def outside(self) -> set[str]:
        """Tell which tags were read, by the reader's own clock, further outside the session than clocks may differ."""
        first_ns, last_ns = self._span_ns()
        return {tag.epc_hex for tag in self.tags if tag.last_read_at_ns < first_ns or tag.first_read_at_ns > last_ns}

    def _span_ns(self) -> tuple[int, int]:
        since, until = self.since - CLOCKS_DIFFER, self.until + CLOCKS_DIFFER
        return int(since.timestamp() * 1_000_000_000), int(until.timestamp() * 1_000_000_000)


def hold_against(
    *, consignment: Consignment, present: SessionReads, earlier: Sequence[SessionReads] = ()
) -> Reconciliation:
    """
    Hold the reads of ``present``, and of the ``earlier`` sessions of the same act, against the manifest.

    A tag counts as seen where any of the sessions saw it. A unit's own tag is no item of the manifest, and no stray
    either: what lies in the unit is inferred from it. Nothing is inferred from a tag that answered from another chip
    than the unit's own, or outside the session by its reader's clock.
    """
    manifest = {
        epc_hex: (unit, tid)
        for epc_hex, unit, tid in consignment.manifest.order_by().values_list("epc_hex", "logistic_unit_id", "tid")
    }
    around = _units_around(consignment)
    carriers = _Carriers(around)
    sessions = [present, *earlier]
    read = _counted(present)
    read_earlier = set().union(*(_counted(one) for one in earlier))
    every = {tag.epc_hex: tag for one in sessions for tag in one.tags}
    unit_of = {epc: unit for epc, tag in every.items() if epc not in manifest and (unit := carriers.of(tag))}
    bound = {epc: tid for epc, (_unit, tid) in manifest.items()} | {epc: unit.tid for epc, unit in unit_of.items()}
    mismatched = {
        tag.epc_hex for one in sessions for tag in one.tags if not tag.weak and _other_chip(bound.get(tag.epc_hex), tag)
    }
    skewed = set().union(*(one.outside() for one in sessions))
    infers = {epc: unit.code for epc, unit in unit_of.items() if epc not in mismatched and epc not in skewed}
    holders = which_shipments_hold(read - set(manifest) - set(unit_of))
    own = {epc for epc, holder in holders.items() if holder.pk == consignment.pk}
    codes = {unit.pk: unit.code for unit in around}
    return reconcile(
        manifest=manifest,
        read=read - own - set(unit_of),
        holders={epc: holder.reference for epc, holder in holders.items()},
        read_earlier=read_earlier,
        units=Units(
            of_item={epc: codes[unit] for epc, (unit, _tid) in manifest.items() if unit in codes},
            parents={unit.code: codes[unit.parent_id] for unit in around if unit.parent_id in codes},
        ),
        units_read={code for epc, code in infers.items() if epc in read},
        units_read_earlier={code for epc, code in infers.items() if epc in read_earlier},
        doubts=Doubts(
            skewed=skewed,
            weak={tag.epc_hex for one in sessions for tag in one.tags if tag.weak} - read - read_earlier,
            tid_mismatch=mismatched,
            unencoded={
                tag.epc_hex
                for tag in every.values()
                if not tag.weak and (UNENCODED_TAG in tag.flags or SUSPECT in tag.flags)
            },
            gaps=sum(one.has_gap() for one in sessions),
        ),
    )


class _Carriers:
    """Finds the unit that carries a tag: by the tag's number, or by the SSCC in it under another filter value."""

    def __init__(self, units: Sequence[LogisticUnit]) -> None:
        self.by_tag = {unit.epc_hex: unit for unit in units if unit.epc_hex}
        self.by_sscc = {unit.sscc: unit for unit in units if unit.sscc}

    def of(self, tag: SeenTag) -> LogisticUnit | None:
        return self.by_tag.get(tag.epc_hex) or self.by_sscc.get(sscc_of_uri(tag.uri))


def _counted(session: SessionReads) -> set[str]:
    return {tag.epc_hex for tag in session.tags if not tag.weak}


def _units_around(consignment: Consignment) -> list[LogisticUnit]:
    """Return the shipment's units and what they stand in, a container of several shipments included."""
    found = {unit.pk: unit for unit in consignment.units.all()}
    for _level in range(DEEPEST):
        outer = {unit.parent_id for unit in found.values() if unit.parent_id} - set(found)
        if not outer:
            break
        found |= {unit.pk: unit for unit in LogisticUnit.objects.filter(pk__in=outer)}
    return list(found.values())


def _other_chip(bound: str | None, tag: SeenTag) -> bool:
    """
    Tell whether a read named a chip that cannot be the bound one.

    Readers are set to read more or fewer words of a TID: the longer of the two must continue the shorter.
    """
    return bool(bound) and any(
        not (tid.startswith(str(bound)) or str(bound).startswith(tid)) for tid in map(str.upper, tag.tids)
    )
