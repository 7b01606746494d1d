"""Alerts of restricted zones for officers: the queue, live; one alert with its frame; what came of it."""

import base64
import uuid
from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers, get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.looks import image_type, look_at
from biometrics.models import EvidenceLook, PersonKind
from biometrics.vault import NOT_OPENED, open_evidence
from custody.models import ZoneAlert
from custody.tracing.nearby import shipments_near
from custody.zone_alerts import MAX_NOTE, decide_alert
from refusals import Refusal

PER_PAGE = 50


@require_GET
@capability_required(Capability.WATCH_ZONES)
def alert_list(request: HttpRequest) -> HttpResponse:
    """Alerts that wait for an officer, the newest first, live; those that were decided are asked for."""
    decided = request.GET.get("decided") == "yes"
    found = _alerts().exclude(decision="") if decided else _alerts().filter(decision="")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "decided": decided, "query": "decided=yes" if decided else "", "rows": _rows(page)}
    return render(request, "custody/zone_alerts.html", context)


@require_GET
@reload_if_logged_out
@capability_required(Capability.WATCH_ZONES)
def live(request: HttpRequest) -> HttpResponse:
    """The queue alone, for the page that shows it: unchanged costs a 304."""
    state = ZoneAlert.objects.filter(decision="").aggregate(count=Count("pk"), newest=Max("raised_at"))
    etag = quote_etag(f"{state['count']}-{state['newest']}-{get_language()}")
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    page = Paginator(_alerts().filter(decision=""), PER_PAGE).get_page(1)
    answer = render(request, "custody/zone_alert_rows.html", {"page": page, "rows": _rows(page), "decided": False})
    answer["ETag"] = etag
    return answer


@require_GET
@capability_required(Capability.WATCH_ZONES)
def alert(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(alert_id))


@require_POST
@capability_required(Capability.WATCH_ZONES)
def frame(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Show the frame, once the look is recorded."""
    found = _find(alert_id)
    try:
        value = look_at(evidence=found.frame, looked_by=cast(User, request.user), reason=EvidenceLook.Reason.ZONE)
    except Refusal as refusal:
        return _show(request, found, refusal=refusal)
    except NOT_OPENED:
        return _show(request, found, unopened=True)
    return _show(request, found, image=f"data:{image_type(value)};base64,{base64.b64encode(value).decode()}")


@require_POST
@capability_required(Capability.WATCH_ZONES)
def decide(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    found = _find(alert_id)
    try:
        decide_alert(
            alert=found,
            decision=request.POST.get("decision", ""),
            decided_by=cast(User, request.user),
            note=request.POST.get("note", ""),
        )
    except Refusal as refusal:
        return _show(request, found, refusal=refusal)
    messages.success(request, _("The decision is recorded."))
    return redirect("zone_alert", found.pk)


def _alerts() -> QuerySet[ZoneAlert]:
    return ZoneAlert.objects.select_related(
        "event__zone__site", "event__camera", "event__person", "statement", "resolution", "decided_by", "lead"
    )


def _find(alert_id: uuid.UUID) -> ZoneAlert:
    return get_object_or_404(_alerts().select_related("frame__person", "note"), pk=alert_id)


def _rows(page: Any) -> list[dict[str, Any]]:
    names = open_names({one.event.person for one in page.object_list if one.event.person is not None})
    return [
        {"alert": one, "name": names.get(one.event.person.pk, "") if one.event.person else ""}
        for one in page.object_list
    ]


def _show(
    request: HttpRequest,
    found: ZoneAlert,
    *,
    refusal: Refusal | None = None,
    image: str = "",
    unopened: bool = False,
) -> HttpResponse:
    person = found.event.person
    names = open_names([person]) if person is not None else {}
    response = render(
        request,
        "custody/zone_alert.html",
        {
            "alert": found,
            "event": found.event,
            "name": names.get(person.pk, "") if person is not None else "",
            "known": person is not None and person.kind != PersonKind.UNKNOWN,
            "image": image,
            "unopened": unopened,
            "note": _open_note(found),
            "may_read_ledger": cast(User, request.user).may(Capability.READ_LEDGER),
            "shipments_near": shipments_near(site=found.event.zone.site, at=found.raised_at),
            "decisions": ZoneAlert.Decision.choices,
            "typed": request.POST.get("note", ""),
            "chosen": request.POST.get("decision", ""),
            "most": MAX_NOTE,
            "refusal": refusal,
        },
        status=refusal.status if refusal else 200,
    )
    add_never_cache_headers(response)
    return response


def _open_note(found: ZoneAlert) -> str:
    if found.note is None:
        return ""
    try:
        return open_evidence(found.note).decode()
    except NOT_OPENED:
        return ""
