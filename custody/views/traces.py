"""Traces for officers and auditors: where to begin, a tag, a shipment, a person, several shipments."""

import re
import uuid
from collections.abc import Sequence
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Person
from custody.models import PersonTraced
from custody.tracing.bars import draw
from custody.tracing.chains import TakeOver
from custody.tracing.grading import GRADE_NAMES, Grade
from custody.tracing.patterns import MOST_SHIPMENTS, trace_pattern
from custody.tracing.persons import trace_person
from custody.tracing.shipments import trace_shipment
from custody.tracing.tags import Held, TagUnknown, Window, read_tag, trace_tag
from custody.tracing.telling import STATE_NAMES, Naming, tell_chain, tell_elsewhere, tell_identity, tell_not_lost
from custody.tracing.telling_persons import candidate_name, tell_custody, tell_pattern
from custody.tracing.telling_shipments import tell_loss, tell_misdeclaration, tell_undeclared, tell_weight
from refusals import Refusal
from shipments.epc import EpcMalformed
from shipments.finding import ShipmentUnknown, find_shipment
from shipments.models import Consignment

_CHIPS = {
    Grade.DIRECT: ("ok", "shield-check"),
    Grade.INFERRED: ("warn", "question-mark"),
    Grade.INCONCLUSIVE: ("plain", "circle-dashed"),
}
_BETWEEN = re.compile(r"[\s,;]+")


@require_GET
@capability_required(Capability.READ_LEDGER)
def traces(request: HttpRequest) -> HttpResponse:
    """Where a trace begins: any code of a tag or a shipment; or several shipments at once."""
    sought = request.GET.get("q", "").strip()
    asked = [code for code in _BETWEEN.split(request.GET.get("shipments", "").strip()) if code]
    context: dict[str, Any] = {"sought": sought, "asked": " ".join(asked), "most": MOST_SHIPMENTS}
    if sought:
        try:
            return redirect(_where_to(sought))
        except Refusal as refusal:
            return render(request, "custody/traces.html", context | {"refusal": refusal}, status=refusal.status)
    if not asked:
        return render(request, "custody/traces.html", context)
    naming = Naming(cast(User, request.user))
    try:
        pattern = trace_pattern(shipments=[find_shipment(code=code) for code in asked])
    except Refusal as refusal:
        return render(request, "custody/traces.html", context | {"refusal": refusal}, status=refusal.status)
    rows = [
        {
            "one": one,
            "name": candidate_name(one, naming),
            "url": reverse("person_trace", args=[uuid.UUID(one.key)]) if one.kind == "person" else "",
            "grade": _grade(one.grade),
            "chance": f"{one.chance:.2g}",
            "corrected": f"{one.corrected:.2g}",
        }
        for one in pattern.candidates
    ]
    context |= {"pattern": pattern, "rows": rows, "sentences": tell_pattern(pattern, naming)}
    return _answer(request, "custody/traces.html", context)


def _where_to(sought: str) -> str:
    """A tag's trace where a manifest holds it, else a shipment's. :raises TagUnknown, ShipmentUnknown, EpcMalformed:"""
    try:
        trace = trace_tag(tag=sought)
    except (TagUnknown, EpcMalformed):
        try:
            return reverse("shipment_trace", args=[find_shipment(code=sought).pk])
        except ShipmentUnknown as unknown:
            raise unknown from None
    return reverse("tag_trace", args=[trace.chain.shipment.pk, trace.epc_hex])


@require_GET
@capability_required(Capability.READ_LEDGER)
def tag_trace(request: HttpRequest, consignment_id: uuid.UUID, tag: str) -> HttpResponse:
    shipment = get_object_or_404(Consignment, pk=consignment_id)
    naming = Naming(cast(User, request.user))
    try:
        epc_hex, _uri = read_tag(tag)
    except Refusal as refusal:
        return render(request, "custody/traces.html", {"refusal": refusal, "sought": tag}, status=refusal.status)
    trace = trace_tag(tag=epc_hex, shipment=shipment)
    windows = [trace.window] if trace.window else []
    return _answer(
        request,
        "custody/trace_tag.html",
        {
            "trace": trace,
            "shipment": shipment,
            "window": _shown(trace.window, naming) if trace.window else None,
            "not_lost": "" if trace.window else tell_not_lost(trace),
            "words": [
                {"end": _end(word.takeover, naming), "word": STATE_NAMES[word.state], "state": word.state.value}
                for word in trace.words
            ],
            "elsewhere": tell_elsewhere(trace.elsewhere, naming) if trace.elsewhere else "",
            "chain": tell_chain(trace.chain),
            "bars": draw(trace.chain, windows, naming),
        },
    )


