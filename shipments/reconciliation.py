"""
Hold what was read against what the manifest declares.

Pure: it takes the manifest's EPCs and the tags of read sessions and decides nothing about the shipment. Each expected
item is *seen*, *inferred* (not read, but the tag of a unit that it lies in was) or *not seen*. A tag that was not read
is weak evidence and is listed as not seen, never as missing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

# What an entry lists in full; the rest is counted there and listed in the attachment.
LISTED = 100
# Of what is listed besides: three hundred of the longest EPCs would not fit into an entry with the rest.
LISTED_BESIDES = 20


@dataclass(frozen=True)
class StrayTag:
    """A tag that was read and is not on the manifest; ``shipment`` is the reference of the one that it belongs to."""

    epc_hex: str
    shipment: str | None


@dataclass(frozen=True)
class Inferred:
    """An item that was not read itself; ``by`` is the code of the nearest unit around it whose tag was."""

    epc_hex: str
    by: str


@dataclass(frozen=True)
class Units:
    """
    The units that the items lie in, each by its code, as the open aggregation has them.

    :param of_item: EPC of an item to the unit that holds it; items outside any unit are absent
    :param parents: unit to the unit around it; outermost ones are absent
    """

    of_item: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)

    def nearest(self, epc_hex: str, read: Collection[str]) -> str:
        """Return the innermost unit around the item that is among ``read``; empty where none is."""
        unit, passed = self.of_item.get(epc_hex, ""), set()
        # A cycle can only come from rows written past the services; it must not hang a handoff.
        while unit and unit not in passed:
            if unit in read:
                return unit
            passed.add(unit)
            unit = self.parents.get(unit, "")
        return ""


@dataclass(frozen=True)
class Doubts:
    """
    What lessens what the reads show, as EPCs.

    :param skewed: read, by the reader's own clock, outside the session
    :param weak: read too seldom or too faintly to count as seen, by the read point's smoothing policy
    :param tid_mismatch: read from another chip than the one that the number was bound to
    :param unencoded: never encoded, or under a chip maker's default number
    :param gaps: in how many of the sessions a reader admitted to have lost reads
    """

    skewed: Collection[str] = ()
    weak: Collection[str] = ()
    tid_mismatch: Collection[str] = ()
    unencoded: Collection[str] = ()
    gaps: int = 0


@dataclass(frozen=True)
class Reconciliation:
    """EPCs as uppercase hex, each list sorted."""

    seen: Sequence[str]
    not_seen: Sequence[str]
    strays: Sequence[StrayTag]
    inferred: Sequence[Inferred] = ()
    seen_now: int = 0
    """How many of the expected tags the present session saw itself, or lets infer."""
    skewed: Sequence[str] = ()
    """Seen, by a reader whose clock puts the read outside the session."""
    weak: Sequence[str] = ()
    """Read, and too weakly to count as seen: expected ones are among those not seen too."""
    tid_mismatch: Sequence[str] = ()
    unencoded: Sequence[str] = ()
    gaps: int = 0

    @property
    def expected(self) -> int:
        return len(self.seen) + len(self.inferred) + len(self.not_seen)

    @property
    def accounted(self) -> int:
        """How many of the expected items were seen or are inferred."""
        return len(self.seen) + len(self.inferred)

    @property
    def grade(self) -> str:
        """
        *direct* where every expected tag was seen, and when, on its own chip; *inferred* where each was seen or lies in
        a unit whose tag was; *inconclusive* otherwise.
        """
        if self.not_seen or self.skewed or self.tid_mismatch or not self.accounted:
            return "inconclusive"
        return "inferred" if self.inferred else "direct"

    @property
    def of_other_shipments(self) -> Sequence[StrayTag]:
        return [stray for stray in self.strays if stray.shipment]

    def document(self, *, units: Sequence[str]) -> dict[str, object]:
        """
        The whole result, item by item: the attachment that the entry names by its digest.

        :param units: the SSCCs of the shipment's logistic units
        """
        return {
            "v": 2,
            "expected": self.expected,
            "gaps": self.gaps,
            "grade": self.grade,
            "inferred": [{"by": item.by, "epc": item.epc_hex} for item in self.inferred],
            "not_seen": list(self.not_seen),
            "seen": list(self.seen),
            "skewed": list(self.skewed),
            "sscc": sorted(units),
            "tid_mismatch": list(self.tid_mismatch),
            "unencoded_tag": list(self.unencoded),
            "unexpected": [
                {"epc": stray.epc_hex, "shipment": stray.shipment} if stray.shipment else {"epc": stray.epc_hex}
                for stray in self.strays
            ],
            "weak": list(self.weak),
        }

    def summary(self) -> dict[str, object]:
        """Counts and exceptions, as the entry holds them."""
        counted: dict[str, object] = {
            "expected": self.expected,
            "grade": self.grade,
            "inferred": len(self.inferred),
            "not_seen": list(self.not_seen[:LISTED]),
            "seen": len(self.seen),
            "unexpected": [stray.epc_hex for stray in self.strays[:LISTED]],
            "unexpected_total": len(self.strays),
            "skewed": len(self.skewed),
        }
        if self.inferred:
            counted["inferred_by"] = sorted({item.by for item in self.inferred})[:LISTED_BESIDES]
        if self.tid_mismatch:
            counted["tid_mismatch"] = list(self.tid_mismatch[:LISTED_BESIDES])
            counted["tid_mismatch_total"] = len(self.tid_mismatch)
        counted |= {
            name: count
            for name, count in (
                ("weak", len(self.weak)),
                ("unencoded_tag", len(self.unencoded)),
                ("gaps", self.gaps),
            )
            if count
        }
        return counted


def read_result(document: dict[str, object]) -> Reconciliation:
    """Read a reconciliation's document back, of this version or of the one before it, which inferred nothing."""

    def listed(name: str) -> list[str]:
        found = document.get(name, [])
        assert isinstance(found, list)
        return found

    strays, inferred, gaps = document["unexpected"], document.get("inferred", []), document.get("gaps", 0)
    assert isinstance(strays, list)
    assert isinstance(inferred, list)
    assert isinstance(gaps, int)
    return Reconciliation(
        seen=listed("seen"),
        not_seen=listed("not_seen"),
        strays=[StrayTag(stray["epc"], stray.get("shipment")) for stray in strays],
        inferred=[Inferred(item["epc"], item["by"]) for item in inferred],
        skewed=listed("skewed"),
        weak=listed("weak"),
        tid_mismatch=listed("tid_mismatch"),
        unencoded=listed("unencoded_tag"),
        gaps=gaps,
    )


