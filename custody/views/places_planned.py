"""The places that a shipment is planned to come through, and what each site is watched for."""

import uuid
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from custody.hours import days_of
from custody.models import PlannedRoute, SiteWatch
from custody.routes import MOST_PLACES, RouteNotYours, current_route, plan_route
from custody.site_watch import MOST_HOURS, watch_site
from refusals import Refusal
from shipments.models import Consignment, Site

PER_PAGE = 50
_E6 = Decimal(1_000_000)


class SiteUnknown(Refusal):
    code = "site_unknown"
    message = gettext_lazy("No site has the code “%(site)s”. Type the codes of sites that are on file.")
    status = 422


class SiteWatchForm(forms.Form):
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Open on these days"),
        choices=list(WEEKDAYS.items()),
        coerce=int,
        initial=list(WEEKDAYS),
        widget=forms.CheckboxSelectMultiple,
    )
    opens_at = forms.TimeField(
        label=gettext_lazy("From"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    closes_at = forms.TimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=gettext_lazy("Both empty: the whole day. Until before From passes midnight."),
    )
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        initial="UTC",
        max_length=64,
        help_text=gettext_lazy("The site’s own, for instance America/Ciudad_Juarez."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "translate": "no"}),
    )
    dwell_limit_h = forms.IntegerField(
        label=gettext_lazy("Goods may stand for"),
        required=False,
        min_value=1,
        max_value=MOST_HOURS,
        help_text=gettext_lazy("hours with one custodian. Empty: as for every site."),
    )
    latitude = forms.DecimalField(
        label=gettext_lazy("Latitude"), required=False, min_value=-90, max_value=90, decimal_places=6
    )
    longitude = forms.DecimalField(
        label=gettext_lazy("Longitude"),
        required=False,
        min_value=-180,
        max_value=180,
        decimal_places=6,
        help_text=gettext_lazy("In degrees. The way between two sites then says how soon a tag may be at the other."),
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.SEE_GOODS)
def route(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    """The plan that holds, and the ones before; the new one is typed as the sites' codes, in order."""
    consignment = get_object_or_404(Consignment, pk=consignment_id)
    user, refusal = cast(User, request.user), None
    typed = request.POST.get("sites", "")
    if request.method == "POST":
        try:
            if not user.may(Capability.MANAGE_GOODS):
                raise RouteNotYours
            plan_route(consignment=consignment, sites=_sites(typed), by=user)
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("The places are planned."))
            return redirect("shipment_route", consignment.pk)
    held = current_route(consignment)
    places = [place.site for place in held.places.all()] if held else []
    past = PlannedRoute.objects.filter(consignment=consignment).select_related("planned_by", "statement")
    return render(
        request,
        "custody/shipment_route.html",
        {
            "shipment": consignment,
            "route": held,
            "places": places,
            "past": past.prefetch_related("places__site")[:PER_PAGE],
            "sites": Site.objects.all(),
            "typed": typed if refusal else "\n".join(site.code for site in places),
            "most": MOST_PLACES,
            "refusal": refusal,
            "may_plan": user.may(Capability.MANAGE_GOODS) and consignment.closed_at is None,
            "may_read_ledger": user.may(Capability.READ_LEDGER),
        },
        status=refusal.status if refusal else 200,
    )


@require_GET
@capability_required(Capability.SEE_DISCREPANCIES, Capability.MANAGE_GOODS)
def site_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(Site.objects.all(), PER_PAGE).get_page(request.GET.get("page"))
    watches = {watch.site_id: watch for watch in SiteWatch.objects.filter(site__in=[site.pk for site in page])}
    rows = []
    for site in page:
        watch = watches.get(site.pk)
        days = [str(WEEKDAYS[day]) for day in days_of(watch)] if watch else []
        rows.append({"site": site, "watch": watch, "days": "" if len(days) == 7 else ", ".join(days)})
    may_watch = cast(User, request.user).may(Capability.MANAGE_GOODS)
    return render(request, "custody/site_watch_list.html", {"page": page, "rows": rows, "may_watch": may_watch})


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def site(request: HttpRequest, site_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Site, pk=site_id)
    watch, refusal = SiteWatch.objects.filter(site=found).first(), None
    form = SiteWatchForm(request.POST or None, initial=_told(watch))
    if request.method == "POST" and form.is_valid():
        fields: dict[str, Any] = dict(form.cleaned_data)
        for name in ("latitude", "longitude"):
            degrees = fields.pop(name)
            fields[f"{name}_e6"] = None if degrees is None else int(degrees * _E6)
        try:
            watch_site(site=found, by=cast(User, request.user), **fields)
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("What %(site)s is watched for is recorded.") % {"site": found.name})
            return redirect("site_watches")
    return render(
        request,
        "custody/zone_form.html",
        {
            "heading": found.name,
            "action": _("Save"),
            "back_to": reverse("site_watches"),
            "form": form,
            "refusal": refusal,
        },
        status=422 if refusal or form.errors else 200,
    )


def _told(watch: SiteWatch | None) -> dict[str, Any]:
    if watch is None:
        return {}
    return {
        "days": days_of(watch),
        "opens_at": watch.opens_at,
        "closes_at": watch.closes_at,
        "time_zone": watch.time_zone,
        "dwell_limit_h": watch.dwell_limit_h,
        "latitude": None if watch.latitude_e6 is None else watch.latitude_e6 / _E6,
        "longitude": None if watch.longitude_e6 is None else watch.longitude_e6 / _E6,
    }


def _sites(typed: str) -> list[Site]:
    """:raises SiteUnknown: where a code is none of a site"""
    codes = [code for code in (word.strip().upper() for word in typed.replace(",", "\n").splitlines()) if code]
    by_code = {site.code.upper(): site for site in Site.objects.all()}
    for code in codes:
        if code not in by_code:
            raise SiteUnknown(site=code[:16])
    return [by_code[code] for code in codes]
