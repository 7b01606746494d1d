"""Who may take what: what is on file, a new authorisation, its withdrawal, and who works for whom."""

import uuid
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import find_by_name, open_names
from biometrics.models import Person
from biometrics.people import people_on_file
from biometrics.vault import NOT_OPENED, open_evidence
from custody.authorisations import hours_in_words, standing
from custody.granting import (
    MAX_LICENCE_NUMBER,
    Terms,
    end_employment,
    grant_authorisation,
    read_prefixes,
    record_employment,
    withdraw_authorisation,
)
from custody.models import Authorisation, Employment, Licence, WithdrawalReason
from refusals import Refusal
from shipments.models import Party, Site

PER_PAGE = 50
PEOPLE_LISTED = 200

STANDINGS = {
    "in_force": ("ok", "circle-check", gettext_lazy("In force")),
    "authorisation_withdrawn": ("bad", "ban", gettext_lazy("Withdrawn")),
    "authorisation_not_begun": ("waiting", "hourglass", gettext_lazy("Not begun")),
    "authorisation_expired": ("plain", "clock", gettext_lazy("Ended")),
    "licence_expired": ("warn", "alert-triangle", gettext_lazy("Licence or badge expired")),
}


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def _hour() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class PersonField(forms.ChoiceField):
    """Somebody on file, by name; the names are opened when the page is made."""

    def choose_among(self, people: list[tuple[str, str]]) -> None:
        self.choices = [("", _("Choose a name")), *people]


