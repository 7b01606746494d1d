"""Import a manifest from a file: check it first, mend what is named, then import all of it."""

import uuid
from abc import abstractmethod
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.access import capability_required
from accounts.roles import Capability
from custody.manifest_changes import change_manifest, require_unused
from refusals import Refusal
from shipments.consignments import ManifestRefused
from shipments.csv_table import TableRefused, read_text, write_table
from shipments.intake import PartyNamed
from shipments.manifest_import import (
    COLUMNS,
    ImportedManifest,
    NewShipment,
    as_report,
    import_manifest,
    read_manifest,
)
from shipments.models import Consignment, Party

FAULTS_SHOWN = 200
PARTIES_OFFERED = 200


class ManifestForm(forms.Form):
    """The file, and what is done with it."""

    company_prefix_length = forms.IntegerField(
        label=gettext_lazy("Digits of the GS1 company prefix"),
        required=False,
        min_value=6,
        max_value=12,
        help_text=gettext_lazy("Only where lines give GTIN and serial; left empty, GS1’s own table tells it."),
    )
    manifest = forms.CharField(
        label=gettext_lazy("Manifest"),
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 10, "wrap": "off", "class": "code", "translate": "no", "spellcheck": "false"}
        ),
        help_text=gettext_lazy("A header with the columns’ names, then a line for each tag. Or JSON."),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a file"),
        required=False,
        allow_empty_file=True,
        help_text=gettext_lazy("CSV or JSON, UTF-8, at most 12 MB. A file replaces what stands in the box above."),
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,.json,text/csv,text/plain,application/json"}),
    )

    def clean_file(self) -> str | None:
        """Return the file's text: from here on it is what was typed, and is not lost with the file."""
        file: UploadedFile | None = self.cleaned_data["file"]
        if file is None:
            return None
        try:
            return read_text(file.read())
        except TableRefused as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if text := cleaned.get("file"):
            cleaned["manifest"] = text
            data = cast(QueryDict, self.data).copy()
            data["manifest"] = text
            self.data = data
        return cleaned

    @abstractmethod
    def bring(self, *, check_only: bool) -> ImportedManifest:
        """Import what was typed. :raises Refusal: as the service does that is called"""


class NewShipmentForm(ManifestForm):
    """A manifest that opens a shipment."""

    reference = forms.CharField(label=gettext_lazy("Reference"), max_length=40)
    description = forms.CharField(label=gettext_lazy("Description of the goods"), max_length=500)
    ucr = forms.CharField(label=gettext_lazy("UCR"), max_length=35, required=False)
    consignor = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    consignor_gln = forms.CharField(label=gettext_lazy("GLN"), max_length=20, required=False)
    consignee = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    consignee_gln = forms.CharField(label=gettext_lazy("GLN"), max_length=20, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("consignor", "consignee"):
            self.fields[name].widget.attrs |= {"list": "known-parties", "autocomplete": "off"}

    def bring(self, *, check_only: bool) -> ImportedManifest:
        typed = self.cleaned_data
        manifest = read_manifest(typed["manifest"], company_prefix_length=typed["company_prefix_length"])
        shipment = NewShipment(
            reference=typed["reference"],
            consignor=PartyNamed(typed["consignor"], typed["consignor_gln"]),
            consignee=PartyNamed(typed["consignee"], typed["consignee_gln"]),
            description=typed["description"],
            ucr=typed["ucr"],
        )
        return import_manifest(manifest=manifest, shipment=shipment, check_only=check_only)


class MoreTagsForm(ManifestForm):
    """A manifest for a shipment that is on file."""

    mode = forms.ChoiceField(
        label=gettext_lazy("The lines on file"),
        choices=[
            ("extend", gettext_lazy("stay, and these are added")),
            ("replace", gettext_lazy("go, and these stand in their place")),
        ],
        widget=forms.RadioSelect,
        initial="extend",
    )

    def __init__(self, *args: Any, consignment: Consignment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.consignment = consignment

    def bring(self, *, check_only: bool) -> ImportedManifest:
        typed = self.cleaned_data
        return change_manifest(
            consignment=self.consignment,
            manifest=read_manifest(typed["manifest"], company_prefix_length=typed["company_prefix_length"]),
            replace=typed["mode"] == "replace",
            check_only=check_only,
        )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def new(request: HttpRequest) -> HttpResponse:
    """A file that opens a shipment."""
    form = NewShipmentForm(request.POST, request.FILES) if request.method == "POST" else NewShipmentForm()
    return _answer(request, form)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def more(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    """A file for a shipment on file, before its first handoff."""
    consignment = get_object_or_404(Consignment, pk=consignment_id)
    if request.method == "POST":
        return _answer(request, MoreTagsForm(request.POST, request.FILES, consignment=consignment), consignment)
    # Told before anything is typed.
    require_unused(consignment)
    return _answer(request, MoreTagsForm(consignment=consignment), consignment)


def _answer(request: HttpRequest, form: ManifestForm, consignment: Consignment | None = None) -> HttpResponse:
    act = request.POST.get("act", "check")
    refusal: Refusal | None = None
    imported: ImportedManifest | None = None
    if form.is_bound and form.is_valid():
        try:
            imported = form.bring(check_only=act != "import")
        except Refusal as refused:
            refusal = refused
        if imported is not None and imported.consignment is not None and not imported.checked:
            words = _("%(lines)s tags are on the manifest of %(reference)s.")
            named = {"lines": imported.lines, "reference": imported.consignment.reference}
            messages.success(request, words % named)
            return redirect("shipment", imported.consignment.pk)
    rows = as_report(refusal.lines) if isinstance(refusal, ManifestRefused) else []
    if act == "report" and rows:
        header = (_("Line"), _("Code"), _("What to mend"), _("Text"))
        answer = HttpResponse(write_table(header, rows), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="manifest-report.csv"'
        return answer
    return render(
        request,
        "custody/manifest_import.html",
        {
            "form": form,
            "shipment": consignment,
            "refusal": refusal,
            "imported": imported,
            "faults": rows[:FAULTS_SHOWN],
            "faults_more": max(len(rows) - FAULTS_SHOWN, 0),
            "columns": COLUMNS.items(),
            "parties": Party.objects.values_list("name", flat=True).distinct()[:PARTIES_OFFERED],
        },
        status=422 if refusal or form.errors else 200,
    )
