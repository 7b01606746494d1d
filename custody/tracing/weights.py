"""Weights at successive handoffs: what a shipment lost or gained while nobody opened it for the record."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from custody.tracing.chains import Chain, TakeOver
from custody.tracing.grading import Grade


@dataclass(frozen=True)
class WeightChange:
    """
    Two weighings that differ by more than the tolerance.

    :param custodians: who held custody between them, as URNs, in their order
    :param seals_same: the same seals were in force at both, and found intact; None where none was at either
    """

    before: TakeOver
    after: TakeOver
    before_g: int
    after_g: int
    custodians: Sequence[str]
    seals_same: bool | None
    grade: Grade


def find_weight_changes(chain: Chain) -> list[WeightChange]:
    """Hold each weighing against the one before it; handoffs without a scale are passed over."""
    weighed = [
        (place, one, grams) for place, one in enumerate(chain.takeovers) if (grams := _measured_g(one)) is not None
    ]
    found = []
    for (first, before, before_g), (last, after, after_g) in itertools.pairwise(weighed):
        if abs(after_g - before_g) <= before_g * settings.WEIGHT_TOLERANCE_PERMILLE // 1000:
            continue
        custodians = list(dict.fromkeys(one.to for one in chain.takeovers[first:last]))
        found.append(
            WeightChange(
                before=before,
                after=after,
                before_g=before_g,
                after_g=after_g,
                custodians=custodians,
                seals_same=_seals_same(before, after),
                # Never direct: two scales may differ, and no entry says when either was last checked.
                grade=Grade.INFERRED if len(custodians) == 1 else Grade.INCONCLUSIVE,
            )
        )
    return found


def _measured_g(takeover: TakeOver) -> int | None:
    weight = takeover.told.body.get("weight", {})
    grams = weight.get("measured_g") if isinstance(weight, dict) else None
    return grams if isinstance(grams, int) else None


def _seals_same(before: TakeOver, after: TakeOver) -> bool | None:
    at_both = [{(seal.get("number"), seal.get("state")) for seal in one.seals} for one in (before, after)]
    if not any(at_both):
        return None
    return at_both[0] == at_both[1] and all(state == "intact" for _number, state in at_both[0])