class GrantForm(forms.Form):
    person = PersonField(label=gettext_lazy("Person"), required=False)
    employer = forms.ModelChoiceField(
        Party.objects.all(),
        label=gettext_lazy("Or everybody who works for"),
        required=False,
        empty_label=gettext_lazy("No employer"),
        help_text=gettext_lazy("Choose one of the two."),
    )
    hs = forms.CharField(
        label=gettext_lazy("Commodities"),
        required=False,
        max_length=700,
        help_text=gettext_lazy("First digits of commodity codes: 8544, 90. Empty: any commodity, declared or not."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric", "translate": "no"}),
    )
    sites = forms.ModelMultipleChoiceField(
        Site.objects.all(),
        label=gettext_lazy("Sites"),
        required=False,
        help_text=gettext_lazy("None ticked: any site."),
        widget=forms.CheckboxSelectMultiple,
    )
    consignor = forms.ModelChoiceField(
        Party.objects.all(),
        label=gettext_lazy("Only goods sent by"),
        required=False,
        empty_label=gettext_lazy("anybody"),
    )
    consignee = forms.ModelChoiceField(
        Party.objects.all(),
        label=gettext_lazy("Only goods for"),
        required=False,
        empty_label=gettext_lazy("anybody"),
    )
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("On these days"),
        choices=list(WEEKDAYS.items()),
        coerce=int,
        initial=list(WEEKDAYS),
        widget=forms.CheckboxSelectMultiple,
    )
    opens_at = forms.TimeField(label=gettext_lazy("Shift from"), required=False, widget=_hour())
    closes_at = forms.TimeField(
        label=gettext_lazy("Shift until"),
        required=False,
        widget=_hour(),
        help_text=gettext_lazy("Both empty: the whole day. Until before From passes midnight."),
    )
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        help_text=gettext_lazy("The site’s own, for instance America/Ciudad_Juarez. Days and hours are told in it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "translate": "no"}),
    )
    valid_from = forms.DateField(
        label=gettext_lazy("Valid from"),
        required=False,
        widget=_day(),
        help_text=gettext_lazy("Empty: from today on."),
    )
    valid_until = forms.DateField(
        label=gettext_lazy("Valid until, that day included"),
        required=False,
        widget=_day(),
        help_text=gettext_lazy("Empty: until it is withdrawn."),
    )
    licence = forms.ChoiceField(
        label=gettext_lazy("Rests on"),
        required=False,
        choices=[("", gettext_lazy("no licence or badge")), *Licence.choices],
    )
    licence_until = forms.DateField(
        label=gettext_lazy("Which is valid until, that day included"), required=False, widget=_day()
    )
    licence_number = forms.CharField(
        label=gettext_lazy("Its number"),
        required=False,
        max_length=MAX_LICENCE_NUMBER,
        help_text=gettext_lazy("Of a person’s licence or badge. It is kept encrypted; the entry commits to it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "translate": "no"}),
    )
    attempt = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(PersonField, self.fields["person"]).choose_among(_named())

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if bool(typed.get("person")) == bool(typed.get("employer")) and "person" not in self.errors:
            self.add_error("person", _("Choose a person or an employer, one of the two."))
        return typed

    def holder(self) -> Person | Party:
        if self.cleaned_data["employer"] is not None:
            return cast(Party, self.cleaned_data["employer"])
        return people_on_file().get(pk=self.cleaned_data["person"])

    def terms(self) -> Terms:
        typed = {name: self.cleaned_data[name] for name in self.fields if name not in ("person", "employer", "attempt")}
        return Terms(**typed | {"hs": read_prefixes(typed["hs"]), "sites": list(typed["sites"])})


class WithdrawForm(forms.Form):
    reason = forms.ChoiceField(
        label=gettext_lazy("Why"), choices=[("", gettext_lazy("Choose")), *WithdrawalReason.choices]
    )


class EmploymentForm(forms.Form):
    person = PersonField(label=gettext_lazy("Person"))
    employer = forms.ModelChoiceField(
        Party.objects.all(), label=gettext_lazy("Works for"), empty_label=gettext_lazy("Choose")
    )
    since = forms.DateField(
        label=gettext_lazy("Since"),
        required=False,
        widget=_day(),
        help_text=gettext_lazy("It counts from when it is recorded, or from this day on where that is later."),
    )
    until = forms.DateField(
        label=gettext_lazy("Until, that day included"),
        required=False,
        widget=_day(),
        help_text=gettext_lazy("Empty: until it is ended here."),
    )
    attempt = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(PersonField, self.fields["person"]).choose_among(_named())


@require_GET
@capability_required(Capability.SEE_AUTHORISATIONS)
def authorisation_list(request: HttpRequest) -> HttpResponse:
    now, who = timezone.now(), " ".join(request.GET.get("who", "").split())[:120]
    found = _authorisations()
    if who:
        # Names are sealed: no database can search them.
        people = find_by_name(list(Person.objects.filter(authorisations__isnull=False).distinct()), who)
        found = found.filter(Q(person__in=people) | Q(employer__name__icontains=who))
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    names = open_names({one.person for one in page.object_list if one.person is not None})
    return render(
        request,
        "custody/authorisation_list.html",
        {
            "page": page,
            "rows": [_told(one, names, now) for one in page.object_list],
            "who": who,
            "query": urlencode({"who": who}) if who else "",
            "may_grant": _user(request).may(Capability.GRANT_AUTHORISATIONS),
        },
    )


@require_GET
@capability_required(Capability.SEE_AUTHORISATIONS)
def authorisation(request: HttpRequest, authorisation_id: uuid.UUID) -> HttpResponse:
    return _show(request, get_object_or_404(_authorisations(), pk=authorisation_id), WithdrawForm())


@require_http_methods(["GET", "POST"])
@capability_required(Capability.GRANT_AUTHORISATIONS)
def new(request: HttpRequest) -> HttpResponse:
    refusal: Refusal | None = None
    newest = Authorisation.objects.values_list("time_zone", flat=True).first()
    form = GrantForm(request.POST or None, initial={"attempt": uuid.uuid4(), "time_zone": newest or "UTC"})
    if request.method == "POST" and form.is_valid():
        try:
            granted = grant_authorisation(
                to=form.holder(), allowed=form.terms(), by=_user(request), attempt=form.cleaned_data["attempt"]
            )
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("Granted: from now on it counts, and it is an entry of the ledger."))
            return redirect("authorisation", granted.pk)
    return render(
        request,
        "custody/authorisation_form.html",
        {"form": form, "refusal": refusal},
        status=_status(refusal, form),
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.GRANT_AUTHORISATIONS)
def withdraw(request: HttpRequest, authorisation_id: uuid.UUID) -> HttpResponse:
    if request.method == "GET":  # the address left in the bar
        return redirect("authorisation", authorisation_id)
    found = get_object_or_404(_authorisations(), pk=authorisation_id)
    form = WithdrawForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form)
    withdraw_authorisation(authorisation=found, reason=form.cleaned_data["reason"], by=_user(request))
    messages.success(request, _("Withdrawn: from now on nobody takes anything by it."))
    return redirect("authorisation", found.pk)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.SEE_AUTHORISATIONS)
