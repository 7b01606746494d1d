"""The shipments' pages: find one by any code, enter a new one with its manifest, and see what it should hold."""

import uuid
from collections import defaultdict
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from ledger.models import Entry
from refusals import Refusal
from shipments.consignments import ManifestRefused
from shipments.epc import EpcMalformed, decode_epc
from shipments.finding import ShipmentUnknown, find_shipment
from shipments.intake import PartyNamed, take_in_shipment
from shipments.models import Consignment, LogisticUnit, ManifestItem, Party, Seal
from shipments.units import Nesting

PER_PAGE = 50
PARTIES_OFFERED = 200
FAULTS_SHOWN = 200
UNITS_SHOWN = 200
MAX_MANIFEST_BYTES = 12 * 1024 * 1024  # 100,000 lines of 120 bytes

FLAGS = {
    "suspect": gettext_lazy("Looks like a chip maker’s default number"),
    "trailing_bits": gettext_lazy("Bits behind its end"),
    "unencoded_tag": gettext_lazy("Never encoded"),
    "wrong_length": gettext_lazy("Length does not fit its header"),
    "undecodable": gettext_lazy("Cannot be decoded"),
    "unknown_scheme": gettext_lazy("Not a GS1 number"),
    "bad_check_digit": gettext_lazy("Its check digit is wrong"),
}


# The list ----------------------------------------------------------------------------------------------------------


@require_GET
@capability_required(Capability.SEE_GOODS)
def shipment_list(request: HttpRequest) -> HttpResponse:
    """All shipments, newest first; a code that names one of them leads straight to it."""
    sought, state = request.GET.get("q", "").strip()[:200], request.GET.get("state", "")
    if sought:
        try:
            return redirect("shipment", find_shipment(code=sought).pk)
        except ShipmentUnknown:
            pass
    found = _named_like(sought) if sought else Consignment.objects.all()
    if state in ("open", "closed"):
        found = found.filter(closed_at__isnull=state == "open")
    found = found.select_related("consignor", "consignee").order_by("-created_at", "reference")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "shipments/shipment_list.html",
        {
            "page": page,
            "rows": _with_counts(list(page.object_list)),
            "sought": sought,
            "state": state,
            "any": bool(page.object_list) or Consignment.objects.exists(),
            "query": urlencode({name: value for name, value in (("q", sought), ("state", state)) if value}),
            "may_manage": cast(User, request.user).may(Capability.MANAGE_GOODS),
        },
    )


def _named_like(text: str) -> QuerySet[Consignment]:
    return Consignment.objects.filter(
        Q(reference__icontains=text)
        | Q(ucr__icontains=text)
        | Q(description__icontains=text)
        | Q(consignor__name__icontains=text)
        | Q(consignee__name__icontains=text)
    )


def _with_counts(shipments: list[Consignment]) -> list[dict[str, Any]]:
    """Counted for the page alone: a manifest may have a hundred thousand lines."""
    counted = ManifestItem.objects.filter(consignment__in=shipments).order_by().values_list("consignment")
    tags = dict(counted.annotate(count=Count("pk")))
    return [{"shipment": shipment, "tags": tags.get(shipment.pk, 0)} for shipment in shipments]


# A new one ---------------------------------------------------------------------------------------------------------


