"""Captured EPCIS documents as a supervisor sees them: what came, what became of it, and a document by hand."""

import uuid
from typing import cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from refusals import Refusal
from shipments.epcis.capture import DocumentRefused, capture_document
from shipments.epcis.documents import MAX_BODY
from shipments.models import CaptureJob

PER_PAGE = 50


class UploadForm(forms.Form):
    document = forms.FileField(
        label=gettext_lazy("EPCIS document"),
        allow_empty_file=True,
        help_text=gettext_lazy("A JSON file (EPCISDocument, version 2.0) of at most 16 MB and 10,000 events."),
    )
    error_behaviour = forms.ChoiceField(
        label=gettext_lazy("Where an event cannot be kept"),
        choices=(
            (CaptureJob.ErrorBehaviour.ROLLBACK, gettext_lazy("Keep nothing of the document")),
            (CaptureJob.ErrorBehaviour.PROCEED, gettext_lazy("Keep the other events")),
        ),
        widget=forms.RadioSelect,
        initial=CaptureJob.ErrorBehaviour.ROLLBACK,
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["document"].widget.attrs["accept"] = ".json,.jsonld,application/json,application/ld+json"

    def clean_document(self) -> bytes:
        file: UploadedFile = self.cleaned_data["document"]
        if (file.size or 0) > MAX_BODY:
            raise forms.ValidationError(_("The file has more than 16 MB. Send its events in several documents."))
        return bytes(file.read())


@require_http_methods(["GET", "POST"])
@capability_required(Capability.CAPTURE_EVENTS)
def captures(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _show(request, UploadForm())
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _show(request, form)
    try:
        job = capture_document(
            body=form.cleaned_data["document"],
            by=cast(User, request.user),
            error_behaviour=form.cleaned_data["error_behaviour"],
        )
    except Refusal as refusal:
        return _show(request, form, refusal)
    return redirect("capture", job.pk)


def _show(request: HttpRequest, form: UploadForm, refusal: Refusal | None = None) -> HttpResponse:
    page = Paginator(_jobs(), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "refusal": refusal,
        "faults": refusal.faults if isinstance(refusal, DocumentRefused) else (),
        "page": page,
    }
    return render(request, "shipments/captures.html", context, status=422 if refusal or form.errors else 200)


@require_GET
@capability_required(Capability.CAPTURE_EVENTS)
def capture(request: HttpRequest, capture_id: uuid.UUID) -> HttpResponse:
    """One capture; while it runs the page asks again by itself."""
    job = get_object_or_404(_jobs(), pk=capture_id)
    part = request.headers.get("HX-Request") == "true"
    # 286 ends htmx's polling: there is nothing more to come.
    status = 286 if part and job.state == CaptureJob.State.FINISHED else 200
    template = "shipments/capture_outcome.html" if part else "shipments/capture.html"
    return render(request, template, {"job": job}, status=status)


@require_GET
@capability_required(Capability.CAPTURE_EVENTS)
def document(request: HttpRequest, capture_id: uuid.UUID) -> HttpResponse:
    job = get_object_or_404(CaptureJob, pk=capture_id)
    # Never shown in place: what somebody sent must not become a page of ours.
    name = f"{job.sha256[:16]}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(bytes(job.body), content_type="application/json", headers=headers)


def _jobs() -> "QuerySet[CaptureJob]":
    return CaptureJob.objects.defer("body").select_related("captured_by")
