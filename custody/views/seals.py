"""A seal on the screen: its history with the people behind it, and the pages on which it is put on, checked, broken."""

import uuid
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Evidence
from biometrics.vault import NOT_OPENED, open_evidence
from custody import acts_on_goods
from custody.directory import Directory
from custody.views.acting import ActForm, ask, note_field
from refusals import Refusal
from shipments.models import MAX_SEAL_NUMBER, LogisticUnit, Seal, SealClass, SealEvent, SealState
from shipments.seals import FINDINGS, MAX_ISSUER, REASONS, NewSeal

_NUMBER = {"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "translate": "no"}

_CHIPS = {
    SealState.INTACT: ("ok", "lock"),
    SealState.TAMPERED: ("bad", "alert-triangle"),
    SealState.MISSING: ("bad", "alert-triangle"),
    SealState.NUMBER_DIFFERS: ("bad", "alert-triangle"),
    SealState.BROKEN: ("plain", "link-off"),
}


class NewSealForm(ActForm):
    number = forms.CharField(
        label=gettext_lazy("Number on the seal"),
        max_length=2 * MAX_SEAL_NUMBER,
        widget=forms.TextInput(attrs=_NUMBER | {"autofocus": ""}),
    )
    seal_class = forms.ChoiceField(
        label=gettext_lazy("Class, ISO 17712"),
        choices=[(value, f"{value} · {label}") for value, label in SealClass.choices],
        initial=SealClass.HIGH_SECURITY,
        help_text=gettext_lazy("It stands on the seal: I, S or H. Containers bear an H."),
    )
    issuer = forms.CharField(
        label=gettext_lazy("Issued by"),
        max_length=MAX_ISSUER,
        required=False,
        help_text=gettext_lazy("The carrier, the shipper or the authority that the seal belongs to."),
    )
    note = note_field()

    def seal(self) -> NewSeal:
        typed = self.cleaned_data
        return NewSeal(typed["number"], typed["seal_class"], typed["issuer"])


class ReplaceForm(NewSealForm):
    reason = forms.ChoiceField(label=gettext_lazy("Why the old one is broken"), choices=[("", "–"), *REASONS.items()])
    field_order = ("reason",)


class CheckForm(ActForm):
    finding = forms.ChoiceField(
        label=gettext_lazy("How was it found?"),
        choices=[(state.value, state.label) for state in FINDINGS],
        widget=forms.RadioSelect,
    )
    found_number = forms.CharField(
        label=gettext_lazy("Number on the seal, where it is another one"),
        max_length=2 * MAX_SEAL_NUMBER,
        required=False,
        widget=forms.TextInput(attrs=_NUMBER),
    )
    note = note_field()


class BreakForm(ActForm):
    reason = forms.ChoiceField(label=gettext_lazy("Why is it broken?"), choices=[("", "–"), *REASONS.items()])
    note = note_field()


@dataclass(frozen=True)
class EventRow:
    event: SealEvent
    person: str
    place: str
    chip: tuple[str, str]
    reason: str
    note: str


@require_GET
@capability_required(Capability.SEE_GOODS)
def seal(request: HttpRequest, seal_id: uuid.UUID) -> HttpResponse:
    found, user = _find(seal_id), cast(User, request.user)
    directory = Directory()
    events = found.events.select_related("read_point", "statement")
    tone, icon = _CHIPS[SealState(found.state)]
    return render(
        request,
        "custody/seal.html",
        {
            "seal": found,
            "shipment": found.consignment,
            "tone": tone,
            "icon": icon,
            "rows": [_row(event, directory, notes=user.may(Capability.SEE_REFUSALS)) for event in events],
            "may_act": user.may(Capability.KEEP_SEALS) and found.ended_at is None,
            "may_replace": found.consignment.closed_at is None,
            "may_read_ledger": user.may(Capability.READ_LEDGER),
        },
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.KEEP_SEALS)
def new(request: HttpRequest, unit_id: uuid.UUID) -> HttpResponse:
    unit = get_object_or_404(LogisticUnit.objects.select_related("consignment"), pk=unit_id)
    form, refusal = NewSealForm(request), None
    if request.method == "POST" and form.is_valid():
        try:
            made = acts_on_goods.affix_seal(unit=unit, seal=form.seal(), by=form.by())
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("The seal %(number)s is on %(unit)s.") % {"number": made, "unit": unit.code})
            return redirect("unit", unit.pk)
    heading = _("Seal %(unit)s") % {"unit": unit.code}
    back = (reverse("unit", args=[unit.pk]), unit.code)
    return ask(request, form, heading=heading, action=_("Put the seal on"), back=back, refusal=refusal)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.KEEP_SEALS)
