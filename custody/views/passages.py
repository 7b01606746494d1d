"""Passages of a border: which there were, a new one, and the page on which one is checked and decided."""

import uuid
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import find_by_name, open_names
from biometrics.models import CaptureSource, PersonKind, Verification
from biometrics.people import people_on_file
from biometrics.vault import NOT_OPENED, open_evidence
from biometrics.verification import Burst, liveness_required
from custody.models import (
    DECISIONS,
    Crossing,
    DocumentType,
    Exemption,
    Passage,
    PassageDirection,
    PassageState,
    WithoutFace,
)
from custody.passage_decisions import FINDINGS, MAX_NOTE, Advised, advise, decide_passage
from custody.passage_search import count_shares, find_passages
from custody.passages import (
    FACE_ATTEMPTS,
    Presented,
    cancel_passage,
    compare_traveller,
    decline_face,
    liveness_context,
    open_passage,
    show_portrait,
)
from custody.views.captures import camera_of, read_capture
from refusals import Refusal
from shipments.finding import ShipmentUnknown, find_shipment
from shipments.models import Party

PER_PAGE = 50
LISTED = 200
LONGEST_SEARCH = timedelta(days=366)
CROSSING = "crossing"  # the session's key: an officer stays in one lane

TONES = {
    PassageState.PASSED: ("ok", "circle-check"),
    PassageState.REFUSED: ("bad", "ban"),
    PassageState.REFERRED: ("warn", "search"),
    PassageState.ABANDONED: ("warn", "alert-triangle"),
    PassageState.OPEN: ("waiting", "hourglass"),
    PassageState.CANCELLED: ("plain", "x"),
}


