"""A logistic unit on the screen: what stands in it, and the acts of packing, unpacking and tagging."""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from custody import acts_on_goods
from custody.views.acting import ActForm, ask
from refusals import Refusal
from shipments import units
from shipments.consignments import Unit
from shipments.epc import read_label
from shipments.finding import bare_code
from shipments.models import Consignment, LogisticUnit

SHOWN = 200

_CODES = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "class": "code", "translate": "no"}


class UnitForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Code of the unit"),
        max_length=units.MAX_CODE,
        help_text=gettext_lazy("Scan or type its SSCC, GRAI or container code (for instance CSQU3054383)."),
        widget=forms.TextInput(attrs=_CODES | {"data-scan-input": "", "autofocus": ""}),
    )
    epc = forms.CharField(
        label=gettext_lazy("Number of its tag"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("In hexadecimal, where it carries a tag."),
        widget=forms.TextInput(attrs=_CODES),
    )
    tid = forms.CharField(
        label=gettext_lazy("TID of the tag’s chip"),
        max_length=80,
        required=False,
        help_text=gettext_lazy("With it, a copy of the tag is found out."),
        widget=forms.TextInput(attrs=_CODES),
    )

    def unit(self) -> Unit:
        named, epc = read_label(bare_code(self.cleaned_data["code"])), self.cleaned_data["epc"]
        if named is None or named.gtin:
            # What names nothing is refused as the SSCC that most units have.
            return Unit(sscc="".join(self.cleaned_data["code"].split()), epc=epc)
        return Unit(sscc=named.sscc, grai=named.grai, bic=named.bic, epc=epc)


class TagForm(forms.Form):
    epc = forms.CharField(
        label=gettext_lazy("Number of the tag"),
        max_length=200,
        help_text=gettext_lazy("Its EPC in hexadecimal, as the reader shows it."),
        widget=forms.TextInput(attrs=_CODES | {"data-scan-input": "", "autofocus": ""}),
    )
    tid = forms.CharField(
        label=gettext_lazy("TID of its chip"),
        max_length=80,
        required=False,
        help_text=gettext_lazy(
            "The number that the maker wrote into the chip. With it, a copy of the tag is found out."
        ),
        widget=forms.TextInput(attrs=_CODES),
    )


class PackForm(ActForm):
    contents = forms.CharField(
        label=gettext_lazy("What goes into it"),
        max_length=1_000_000,
        help_text=gettext_lazy("One code on each line: a unit’s label, or a tag’s number. A scanner ends each line."),
        widget=forms.Textarea(attrs=_CODES | {"rows": 6, "autofocus": ""}),
    )


class UnpackForm(ActForm):
    contents = forms.MultipleChoiceField(
        label=gettext_lazy("What is taken out"), required=False, widget=forms.CheckboxSelectMultiple
    )
    everything = forms.BooleanField(label=gettext_lazy("Everything that is in it"), required=False)

    def __init__(self, request: HttpRequest, *, choices: list[tuple[str, str]]) -> None:
        super().__init__(request)
        cast(forms.MultipleChoiceField, self.fields["contents"]).choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if bool(cleaned.get("contents")) == bool(cleaned.get("everything")):
            self.add_error("contents", _("Tick what is taken out, or that it is everything."))
        return cleaned


@require_GET
@capability_required(Capability.SEE_GOODS)
def unit(request: HttpRequest, unit_id: uuid.UUID) -> HttpResponse:
    found = _find(unit_id)
    nesting, user = units.Nesting(found.consignment), cast(User, request.user)
    around = nesting.carriers(found.pk)[1:]
    inner, closed_by = nesting.directly_in(found), units.closing_seal(found, nesting)
    may_change = user.may(Capability.HAND_OFF) and not found.consignment.closed_at
    return render(
        request,
        "custody/unit.html",
        {
            "unit": found,
            "shipment": found.consignment,
            "around": reversed(around),
            "inner": inner[:SHOWN],
            "inner_more": max(len(inner) - SHOWN, 0),
            "items": found.items.all()[:SHOWN],
            "items_more": max(found.items.count() - SHOWN, 0),
            "empty": not inner and not found.items.exists(),
            "seals": found.seals.order_by("-affixed_at"),
            "closed_by": closed_by,
            "may_pack": may_change and closed_by is None,
            "may_tag": may_change,
            "may_seal": user.may(Capability.KEEP_SEALS) and not found.consignment.closed_at,
        },
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.HAND_OFF)
def new(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    shipment = get_object_or_404(Consignment, pk=consignment_id)
    form, refusal = UnitForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        try:
            made = units.register_unit(consignment=shipment, unit=form.unit(), tid=form.cleaned_data["tid"])
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("The unit %(unit)s is on file.") % {"unit": made.code})
            return redirect("unit", made.pk)
    heading = _("New unit of %(reference)s") % {"reference": shipment.reference}
    return ask(request, form, heading=heading, action=_("Put it on file"), back=_to_shipment(shipment), refusal=refusal)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.HAND_OFF)
