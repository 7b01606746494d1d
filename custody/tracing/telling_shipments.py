"""Tell the trace of a shipment: as data, and in sentences."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from custody.sentences.exceptions import kilograms
from custody.tracing.grading import GRADE_NAMES
from custody.tracing.shipments import Loss, Misdeclaration, ShipmentTrace, Undeclared
from custody.tracing.telling import (
    Naming,
    act_as_data,
    chain_as_data,
    person_as_data,
    takeover_as_data,
    tell_chain,
    tell_window,
    window_as_data,
)
from custody.tracing.weights import WeightChange

# So many tags are named in a sentence; data has them all.
NAMED = 5


def shipment_as_data(trace: ShipmentTrace, naming: Naming) -> dict[str, Any]:
    return {
        "shipment": trace.chain.shipment.reference,
        "shipment_id": str(trace.chain.shipment.pk),
        "lost": trace.lost,
        "sentences": tell_shipment(trace, naming),
        "handoffs": [takeover_as_data(one, naming) for one in trace.chain.takeovers],
        "losses": [{"epcs": list(loss.epcs), "window": window_as_data(loss.window, naming)} for loss in trace.losses],
        "undeclared": [_undeclared_as_data(one, naming) for one in trace.undeclared],
        "declarations": [
            act_as_data(one, naming)
            | {"version": one.body.get("version"), "hs": one.body.get("items", {}).get("hs", [])}
            | {"changes": one.body.get("changes", [])}
            for one in trace.versions
        ],
        "misdeclared": [_misdeclared_as_data(one, naming) for one in trace.misdeclared],
        "weights": [_weight_as_data(one, naming) for one in trace.weights],
        **chain_as_data(trace.chain),
    }


def _undeclared_as_data(one: Undeclared, naming: Naming) -> dict[str, Any]:
    return {
        "epc": one.epc_hex,
        "grade": one.grade.value,
        "appeared": one.appeared.told.index,
        "seen": [seen.told.index for seen in one.seen],
        "held_before": person_as_data(one.before.to, naming) if one.before else {"role": "consignor"},
        "on_manifest_of": one.other or None,
        "sentence": tell_undeclared(one, naming),
    }


def _misdeclared_as_data(one: Misdeclaration, naming: Naming) -> dict[str, Any]:
    return {
        "code": one.code,
        "grade": one.grade.value,
        "sentence": one.sentence,
        "entries": list(one.entries),
        "submitted_by": [person_as_data(urn, naming) for urn in one.submitted_by],
    }


def _weight_as_data(one: WeightChange, naming: Naming) -> dict[str, Any]:
    return {
        "grade": one.grade.value,
        "entries": [one.before.told.index, one.after.told.index],
        "before_g": one.before_g,
        "after_g": one.after_g,
        "held_custody": [person_as_data(urn, naming) for urn in one.custodians],
        "seals_same": one.seals_same,
        "sentence": tell_weight(one, naming),
    }


def tell_shipment(trace: ShipmentTrace, naming: Naming) -> list[str]:
    """The trace of a shipment in sentences: losses, what was not declared, weights, declarations."""
    told = []
    if not trace.losses:
        told.append(_("Nothing says that goods of this shipment were lost."))
    for loss in trace.losses:
        told.append(tell_loss(loss))
        told += tell_window(loss.window, naming)
    told += [tell_undeclared(one, naming) for one in trace.undeclared]
    told += [tell_weight(one, naming) for one in trace.weights]
    told += [tell_misdeclaration(one, naming) for one in trace.misdeclared]
    return told + tell_chain(trace.chain)


def tell_loss(loss: Loss) -> str:
    count = len(loss.epcs)
    named = ", ".join(loss.epcs[:NAMED]) + (" …" if count > NAMED else "")
    return ngettext("%(n)s tag was lost: %(tags)s.", "%(n)s tags were lost: %(tags)s.", count) % {
        "n": count,
        "tags": named,
    }


def tell_undeclared(one: Undeclared, naming: Naming) -> str:
    facts = {
        "tag": one.epc_hex,
        "entries": ", ".join(str(seen.told.index) for seen in one.seen),
        "person": naming.person(one.before.to if one.before else ""),
        "grade": str(GRADE_NAMES[one.grade]).lower(),
        "other": one.other,
    }
    sentence = _(
        "The tag %(tag)s, on no manifest of this shipment, was read at the handoffs of entries %(entries)s; before the "
        "first of them %(person)s held custody. Grade: %(grade)s."
    )
    if one.other:
        sentence = _(
            "The tag %(tag)s of shipment %(other)s was read at the handoffs of entries %(entries)s; before the first "
            "of them %(person)s held custody. Grade: %(grade)s."
        )
    return sentence % facts


def tell_weight(one: WeightChange, naming: Naming) -> str:
    sentence = _(
        "It weighed %(before)s at the handoff of entry %(first)s and %(after)s at that of entry %(last)s; between them "
        "%(persons)s held custody. Grade: %(grade)s."
    ) % {
        "before": kilograms(one.before_g),
        "after": kilograms(one.after_g),
        "first": one.before.told.index,
        "last": one.after.told.index,
        "persons": ", ".join(naming.person(urn) for urn in one.custodians),
        "grade": str(GRADE_NAMES[one.grade]).lower(),
    }
    if one.seals_same:
        sentence += " " + _("The seals were the same and intact at both: look at the walls, the roof and the hinges.")
    return sentence


def tell_misdeclaration(one: Misdeclaration, naming: Naming) -> str:
    if not one.submitted_by:
        return one.sentence
    by = ", ".join(naming.person(urn) for urn in one.submitted_by)
    return one.sentence + " " + _("Submitted by %(persons)s.") % {"persons": by}
