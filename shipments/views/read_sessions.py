"""
Reading goods without handing them over: which shipment and where, the tags as they arrive, and the result once it is
ended.
"""

import uuid
from typing import Any, cast

from django import forms
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from refusals import Refusal
from shipments.finding import find_shipment
from shipments.models import RawReport, ReadPoint, ReadSession, SessionPurpose
from shipments.read_sessions import (
    document_bytes,
    end_read_session,
    open_read_session,
    session_result,
    session_tags,
)
from shipments.views.tag_rows import TagRows, plain_rows, tag_rows


class OpenForm(forms.Form):
    shipment = forms.CharField(max_length=512, required=False)
    read_point = forms.ModelChoiceField(ReadPoint.objects.select_related("site"))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.HAND_OFF)
def new(request: HttpRequest) -> HttpResponse:
    """Ask which shipment is read and where; without a shipment, whatever stands there is read."""
    if request.method == "GET":
        return _ask(request, request.GET.get("shipment", "")[:512], request.GET.get("read_point", ""))
    scanned, read_point = request.POST.get("shipment", "")[:512], request.POST.get("read_point", "")
    form = OpenForm(request.POST)
    if not form.is_valid():
        return _ask(request, scanned, read_point, sentence=_("Choose the read point where the goods stand."))
    code = form.cleaned_data["shipment"].strip()
    try:
        session = open_read_session(
            read_point=form.cleaned_data["read_point"],
            opened_by=cast(User, request.user),
            purpose=SessionPurpose.CHECK,
            consignment=find_shipment(code=code) if code else None,
        )
    except Refusal as refusal:
        return _ask(request, scanned, read_point, refusal=refusal)
    return redirect("read_session", session.pk)


def _ask(
    request: HttpRequest, scanned: str, here: str, *, sentence: str = "", refusal: Refusal | None = None
) -> HttpResponse:
    reading = ReadSession.objects.filter(frozen_at=None)
    points = list(ReadPoint.objects.select_related("site"))
    busy = dict(reading.values_list("read_point_id", "purpose"))
    return render(
        request,
        "shipments/read_session_new.html",
        {
            "scanned": scanned,
            "here": str(points[0].pk) if len(points) == 1 else here,
            "read_points": [(point, str(point.pk), busy.get(point.pk, "")) for point in points],
            "sentence": refusal.sentence if refusal else sentence,
            "code": refusal.code if refusal else "",
        },
        status=refusal.status if refusal else 422 if sentence else 200,
    )


@require_GET
@capability_required(Capability.HAND_OFF, Capability.MANAGE_GOODS)
def read_session(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Show the tags as they arrive, and the result once the reading has ended."""
    session = _find(session_id)
    may_act = cast(User, request.user).may(Capability.HAND_OFF)
    result = session_result(session=session)
    return render(
        request,
        "shipments/read_session.html",
        {
            "session": session,
            "tags": _rows(session),
            "result": result,
            "may_end": may_act and session.frozen_at is None and session.purpose != SessionPurpose.HANDOFF,
            "may_open": may_act,
        },
    )


@require_GET
@reload_if_logged_out
@capability_required(Capability.HAND_OFF, Capability.MANAGE_GOODS)
def tags(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """The live part of the page: unchanged costs a 304, and a reading that has ended reloads the page."""
    session = _find(session_id)
    if session.frozen_at is not None:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    # The count besides the newest: a lower id may be committed after a higher one.
    reports = RawReport.objects.filter(
        read_point_id=session.read_point_id, received_at__gte=session.opened_at
    ).aggregate(newest=Max("id"), count=Count("id"))
    etag = quote_etag(f"{session.pk}-{reports['newest']}-{reports['count']}-{get_language()}")
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    answer = render(request, "shipments/session_tags.html", {"tags": _rows(session)})
    answer["ETag"] = etag
    return answer


@require_POST
@capability_required(Capability.HAND_OFF)
def end(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    end_read_session(session=_find(session_id))
    return redirect("read_session", session_id)


@require_GET
@capability_required(Capability.HAND_OFF, Capability.MANAGE_GOODS)
def document(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """The frozen document, byte for byte."""
    session = _find(session_id)
    answer = HttpResponse(document_bytes(session=session), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="reading-{session.pk}.json"'
    return answer


def _find(session_id: uuid.UUID) -> ReadSession:
    related = ("read_point__site", "consignment", "opened_by", "opened_by_trigger__rule__reader", "taken_over_by")
    return get_object_or_404(ReadSession.objects.select_related(*related), pk=session_id)


def _rows(session: ReadSession) -> TagRows:
    result: Any = session_result(session=session)
    if session.consignment is None or result is None:
        return plain_rows(session_tags(session=session))
    return tag_rows(session.consignment, result, reading=session.frozen_at is None)