def pack(request: HttpRequest, unit_id: uuid.UUID) -> HttpResponse:
    found = _find(unit_id)
    form, refusal = PackForm(request), None
    if request.method == "POST" and form.is_valid():
        try:
            lines = form.cleaned_data["contents"].splitlines()
            packed = acts_on_goods.pack(unit=found, contents=lines, by=form.by())
        except Refusal as refused:
            refusal = refused
        else:
            sentence = ngettext("%(n)s thing is packed.", "%(n)s things are packed.", len(packed))
            messages.success(request, sentence % {"n": len(packed)})
            return redirect("unit", found.pk)
    heading = _("Pack into %(unit)s") % {"unit": found.code}
    return ask(request, form, heading=heading, action=_("Pack"), back=_to_unit(found), refusal=refusal)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.HAND_OFF)
def unpack(request: HttpRequest, unit_id: uuid.UUID) -> HttpResponse:
    found = _find(unit_id)
    form, refusal = UnpackForm(request, choices=_contents(found)), None
    if request.method == "POST" and form.is_valid():
        try:
            taken = acts_on_goods.unpack(unit=found, contents=form.cleaned_data["contents"], by=form.by())
        except Refusal as refused:
            refusal = refused
        else:
            sentence = ngettext("%(n)s thing is taken out.", "%(n)s things are taken out.", len(taken))
            messages.success(request, sentence % {"n": len(taken)})
            return redirect("unit", found.pk)
    heading = _("Take out of %(unit)s") % {"unit": found.code}
    return ask(request, form, heading=heading, action=_("Take out"), back=_to_unit(found), refusal=refusal)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.HAND_OFF)
def tag(request: HttpRequest, unit_id: uuid.UUID) -> HttpResponse:
    """Tie a tag to the unit, or the chip to the tag that it carries."""
    found = _find(unit_id)
    heading = _("The tag of %(unit)s") % {"unit": found.code}
    return _bind(request, found.consignment, unit=found, heading=heading, back=_to_unit(found))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.HAND_OFF)
def tag_goods(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    """Tie a chip to the goods whose tag it is in."""
    shipment = get_object_or_404(Consignment, pk=consignment_id)
    heading = _("Tie a chip to its tag on %(reference)s") % {"reference": shipment.reference}
    return _bind(request, shipment, unit=None, heading=heading, back=_to_shipment(shipment))


def _bind(
    request: HttpRequest,
    shipment: Consignment,
    *,
    unit: LogisticUnit | None,
    heading: str,
    back: tuple[str, str],
) -> HttpResponse:
    initial = {"epc": unit.epc_hex, "tid": unit.tid} if unit else None
    form, refusal = TagForm(request.POST or None, initial=initial), None
    if unit is None:
        form.fields["tid"].required = True
    if request.method == "POST" and form.is_valid():
        try:
            epc = units.bind_tag(consignment=shipment, unit=unit, **form.cleaned_data)
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("The tag %(tag)s is tied.") % {"tag": epc.hex})
            return redirect(back[0])
    return ask(request, form, heading=heading, action=_("Tie the tag"), back=back, refusal=refusal)


def _find(unit_id: uuid.UUID) -> LogisticUnit:
    return get_object_or_404(LogisticUnit.objects.select_related("consignment"), pk=unit_id)


def _contents(unit: LogisticUnit) -> list[tuple[str, str]]:
    """What stands directly in the unit, by a code that names it and the words for it."""
    inner = [(_scannable(child), child.code) for child in unit.children.all()[:SHOWN]]
    held = unit.items.all()[:SHOWN]
    return inner + [(item.epc_hex, f"{item.description or _('Tag')} · {item.epc_hex}") for item in held]


def _scannable(unit: LogisticUnit) -> str:
    return unit.sscc or unit.bic or f"(8003){unit.grai}"


def _to_unit(unit: LogisticUnit) -> tuple[str, str]:
    return reverse("unit", args=[unit.pk]), unit.code


def _to_shipment(shipment: Consignment) -> tuple[str, str]:
    return reverse("shipment", args=[shipment.pk]), shipment.reference