@require_GET
@capability_required(Capability.READ_LEDGER)
def shipment_trace(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    shipment = get_object_or_404(Consignment, pk=consignment_id)
    naming = Naming(cast(User, request.user))
    trace = trace_shipment(shipment=shipment)
    return _answer(
        request,
        "custody/trace_shipment.html",
        {
            "trace": trace,
            "shipment": shipment,
            "losses": [
                {"sentence": tell_loss(loss), "epcs": loss.epcs[:100], "window": _shown(loss.window, naming)}
                for loss in trace.losses
            ],
            "undeclared": [
                {"sentence": tell_undeclared(one, naming), "grade": _grade(one.grade)} for one in trace.undeclared
            ],
            "weights": [
                {
                    "sentence": tell_weight(one, naming),
                    "grade": _grade(one.grade),
                    "entries": [one.before.told.index, one.after.told.index],
                }
                for one in trace.weights
            ],
            "misdeclared": [
                {"sentence": tell_misdeclaration(one, naming), "grade": _grade(one.grade), "entries": one.entries}
                for one in trace.misdeclared
            ],
            "versions": [
                {
                    "told": one,
                    "by": naming.person(one.person),
                    "hs": one.body.get("items", {}).get("hs", []),
                    "changes": one.body.get("changes_total", 0),
                }
                for one in trace.versions
            ],
            "chain": tell_chain(trace.chain),
            "bars": draw(trace.chain, [loss.window for loss in trace.losses], naming),
        },
    )


@require_GET
@capability_required(Capability.READ_LEDGER)
def person_trace(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """The look is recorded before the page is shown."""
    user = cast(User, request.user)
    person = get_object_or_404(Person, pk=person_id)
    naming = Naming(user)
    trace = trace_person(person=person, asked_by=user, way=PersonTraced.Way.PAGE)
    name = naming.person(person.pk.urn)
    return _answer(
        request,
        "custody/trace_person.html",
        {
            "trace": trace,
            "person": person,
            "name": name,
            "may_see_people": naming.may_see_people,
            "may_watch_zones": user.may(Capability.WATCH_ZONES),
            "custody": [
                {
                    "one": one,
                    "sentence": tell_custody(one, name),
                    "lost": [(epc, _grade(window.graded.grade)) for epc, window in one.lost[:20]],
                }
                for one in trace.custody
            ],
            "refused": [{"told": one, "sentence": naming.act(one)} for one in trace.refused],
            "acts": [{"told": one, "sentence": naming.act(one)} for one in trace.acts],
        },
    )


def _answer(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, context)
    # Names and movements of people: no cache between keeps them.
    add_never_cache_headers(response)
    return response


def _grade(grade: Grade) -> dict[str, Any]:
    tone, icon = _CHIPS[grade]
    return {"value": grade.value, "name": GRADE_NAMES[grade], "tone": tone, "icon": icon}


def _shown(window: Window, naming: Naming) -> dict[str, Any]:
    """A window as custody/trace_window.html takes it."""
    return {
        "window": window,
        "grade": _grade(window.graded.grade),
        "reasons": window.graded.reasons,
        "good": _end(window.last_good, naming) if window.last_good else None,
        "bad": _end(window.first_bad, naming),
        "held": [_held(held, naming) for held in window.held],
        "acts": [
            {"told": act, "sentence": naming.act(act), "other": act in window.opened} for act in window.acts
        ],
        "reads": [{"one": one, "place": naming.place(one.read_point)} for one in window.raw_reads],
        "afterwards": [{"one": one, "place": naming.place(one.read_point)} for one in window.afterwards],
        "gaps": window.gaps,
        "alerts": [
            {"one": alert, "zone": naming.directory.zone(alert.zone), "id": uuid.UUID(alert.alert)}
            for alert in window.alerts
        ],
    }  # fmt: skip


def _held(held: Held, naming: Naming) -> dict[str, Any]:
    """Somebody's custody as partials/timeline.html takes it."""
    facts = [{"tone": "plain", "icon": "face-id", "word": tell_identity(held.takeover)}] if held.takeover else []
    return {
        "title": _("%(person)s held custody") % {"person": naming.person(held.person)},
        "url": reverse("person_trace", args=[uuid.UUID(held.person)]) if held.person else "",
        "from_at": held.since,
        "until_at": held.until,
        "place": naming.place(held.takeover.read_point) if held.takeover else "",
        "facts": facts,
    }


def _end(takeover: TakeOver, naming: Naming) -> dict[str, Any]:
    reads = takeover.told.body["reads"]
    return {
        "takeover": takeover,
        "entry": takeover.told.index,
        "place": naming.place(takeover.read_point),
        "to": naming.person(takeover.to),
        "to_url": reverse("person_trace", args=[uuid.UUID(takeover.to)]),
        "from": naming.person(takeover.released_by),
        "identity": tell_identity(takeover),
        "tags": ngettext(
            "%(seen)s of %(expected)s read, %(inferred)s inferred, in %(n)s session without a gap",
            "%(seen)s of %(expected)s read, %(inferred)s inferred, in %(n)s sessions without a gap",
            takeover.clean_sessions,
        )
        % {
            "seen": reads.get("seen", 0),
            "expected": reads.get("expected", 0),
            "inferred": reads.get("inferred", 0),
            "n": takeover.clean_sessions,
        },
        "seals": _seals(takeover.seals),
        "weight": takeover.told.body.get("weight"),
    }


def _seals(seals: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{seal.get('number', '')} ({seal.get('class', '')}): {seal.get('state', '')}" for seal in seals]
