"""
The two pages that open a handoff: which shipment and where, then who takes it over.

A code or a badge that was scanned never stands in an address: what goes on is the reference and opaque ids.
"""

import uuid
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.errors import NotEnrolled
from biometrics.models import Person
from biometrics.people import display_name, people_on_file
from biometrics.second_factor import find_by_badge
from custody import errors, handoffs
from custody.authorisations import UnauthorisedCustodian, who_may_not
from custody.models import OPEN_STATES, Handoff
from custody.views.receivers import LISTED, find_receivers, with_rights
from refusals import Refusal
from shipments.finding import find_shipment
from shipments.models import Consignment, ReadPoint, ReadSession, SessionPurpose

READ_POINT = "handoff_read_point"  # the session's key: a tablet stays at its door


class ShipmentForm(forms.Form):
    shipment = forms.CharField(max_length=512)
    read_point = forms.ModelChoiceField(ReadPoint.objects.all())


class OpenForm(forms.Form):
    shipment = forms.CharField(max_length=200)
    read_point = forms.ModelChoiceField(ReadPoint.objects.all())
    receiver = forms.ModelChoiceField(people_on_file())
    attempt = forms.UUIDField()
    take_over = forms.ModelChoiceField(ReadSession.objects.select_related("read_point"), required=False)


@reload_if_logged_out
@capability_required(Capability.HAND_OFF)
def new(request: HttpRequest) -> HttpResponse:
    """Two scans open a handoff: the shipment's label, then the receiver's badge (or the name, from the list)."""
    if request.method == "POST":
        steps = {"shipment": _take_shipment, "receiver": _find_receiver, "open": _open}
        return steps.get(request.POST.get("step", ""), _take_shipment)(request)
    reference, read_point = request.GET.get("shipment", ""), _read_point_here(request)
    if not reference:
        return _ask_shipment(request)
    try:
        shipment = find_shipment(code=reference)
    except Refusal as refusal:
        return _ask_shipment(request, scanned=reference, refusal=refusal)
    opened = Handoff.objects.filter(consignment=shipment, state__in=OPEN_STATES).first()
    if opened is not None:
        messages.info(request, _("%(reference)s has this open handoff. Go on with it.") % {"reference": shipment})
        return redirect("handoff", opened.pk)
    if read_point is None:
        return _ask_shipment(request, scanned=reference)
    request.session[READ_POINT] = str(read_point.pk)
    chosen = _by_id(people_on_file(), request.GET.get("receiver", ""))
    return _ask_receiver(request, shipment, read_point, chosen=chosen)


def _take_shipment(request: HttpRequest) -> HttpResponse:
    form = ShipmentForm(request.POST)
    scanned = request.POST.get("shipment", "")
    if not form.is_valid():
        sentence = (
            _("Choose the read point where the goods stand.")
            if "read_point" in form.errors
            else _("Scan the label of the shipment, or type its reference.")
        )
        return _ask_shipment(request, scanned=scanned, sentence=sentence)
    try:
        shipment = find_shipment(code=form.cleaned_data["shipment"])
    except Refusal as refusal:
        return _ask_shipment(request, scanned=scanned, refusal=refusal)
    # Onwards by its reference: what was scanned (a badge, by mistake) never stands in an address.
    return redirect(_address(shipment, form.cleaned_data["read_point"]))


def _find_receiver(request: HttpRequest) -> HttpResponse:
    """A badge chooses its person; a name narrows the list, as it is typed (htmx) or when it is sent."""
    shipment = get_object_or_404(Consignment, reference=request.POST.get("shipment", ""))
    read_point = _read_point_here(request)
    who = request.POST.get("who", "").strip()
    if read_point is None:
        return redirect(f"{reverse('handoff_new')}?{urlencode({'shipment': shipment.reference})}")
    found = find_receivers(who)
    if request.headers.get("HX-Request"):
        return render(request, "custody/handoff_people.html", _people(shipment, read_point, found, chosen=None))
    person = find_by_badge(who) if who else None
    if person is None and len(found) == 1:
        person = found[0]
    if person is not None:
        return redirect(_address(shipment, read_point, person))
    sentence = "" if found else _("No enrolled person has this badge or name. Scan the badge again, or choose below.")
    return _ask_receiver(request, shipment, read_point, who=who, found=found or None, sentence=sentence)


def _open(request: HttpRequest) -> HttpResponse:
    form = OpenForm(request.POST)
    if not form.is_valid():
        shipment = get_object_or_404(Consignment, reference=request.POST.get("shipment", ""))
        read_point = _read_point_here(request)
        if read_point is None or "attempt" in form.errors:
            return redirect(f"{reverse('handoff_new')}?{urlencode({'shipment': shipment.reference})}")
        sentence = _("Choose who takes custody: scan the badge, or touch a name.")
        return _ask_receiver(request, shipment, read_point, sentence=sentence)
    asked = form.cleaned_data
    try:
        handoff = handoffs.open_handoff(**asked, opened_by=cast(User, request.user))
    except errors.HandoffAlreadyOpen as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
        return redirect("handoff", refusal.facts["handoff"]) if refusal.facts["handoff"] else redirect("handoffs")
    except Refusal as refusal:
        known = Consignment.objects.filter(reference=asked["shipment"]).first()
        if known is None:
            return _ask_shipment(request, scanned=asked["shipment"], refusal=refusal)
        # Somebody else must take it: the whole list again. After any other refusal the same choice may be tried anew.
        elsewhere = isinstance(refusal, errors.SamePersonOnBothSides | UnauthorisedCustodian)
        chosen = None if elsewhere else asked["receiver"]
        return _ask_receiver(request, known, asked["read_point"], chosen=chosen, refusal=refusal)
    request.session[READ_POINT] = str(handoff.read_point_id)
    return redirect("handoff", handoff.pk)


