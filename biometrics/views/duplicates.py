"""Faces that were found under two records: an officer looks at both, on the record, and decides."""

import base64
import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.duplicates import MAX_NOTE, decide_duplicate, faces_of
from biometrics.looks import look_at_all
from biometrics.models import DuplicateReview, EvidenceLook
from biometrics.vault import NOT_OPENED, open_evidence
from refusals import Refusal

PER_PAGE = 50


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(
        label=gettext_lazy("Decision"),
        choices=[
            (DuplicateReview.State.DIFFERENT, gettext_lazy("Two different people: both may be enrolled")),
            (DuplicateReview.State.SAME, gettext_lazy("One person: the new record stays without a face")),
        ],
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        label=gettext_lazy("What it rests on"),
        max_length=MAX_NOTE,
        help_text=gettext_lazy("The documents that were compared, who was asked. It is kept encrypted."),
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
    )


@require_GET
@capability_required(Capability.DECIDE_DUPLICATES)
def duplicates(request: HttpRequest) -> HttpResponse:
    """Those that wait, then those that were decided, each the newest first."""
    found = DuplicateReview.objects.select_related("person", "other", "raised_by", "decided_by").order_by(
        "decided_at", "-raised_at"
    )
    waiting = found.filter(state=DuplicateReview.State.PENDING)
    decided = found.exclude(state=DuplicateReview.State.PENDING).order_by("-decided_at")
    page = Paginator(decided, PER_PAGE).get_page(request.GET.get("page"))
    rows = [*waiting, *page.object_list]
    names = open_names({person.pk: person for row in rows for person in (row.person, row.other)}.values())
    return render(
        request,
        "biometrics/duplicates.html",
        {
            "waiting": [_row(review, names) for review in waiting],
            "decided": [_row(review, names) for review in page.object_list],
            "page": page,
        },
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.DECIDE_DUPLICATES)
def duplicate(request: HttpRequest, review_id: uuid.UUID) -> HttpResponse:
    """One question. The faces are shown in the answer to a POST alone: each look is an entry of its own."""
    review = get_object_or_404(
        DuplicateReview.objects.select_related(
            "person", "other", "capture", "note", "raised_by", "decided_by", "statement"
        ),
        pk=review_id,
    )
    form = DecisionForm(request.POST if request.POST.get("act") == "decide" else None)
    faces: dict[str, str] = {}
    refusal: Refusal | None = None
    try:
        if request.POST.get("act") == "look":
            faces = _show_faces(review, cast(User, request.user))
        elif form.is_valid():
            _decide(review, form, cast(User, request.user))
            messages.success(request, _("The decision is recorded."))
            return redirect("duplicate", review.pk)
    except Refusal as refused:
        refusal = refused
    names = open_names([review.person, review.other])
    context = _row(review, names) | {
        "form": form,
        "faces": faces,
        "refusal": refusal,
        "note": _note(review),
        "pending": review.state == DuplicateReview.State.PENDING,
    }
    response = render(request, "biometrics/duplicate.html", context, status=422 if refusal or form.errors else 200)
    add_never_cache_headers(response)
    return response


def _show_faces(review: DuplicateReview, looked_by: User) -> dict[str, str]:
    capture, enrolled = faces_of(review)
    both = {"capture": capture, "enrolled": enrolled}
    shown = {name: evidence for name, evidence in both.items() if evidence is not None}
    values = look_at_all(evidence=list(shown.values()), looked_by=looked_by, reason=EvidenceLook.Reason.DUPLICATE)
    return {name: _as_address(values[evidence.pk]) for name, evidence in shown.items()}


def _as_address(photo: bytes) -> str:
    """Return the photo as a ``data:`` address: it is on no disk, in no cache and behind no other address."""
    kind = "png" if photo.startswith(b"\x89PNG") else "webp" if photo[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(photo).decode('ascii')}"


def _decide(review: DuplicateReview, form: DecisionForm, decided_by: User) -> None:
    decide_duplicate(
        review=review,
        same_person=form.cleaned_data["decision"] == DuplicateReview.State.SAME,
        decided_by=decided_by,
        note=form.cleaned_data["note"],
    )


def _row(review: DuplicateReview, names: dict[uuid.UUID, str]) -> dict[str, Any]:
    nobody = _("Name cannot be opened")
    return {
        "review": review,
        "name": names.get(review.person_id, nobody),
        "other_name": names.get(review.other_id, nobody),
    }


def _note(review: DuplicateReview) -> str:
    if review.note is None:
        return ""
    try:
        return open_evidence(review.note).decode("utf-8")
    except NOT_OPENED:
        return _("The note cannot be opened any more")