def check(request: HttpRequest, seal_id: uuid.UUID) -> HttpResponse:
    def do(found: Seal, form: CheckForm) -> str:
        typed = form.cleaned_data
        acts_on_goods.check_seal(seal=found, finding=typed["finding"], found_number=typed["found_number"], by=form.by())
        return _("What was found of the seal %(number)s is recorded.") % {"number": found.number}

    return _act(request, seal_id, CheckForm(request), do, _("Look at the seal %(number)s"), _("Record"))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.KEEP_SEALS)
def break_(request: HttpRequest, seal_id: uuid.UUID) -> HttpResponse:
    def do(found: Seal, form: BreakForm) -> str:
        acts_on_goods.break_seal(seal=found, reason=form.cleaned_data["reason"], by=form.by())
        return _("The seal %(number)s is broken.") % {"number": found.number}

    return _act(request, seal_id, BreakForm(request), do, _("Break the seal %(number)s"), _("Break the seal"))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.KEEP_SEALS)
def replace(request: HttpRequest, seal_id: uuid.UUID) -> HttpResponse:
    def do(found: Seal, form: ReplaceForm) -> str:
        made = acts_on_goods.replace_seal(seal=found, new=form.seal(), reason=form.cleaned_data["reason"], by=form.by())
        return _("The seal %(old)s is broken, and %(new)s is in its place.") % {"old": found.number, "new": made}

    return _act(request, seal_id, ReplaceForm(request), do, _("Replace the seal %(number)s"), _("Replace the seal"))


def _act(request: HttpRequest, seal_id: uuid.UUID, form: Any, do: Any, heading: str, action: str) -> HttpResponse:
    found, refusal = _find(seal_id), None
    if request.method == "POST" and form.is_valid():
        try:
            sentence = do(found, form)
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, sentence)
            return redirect("unit", found.unit_id)
    back = (reverse("seal", args=[found.pk]), found.number)
    heading = heading % {"number": found.number}
    lead = _("On %(unit)s of %(reference)s.") % {"unit": found.unit.code, "reference": found.consignment.reference}
    return ask(request, form, heading=heading, action=action, back=back, lead=lead, refusal=refusal)


def _row(event: SealEvent, directory: Directory, *, notes: bool) -> EventRow:
    return EventRow(
        event=event,
        person=directory.person(event.person.urn),
        place=directory.place(event.read_point.sgln) if event.read_point else "",
        chip=_CHIPS[SealState(event.state)],
        reason=str(REASONS.get(event.reason, event.reason)),
        note=_opened(event.note) if notes and event.note else "",
    )


def _opened(commitment: str) -> str:
    """What was written, for those who may read it; empty where it was destroyed or does not open here."""
    sealed = Evidence.objects.filter(commitment=commitment).first()
    if sealed is None:
        return ""
    try:
        return open_evidence(sealed).decode()
    except NOT_OPENED:
        return ""


def _find(seal_id: uuid.UUID) -> Seal:
    return get_object_or_404(Seal.objects.select_related("unit", "consignment", "replaces", "replaced_by"), pk=seal_id)