def _ask_shipment(
    request: HttpRequest, *, scanned: str = "", sentence: str = "", refusal: Refusal | None = None
) -> HttpResponse:
    # What a gate reads by itself is in nobody's way.
    reading = ReadSession.objects.filter(frozen_at=None).exclude(purpose=SessionPurpose.PASSAGE)
    busy = dict(reading.values_list("read_point_id", "purpose"))
    context = {
        "scanned": scanned,
        "sentence": refusal.sentence if refusal else sentence,
        "code": refusal.code if refusal else "",
        "read_points": [
            {"read_point": point, "busy": busy.get(point.pk, "")} for point in ReadPoint.objects.select_related("site")
        ],
        "here": _read_point_here(request),
    }
    return render(request, "custody/handoff_shipment.html", context, status=_status(refusal, sentence))


def _ask_receiver(
    request: HttpRequest,
    shipment: Consignment,
    read_point: ReadPoint,
    *,
    chosen: Person | None = None,
    who: str = "",
    found: list[Person] | None = None,
    sentence: str = "",
    refusal: Refusal | None = None,
) -> HttpResponse:
    if chosen is not None and refusal is None and not chosen.templates.filter(active=True).exists():
        refusal, chosen = NotEnrolled(name=display_name(chosen)), None
    if chosen is not None and refusal is None:
        refusal = who_may_not(
            people={chosen: display_name(chosen)}, consignment=shipment, site=read_point.site, at=timezone.now()
        ).get(chosen.pk)
    held = handoffs.current_handoff(shipment)
    context = _people(shipment, read_point, find_receivers() if found is None else found, chosen=chosen) | {
        "shipment": shipment,
        "read_point": read_point,
        "tags": shipment.manifest.count(),
        "holder": display_name(held.to_person) if held else shipment.consignor.name,
        "held": held,
        "attempt": uuid.uuid4(),
        "offer": _offer(shipment, read_point),
        "who": who,
        "sentence": refusal.sentence if refusal else sentence,
        "code": refusal.code if refusal else "",
        "in_the_way": _in_the_way(read_point) if refusal and refusal.code == "read_point_busy" else None,
        "everybody": _address(shipment, read_point),
        "back": f"{reverse('handoff_new')}?{urlencode({'read_point': read_point.pk})}",
    }
    return render(request, "custody/handoff_receiver.html", context, status=_status(refusal, sentence))


def _offer(shipment: Consignment, read_point: ReadPoint) -> dict[str, Any] | None:
    """What the gate has read by itself, for a handoff to go on with."""
    offered = handoffs.reading_on_offer(consignment=shipment, read_point=read_point)
    if offered is None:
        return None
    session, result = offered
    return {"session": session, "result": result, "open": session.frozen_at is None}


def _people(
    shipment: Consignment, read_point: ReadPoint, found: list[Person], *, chosen: Person | None
) -> dict[str, Any]:
    held = handoffs.current_handoff(shipment)
    if chosen is not None:
        found = [chosen]
    return {
        "receivers": with_rights(found[:LISTED], consignment=shipment, site=read_point.site),
        "unlisted": len(found[LISTED:]),
        "chosen": chosen,
        "holder_id": held.to_person_id if held else None,
    }


def _in_the_way(read_point: ReadPoint) -> Handoff | None:
    """The open handoff that the read point is reading for."""
    return Handoff.objects.filter(read_point=read_point, state__in=OPEN_STATES, session__frozen_at=None).first()


def _read_point_here(request: HttpRequest) -> ReadPoint | None:
    """The read point that was asked for, or the one this browser used last, or the only one there is."""
    points = ReadPoint.objects.select_related("site")
    asked = request.POST.get("read_point") or request.GET.get("read_point") or request.session.get(READ_POINT, "")
    only = points[:2]
    return _by_id(points, asked) or (only[0] if len(only) == 1 else None)


def _address(shipment: Consignment, read_point: ReadPoint, receiver: Person | None = None) -> str:
    where = {"shipment": shipment.reference, "read_point": str(read_point.pk)}
    if receiver is not None:
        where["receiver"] = str(receiver.pk)
    return f"{reverse('handoff_new')}?{urlencode(where)}"


def _by_id(rows: Any, text: str) -> Any:
    try:
        return rows.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _status(refusal: Refusal | None, sentence: str) -> int:
    return refusal.status if refusal else 422 if sentence else 200