def employments(request: HttpRequest) -> HttpResponse:
    """Who works for whom, and a form for those who may say so."""
    refusal: Refusal | None = None
    may_grant = _user(request).may(Capability.GRANT_AUTHORISATIONS)
    form = EmploymentForm(request.POST or None, initial={"attempt": uuid.uuid4()}) if may_grant else None
    if request.method == "POST" and form is not None and form.is_valid():
        person = people_on_file().get(pk=form.cleaned_data.pop("person"))
        try:
            record_employment(person=person, by=_user(request), **form.cleaned_data)
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("Recorded, as an entry of the ledger."))
            return redirect("employments")
    found = Employment.objects.select_related("person", "employer", "statement", "recorded_by", "ending")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    names = open_names({one.person for one in page.object_list})
    return render(
        request,
        "custody/employments.html",
        {
            "page": page,
            "rows": [{"one": one, "name": names.get(one.person_id, "")} for one in page.object_list],
            "form": form,
            "refusal": refusal,
        },
        status=_status(refusal, form),
    )


@require_POST
@capability_required(Capability.GRANT_AUTHORISATIONS)
def end(request: HttpRequest, employment_id: uuid.UUID) -> HttpResponse:
    end_employment(employment=get_object_or_404(Employment, pk=employment_id), by=_user(request))
    messages.success(request, _("Ended: what the employer may take, this person may not any more."))
    return redirect("employments")


def _show(request: HttpRequest, found: Authorisation, form: WithdrawForm) -> HttpResponse:
    user = _user(request)
    names = open_names([found.person]) if found.person else {}
    return render(
        request,
        "custody/authorisation.html",
        _told(found, names, timezone.now())
        | {
            "form": form if user.may(Capability.GRANT_AUTHORISATIONS) and found.withdrawn_at is None else None,
            "number": _number(found) if user.may(Capability.SEE_PEOPLE) else "",
            "may_see_people": user.may(Capability.SEE_PEOPLE),
            "may_read_ledger": user.may(Capability.READ_LEDGER),
        },
        status=422 if form.errors else 200,
    )


def _told(one: Authorisation, names: dict[uuid.UUID, str], now: datetime) -> dict[str, Any]:
    tone, icon, word = STANDINGS[standing(one, now)]
    name = one.employer.name if one.employer else names.get(one.person_id or one.pk, "")
    return {
        "one": one,
        "name": name or _("Name cannot be opened"),
        "hours": hours_in_words(one),
        "sites": ", ".join(site.name for site in one.sites.all()),
        "state": {"tone": tone, "icon": icon, "word": word},
    }


def _authorisations() -> QuerySet[Authorisation]:
    return Authorisation.objects.select_related(
        "person",
        "employer",
        "consignor",
        "consignee",
        "granted_by",
        "withdrawn_by",
        "statement",
        "withdrawal",
        "licence_number",
    ).prefetch_related("sites")


def _number(found: Authorisation) -> str:
    if found.licence_number is None:
        return ""
    try:
        return open_evidence(found.licence_number).decode()
    except NOT_OPENED:
        return _("It cannot be opened any more.")


def _named() -> list[tuple[str, str]]:
    people = find_by_name(list(people_on_file()), "")[:PEOPLE_LISTED]
    names = open_names(people)
    return [(str(person.pk), f"{names[person.pk]} · {person.get_kind_display()}") for person in people]


def _status(refusal: Refusal | None, form: forms.Form | None) -> int:
    return refusal.status if refusal else 422 if form is not None and form.errors else 200


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
