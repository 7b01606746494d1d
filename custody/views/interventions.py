"""Officers' acts on a shipment: what was done and what holds now, a new one, and the face that does it."""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.models import CaptureSource, Verification
from biometrics.vault import NOT_OPENED, open_evidence
from biometrics.verification import Burst, liveness_required
from custody.attendances import may_be_attended
from custody.interventions import (
    FACE_ATTEMPTS,
    KIND,
    MAX_NOTE,
    begin_intervention,
    cancel_intervention,
    confirm_officer,
    in_force,
    liveness_context,
)
from custody.models import Act, Attendance, Findings, Intervention, InterventionState, Reason
from custody.views.captures import camera_of, read_capture
from custody.views.opening import READ_POINT
from refusals import Refusal
from shipments.finding import find_shipment
from shipments.models import Consignment, ReadPoint

PER_PAGE = 50

ICONS = {
    Act.INSPECTION: "search",
    Act.SAMPLING: "tag",
    Act.HOLD: "lock",
    Act.RELEASE: "circle-check",
    Act.SEIZURE: "gavel",
}


class InterventionForm(forms.Form):
    act = forms.ChoiceField(label=gettext_lazy("What is done"), choices=Act.choices, widget=forms.RadioSelect)
    reason = forms.ChoiceField(label=gettext_lazy("Why"), choices=[("", gettext_lazy("Choose")), *Reason.choices])
    findings = forms.ChoiceField(
        label=gettext_lazy("What an inspection or a sample showed"),
        required=False,
        choices=[("", "–"), *Findings.choices],
        help_text=gettext_lazy("Leave it empty for a hold, a release or a seizure."),
    )
    read_point = forms.ModelChoiceField(
        label=gettext_lazy("Where"), queryset=ReadPoint.objects.select_related("site"), empty_label=None
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=MAX_NOTE,
        help_text=gettext_lazy("It is kept encrypted; the entry commits to it."),
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
    )
    attempt = forms.UUIDField(widget=forms.HiddenInput)


@require_GET
@capability_required(Capability.INTERVENE)
def intervention_list(request: HttpRequest) -> HttpResponse:
    """The officers' acts, the newest first; and the field in which a shipment is scanned for the next one."""
    refusal, code = None, request.GET.get("shipment", "")[:512]
    if code:
        try:
            return redirect("intervention_new", find_shipment(code=code).pk)
        except Refusal as refused:
            refusal = refused
    page = Paginator(_interventions(), PER_PAGE).get_page(request.GET.get("page"))
    names = open_names({one.officer for one in page.object_list})
    context = {
        "page": page,
        "rows": [
            {"one": one, "officer": names.get(one.officer_id, ""), "icon": ICONS[Act(one.act)]}
            for one in page.object_list
        ],
        "refusal": refusal,
        "code": code,
    }
    return render(request, "custody/intervention_list.html", context, status=refusal.status if refusal else 200)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.INTERVENE)
def new(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    consignment = get_object_or_404(Consignment, pk=consignment_id)
    refusal: Refusal | None = None
    form = InterventionForm(
        request.POST or None, initial={"attempt": uuid.uuid4(), "read_point": request.session.get(READ_POINT)}
    )
    if request.method == "POST" and form.is_valid():
        try:
            begun = begin_intervention(consignment=consignment, by=_user(request), **form.cleaned_data)
        except Refusal as refused:
            refusal = refused
        else:
            request.session[READ_POINT] = str(begun.read_point_id)
            return redirect("intervention", begun.pk)
    past = _interventions().filter(consignment=consignment, state=InterventionState.DONE)
    return render(
        request,
        "custody/intervention_new.html",
        {
            "shipment": consignment,
            "form": form,
            "refusal": refusal,
            "in_force": in_force(consignment),
            "past": [{"one": one, "icon": ICONS[Act(one.act)]} for one in past[:PER_PAGE]],
        },
        status=422 if refusal or form.errors else 200,
    )


@require_GET
@capability_required(Capability.INTERVENE)
def intervention(request: HttpRequest, intervention_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(_interventions(), pk=intervention_id)
    mine = found.opened_by_id == _user(request).pk
    return render(
        request,
        "custody/intervention.html",
        {
            "intervention": found,
            "officer": open_names([found.officer]).get(found.officer_id, "") or _("Name cannot be opened"),
            "waits": found.state == InterventionState.OPEN,
            "mine": mine,
            "left": FACE_ATTEMPTS - found.face_attempts,
            "once_more": found.first_capture is not None,
            "liveness_required": liveness_required(),
            "liveness_context": liveness_context(found),
            "note": _note(found),
            "inspects": KIND[Act(found.act)] == "inspection",
            "may_attend": may_be_attended(found),
            "attendances": _attendances(found),
        },
    )


@reload_if_logged_out
@capability_required(Capability.INTERVENE)
def face(request: HttpRequest, intervention_id: uuid.UUID) -> HttpResponse:
    # Who had to log in between comes back by GET: show the page, do nothing.
    if request.method == "POST":
        found = get_object_or_404(_interventions(), pk=intervention_id)
        capture = read_capture(request, context=liveness_context(found))
        camera = camera_of(request)
        verification = confirm_officer(
            intervention=found,
            capture=capture,
            source=CaptureSource.WEBCAM if camera or isinstance(capture, Burst) else CaptureSource.UPLOAD,
            camera=camera,
            by=_user(request),
        )
        if verification.outcome == Verification.Outcome.SECOND_CAPTURE:
            messages.info(request, _("One more capture is needed."))
    return redirect("intervention", intervention_id)


@require_POST
@capability_required(Capability.INTERVENE)
def cancel(request: HttpRequest, intervention_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(_interventions(), pk=intervention_id)
    cancel_intervention(intervention=found, by=_user(request))
    return redirect("intervention_new", found.consignment_id)


def _interventions() -> QuerySet[Intervention]:
    return Intervention.objects.select_related(
        "consignment", "read_point__site", "officer", "opened_by", "statement", "note", "first_capture"
    )


def _attendances(found: Intervention) -> list[dict[str, Any]]:
    attending = list(Attendance.objects.filter(intervention=found).select_related("person").order_by("opened_at"))
    names = open_names({one.person for one in attending})
    closed = _("Name cannot be opened")
    return [{"one": one, "name": names.get(one.person_id, closed)} for one in attending]


def _note(found: Intervention) -> str:
    if found.note is None:
        return ""
    try:
        return open_evidence(found.note).decode()
    except NOT_OPENED:
        return ""


def _user(request: HttpRequest) -> Any:
    return cast(User, request.user)
