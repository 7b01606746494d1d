"""Where goods are read: the sites with their read points and readers, and the forms that add or change one."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db import models
from django.db.models import Count, Prefetch, Q
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.roles import Capability
from refusals import Refusal
from shipments.models import Direction, Reader, ReadPoint, Site
from shipments.places import (
    MAX_RATE,
    MAX_SILENT_S,
    change_read_point,
    change_reader,
    change_site,
    create_read_point,
    create_reader,
    create_site,
)
from shipments.quarantined_events import MOST_COUNTED, count_quarantined
from shipments.reader_alerts import open_alerts
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
    readers = Reader.objects.annotate(alerts_open=Count("alerts", filter=Q(alerts__acknowledged_at__isnull=True)))
    sites = Site.objects.prefetch_related(
        Prefetch("read_points", ReadPoint.objects.order_by("name").prefetch_related(Prefetch("readers", readers)))
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
    quarantined = count_quarantined()
    return render(
        request,
        "shipments/place_list.html",
        {
            "sites": shown,
            "alerts": open_alerts().count(),
            "quarantined": f"{MOST_COUNTED}+" if quarantined > MOST_COUNTED else str(quarantined),
        },
    )


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
        help_text=gettext_lazy("As staff know it, for instance impinj-14-2f-f4 or Dock 1 left."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )
    hostname = forms.CharField(
        label=gettext_lazy("Host name"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("What it calls itself in its reports. Another name in them raises an alert."),
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


class SiteChangeForm(forms.Form):
    code, name = SiteForm.base_fields["code"], SiteForm.base_fields["name"]


class ReadPointChangeForm(forms.Form):
    name, direction = ReadPointForm.base_fields["name"], ReadPointForm.base_fields["direction"]


class ReaderChangeForm(ReaderForm):
    silent_after_s = forms.IntegerField(
        label=gettext_lazy("Silent after, in seconds"),
        min_value=0,
        max_value=MAX_SILENT_S,
        help_text=gettext_lazy("Then an alert is raised. 0 for a reader that sends nothing while it reads nothing."),
    )
    reports_per_s = forms.IntegerField(
        label=gettext_lazy("Reports a second, at most"),
        required=False,
        min_value=1,
        max_value=MAX_RATE,
        help_text=gettext_lazy("On average; empty for what holds for every reader."),
    )
    reads_per_s = forms.IntegerField(
        label=gettext_lazy("Reads a second, at most"),
        required=False,
        min_value=1,
        max_value=MAX_RATE,
        help_text=gettext_lazy("On average; empty for what holds for every reader."),
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


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def edit_site(request: HttpRequest, site_id: uuid.UUID) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)

    def save(typed: dict[str, Any]) -> HttpResponse:
        messages.success(request, _("%(site)s is saved.") % {"site": change_site(site=site, **typed)})
        return redirect("places")

    return _answer(
        request,
        SiteChangeForm,
        save,
        heading=_("Change %(name)s") % {"name": site.name},
        action=_("Save"),
        now=site,
        note=_("Its GLN, %(gln)s, stays: entries in the ledger name the place by it.") % {"gln": site.gln},
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def edit_read_point(request: HttpRequest, read_point_id: uuid.UUID) -> HttpResponse:
    point = get_object_or_404(ReadPoint.objects.select_related("site"), pk=read_point_id)

    def save(typed: dict[str, Any]) -> HttpResponse:
        saved = change_read_point(read_point=point, **typed)
        messages.success(request, _("%(read_point)s is saved.") % {"read_point": saved})
        return redirect("places")

    return _answer(
        request,
        ReadPointChangeForm,
        save,
        heading=_("Change %(name)s") % {"name": point},
        action=_("Save"),
        now=point,
        note=_("Its SGLN, %(sgln)s, stays: entries in the ledger name the place by it.") % {"sgln": point.sgln},
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def edit_reader(request: HttpRequest, reader_id: uuid.UUID) -> HttpResponse:
    reader = get_object_or_404(Reader.objects.select_related("read_point__site"), pk=reader_id)

    def save(typed: dict[str, Any]) -> HttpResponse:
        before = reader.read_point_id
        saved = change_reader(reader=reader, **typed)
        if saved.read_point_id != before:
            told = {"reader": saved, "read_point": saved.read_point}
            messages.success(request, _("%(reader)s is moved: what it reads now counts at %(read_point)s.") % told)
        else:
            messages.success(request, _("%(reader)s is saved.") % {"reader": saved})
        return redirect("reader", saved.pk)

    return _answer(
        request,
        ReaderChangeForm,
        save,
        heading=_("Change %(name)s") % {"name": reader.name},
        action=_("Save"),
        now=reader,
        back=(reverse("reader", args=[reader.pk]), reader.name),
    )


def _answer(
    request: HttpRequest,
    kind: type[forms.Form],
    save: Callable[[dict[str, Any]], HttpResponse],
    *,
    heading: str,
    action: str,
    now: models.Model | None = None,
    note: str = "",
    back: tuple[str, str] | None = None,
) -> HttpResponse:
    """
    Ask by a form, or save what was sent; what cannot be saved comes back as typed, with the reason above it.

    :param now: the row that is changed
    :param back: where else than to the places the page leads back, and what that is called
    """
    refusal: Refusal | None = None
    if request.method == "POST":
        form = kind(request.POST)
        if form.is_valid():
            try:
                return save(form.cleaned_data)
            except Refusal as refused:
                refusal = refused
    elif now is not None:
        form = kind(initial=model_to_dict(now, kind.base_fields))
    else:
        form = kind(initial={name: value for name, value in request.GET.items() if name in kind.base_fields})
    return render(
        request,
        "shipments/place_form.html",
        {
            "form": form,
            "refusal": refusal,
            "heading": heading,
            "action": action,
            "note": note,
            "back": back or (reverse("places"), _("Places")),
        },
        status=422 if refusal or form.errors else 200,
    )
