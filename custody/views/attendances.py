"""Who attends an inspection: named by the officer, and on record once their own face is confirmed."""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
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
from biometrics.models import CaptureSource, Verification
from biometrics.people import display_name
from biometrics.verification import Burst, liveness_required
from custody.attendances import (
    begin_attendance,
    cancel_attendance,
    confirm_attendance,
    liveness_context,
    may_be_attended,
    people_who_attend,
)
from custody.faces_shown import FACE_ATTEMPTS, attempts_left, awaits_second_capture
from custody.models import ActState, Attendance, Intervention
from custody.views.captures import camera_of, read_capture
from custody.views.receivers import with_names
from refusals import Refusal


class AttendanceForm(forms.Form):
    person = forms.ChoiceField(
        label=gettext_lazy("Who attends"), help_text=gettext_lazy("Representatives stand first.")
    )
    attempt = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, people: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["person"]).choices = [("", _("Choose a person")), *people]


@require_http_methods(["GET", "POST"])
@capability_required(Capability.INTERVENE)
def new(request: HttpRequest, intervention_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Intervention.objects.select_related("consignment"), pk=intervention_id)
    if request.method == "GET" and not may_be_attended(found):
        return redirect("intervention", found.pk)
    people = [
        (str(one.person.pk), f"{one.name} ({one.person.get_kind_display()})")
        for one in with_names(list(people_who_attend(found)))
    ]
    refusal: Refusal | None = None
    form = AttendanceForm(request.POST or None, people=people, initial={"attempt": uuid.uuid4()})
    if request.method == "POST" and form.is_valid():
        try:
            begun = begin_attendance(
                intervention=found,
                person=uuid.UUID(form.cleaned_data["person"]),
                by=_user(request),
                attempt=form.cleaned_data["attempt"],
            )
        except Refusal as refused:
            refusal = refused
        else:
            return redirect("attendance", begun.pk)
    context = {"intervention": found, "form": form, "refusal": refusal}
    return render(request, "custody/attendance_new.html", context, status=422 if refusal or form.errors else 200)


@require_GET
@capability_required(Capability.INTERVENE)
def attendance(request: HttpRequest, attendance_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(_attendances(), pk=attendance_id)
    person = found.person
    return render(
        request,
        "custody/attendance.html",
        {
            "attendance": found,
            "intervention": found.intervention,
            "attendee": display_name(person),
            "waits": found.state == ActState.OPEN,
            "mine": found.opened_by_id == _user(request).pk,
            "left": attempts_left(found),
            "fewer_left": attempts_left(found) < FACE_ATTEMPTS,
            "once_more": found.state == ActState.OPEN and awaits_second_capture(found),
            "enrolled": not person.exempt and person.templates.filter(active=True).exists(),
            "liveness_required": liveness_required(),
            "liveness_context": liveness_context(found),
        },
    )


@reload_if_logged_out
@capability_required(Capability.INTERVENE)
def face(request: HttpRequest, attendance_id: uuid.UUID) -> HttpResponse:
    # Who had to log in between comes back by GET: show the page, do nothing.
    if request.method == "POST":
        found = get_object_or_404(_attendances(), pk=attendance_id)
        capture = read_capture(request, context=liveness_context(found))
        camera = camera_of(request)
        verification = confirm_attendance(
            attendance=found,
            capture=capture,
            source=CaptureSource.WEBCAM if camera or isinstance(capture, Burst) else CaptureSource.UPLOAD,
            camera=camera,
            by=_user(request),
        )
        if verification.outcome == Verification.Outcome.SECOND_CAPTURE:
            messages.info(request, _("One more capture is needed."))
    return redirect("attendance", attendance_id)


@require_POST
@capability_required(Capability.INTERVENE)
def cancel(request: HttpRequest, attendance_id: uuid.UUID) -> HttpResponse:
    found = cancel_attendance(attendance=get_object_or_404(_attendances(), pk=attendance_id), by=_user(request))
    return redirect("intervention", found.intervention_id)


def _attendances() -> QuerySet[Attendance]:
    return Attendance.objects.select_related(
        "intervention__consignment", "intervention__officer", "consignment", "person", "statement"
    )


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
