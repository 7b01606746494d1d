"""One person: what is on file, and the three acts that make them able to take custody: photos, PIN, badge."""

import uuid
from dataclasses import dataclass
from typing import Any, cast

import segno
from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability, Role
from biometrics.consent import consent_to_enrolment
from biometrics.directory import open_names
from biometrics.enrolment import LEAST_PHOTOS, MOST_PHOTOS, enrol_person, require_enrollable
from biometrics.errors import AccountTaken
from biometrics.models import Badge, CaptureSource, Person, PersonKind, Verification
from biometrics.people import name_account
from biometrics.second_factor import PIN_DIGITS, issue_badge, set_pin
from biometrics.vault import NOT_OPENED, open_evidence
from ledger.tlog.errors import NotCanonical
from refusals import Refusal

PER_PAGE = 50


@dataclass(frozen=True)
class VerificationRow:
    """A verification without its figures: how near a face came is nothing for a screen in a warehouse."""

    verification: Verification
    device: str
    liveness: str
    """passed, not_performed, or nothing where the record cannot be read."""


@require_GET
@capability_required(Capability.SEE_PEOPLE)
def person(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    found = _find(person_id)
    user = cast(User, request.user)
    rows = found.verifications.select_related("requested_by", "challenge", "camera")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    consents = list(found.consents.select_related("recorded_by"))
    templates = list(found.templates.select_related("enrolled_by", "statement"))
    return render(
        request,
        "biometrics/person.html",
        {
            "person": found,
            "name": _name(found),
            "consents": consents,
            "standing": next((consent for consent in consents if consent.withdrawn_at is None), None),
            "consented": _consented(found),
            "may_be_enrolled": _barred(found) is None,
            "templates": templates,
            "enrolled": any(template.active for template in templates),
            "pin": getattr(found, "pin", None),
            "badge": _valid_badge(found),
            "page": page,
            "verifications": [VerificationRow(row, _device(row), _liveness(row)) for row in page.object_list],
            "groups": list(found.groups.all()),
            "duplicates": list(found.duplicate_reviews.all()),
            "may_manage": user.may(Capability.MANAGE_PEOPLE),
            "accounts": _free_accounts(found) if user.may(Capability.MANAGE_PEOPLE) else (),
            "may_withdraw": user.may(Capability.MANAGE_PEOPLE) or user.may(Capability.DECIDE_DUPLICATES),
            "may_decide": user.may(Capability.DECIDE_DUPLICATES),
            "may_read_ledger": user.may(Capability.READ_LEDGER),
            "may_look": user.may(Capability.LOOK_AT_EVIDENCE),
            "may_erase": user.may(Capability.ERASE_PEOPLE),
        },
    )


# Photos ------------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def enrol(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Photos become a template. By htmx a refusal alone is answered, so that the photos taken stay on the page."""
    found = _find(person_id)
    if request.method == "GET":
        return _ask_photos(request, found)
    photos = [file.read() for file in request.FILES.getlist("photos")]
    document = request.FILES.get("document")
    try:
        template = enrol_person(
            person=found,
            photos=photos,
            document=document.read() if document else b"",
            enrolled_by=cast(User, request.user),
        )
    except Refusal as refusal:
        return _ask_photos(request, found, refusal)
    messages.success(request, _("The face is enrolled: version %(n)s of the template.") % {"n": template.version})
    page = reverse("person", args=[found.pk])
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": page})
    return redirect(page)


def _ask_photos(request: HttpRequest, found: Person, refusal: Refusal | None = None) -> HttpResponse:
    partly = bool(request.headers.get("HX-Request"))
    return render(
        request,
        "biometrics/enrol_answer.html" if partly else "biometrics/enrol.html",
        {
            "person": found,
            "name": _name(found),
            "consented": _consented(found),
            "barred": _barred(found),
            "again": found.templates.exists(),
            "least": LEAST_PHOTOS,
            "most": MOST_PHOTOS,
            "refusal": refusal,
            "photo": refusal.facts.get("photo", "") if refusal else "",
            "of_document": refusal is not None and refusal.code.startswith("document_"),
        },
        # Of the answers that are no success, the page takes in 409 and 422 alone.
        status=422 if refusal else 200,
    )


# The other factor --------------------------------------------------------------------------------------------------


class PinForm(forms.Form):
    pin = forms.CharField(
        label=gettext_lazy("New PIN"),
        max_length=64,
        strip=True,
        widget=forms.PasswordInput(attrs={"inputmode": "numeric", "autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("The same PIN again"),
        max_length=64,
        strip=True,
        widget=forms.PasswordInput(attrs={"inputmode": "numeric", "autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "pin" in cleaned and "again" in cleaned and cleaned["pin"] != cleaned["again"]:
            self.add_error("again", _("The two differ. Type the same PIN twice."))
        return cleaned


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def pin(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    found, refusal = _find(person_id), None
    form = PinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            set_pin(person=found, pin=form.cleaned_data["pin"])
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("The PIN of %(name)s is set.") % {"name": _name(found)})
            return redirect("person", found.pk)
    least, most = PIN_DIGITS
    context = {
        "person": found,
        "name": _name(found),
        "form": form,
        "refusal": refusal,
        "replaces": hasattr(found, "pin"),
        "least": least,
        "most": most,
    }
    return render(request, "biometrics/pin.html", context, status=422 if refusal or form.errors else 200)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def badge(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Issue a badge and show it in this answer alone: a redirect would have to keep the code somewhere."""
    found = _find(person_id)
    context = {"person": found, "name": _name(found), "valid": _valid_badge(found)}
    if request.method == "POST":
        code = issue_badge(person=found)
        context |= {"code": code, "qr": _qr(code)}
    response = render(request, "biometrics/badge.html", context)
    add_never_cache_headers(response)
    return response


@require_POST
@capability_required(Capability.MANAGE_PEOPLE)
def account(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Say which account the person logs in with; an empty choice takes it away."""
    found, chosen = _find(person_id), request.POST.get("account", "")
    user = _free_accounts(found).filter(username=chosen).first() if chosen else None
    if chosen and user is None:
        raise AccountTaken(account=chosen[:150])
    name_account(person=found, user=user)
    messages.success(request, _("Saved."))
    return redirect("person", found.pk)


def _free_accounts(found: Person) -> QuerySet[User]:
    """Accounts of people that belong to nobody else on file."""
    people = User.objects.filter(is_active=True).exclude(role=Role.WITNESS)
    return people.filter(Q(person=None) | Q(person=found)).order_by("username")


def _qr(code: str) -> str:
    """Return the code as a QR image in a ``data:`` address: it is on no disk and in no cache."""
    return str(segno.make_qr(code, error="m").svg_data_uri(scale=4, border=4, light="white"))


def _find(person_id: uuid.UUID) -> Person:
    people = Person.objects.exclude(kind=PersonKind.WATCHLISTED).select_related("registered_by", "pin")
    return get_object_or_404(people, pk=person_id)


def _name(found: Person) -> str:
    return open_names([found]).get(found.pk, "") or _("Name cannot be opened")


def _valid_badge(found: Person) -> Badge | None:
    return found.badges.filter(revoked_at=None).first()


def _consented(found: Person) -> bool:
    try:
        consent_to_enrolment(found)
    except Refusal:
        return False
    return True


def _barred(found: Person) -> Refusal | None:
    """Return what stops an enrolment whatever the photos, so that none is taken for nothing."""
    try:
        require_enrollable(found)
    except Refusal as refusal:
        return refusal
    return None


def _liveness(verification: Verification) -> str:
    try:
        return str(verification.record.get("liveness", {}).get("outcome", ""))
    except (NotCanonical, AttributeError):
        return ""


def _device(verification: Verification) -> str:
    try:
        device = verification.record.get("device", "")
    except (NotCanonical, AttributeError):
        return _("The record cannot be read")
    label = str(CaptureSource(device).label) if device in CaptureSource.values else ""
    camera = verification.camera
    if camera is None:
        return label
    try:
        return f"{label}: {open_evidence(camera).decode()}"
    except NOT_OPENED:
        return label
