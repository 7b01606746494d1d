"""Where goods are read: the sites with their read points and readers, and the forms that add one of each."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.roles import Capability
from refusals import Refusal
from shipments.models import Direction, Reader, ReadPoint, Site
from shipments.places import create_read_point, create_reader, create_site
from shipments.readers.registry import DIALECTS
from shipments.views.reader_health import tell_health

DIALECT_NAMES = {
    "impinj": gettext_lazy("Impinj IoT device interface (R700, R720)"),
    "zebra": gettext_lazy("Zebra IoT Connector (FX7500, FX9600, FXR60, FXR90)"),
    "zebra_handheld": gettext_lazy("Zebra handheld (RFD40, RFD90)"),
    "speedway": gettext_lazy("Impinj Speedway Connect (R120, R220, R420)"),
    "custody": gettext_lazy("Custody’s own form"),
}


@require_GET
@capability_required(Capability.MANAGE_GOODS)
def place_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    sites = Site.objects.prefetch_related(
        Prefetch("read_points", ReadPoint.objects.order_by("name").prefetch_related("readers"))
    )
    shown = [
        {
            "site": site,
            "read_points": [
                {
                    "read_point": point,
                    "readers": [
                        {"reader": reader, "health": tell_health(reader, now)} for reader in point.readers.all()
                    ],
                }
                for point in site.read_points.all()
            ],
        }
        for site in sites
    ]
    return render(request, "shipments/place_list.html", {"sites": shown})


class SiteForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Code"), max_length=16, help_text=gettext_lazy("Short, as staff say it: JRZ.")
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    gln = forms.CharField(
        label=gettext_lazy("GLN"),
        max_length=20,
        help_text=gettext_lazy("The site’s global location number, 13 digits."),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    company_prefix_length = forms.IntegerField(
        label=gettext_lazy("Digits of the GS1 company prefix"),
        min_value=6,
        max_value=12,
        initial=7,
        help_text=gettext_lazy("How many of the GLN’s first digits are the company’s own, 6 to 12."),
    )

    def clean_gln(self) -> str:
        return "".join(self.cleaned_data["gln"].split())


class ReadPointForm(forms.Form):
    site = forms.ModelChoiceField(label=gettext_lazy("Site"), queryset=Site.objects.all(), empty_label=None)
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=120, help_text=gettext_lazy("As it is written at the door: Dock 1.")
    )
    direction = forms.ChoiceField(
        label=gettext_lazy("Goods pass it"), choices=Direction.choices, widget=forms.RadioSelect, initial=Direction.IN
    )
    extension = forms.CharField(
        label=gettext_lazy("SGLN extension"),
        max_length=20,
        help_text=gettext_lazy("What tells this read point from the others of the site: 1, 2 … or dock1."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off"}),
    )


class ReaderForm(forms.Form):
    read_point = forms.ModelChoiceField(
        label=gettext_lazy("Read point"), queryset=ReadPoint.objects.select_related("site"), empty_label=None
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        help_text=gettext_lazy("As the reader calls itself, for instance impinj-14-2f-f4."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )
    dialect = forms.ChoiceField(
        label=gettext_lazy("It sends"),
        required=False,
        choices=[
            ("", gettext_lazy("Tell by what arrives")),
            *((name, DIALECT_NAMES.get(name, name)) for name in DIALECTS),
        ],
        help_text=gettext_lazy("A hint alone: what arrives is read in every known form."),
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def new_site(request: HttpRequest) -> HttpResponse:
    def save(typed: dict[str, Any]) -> HttpResponse:
        site = create_site(**typed)
        messages.success(request, _("%(site)s is on file. Add its read points now.") % {"site": site})
        return redirect("places")

    return _answer(request, SiteForm, save, heading=_("Add a site"), action=_("Add the site"))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def new_read_point(request: HttpRequest) -> HttpResponse:
    if not Site.objects.exists():
        messages.info(request, _("A read point belongs to a site. Add the site first."))
        return redirect("site_new")

    def save(typed: dict[str, Any]) -> HttpResponse:
        read_point = create_read_point(**typed)
        messages.success(request, _("%(read_point)s is on file. Add its reader now.") % {"read_point": read_point})
        return redirect("places")

    return _answer(request, ReadPointForm, save, heading=_("Add a read point"), action=_("Add the read point"))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def new_reader(request: HttpRequest) -> HttpResponse:
    if not ReadPoint.objects.exists():
        messages.info(request, _("A reader stands at a read point. Add the read point first."))
        return redirect("read_point_new")

    def save(typed: dict[str, Any]) -> HttpResponse:
        reader: Reader = create_reader(**typed)
        messages.success(request, _("%(reader)s is on file. Issue its credential now.") % {"reader": reader})
        return redirect("reader", reader.pk)

    return _answer(request, ReaderForm, save, heading=_("Add a reader"), action=_("Add the reader"))


def _answer(
    request: HttpRequest,
    kind: type[forms.Form],
    save: Callable[[dict[str, Any]], HttpResponse],
    *,
    heading: str,
    action: str,
) -> HttpResponse:
    """Ask by a form, or save what was sent; what cannot be saved comes back as typed, with the reason above it."""
    refusal: Refusal | None = None
    if request.method == "POST":
        form = kind(request.POST)
        if form.is_valid():
            try:
                return save(form.cleaned_data)
            except Refusal as refused:
                refusal = refused
    else:
        form = kind(initial={name: value for name, value in request.GET.items() if name in kind.base_fields})
    return render(
        request,
        "shipments/place_form.html",
        {"form": form, "refusal": refusal, "heading": heading, "action": action},
        status=422 if refusal or form.errors else 200,
    )
