"""Restricted zones: who may be there and when, their cameras, and who was there between two moments."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.models import AuthorisedGroup, PersonKind
from custody.hours import days_of
from custody.models import Camera, Zone, ZoneAlert, ZoneEvent
from custody.zone_search import how_watched, who_was_there
from custody.zones import (
    MAX_NAME,
    MOST_FRAMES_BEFORE_ALERT,
    add_camera,
    change_zone,
    create_zone,
    renew_camera_token,
    switch_camera,
)
from refusals import Refusal
from shipments.models import Site

PER_PAGE = 50
GAPS_SHOWN = 5
# A camera that posts every second or two and has been silent for so long is broken, or was made to be.
SILENT_AFTER = timedelta(seconds=30)
LONGEST_SEARCH = timedelta(days=31)

OUTCOMES = {
    ZoneEvent.Outcome.AUTHORISED: ("ok", "circle-check"),
    ZoneEvent.Outcome.OUTSIDE_HOURS: ("warn", "clock"),
    ZoneEvent.Outcome.UNAUTHORISED: ("bad", "ban"),
    ZoneEvent.Outcome.STRANGER: ("bad", "alert-triangle"),
    ZoneEvent.Outcome.UNCLEAR: ("waiting", "question-mark"),
}


class ZoneForm(forms.Form):
    site = forms.ModelChoiceField(label=gettext_lazy("Site"), queryset=Site.objects.all(), empty_label=None)
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("As it is written at its door: Vault 2."),
    )
    group = forms.ModelChoiceField(
        label=gettext_lazy("Who may be there"),
        queryset=AuthorisedGroup.objects.all(),
        empty_label=None,
        help_text=gettext_lazy("A group of enrolled people. Whoever else is seen raises an alert."),
    )
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("On these days"),
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
        help_text=gettext_lazy("The site’s own, for instance America/Ciudad_Juarez."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "translate": "no"}),
    )
    alert_after = forms.IntegerField(
        label=gettext_lazy("Alert after"),
        min_value=1,
        max_value=MOST_FRAMES_BEFORE_ALERT,
        initial=1,
        help_text=gettext_lazy("frames that show the same face. One is fastest; two or three are calmer."),
    )


class SearchForm(forms.Form):
    since = forms.DateTimeField(
        label=gettext_lazy("From (UTC)"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Until (UTC)"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        since, until = typed.get("since"), typed.get("until")
        if since and until and not since < until <= since + LONGEST_SEARCH:
            raise forms.ValidationError(_("The end lies behind the beginning, by 31 days at most."))
        return typed


@require_GET
@capability_required(Capability.WATCH_ZONES, Capability.MANAGE_ZONES)
def zone_list(request: HttpRequest) -> HttpResponse:
    user, now = cast(User, request.user), timezone.now()
    open_alerts = Count("events__alerts", filter=Q(events__alerts__decision=""))
    found = Zone.objects.select_related("site", "group").prefetch_related("cameras").annotate(open_alerts=open_alerts)
    return render(
        request,
        "custody/zone_list.html",
        {
            "zones": [
                {"zone": one, "cameras": [(camera, camera_state(camera, now)) for camera in one.cameras.all()]}
                for one in found
            ],
            "open_alerts": ZoneAlert.objects.filter(decision="").count(),
            "may_manage": user.may(Capability.MANAGE_ZONES),
            "may_watch": user.may(Capability.WATCH_ZONES),
        },
    )


@require_GET
@capability_required(Capability.WATCH_ZONES, Capability.MANAGE_ZONES)
def zone(request: HttpRequest, zone_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(zone_id))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_ZONES)
def new_zone(request: HttpRequest) -> HttpResponse:
    if not Site.objects.exists():
        messages.info(request, _("A zone belongs to a site. Add the site first."))
        return redirect("site_new")
    if not AuthorisedGroup.objects.exists():
        messages.info(request, _("A zone is for a group of people. Make the group first."))
        return redirect("groups")

    def save(typed: dict[str, Any]) -> HttpResponse:
        made = create_zone(made_by=cast(User, request.user), **typed)
        messages.success(request, _("%(zone)s is on file. Add its cameras now.") % {"zone": made.name})
        return redirect("zone", made.pk)

    return _answer(request, ZoneForm(request.POST or None), save, _("Add a zone"), _("Add the zone"), reverse("zones"))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_ZONES)
def edit_zone(request: HttpRequest, zone_id: uuid.UUID) -> HttpResponse:
    found = _find(zone_id)

    def save(typed: dict[str, Any]) -> HttpResponse:
        change_zone(zone=found, **{name: value for name, value in typed.items() if name != "site"})
        messages.success(request, _("Saved. From now on frames are judged by this."))
        return redirect("zone", found.pk)

    fields = ("name", "group", "opens_at", "closes_at", "time_zone", "alert_after")
    form = ZoneForm(
        request.POST or None,
        initial={name: getattr(found, name) for name in fields} | {"days": days_of(found), "site": found.site},
    )
    form.fields["site"].disabled = True
    return _answer(request, form, save, _("Change the zone"), _("Save"), reverse("zone", args=[found.pk]))


class CameraForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("What it looks at: Vault 2, door."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_ZONES)
def new_camera(request: HttpRequest, zone_id: uuid.UUID) -> HttpResponse:
    """Add a camera and show its token in this answer alone: a redirect would have to keep it somewhere."""
    found = _find(zone_id)

    def save(typed: dict[str, Any]) -> HttpResponse:
        camera, token = add_camera(zone=found, name=typed["name"], added_by=cast(User, request.user))
        return _show(request, found, camera=camera, token=token)

    heading = _("Add a camera to %(zone)s") % {"zone": found.name}
    form = CameraForm(request.POST or None)
    return _answer(request, form, save, heading, _("Add the camera"), reverse("zone", args=[found.pk]))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_ZONES)
def renew_token(request: HttpRequest, camera_id: uuid.UUID) -> HttpResponse:
    camera = get_object_or_404(Camera.objects.select_related("zone"), pk=camera_id)
    if request.method == "GET":  # the address left in the bar, or a change of language
        return redirect("zone", camera.zone_id)
    return _show(request, _find(camera.zone_id), camera=camera, token=renew_camera_token(camera=camera))


@require_POST
@capability_required(Capability.MANAGE_ZONES)
def switch(request: HttpRequest, camera_id: uuid.UUID) -> HttpResponse:
    camera = get_object_or_404(Camera, pk=camera_id)
    switch_camera(camera=camera, enabled=request.POST.get("enabled") == "yes")
    return redirect("zone", camera.zone_id)


def camera_state(camera: Camera, now: datetime) -> dict[str, Any]:
    """Say in a word whether a camera watches, as partials/chip.html takes it."""
    if not camera.enabled:
        return {"tone": "plain", "icon": "ban", "word": _("Switched off")}
    if camera.last_frame_at is None:
        return {"tone": "waiting", "icon": "hourglass", "word": _("No frame yet")}
    if now - camera.last_frame_at > SILENT_AFTER:
        return {"tone": "warn", "icon": "wifi-off", "word": _("Silent")}
    return {"tone": "ok", "icon": "wifi", "word": _("Watching")}


def _find(zone_id: uuid.UUID) -> Zone:
    return get_object_or_404(Zone.objects.select_related("site", "group"), pk=zone_id)


def _show(request: HttpRequest, found: Zone, *, camera: Camera | None = None, token: str = "") -> HttpResponse:
    user, now = cast(User, request.user), timezone.now()
    context: dict[str, Any] = {
        "zone": found,
        "days": [WEEKDAYS[day] for day in days_of(found)],
        "cameras": [(one, camera_state(one, now)) for one in found.cameras.all()],
        "new_camera": camera,
        "token": token,
        "address": request.build_absolute_uri(reverse("camera-frames", args=[camera.pk])) if camera else "",
        "may_manage": user.may(Capability.MANAGE_ZONES),
        "may_watch": user.may(Capability.WATCH_ZONES),
    }
    if user.may(Capability.WATCH_ZONES):
        context |= _searched(request, found, now)
    response = render(request, "custody/zone.html", context)
    add_never_cache_headers(response)
    return response


def _searched(request: HttpRequest, found: Zone, now: datetime) -> dict[str, Any]:
    """Who was there: within the span that the address names, or within the last day."""
    asked = "since" in request.GET
    form = SearchForm(request.GET if asked else None, initial={"since": now - timedelta(days=1), "until": now})
    since, until = now - timedelta(days=1), now
    if asked:
        if not form.is_valid():
            return {"search": form}
        since, until = form.cleaned_data["since"], form.cleaned_data["until"]
    page = Paginator(who_was_there(zone=found, since=since, until=until), PER_PAGE).get_page(request.GET.get("page"))
    names = open_names({event.person for event in page.object_list if event.person is not None})
    span = until - since
    return {
        "search": form,
        "page": page,
        "query": f"since={since:%Y-%m-%dT%H:%M}&until={until:%Y-%m-%dT%H:%M}" if asked else "",
        "stays": [
            {
                "event": event,
                "name": names.get(event.person_id, "") if event.person_id else "",
                "known": event.person is not None and event.person.kind != PersonKind.UNKNOWN,
                "tone": OUTCOMES[ZoneEvent.Outcome(event.outcome)][0],
                "icon": OUTCOMES[ZoneEvent.Outcome(event.outcome)][1],
            }
            for event in page.object_list
        ],
        "watches": [
            {
                "watch": watch,
                "percent": round(100 * watch.watched / span),
                "gaps": watch.gaps[:GAPS_SHOWN],
                "more": watch.gaps[GAPS_SHOWN:],
            }
            for watch in how_watched(zone=found, since=since, until=until)
        ],
    }


def _answer(
    request: HttpRequest,
    form: forms.Form,
    save: Callable[[dict[str, Any]], HttpResponse],
    heading: str,
    action: str,
    back: str,
) -> HttpResponse:
    refusal: Refusal | None = None
    if request.method == "POST" and form.is_valid():
        try:
            return save(form.cleaned_data)
        except Refusal as refused:
            refusal = refused
    return render(
        request,
        "custody/zone_form.html",
        {"form": form, "refusal": refusal, "heading": heading, "action": action, "back_to": back},
        status=422 if refusal or form.errors else 200,
    )
