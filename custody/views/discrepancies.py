"""The officer's desk: what does not agree, one of them whole, and what an officer does about it."""

import uuid
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Evidence
from biometrics.vault import NOT_OPENED, open_evidence
from custody.directory import Directory
from custody.discrepancies import (
    MAX_NOTE,
    AssigneeRefused,
    assign_discrepancy,
    is_named,
    note_discrepancy,
    officers,
    resolve_discrepancy,
)
from custody.discrepancy_codes import ABOUT, Code, Severity
from custody.discrepancy_search import STATES, WHOSE, Asked, find_discrepancies
from custody.models import Discrepancy, Outcome
from refusals import Refusal
from shipments.models import Consignment

PER_PAGE = 50

TONES = {Severity.HIGH: "bad", Severity.MEDIUM: "warn", Severity.LOW: "plain"}
_STATE_NAMES = {"open": gettext_lazy("Open"), "resolved": gettext_lazy("Resolved"), "all": gettext_lazy("All")}
_WHOSE_NAMES = {
    "all": gettext_lazy("Everybody’s"),
    "mine": gettext_lazy("Mine"),
    "unassigned": gettext_lazy("Unassigned"),
}


@require_GET
@capability_required(Capability.SEE_DISCREPANCIES)
def discrepancy_list(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    asked = Asked.read(request.GET.dict())
    page = Paginator(find_discrepancies(asked=asked, by=user), PER_PAGE).get_page(request.GET.get("page"))
    # The codes that are there in this state, whatever else is asked.
    there = find_discrepancies(asked=Asked(state=asked.state, shipment=asked.shipment), by=user)
    counted = dict(there.order_by().values_list("code").annotate(count=Count("pk")))
    filters = [
        (_("State"), [_chip(asked, "state", one, _STATE_NAMES[one]) for one in STATES]),
        (_("Whose"), [_chip(asked, "whose", one, _WHOSE_NAMES[one]) for one in WHOSE]),
        (
            _("Severity"),
            [_chip(asked, "severity", value, label) for value, label in (("", _("Any severity")), *Severity.choices)],
        ),
    ]
    if len(counted) > 1 or asked.code:
        kinds = [_chip(asked, "code", "", _("Everything"))]
        kinds += [
            _chip(asked, "code", one.value, one.label, counted.get(one.value, 0))
            for one in Code
            if one.value in counted or one.value == asked.code
        ]
        filters.append((_("What it is"), kinds))
    return render(
        request,
        "custody/discrepancy_list.html",
        {
            "page": page,
            "rows": [{"one": one, "tone": TONES[Severity(one.severity)]} for one in page.object_list],
            "filters": filters,
            "asked": asked,
            "query": urlencode(asked.query()),
            "shipment": Consignment.objects.filter(pk=asked.shipment).first() if asked.shipment else None,
            "may_watch": user.may(Capability.MANAGE_GOODS),
        },
    )


@require_GET
@capability_required(Capability.SEE_DISCREPANCIES)
def discrepancy(request: HttpRequest, discrepancy_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(discrepancy_id))


@require_POST
@capability_required(Capability.SETTLE_DISCREPANCIES)
def assign(request: HttpRequest, discrepancy_id: uuid.UUID) -> HttpResponse:
    found, chosen = _find(discrepancy_id), request.POST.get("assignee", "")
    assignee = User.objects.filter(username=chosen).first() if chosen else None
    try:
        if chosen and assignee is None:
            raise AssigneeRefused(account=chosen[:150])
        assign_discrepancy(discrepancy=found, assignee=assignee, by=_user(request))
    except Refusal as refusal:
        return _show(request, found, refusal)
    return redirect("discrepancy", found.pk)


@require_POST
@capability_required(Capability.SETTLE_DISCREPANCIES)
def note(request: HttpRequest, discrepancy_id: uuid.UUID) -> HttpResponse:
    found = _find(discrepancy_id)
    try:
        note_discrepancy(discrepancy=found, note=request.POST.get("note", ""), by=_user(request))
    except Refusal as refusal:
        return _show(request, found, refusal)
    messages.success(request, _("The note is kept."))
    return redirect("discrepancy", found.pk)


@sensitive_post_parameters("password")
@require_POST
@capability_required(Capability.SETTLE_DISCREPANCIES)
def resolve(request: HttpRequest, discrepancy_id: uuid.UUID) -> HttpResponse:
    found, entry = _find(discrepancy_id), request.POST.get("entry", "").strip()
    try:
        resolve_discrepancy(
            discrepancy=found,
            outcome=request.POST.get("outcome", ""),
            note=request.POST.get("resolution", ""),
            password=request.POST.get("password", ""),
            # What is no number is looked up as one that no log has, and refused with the others.
            later_entry=(int(entry) if entry.isascii() and entry.isdigit() and len(entry) < 16 else -1)
            if entry
            else None,
            by=_user(request),
        )
    except Refusal as refusal:
        return _show(request, found, refusal)
    messages.success(request, _("The resolution is recorded."))
    return redirect("discrepancy", found.pk)


def _chip(asked: Asked, name: str, value: str, label: Any, count: int | None = None) -> dict[str, Any]:
    return {
        "query": urlencode(asked.query(**{name: value})),
        "label": label,
        "count": count,
        "current": getattr(asked, name) == value,
    }


def _find(discrepancy_id: uuid.UUID) -> Discrepancy:
    return get_object_or_404(
        Discrepancy.objects.select_related(
            "consignment",
            "reader",
            "site",
            "handoff",
            "last_good__read_point__site",
            "statement",
            "resolution",
            "assignee",
            "opened_by",
            "resolved_by",
            "note",
            "reopens",
            "reopened_as",
        ),
        pk=discrepancy_id,
    )


def _show(request: HttpRequest, found: Discrepancy, refusal: Refusal | None = None) -> HttpResponse:
    user, directory = _user(request), Directory()
    may_settle = user.may(Capability.SETTLE_DISCREPANCIES)
    evidence = found.evidence
    concerned = [directory.person(urn) for urn in evidence.get("persons", ())]
    response = render(
        request,
        "custody/discrepancy.html",
        {
            "found": found,
            "about": ABOUT[Code(found.code)],
            "tone": TONES[Severity(found.severity)],
            "custodians": [
                {"person": person, "name": directory.person(person.pk.urn)} for person in found.custodians.all()
            ],
            "concerned": concerned,
            # In a template, evidence.items would be the dictionary's own method.
            "items": evidence.get("items", []),
            "place": directory.place(evidence["read_point"]) if "read_point" in evidence else "",
            "figures": sorted(evidence.get("figures", {}).items()),
            "steps": [
                {"step": step, "text": _open(step.note) if may_settle else ""}
                for step in found.steps.select_related("by", "assignee", "note")
            ],
            "note": _open(found.note) if may_settle else "",
            "may_settle": may_settle,
            "may_read_ledger": user.may(Capability.READ_LEDGER),
            "may_see_people": user.may(Capability.SEE_PEOPLE),
            "named": may_settle and is_named(found, user),
            "grave": found.severity == Severity.HIGH,
            "outcomes": Outcome.choices,
            "officers": officers() if may_settle else [],
            "typed": request.POST,
            "most": MAX_NOTE,
            "refusal": refusal,
        },
        status=refusal.status if refusal else 200,
    )
    add_never_cache_headers(response)
    return response


def _open(note: Evidence | None) -> str:
    if note is None:
        return ""
    try:
        return open_evidence(note).decode()
    except NOT_OPENED:
        return ""


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
