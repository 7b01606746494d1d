"""Leads for officers: two faces side by side, how near they are by which rate, and what the officer makes of it."""

import uuid
from collections.abc import Sequence
from typing import cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.models import EvidenceLook, WatchlistLead
from biometrics.views.watchlist import PER_PAGE, open_text, show_photos
from biometrics.watchlist import decide_lead
from refusals import Refusal


@require_GET
@capability_required(Capability.KEEP_WATCHLIST)
def lead_list(request: HttpRequest) -> HttpResponse:
    """Leads that wait for an officer, the newest first; those that were decided are asked for."""
    decided = request.GET.get("decided") == "yes"
    open_ones = {"state": WatchlistLead.State.OPEN}
    found = _leads().exclude(**open_ones) if decided else _leads().filter(**open_ones)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    people = {lead.entry.subject for lead in page.object_list}
    names = open_names(people | {lead.person for lead in page.object_list if lead.person is not None})
    return render(
        request,
        "biometrics/lead_list.html",
        {
            "page": page,
            "rows": [
                {
                    "lead": lead,
                    "watched": names.get(lead.entry.subject_id, ""),
                    "claimed": names.get(lead.person_id, "") if lead.person_id else "",
                }
                for lead in page.object_list
            ],
            "decided": decided,
            "query": "decided=yes" if decided else "",
        },
    )


@require_GET
@capability_required(Capability.KEEP_WATCHLIST)
def lead(request: HttpRequest, lead_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(lead_id))


@require_POST
@capability_required(Capability.KEEP_WATCHLIST)
def lead_photos(request: HttpRequest, lead_id: uuid.UUID) -> HttpResponse:
    """Show what was captured beside the watchlist's photos, after each look is recorded."""
    found = _find(lead_id)
    watched = [photo.evidence for photo in found.entry.photos.select_related("evidence__person")]
    try:
        photos = show_photos([found.probe, *watched], request, reason=EvidenceLook.Reason.LEAD)
    except Refusal as refusal:
        return _show(request, found, refusal=refusal)
    return _show(request, found, photos=photos)


@require_POST
@capability_required(Capability.KEEP_WATCHLIST)
def lead_decide(request: HttpRequest, lead_id: uuid.UUID) -> HttpResponse:
    found = _find(lead_id)
    decision = request.POST.get("decision", "")
    if decision not in ("confirmed", "dismissed"):
        return redirect("watchlist_lead", found.pk)
    try:
        decide_lead(
            lead=found,
            confirmed=decision == "confirmed",
            decided_by=cast(User, request.user),
            note=request.POST.get("note", ""),
        )
    except Refusal as refusal:
        return _show(request, found, refusal=refusal)
    messages.success(request, _("The decision is recorded."))
    return redirect("watchlist_lead", found.pk)


def _show(
    request: HttpRequest, found: WatchlistLead, *, refusal: Refusal | None = None, photos: Sequence[str] = ()
) -> HttpResponse:
    people = [person for person in (found.entry.subject, found.person) if person is not None]
    names = open_names(people)
    response = render(
        request,
        "biometrics/lead.html",
        {
            "lead": found,
            "watched": names.get(found.entry.subject_id, ""),
            "claimed": names.get(found.person_id, "") if found.person_id else "",
            "captured": photos[0] if photos else "",
            "on_list": photos[1:],
            "note": open_text(found.note),
            "typed": request.POST.get("note", ""),
            "refusal": refusal,
        },
        status=refusal.status if refusal else 200,
    )
    add_never_cache_headers(response)
    return response


def _leads() -> QuerySet[WatchlistLead]:
    return WatchlistLead.objects.select_related(
        "entry__subject", "person", "verification", "decided_by", "statement", "decision"
    )


def _find(lead_id: uuid.UUID) -> WatchlistLead:
    return get_object_or_404(_leads().select_related("probe__person", "note"), pk=lead_id)
