"""Over all readers: what is wrong with them, and what they sent that could not be used."""

import uuid
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from refusals import Refusal
from shipments.models import AlertCode, Reader, ReaderAlert
from shipments.quarantined_events import MOST_COUNTED, quarantined_events
from shipments.reader_alerts import acknowledge_alert
from shipments.views.alert_lines import tell_alerts
from shipments.views.readers import REASONS

PAGE_SIZE = 50


@require_GET
@capability_required(Capability.WATCH_READERS)
def alert_list(request: HttpRequest) -> HttpResponse:
    code, state = request.GET.get("code", ""), request.GET.get("state", "open")
    reader = _asked_reader(request)
    state = state if state in ("open", "acknowledged", "all") else "open"
    alerts = ReaderAlert.objects.all()
    if state != "all":
        alerts = alerts.filter(acknowledged_at__isnull=state == "open")
    if reader is not None:
        alerts = alerts.filter(reader=reader)
    counted = dict(alerts.order_by().values_list("code").annotate(count=Count("pk")))
    if code:
        alerts = alerts.filter(code=code)
    alerts = alerts.select_related("reader", "read_point__site", "acknowledged_by").order_by("-last_at")
    page = Paginator(alerts, PAGE_SIZE).get_page(request.GET.get("page"))
    asked = {"state": state} | ({"reader": str(reader.pk)} if reader else {})
    return render(
        request,
        "shipments/reader_alerts.html",
        {
            "page": page,
            "lines": tell_alerts(page.object_list),
            "codes": [(one.value, one.label, counted[one.value]) for one in AlertCode if one.value in counted],
            "code": code,
            "state": state,
            "reader": reader,
            "asked": urlencode(asked),
            "query": urlencode(asked | ({"code": code} if code else {})),
            "here": request.get_full_path(),
            "may_manage": cast(User, request.user).may(Capability.MANAGE_GOODS),
        },
    )


@require_POST
@capability_required(Capability.WATCH_READERS)
def acknowledge(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    alert = get_object_or_404(ReaderAlert, pk=alert_id)
    try:
        acknowledge_alert(alert=alert, account=cast(User, request.user))
        messages.success(request, _("Acknowledged. It comes back if it happens again in another hour."))
    except Refusal as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
    back = request.POST.get("back", "")
    local = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if local and back.startswith("/") else reverse("reader_alerts"))


@require_GET
@capability_required(Capability.WATCH_READERS)
def quarantine(request: HttpRequest) -> HttpResponse:
    reader, reason = _asked_reader(request), request.GET.get("reason", "")
    # The newest thousand alone: counting a million would take longer than anybody looks.
    newest = quarantined_events(reader=reader, reason=reason)[:MOST_COUNTED]
    page = Paginator(newest, PAGE_SIZE).get_page(request.GET.get("page"))
    asked = {name: value for name, value in (("reader", str(reader.pk) if reader else ""), ("reason", reason)) if value}
    return render(
        request,
        "shipments/quarantine.html",
        {
            "page": page,
            "events": [(event, REASONS.get(event.reason, event.reason)) for event in page.object_list],
            "many": page.paginator.count >= MOST_COUNTED,
            "most": MOST_COUNTED,
            "readers": Reader.objects.all(),
            "reader": reader,
            "reasons": sorted(REASONS.items(), key=lambda item: str(item[1]).casefold()),
            "reason": reason,
            "query": urlencode(asked),
            "may_manage": cast(User, request.user).may(Capability.MANAGE_GOODS),
        },
    )


def _asked_reader(request: HttpRequest) -> Reader | None:
    try:
        return Reader.objects.filter(pk=uuid.UUID(request.GET.get("reader", ""))).first()
    except ValueError:
        return None