class ShipmentForm(forms.Form):
    reference = forms.CharField(
        label=gettext_lazy("Reference"),
        max_length=40,
        help_text=gettext_lazy("What stands on the papers, for instance LRD-1042."),
    )
    ucr = forms.CharField(
        label=gettext_lazy("UCR"),
        max_length=35,
        required=False,
        help_text=gettext_lazy("Unique consignment reference, where customs gave one."),
    )
    description = forms.CharField(label=gettext_lazy("Description of the goods"), max_length=500)
    declared_gross_mass = forms.DecimalField(
        label=gettext_lazy("Declared gross mass, kg"),
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=3,
    )
    consignor = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    consignor_gln = forms.CharField(
        label=gettext_lazy("GLN"), max_length=20, required=False, help_text=gettext_lazy("13 digits, if it has one.")
    )
    consignee = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    consignee_gln = forms.CharField(
        label=gettext_lazy("GLN"), max_length=20, required=False, help_text=gettext_lazy("13 digits, if it has one.")
    )
    units = forms.CharField(
        label=gettext_lazy("Pallets, crates and containers"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "One SSCC, GRAI or container code on each line. Where the unit carries a tag, write the tag’s number "
            "behind a comma."
        ),
    )
    manifest = forms.CharField(
        label=gettext_lazy("Expected tags"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=gettext_lazy(
            "One on each line: the tag’s number in hexadecimal, then, where known, a comma and the description, "
            "then a comma and the code of the unit that holds it."
        ),
    )
    manifest_file = forms.FileField(
        label=gettext_lazy("Or a CSV file"),
        required=False,
        allow_empty_file=True,
        help_text=gettext_lazy("The same form, UTF-8. A file replaces what stands in the box above."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        for name in ("reference", "ucr", "consignor_gln", "consignee_gln", "units", "manifest"):
            self.fields[name].widget.attrs |= plain
        for name in ("units", "manifest"):
            self.fields[name].widget.attrs |= {"class": "code", "translate": "no"}
        for name in ("consignor_gln", "consignee_gln"):
            self.fields[name].widget.attrs["inputmode"] = "numeric"
        for name in ("consignor", "consignee"):
            self.fields[name].widget.attrs |= {"list": "known-parties", "autocomplete": "off"}
        self.fields["declared_gross_mass"].widget.attrs["min"] = "0.001"
        self.fields["manifest_file"].widget.attrs["accept"] = ".csv,.txt,text/csv,text/plain"

    def clean_manifest_file(self) -> str | None:
        """Return the file's text: from here on it is what was typed, and is not lost with the file."""
        file: UploadedFile | None = self.cleaned_data["manifest_file"]
        if file is None:
            return None
        if (file.size or 0) > MAX_MANIFEST_BYTES:
            raise forms.ValidationError(_("The file has more than 12 MB. Split the shipment, or leave out columns."))
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise forms.ValidationError(
                _("The file is not UTF-8 text. Save it as “CSV UTF-8” and choose it again.")
            ) from error
        if "\0" in text:
            raise forms.ValidationError(_("The file is no text. Save the sheet as CSV and choose it again."))
        return text

    def clean_declared_gross_mass(self) -> int | None:
        """Return grams."""
        kilograms = self.cleaned_data["declared_gross_mass"]
        return None if kilograms is None else int(kilograms * 1000)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if text := cleaned.get("manifest_file"):
            cleaned["manifest"] = text
            # The page that comes back holds the file's lines in the box, where they can be mended.
            data = cast(QueryDict, self.data).copy()
            data["manifest"] = text
            self.data = data
        return cleaned

    def save(self) -> Consignment:
        typed = self.cleaned_data
        return take_in_shipment(
            reference=typed["reference"],
            ucr=typed["ucr"],
            description=typed["description"],
            declared_gross_mass_g=typed["declared_gross_mass"],
            consignor=PartyNamed(typed["consignor"], typed["consignor_gln"]),
            consignee=PartyNamed(typed["consignee"], typed["consignee_gln"]),
            units=typed["units"],
            manifest=typed["manifest"],
        )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def new(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _ask(request, ShipmentForm())
    form = ShipmentForm(request.POST, request.FILES)
    if not form.is_valid():
        return _ask(request, form)
    try:
        shipment = form.save()
    except Refusal as refusal:
        return _ask(request, form, refusal)
    messages.success(request, _("Shipment %(reference)s is on file.") % {"reference": shipment.reference})
    return redirect("shipment", shipment.pk)


def _ask(request: HttpRequest, form: ShipmentForm, refusal: Refusal | None = None) -> HttpResponse:
    faults = [asdict(fault) for fault in refusal.lines] if isinstance(refusal, ManifestRefused) else []
    return render(
        request,
        "shipments/shipment_new.html",
        {
            "form": form,
            "refusal": refusal,
            "faults": faults[:FAULTS_SHOWN],
            "faults_more": max(len(faults) - FAULTS_SHOWN, 0),
            "parties": Party.objects.values_list("name", flat=True).distinct()[:PARTIES_OFFERED],
        },
        status=422 if refusal or form.errors else 200,
    )


# One ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ManifestRow:
    item: ManifestItem
    flags: list[str]


@dataclass(frozen=True)
class UnitRow:
    """A unit with the seals in force on it; ``tags`` counts those inside at any depth."""

    unit: LogisticUnit
    tags: int
    seals: list[Seal]
    inside: list["UnitRow"]


@require_GET
@capability_required(Capability.SEE_GOODS)
def shipment(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Consignment.objects.select_related("consignor", "consignee"), pk=consignment_id)
    page = Paginator(found.manifest.select_related("logistic_unit"), PER_PAGE).get_page(request.GET.get("page"))
    user, roots = cast(User, request.user), _unit_rows(found)
    return render(
        request,
        "shipments/shipment.html",
        {
            "shipment": found,
            "gross_mass_kg": Decimal(found.declared_gross_mass_g or 0) / 1000,
            "units": roots[:UNITS_SHOWN],
            "units_more": max(len(roots) - UNITS_SHOWN, 0),
            "seals": found.seals.order_by("-affixed_at")[:UNITS_SHOWN],
            "page": page,
            "rows": [ManifestRow(item, _flags(item.epc_hex)) for item in page.object_list],
            "may_hand_off": user.may(Capability.HAND_OFF),
            "may_import": found.closed_at is None and user.may(Capability.MANAGE_GOODS) and not _was_handed_over(found),
            "may_read_ledger": user.may(Capability.READ_LEDGER),
            "may_see_discrepancies": user.may(Capability.SEE_DISCREPANCIES),
        },
    )


def _unit_rows(shipment: Consignment) -> list[UnitRow]:
    """Lay the units out as a tree, with the seals in force on each."""
    nesting = Nesting(shipment)
    counted = shipment.manifest.exclude(logistic_unit=None).order_by().values_list("logistic_unit")
    tags = dict(counted.annotate(count=Count("pk")))
    seals: defaultdict[uuid.UUID, list[Seal]] = defaultdict(list)
    for seal in shipment.seals.filter(ended_at__isnull=True):
        seals[seal.unit_id].append(seal)

    def row(unit: LogisticUnit) -> UnitRow:
        inside = [row(inner) for inner in nesting.directly_in(unit)]
        return UnitRow(unit, tags.get(unit.pk, 0) + sum(one.tags for one in inside), seals[unit.pk], inside)

    return [row(unit) for unit in nesting.directly_in(None)]


def _was_handed_over(consignment: Consignment) -> bool:
    """Tell whether an entry counts by the manifest: it stays as it is then."""
    kinds = ("handoff", "handoff_refused")
    return Entry.objects.filter(subject=consignment.pk.urn, kind__in=kinds).exists()


def _flags(epc_hex: str) -> list[str]:
    """What is odd about the tag's number, in words."""
    try:
        flags = decode_epc(epc_hex).flags
    except EpcMalformed as error:
        return [error.sentence]
    return [str(FLAGS.get(flag, flag)) for flag in flags]
