"""
What does not fit at a handoff: the tags as they were matched, the weight, the seals. One list for page, API and entry.

Some of it only says how good the reading was; for the rest custody passes only where an officer accepts it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from custody.models import Handoff
from shipments.models import SealState
from shipments.seals import seals_in_force

_SEALS = {
    SealState.TAMPERED: "seal_broken",
    SealState.MISSING: "seal_missing",
    SealState.NUMBER_DIFFERS: "seal_mismatch",
}


@dataclass(frozen=True, slots=True)
class HandoffException:
    """``items`` counts tags, sessions or seals; of a weight it is the difference in grams."""

    code: str
    items: int
    needs_officer: bool


@dataclass(frozen=True, slots=True)
class Weight:
    """What the scale showed beside what was declared, in grams; nothing is compared where nothing was declared."""

    measured_g: int
    declared_g: int | None
    tolerance_g: int

    @property
    def difference_g(self) -> int:
        return 0 if self.declared_g is None else abs(self.measured_g - self.declared_g)

    @property
    def fits(self) -> bool:
        return self.difference_g <= self.tolerance_g

    def body(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def weight_of(handoff: Handoff) -> Weight | None:
    """Return what was weighed at this handoff; None where nothing was."""
    if handoff.measured_g is None:
        return None
    declared = handoff.consignment.declared_gross_mass_g
    tolerance = 0 if declared is None else declared * settings.WEIGHT_TOLERANCE_PERMILLE // 1000
    return Weight(handoff.measured_g, declared, tolerance)


def unseen(handoff: Handoff) -> int:
    """Count the items that were neither read nor inferred from a unit's tag."""
    reads = handoff.reconciliation or {}
    return int(reads.get("expected", 0) - reads.get("seen", 0) - reads.get("inferred", 0))


def matched_sessions(handoff: Handoff) -> int:
    return 1 + handoff.earlier_sessions.filter(matched=True).count()


def must_read_again(handoff: Handoff) -> bool:
    """One session that misses a tag is weak evidence: there is a second one before anybody accepts without it."""
    return unseen(handoff) > 0 and matched_sessions(handoff) < 2


def exceptions_of(handoff: Handoff) -> list[HandoffException]:
    """List what does not fit at a handoff whose tags were matched, in a fixed order."""
    reads = handoff.reconciliation or {}
    # A session in which a reader admitted to have lost reads does not count as one of the two.
    gaps = reads.get("gaps", 0)
    missing = unseen(handoff)
    proven = missing if matched_sessions(handoff) - gaps > 1 else 0
    weight = weight_of(handoff)
    seals = [_SEALS.get(SealState(seal.state), "") for seal in seals_in_force(handoff.consignment)]
    found: Sequence[tuple[str, int, bool]] = (
        ("missing_tag", proven, True),
        ("unexpected_tag", reads.get("unexpected_total", 0), True),
        ("clock_skew", reads.get("skewed", 0), False),
        ("tid_mismatch", reads.get("tid_mismatch_total", 0), True),
        ("unencoded_tag", reads.get("unencoded_tag", 0), False),
        # Where reads were lost and goods are unseen, nobody can say that they are there.
        ("read_gap", gaps, missing > 0),
        ("weight_mismatch", weight.difference_g if weight is not None and not weight.fits else 0, True),
        *((code, seals.count(code), True) for code in ("seal_broken", "seal_missing", "seal_mismatch")),
    )
    return [HandoffException(code, items, needs) for code, items, needs in found if items]


def exceptions_for_officer(handoff: Handoff) -> list[dict[str, Any]]:
    """What an officer accepts, as an approval keeps it."""
    return [{"code": one.code, "items": one.items} for one in exceptions_of(handoff) if one.needs_officer]
