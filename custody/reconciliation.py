"""
Hold what was read against what the manifest declares.

Pure: it takes the manifest's EPCs and the tags of a read session and decides nothing about the handoff. A tag that was
not read is weak evidence and is listed as *not seen*, never as missing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# What an entry lists in full; the rest is counted there and listed in the attachment.
LISTED = 100


@dataclass(frozen=True)
class StrayTag:
    """A tag that was read and is not on the manifest; ``shipment`` is the reference of the one that it belongs to."""

    epc_hex: str
    shipment: str | None


@dataclass(frozen=True)
class Reconciliation:
    """EPCs as uppercase hex, each list sorted."""

    seen: Sequence[str]
    not_seen: Sequence[str]
    strays: Sequence[StrayTag]
    seen_now: int = 0
    """How many of the expected tags the present session saw itself."""
    skewed: Sequence[str] = ()
    """Seen, by a reader whose clock puts the read outside the session."""

    @property
    def expected(self) -> int:
        return len(self.seen) + len(self.not_seen)

    @property
    def grade(self) -> str:
        """*direct* where every expected tag was seen, and when; *inconclusive* otherwise: nothing is inferred here."""
        return "inconclusive" if self.not_seen or self.skewed or not self.seen else "direct"

    @property
    def of_other_shipments(self) -> Sequence[StrayTag]:
        return [stray for stray in self.strays if stray.shipment]

    def document(self, *, units: Sequence[str]) -> dict[str, object]:
        """
        The whole result, item by item: the attachment that the entry names by its digest.

        :param units: the SSCCs of the shipment's logistic units
        """
        return {
            "expected": self.expected,
            "grade": self.grade,
            "not_seen": list(self.not_seen),
            "seen": list(self.seen),
            "skewed": list(self.skewed),
            "sscc": sorted(units),
            "unexpected": [
                {"epc": stray.epc_hex, "shipment": stray.shipment} if stray.shipment else {"epc": stray.epc_hex}
                for stray in self.strays
            ],
        }

    def summary(self) -> dict[str, object]:
        """Counts and exceptions, as the entry holds them."""
        return {
            "expected": self.expected,
            "grade": self.grade,
            "inferred": 0,
            "not_seen": list(self.not_seen[:LISTED]),
            "seen": len(self.seen),
            "unexpected": [stray.epc_hex for stray in self.strays[:LISTED]],
            "unexpected_total": len(self.strays),
            "skewed": len(self.skewed),
        }


def reconcile(
    *,
    manifest: Collection[str],
    read: Collection[str],
    holders: Mapping[str, str],
    read_earlier: Collection[str] = (),
    skewed: Collection[str] = (),
) -> Reconciliation:
    """
    Compare a manifest with the tags that were read.

    :param manifest: the EPCs that the shipment should hold
    :param read: the EPCs of the present read session; strays are looked for here alone, for others were sorted out
    :param read_earlier: the EPCs of the same handoff's earlier sessions
    :param skewed: of the EPCs read, those whose times lie outside their session
    :param holders: for EPCs on other shipments' manifests, the reference of that shipment
    """
    expected, found, earlier = set(manifest), set(read), set(read_earlier)
    return Reconciliation(
        seen=sorted(expected & (found | earlier)),
        not_seen=sorted(expected - found - earlier),
        strays=[StrayTag(epc, holders.get(epc)) for epc in sorted(found - expected)],
        seen_now=len(expected & found),
        skewed=sorted(expected.intersection(skewed)),
    )
