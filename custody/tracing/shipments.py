"""
Trace a shipment: what it lost and in which windows, what travelled with it undeclared, and its declarations against
what inspections and reads showed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from custody.tracing.chains import Chain, TakeOver, Told, read_chain
from custody.tracing.grading import Grade
from custody.tracing.tags import Window, find_losses
from custody.tracing.weights import WeightChange, find_weight_changes
from shipments.declared_text import CHANGED_FIELDS
from shipments.models import Consignment


@dataclass(frozen=True)
class Loss:
    """The tags that were lost in one window with one grade."""

    window: Window
    epcs: Sequence[str]


@dataclass(frozen=True)
class Undeclared:
    """
    A tag that was read with the shipment and is not on its manifest.

    :param appeared: the first handoff that read it, and ``seen`` all that did
    :param other: the shipment on whose manifest it was by then; empty where on none
    """

    epc_hex: str
    appeared: TakeOver
    before: TakeOver | None
    seen: Sequence[TakeOver]
    other: str
    grade: Grade


@dataclass(frozen=True)
class Misdeclaration:
    """Something that was declared and does not fit what was found: who submitted what stands in the entries named."""

    code: str
    grade: Grade
    sentence: str
    entries: Sequence[int]
    submitted_by: Sequence[str]


@dataclass(frozen=True)
class ShipmentTrace:
    chain: Chain
    losses: Sequence[Loss]
    undeclared: Sequence[Undeclared]
    versions: Sequence[Told]
    misdeclared: Sequence[Misdeclaration]
    weights: Sequence[WeightChange]

    @property
    def lost(self) -> int:
        return sum(len(loss.epcs) for loss in self.losses)


def trace_shipment(*, shipment: Consignment) -> ShipmentTrace:
    """Trace everything that the shipment's sealed entries say of its goods and their declarations."""
    chain = read_chain(shipment)
    versions = [one for one in chain.told if one.kind in ("declaration", "declaration_amended") and not one.fault]
    return ShipmentTrace(
        chain=chain,
        losses=_grouped(find_losses(chain)),
        undeclared=_undeclared(chain),
        versions=versions,
        misdeclared=_misdeclared(chain),
        weights=find_weight_changes(chain),
    )


def _grouped(losses: dict[str, Window]) -> list[Loss]:
    groups: dict[tuple[object, ...], list[str]] = {}
    for epc_hex, window in losses.items():
        good = window.last_good.told.seq if window.last_good else -1
        ends = window.confirmed.told.seq if window.confirmed else -1
        key = (good, window.first_bad.told.seq, ends, window.swapped, window.graded.grade, *window.graded.doubts)
        groups.setdefault(key, []).append(epc_hex)
    return [Loss(losses[epcs[0]], epcs) for epcs in groups.values()]


def _undeclared(chain: Chain) -> list[Undeclared]:
    seen: dict[str, list[int]] = {}
    for place, one in enumerate(chain.takeovers):
        for epc_hex in one.reads.unexpected:
            seen.setdefault(epc_hex, []).append(place)
    found = []
    for epc_hex, places in seen.items():
        first = places[0]
        found.append(
            Undeclared(
                epc_hex=epc_hex,
                appeared=chain.takeovers[first],
                before=chain.takeovers[first - 1] if first else None,
                seen=[chain.takeovers[place] for place in places],
                other=next(
                    (other for place in places if (other := chain.takeovers[place].reads.unexpected[epc_hex])), ""
                ),
                # Once, it may have been a neighbour's tag; at two handoffs it travelled along. Never more than that: no
                # handoff looked for a tag that nobody declared.
                grade=Grade.INFERRED if len(places) > 1 else Grade.INCONCLUSIVE,
            )
        )
    return found


def _misdeclared(chain: Chain) -> list[Misdeclaration]:
    found: list[Misdeclaration] = []
    in_force: Told | None = None
    inspected: Told | None = None
    for one in chain.told:
        if one.fault:
            continue
        if one.kind in ("declaration", "declaration_amended"):
            if one.kind == "declaration_amended" and inspected is not None:
                found.append(_amended_after(one, inspected, in_force))
            in_force = one
        elif one.kind == "inspection":
            inspected = one
            if one.body.get("findings") == "differs":
                found.append(_differs(one, in_force))
    return found


def _amended_after(amended: Told, inspected: Told, in_force: Told | None) -> Misdeclaration:
    fields = [str(change.get("field", "")) for change in amended.body.get("changes", [])]
    # An item that came or went brought or took its commodity code.
    by_hs = any(field in ("hs", "item") for field in fields)
    sentence = (
        _("Amended after the inspection of entry %(inspection)s: the commodity code changed (entry %(entry)s).")
        if by_hs
        else _("Amended after the inspection of entry %(inspection)s, in %(fields)s (entry %(entry)s).")
    )
    before = [in_force.index] if in_force else []
    return Misdeclaration(
        "hs_amended_after_inspection" if by_hs else "amended_after_inspection",
        # That it was amended, when, and by whom is in signed entries. Why, is not.
        Grade.DIRECT,
        sentence % {"inspection": inspected.index, "entry": amended.index, "fields": _named(fields)},
        [*before, inspected.index, amended.index],
        list(dict.fromkeys(one.person for one in (in_force, amended) if one and one.person)),
    )


def _named(fields: Sequence[str]) -> str:
    return ", ".join(str(CHANGED_FIELDS.get(field, field)) for field in dict.fromkeys(fields[:10]))


def _differs(inspected: Told, in_force: Told | None) -> Misdeclaration:
    if in_force is None:
        return Misdeclaration(
            "inspection_differs",
            Grade.INFERRED,
            _("An inspection found other goods than expected (entry %(entry)s); nothing had been declared here.")
            % {"entry": inspected.index},
            [inspected.index],
            [],
        )
    return Misdeclaration(
        "inspection_differs",
        Grade.DIRECT,
        _(
            "An inspection found other goods than declared (entry %(entry)s); in force was version %(version)s (entry "
            "%(declared)s)."
        )
        % {"entry": inspected.index, "version": in_force.body.get("version", 1), "declared": in_force.index},
        [in_force.index, inspected.index],
        [in_force.person] if in_force.person else [],
    )  # fmt: skip
