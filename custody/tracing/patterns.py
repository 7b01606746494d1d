"""
Several shipments with losses: which persons, readers' places and sites are common to their windows, each beside how
often it is in any shipment at all.

A candidate that stands out is a lead. It is never more than inferred: people of one shift share what one of them does.
Windows come from entries; the base rates are counted from the rows of handoffs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext_lazy as _

from custody.models import Handoff, HandoffState
from custody.tracing.grading import Grade
from custody.tracing.shipments import ShipmentTrace, trace_shipment
from custody.tracing.significance import corrected, tail
from refusals import Refusal
from shipments.models import Consignment

# A candidate stands out where chance alone brings one as far in fewer than 1 in 100 such looks.
STANDS_OUT_BELOW = 0.01
# In two shipments anybody meets anybody.
HITS_AT_LEAST = 3
MOST_SHIPMENTS = 100


class TooFewShipments(Refusal):
    code = "too_few_shipments"
    message = _("A pattern needs at least two shipments and at most %(most)s. Name each once.")
    status = 422


@dataclass(frozen=True)
class Candidate:
    """
    Somebody or something in the windows: ``hits`` of the shipments that were looked at, ``base`` of all.

    :param kind: person, read_point or site
    :param chance: of so many hits or more, and ``corrected`` for all the candidates that were looked at
    """

    kind: str
    key: str
    hits: int
    base: int
    chance: float
    corrected: float

    @property
    def stands_out(self) -> bool:
        return self.hits >= HITS_AT_LEAST and self.corrected < STANDS_OUT_BELOW

    @property
    def grade(self) -> Grade:
        return Grade.INFERRED if self.stands_out else Grade.INCONCLUSIVE


@dataclass(frozen=True)
class Pattern:
    """
    :param without_loss: named, and nothing was lost in them: they are not among the ``drawn``
    :param population: shipments that were handed over at all
    :param looked_at: persons, read points and sites in handoffs, any of which could have been found
    """

    traces: Sequence[ShipmentTrace]
    without_loss: Sequence[str]
    population: int
    drawn: int
    looked_at: int
    candidates: Sequence[Candidate]

    @property
    def standing_out(self) -> list[Candidate]:
        return [one for one in self.candidates if one.stands_out]


def trace_pattern(*, shipments: Sequence[Consignment]) -> Pattern:
    """
    Look for what the windows of these shipments have in common.

    :raises TooFewShipments:
    """
    if not 2 <= len({one.pk for one in shipments}) <= MOST_SHIPMENTS or len(shipments) > MOST_SHIPMENTS:
        raise TooFewShipments(most=MOST_SHIPMENTS)
    traces = [trace_shipment(shipment=one) for one in dict.fromkeys(shipments)]
    lost = [trace for trace in traces if trace.losses]
    hits: dict[tuple[str, str], int] = {}
    for trace in lost:
        for found in _in_windows(trace):
            hits[found] = hits.get(found, 0) + 1
    handed = Handoff.objects.filter(state=HandoffState.ACCEPTED).order_by()
    population = handed.aggregate(n=Count("consignment", distinct=True))["n"]
    base = _base_rates(handed, list(hits))
    # All whom the same look could have found, not those alone whom it did.
    looked_at = max(_candidates(handed), len(hits))
    candidates = []
    for (kind, key), found_in in hits.items():
        # Rows that were deleted must not make anybody rarer than what was found of them.
        marked = min(max(base.get((kind, key), 0), found_in), max(population, len(lost)))
        chance = tail(
            population=max(population, len(lost)), marked=marked, drawn=len(lost), hits=found_in
        )  # fmt: skip
        candidates.append(Candidate(kind, key, found_in, marked, chance, corrected(chance, candidates=looked_at)))
    candidates.sort(key=lambda one: (one.corrected, one.chance, -one.hits, one.kind, one.key))
    return Pattern(
        traces,
        [trace.chain.shipment.reference for trace in traces if not trace.losses],
        population,
        len(lost),
        looked_at,
        candidates,
    )


def _candidates(handed: Any) -> int:
    """How many persons, read points and sites there are in handoffs at all."""
    counted = handed.aggregate(
        persons=Count("to_person", distinct=True),
        read_points=Count("read_point", distinct=True),
        sites=Count("read_point__site", distinct=True),
    )
    return sum(counted.values())


def _in_windows(trace: ShipmentTrace) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for loss in trace.losses:
        found |= {("person", person) for person in loss.window.custodians}
        for end in (loss.window.last_good, loss.window.first_bad):
            if end is not None:
                found |= {("read_point", end.read_point), ("site", end.site)}
    return found


def _base_rates(handed: Any, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """In how many shipments each candidate is at all: any custody of them, not that in the windows alone."""
    rates: dict[tuple[str, str], int] = {}
    for kind, field in (
        ("person", "to_person_id"),
        ("read_point", "read_point__sgln"),
        ("site", "read_point__site__gln"),
    ):
        keys = [key.removeprefix("urn:uuid:") for of, key in asked if of == kind]
        counted = (
            handed.filter(**{f"{field}__in": keys}).values_list(field).annotate(n=Count("consignment", distinct=True))
        )
        rates |= {(kind, key.urn if kind == "person" else key): n for key, n in counted}
    return rates