class SearchForm(forms.Form):
    crossing = forms.ModelChoiceField(
        label=gettext_lazy("Crossing"),
        queryset=Crossing.objects.select_related("read_point__site"),
        required=False,
        empty_label=gettext_lazy("All"),
    )
    since = forms.DateTimeField(
        label=gettext_lazy("From (UTC)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Until (UTC)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    shipment = forms.CharField(label=gettext_lazy("Shipment"), required=False, max_length=200)
    state = forms.ChoiceField(
        label=gettext_lazy("Outcome"), required=False, choices=[("", gettext_lazy("All")), *PassageState.choices]
    )

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        since, until = typed.get("since"), typed.get("until")
        if since and until and not since < until <= since + LONGEST_SEARCH:
            raise forms.ValidationError(_("The end lies behind the beginning, by a year at most."))
        code = typed.pop("shipment", "").strip()
        try:
            typed["consignment"] = find_shipment(code=code) if code else None
        except ShipmentUnknown as unknown:
            self.add_error("shipment", unknown.sentence)
        return typed


class PassageForm(forms.Form):
    crossing = forms.ModelChoiceField(
        label=gettext_lazy("Crossing"),
        queryset=Crossing.objects.select_related("read_point__site").filter(enabled=True),
        empty_label=None,
    )
    direction = forms.ChoiceField(
        label=gettext_lazy("Direction"), choices=PassageDirection.choices, widget=forms.RadioSelect
    )
    shipment = forms.CharField(
        label=gettext_lazy("Scan the shipment"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Any of its codes. Leave it empty for an empty truck."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "translate": "no", "data-scan-input": ""}
        ),
    )
    document_type = forms.ChoiceField(label=gettext_lazy("Document"), choices=DocumentType.choices)
    issuing_state = forms.CharField(
        label=gettext_lazy("Issued by"),
        max_length=3,
        help_text=gettext_lazy("The three letters on the document: MEX, USA."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    number = forms.CharField(
        label=gettext_lazy("Number"),
        max_length=40,
        help_text=gettext_lazy("It is kept encrypted; the entry commits to it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "translate": "no"}),
    )
    expires_on = forms.DateField(
        label=gettext_lazy("Good until"),
        required=False,
        help_text=gettext_lazy("Empty where the document says no date."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    person = forms.ChoiceField(
        label=gettext_lazy("Traveller"),
        required=False,
        help_text=gettext_lazy(
            "Choose the name of a driver who is on file; otherwise a record without a name is made."
        ),
    )
    carrier = forms.ModelChoiceField(
        label=gettext_lazy("Drives for"),
        queryset=Party.objects.all(),
        required=False,
        empty_label=gettext_lazy("Not named"),
    )
    exemption = forms.ChoiceField(
        label=gettext_lazy("Exempt"),
        required=False,
        choices=[("", gettext_lazy("No")), *Exemption.choices],
        help_text=gettext_lazy("Photos, number and key of an exempt person are destroyed within 12 hours."),
    )
    without_face = forms.ChoiceField(
        label=gettext_lazy("Face"),
        required=False,
        choices=[("", gettext_lazy("Compare it with the document")), *WithoutFace.choices],
        help_text=gettext_lazy("Whoever prefers it is not photographed: you check the document by eye."),
    )
    attempt = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = find_by_name(list(people_on_file()), "")[:LISTED]
        names = open_names(people)
        listed = [(str(one.pk), f"{names[one.pk]} · {one.get_kind_display()}") for one in people]
        cast(forms.ChoiceField, self.fields["person"]).choices = [("", _("Not on file")), *listed]

    def opening(self) -> dict[str, Any]:
        """What :func:`custody.passages.open_passage` asks for, once the form is valid."""
        typed = dict(self.cleaned_data)
        document = Presented(
            typed.pop("document_type"), typed.pop("issuing_state"), typed.pop("number"), typed.pop("expires_on")
        )
        chosen = typed.pop("person")
        person = people_on_file().filter(pk=chosen).first() if chosen else None
        return typed | {"document": document, "person": person}


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(choices=[(one, one.label) for one in DECISIONS], widget=forms.HiddenInput)
    document_checked = forms.BooleanField(
        label=gettext_lazy("I held the document against the traveller by eye"), required=False
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=MAX_NOTE,
        help_text=gettext_lazy("Needed where you decide against the advice. Kept encrypted; the entry commits to it."),
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
    )
    pin = forms.CharField(
        label=gettext_lazy("Your PIN"),
        required=False,
        max_length=12,
        help_text=gettext_lazy("You vouch in the place of the face, or against the advice."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )


@require_GET
@capability_required(Capability.SEE_PASSAGES)
def passage_list(request: HttpRequest) -> HttpResponse:
    """The passages, the newest first, as asked for; and how many of their travellers showed no face."""
    search = SearchForm(request.GET)
    asked = search.cleaned_data if search.is_valid() else {}
    found = find_passages(**asked)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    names = open_names({one.traveller for one in page.object_list})
    kept = {name: value for name, value in request.GET.items() if name in search.fields and value}
    return render(
        request,
        "custody/passage_list.html",
        {
            "search": search,
            "page": page,
            "rows": [_row(one, names) for one in page.object_list],
            "shares": count_shares(found),
            "may_check": _user(request).may(Capability.CHECK_PASSAGES),
            "query": urlencode(kept),
        },
        status=422 if search.errors else 200,
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.CHECK_PASSAGES)
def new(request: HttpRequest) -> HttpResponse:
    refusal: Refusal | None = None
    initial = {"attempt": uuid.uuid4(), "crossing": request.session.get(CROSSING)}
    form = PassageForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            begun = open_passage(by=_user(request), **form.opening())
        except Refusal as refused:
            refusal = refused
        else:
            request.session[CROSSING] = str(begun.crossing_id)
            return redirect("passage", begun.pk)
    return render(
        request,
        "custody/passage_new.html",
        {"form": form, "refusal": refusal, "crossings": Crossing.objects.filter(enabled=True).exists()},
        status=422 if refusal or form.errors else 200,
    )


@require_GET
@capability_required(Capability.SEE_PASSAGES)
def passage(request: HttpRequest, passage_id: uuid.UUID) -> HttpResponse:
    found = _find(passage_id)
    return render(request, "custody/passage.html", _context(request, found, DecisionForm()))


@require_POST
@capability_required(Capability.CHECK_PASSAGES)
def portrait(request: HttpRequest, passage_id: uuid.UUID) -> HttpResponse:
    photo = request.FILES.get("portrait")
    show_portrait(passage=_find(passage_id), photo=photo.read() if photo else b"", by=_user(request))
    return redirect("passage", passage_id)


@reload_if_logged_out
@capability_required(Capability.CHECK_PASSAGES)
def face(request: HttpRequest, passage_id: uuid.UUID) -> HttpResponse:
    # Who had to log in between comes back by GET: show the page, do nothing.
    if request.method == "POST":
        found = _find(passage_id)
        capture = read_capture(request, context=liveness_context(found))
        camera = camera_of(request)
        match = compare_traveller(
            passage=found,
            capture=capture,
            source=CaptureSource.WEBCAM if camera or isinstance(capture, Burst) else CaptureSource.UPLOAD,
            camera=camera,
            by=_user(request),
        )
        if match.outcome == Verification.Outcome.SECOND_CAPTURE:
            messages.info(request, _("One more capture is needed."))
    return redirect("passage", passage_id)


@require_POST
@capability_required(Capability.CHECK_PASSAGES)
def decline(request: HttpRequest, passage_id: uuid.UUID) -> HttpResponse:
    decline_face(passage=_find(passage_id), reason=request.POST.get("reason", "")[:40], by=_user(request))
    return redirect("passage", passage_id)


@require_POST
@capability_required(Capability.CHECK_PASSAGES)
def decide(request: HttpRequest, passage_id: uuid.UUID) -> HttpResponse:
    """Decide; a refusal comes back on the same page, so that the note that was written is still there."""
    found, form = _find(passage_id), DecisionForm(request.POST)
    refusal: Refusal | None = None
    if form.is_valid():
        try:
            decide_passage(passage=found, by=_user(request), **form.cleaned_data)
        except Refusal as refused:
            refusal = refused
        else:
            return redirect("passage", passage_id)
    context = _context(request, _find(passage_id), form) | {"refusal": refusal}
    return render(request, "custody/passage.html", context, status=refusal.status if refusal else 422)


@require_POST
@capability_required(Capability.CHECK_PASSAGES)
def cancel(request: HttpRequest, passage_id: uuid.UUID) -> HttpResponse:
    cancel_passage(passage=_find(passage_id), by=_user(request))
    return redirect("passages")


def _context(request: HttpRequest, found: Passage, form: DecisionForm) -> dict[str, Any]:
    user = _user(request)
    waits = found.state == PassageState.OPEN
    matched = found.match is not None and found.match.outcome == Verification.Outcome.MATCH
    left = FACE_ATTEMPTS - found.face_attempts
    names = open_names([found.traveller, *([found.officer] if found.officer else [])])
    advised = advise(found) if waits else Advised(())
    began = bool(found.face_attempts) or found.first_capture is not None
    return {
        "passage": found,
        "row": _row(found, names),
        "officer": names.get(found.officer_id, "") if found.officer_id else "",
        "waits": waits,
        "mine": found.opened_by_id == user.pk and user.may(Capability.CHECK_PASSAGES),
        "wants_face": waits and not found.without_face and not matched and left > 0,
        "matched": matched,
        "left": left,
        "began": began,
        "once_more": found.first_capture is not None,
        "liveness_required": liveness_required(),
        "liveness_context": liveness_context(found),
        "reasons": WithoutFace.choices,
        "advised": advised,
        "told": [FINDINGS.get(one["code"], one["code"]) for one in found.findings],
        "form": form,
        "vouches": bool(found.without_face) or bool(advised.findings),
        "may_pass": bool(found.without_face) or bool(found.face_attempts),
        "leads": [lead for one in found.document.matches.all() for lead in one.leads.all()],
        "note": _note(found) if user.may(Capability.CHECK_PASSAGES) else "",
        "may_look": user.may(Capability.LOOK_AT_EVIDENCE),
        "may_keep_watchlist": user.may(Capability.KEEP_WATCHLIST),
        "destroyed_at": found.document.number.destroyed_at,
        "rule": found.document.number.destroyed_for,
    }


def _row(one: Passage, names: dict[uuid.UUID, str]) -> dict[str, Any]:
    tone, icon = TONES[PassageState(one.state)]
    known = one.traveller.kind != PersonKind.TRAVELLER
    name = (names.get(one.traveller_id, "") or _("Name cannot be opened")) if known else _("Traveller not on file")
    return {"one": one, "tone": tone, "icon": icon, "traveller": name, "known": known}


def _find(passage_id: uuid.UUID) -> Passage:
    found = Passage.objects.select_related(
        "crossing__read_point__site",
        "consignment",
        "traveller",
        "carrier",
        "document__number",
        "document__portrait",
        "document__person",
        "match",
        "first_capture",
        "statement",
        "officer",
        "opened_by",
        "note",
    )
    return get_object_or_404(found.prefetch_related("document__matches__leads"), pk=passage_id)


def _note(found: Passage) -> str:
    if found.note is None:
        return ""
    try:
        return open_evidence(found.note).decode()
    except NOT_OPENED:
        return ""


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