def reconcile(
    *,
    manifest: Collection[str],
    read: Collection[str],
    holders: Mapping[str, str],
    read_earlier: Collection[str] = (),
    units: Units | None = None,
    units_read: Collection[str] = (),
    units_read_earlier: Collection[str] = (),
    doubts: Doubts | None = None,
) -> Reconciliation:
    """
    Compare a manifest with the tags that were read.

    :param manifest: the EPCs that the shipment should hold
    :param read: the EPCs of the present read session; strays are looked for here alone, for others were sorted out
    :param read_earlier: the EPCs of the same handoff's earlier sessions
    :param holders: for EPCs on other shipments' manifests, the reference of that shipment
    :param units_read: the codes of the units whose tags the present session saw, and ``units_read_earlier`` the others'
    """
    units, doubts = units or Units(), doubts or Doubts()
    expected, found, earlier = set(manifest), set(read), set(read_earlier)
    seen = expected & (found | earlier)
    around, around_now = {*units_read, *units_read_earlier}, set(units_read)
    inferred, not_seen = [], []
    for epc in sorted(expected - seen):
        if by := units.nearest(epc, around):
            inferred.append(Inferred(epc, by))
        else:
            not_seen.append(epc)
    return Reconciliation(
        seen=sorted(seen),
        not_seen=not_seen,
        inferred=inferred,
        strays=[StrayTag(epc, holders.get(epc)) for epc in sorted(found - expected)],
        seen_now=len(expected & found) + sum(bool(units.nearest(item.epc_hex, around_now)) for item in inferred),
        skewed=sorted(expected.intersection(doubts.skewed)),
        weak=sorted(set(doubts.weak) - found - earlier),
        tid_mismatch=sorted(doubts.tid_mismatch),
        unencoded=sorted(doubts.unencoded),
        gaps=doubts.gaps,
    )
