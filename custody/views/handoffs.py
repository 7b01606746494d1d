"""
The handoff on the screen: two pages that open it, and one address for the whole act, rendered by its state.

Each step is a POST that makes one service call and goes back to that address; a refusal arrives there as a message.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

import segno
from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.dateparse import parse_datetime
from django.utils.http import quote_etag
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.errors import NotEnrolled
from biometrics.models import Person, Verification
from biometrics.people import display_name
from biometrics.second_factor import find_by_badge
from custody import errors, handoffs
from custody.models import OPEN_STATES, Handoff, HandoffState
from custody.narrative import Directory, tell_refused
from custody.views.receivers import LISTED, find_receivers, with_names
from custody.views.tag_rows import scanned_row, tag_rows
from ledger.models import Statement
from refusals import Refusal
from shipments.consignments import find_shipment
from shipments.models import Consignment, RawReport, ReadPoint, ReadSession

PER_PAGE = 50
READ_POINT = "handoff_read_point"  # the session's key: a tablet stays at its door

PAGES = {
    HandoffState.READING: "custody/handoff_reading.html",
    HandoffState.RECONCILED: "custody/handoff_reconciled.html",
    HandoffState.ACCEPTED: "custody/handoff_accepted.html",
    HandoffState.REFUSED: "custody/handoff_closed.html",
    HandoffState.CANCELLED: "custody/handoff_closed.html",
}


def _reload_if_logged_out(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page whose session has ended go to the log-in as a whole: htmx would put that page into a part of it."""

    @wraps(view)
    def live(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "HX-Request" in request.headers and not request.user.is_authenticated:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return view(request, *args, **kwargs)

    return live


# The list ----------------------------------------------------------------------------------------------------------


@capability_required(Capability.HAND_OFF)
def handoff_list(request: HttpRequest) -> HttpResponse:
    """The open handoffs, then the closed ones, newest first."""
    reference, state = request.GET.get("shipment", "").strip()[:40], request.GET.get("state", "")
    known = _handoffs()
    if reference:
        known = known.filter(consignment__reference__icontains=reference)
    closed = known.exclude(state__in=OPEN_STATES).order_by("-closed_at")
    closed_states = [choice for choice in HandoffState if choice not in OPEN_STATES]
    if state in closed_states:
        closed = closed.filter(state=state)
    page = Paginator(closed, PER_PAGE).get_page(request.GET.get("page"))
    opened = list(known.filter(state__in=OPEN_STATES))
    names = open_names({handoff.to_person for handoff in [*opened, *page]})
    return render(
        request,
        "custody/handoff_list.html",
        {
            "open_handoffs": [_summary(row, names) for row in opened],
            "closed_handoffs": [_summary(row, names) for row in page],
            "page": page,
            "query": urlencode({"shipment": reference, "state": state}),
            "reference": reference,
            "state": state,
            "states": closed_states,
        },
    )


def _summary(handoff: Handoff, names: dict[uuid.UUID, str]) -> dict[str, Any]:
    statement = _statement(handoff)
    return {
        "handoff": handoff,
        "receiver": names.get(handoff.to_person_id, _("a person whose name does not open")),
        "waiting": statement is not None and statement.entry_id is None,
        "entry": statement.entry_id if statement else None,
    }


# Opening -----------------------------------------------------------------------------------------------------------


class ShipmentForm(forms.Form):
    shipment = forms.CharField(max_length=512)
    read_point = forms.ModelChoiceField(ReadPoint.objects.all())


class OpenForm(forms.Form):
    shipment = forms.CharField(max_length=200)
    read_point = forms.ModelChoiceField(ReadPoint.objects.all())
    receiver = forms.ModelChoiceField(Person.objects.all())
    attempt = forms.UUIDField()


@_reload_if_logged_out
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
    chosen = _by_id(Person.objects, request.GET.get("receiver", ""))
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
        return render(request, "custody/handoff_people.html", _people(shipment, found, chosen=None))
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
        handoff = handoffs.open_handoff(**asked, opened_by=_user(request))
    except errors.HandoffAlreadyOpen as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
        return redirect("handoff", refusal.facts["handoff"]) if refusal.facts["handoff"] else redirect("handoffs")
    except Refusal as refusal:
        known = Consignment.objects.filter(reference=asked["shipment"]).first()
        if known is None:
            return _ask_shipment(request, scanned=asked["shipment"], refusal=refusal)
        # Somebody else must take it: the whole list again. After any other refusal the same choice may be tried anew.
        chosen = None if isinstance(refusal, errors.SamePersonOnBothSides) else asked["receiver"]
        return _ask_receiver(request, known, asked["read_point"], chosen=chosen, refusal=refusal)
    request.session[READ_POINT] = str(handoff.read_point_id)
    return redirect("handoff", handoff.pk)


def _ask_shipment(
    request: HttpRequest, *, scanned: str = "", sentence: str = "", refusal: Refusal | None = None
) -> HttpResponse:
    busy = set(ReadSession.objects.filter(frozen_at=None).values_list("read_point_id", flat=True))
    context = {
        "scanned": scanned,
        "sentence": refusal.sentence if refusal else sentence,
        "code": refusal.code if refusal else "",
        "read_points": [
            {"read_point": point, "busy": point.pk in busy} for point in ReadPoint.objects.select_related("site")
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
    held = handoffs.current_handoff(shipment)
    context = _people(shipment, find_receivers() if found is None else found, chosen=chosen) | {
        "shipment": shipment,
        "read_point": read_point,
        "tags": shipment.manifest.count(),
        "holder": display_name(held.to_person) if held else shipment.consignor.name,
        "held": held,
        "attempt": uuid.uuid4(),
        "who": who,
        "sentence": refusal.sentence if refusal else sentence,
        "code": refusal.code if refusal else "",
        "in_the_way": _in_the_way(read_point) if refusal and refusal.code == "read_point_busy" else None,
        "everybody": _address(shipment, read_point),
        "back": f"{reverse('handoff_new')}?{urlencode({'read_point': read_point.pk})}",
    }
    return render(request, "custody/handoff_receiver.html", context, status=_status(refusal, sentence))


def _people(shipment: Consignment, found: list[Person], *, chosen: Person | None) -> dict[str, Any]:
    held = handoffs.current_handoff(shipment)
    if chosen is not None:
        found = [chosen]
    return {
        "receivers": with_names(found[:LISTED]),
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


# The handoff's one address -----------------------------------------------------------------------------------------


@capability_required(Capability.HAND_OFF, Capability.SEE_REFUSALS, Capability.READ_LEDGER)
def handoff(request: HttpRequest, handoff_id: uuid.UUID) -> HttpResponse:
    """Show the handoff as it stands. Officers and auditors see it without the controls."""
    shown = get_object_or_404(_handoffs(), pk=handoff_id)
    context = {
        "handoff": shown,
        "to_name": display_name(shown.to_person),
        "from_name": _released_by(shown),
        "may_act": _user(request).may(Capability.HAND_OFF),
        "may_read_ledger": _user(request).may(Capability.READ_LEDGER),
        "stage": _stage(shown),
    }
    describe = {
        HandoffState.READING: _reading,
        HandoffState.RECONCILED: _reconciled,
        HandoffState.ACCEPTED: _accepted,
        HandoffState.REFUSED: _closed,
        HandoffState.CANCELLED: _closed,
    }
    state = HandoffState(shown.state)
    return render(request, PAGES[state], context | describe[state](request, shown))


def _reading(request: HttpRequest, handoff: Handoff) -> dict[str, Any]:
    return {"tags": tag_rows(handoff, handoffs.match_tags(handoff))}


def _reconciled(request: HttpRequest, handoff: Handoff) -> dict[str, Any]:
    face = handoff.verification
    matched = face is not None and face.outcome == Verification.Outcome.MATCH
    holds = matched and face is not None and timezone.now() - face.created_at <= handoffs.FACE_HOLDS_FOR
    refused = handoff.refusals.filter(code=errors.FaceNotMatched.code).count()
    return {
        "tags": tag_rows(handoff, handoffs.match_tags(handoff)),
        "face_confirmed": holds,
        "face_too_old": matched and not holds,
        "minutes": int(handoffs.FACE_HOLDS_FOR.total_seconds() // 60),
        "attempts_left": handoffs.FACE_ATTEMPTS - refused if refused else None,
        "has_pin": hasattr(handoff.to_person, "pin"),
        "has_badge": handoff.to_person.badges.filter(revoked_at=None).exists(),
    }


def _accepted(request: HttpRequest, handoff: Handoff) -> dict[str, Any]:
    entry = handoff.statement.entry if handoff.statement else None
    if entry is None:
        return {"entry": None}
    address = request.build_absolute_uri(reverse("entry", args=[entry.index]))
    return {
        "entry": entry,
        "title": _("Recorded as entry %(index)s") % {"index": f"{entry.index:,}"},
        "subtitle": _("%(to)s holds custody of %(reference)s.")
        % {"to": display_name(handoff.to_person), "reference": handoff.consignment.reference},
        "hash": bytes(entry.leaf_hash).hex(),
        "facts": _receipt_facts(handoff),
        "qr": segno.make_qr(address, error="m").svg_data_uri(border=1, light="white"),
        "entry_url": reverse("entry", args=[entry.index]) if _user(request).may(Capability.READ_LEDGER) else "",
    }


def _receipt_facts(handoff: Handoff) -> list[dict[str, Any]]:
    reads = handoff.reconciliation or {}
    point = handoff.read_point
    tags = _("%(seen)s of %(expected)s read") % {"seen": reads.get("seen"), "expected": reads.get("expected")}
    if reads.get("unexpected"):
        tags += _(", %(count)s unexpected") % {"count": len(reads["unexpected"])}
    factor = {"pin": _("PIN"), "badge": _("Badge")}.get(handoff.second_factor, handoff.second_factor)
    return [
        {"name": _("Shipment"), "value": f"{handoff.consignment.reference} · {handoff.consignment.description}"},
        {"name": _("From"), "value": _released_by(handoff)},
        {"name": _("To"), "value": display_name(handoff.to_person)},
        {"name": _("Place"), "value": f"{point.name}, {point.site.name}"},
        {"name": _("Accepted"), "value": render_to_string("partials/time.html", {"at": handoff.closed_at})},
        {"name": _("Tags"), "value": tags},
        {"name": _("Person"), "value": _("Face matched; %(factor)s") % {"factor": factor}},
    ]


def _closed(request: HttpRequest, handoff: Handoff) -> dict[str, Any]:
    refused = handoff.refusals.select_related("statement__entry").first()
    if handoff.state != HandoffState.REFUSED or refused is None:
        return {"refused": None}
    return {"refused": refused, "because": tell_refused(refused, Directory())}


@_reload_if_logged_out
@capability_required(Capability.HAND_OFF, Capability.SEE_REFUSALS, Capability.READ_LEDGER)
def tags(request: HttpRequest, handoff_id: uuid.UUID) -> HttpResponse:
    """The live part of the page: unchanged costs a 304, and a handoff that moved on reloads the page."""
    handoff = get_object_or_404(_handoffs(), pk=handoff_id)
    stage = _stage(handoff)
    if request.GET.get("stage") != stage:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    etag = _tags_etag(handoff, stage)
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    if stage != HandoffState.READING:
        return HttpResponse(status=204)
    context = {"tags": tag_rows(handoff, handoffs.match_tags(handoff))}
    answer = render(request, "custody/handoff_tags.html", context)
    answer["ETag"] = etag
    return answer


def _tags_etag(handoff: Handoff, stage: str) -> str:
    # New tags come with new reports. The count besides the newest: a lower id may be committed after a higher one.
    reports = RawReport.objects.filter(
        read_point_id=handoff.read_point_id, received_at__gte=handoff.session.opened_at
    ).aggregate(newest=Max("id"), count=Count("id"))
    return quote_etag(f"{handoff.session_id}-{stage}-{reports['newest']}-{reports['count']}-{get_language()}")


def _stage(handoff: Handoff) -> str:
    """The state, and whether what it says still waits for its entry; the page watches for a change of it."""
    statement = _statement(handoff)
    waiting = statement is not None and statement.entry_id is None
    return f"{handoff.state}-waiting" if waiting else handoff.state


def _statement(handoff: Handoff) -> Statement | None:
    """What was submitted when the handoff was closed: the handoff, or the refusal that ended it."""
    if handoff.state != HandoffState.REFUSED:
        return handoff.statement
    refusals = list(handoff.refusals.all())
    return refusals[0].statement if refusals else None


# The steps ---------------------------------------------------------------------------------------------------------


def _step(act: Callable[[HttpRequest, Handoff], HttpResponse | None]) -> Callable[..., HttpResponse]:
    """Make ``act`` a POST below the handoff's address that ends there again."""

    @_reload_if_logged_out
    @capability_required(Capability.HAND_OFF)
    @wraps(act)
    def posted(request: HttpRequest, handoff_id: uuid.UUID) -> HttpResponse:
        # Who had to log in between comes back by GET: show the page, do nothing.
        if request.method == "POST":
            handoff = get_object_or_404(_handoffs(), pk=handoff_id)
            request.session[READ_POINT] = str(handoff.read_point_id)
            answer = act(request, handoff)
            if answer is not None:
                return answer
        return redirect("handoff", handoff_id)

    return posted


@_step
def scan(request: HttpRequest, handoff: Handoff) -> HttpResponse | None:
    live = "HX-Request" in request.headers
    try:
        epc = handoffs.scan_tag(handoff=handoff, code=request.POST.get("code", "")[:512])
    except Refusal as refusal:
        if not live:
            raise
        return render(request, "custody/handoff_scanned.html", {"refusal": refusal}, status=422)
    row = scanned_row(handoff, epc, handoffs.match_tags(handoff))
    if live:
        return render(request, "custody/handoff_scanned.html", {"row": row, "tags": [row]})
    messages.success(request, f"{row.name}: {row.note}")
    return None


@_step
def reconcile(request: HttpRequest, handoff: Handoff) -> None:
    handoffs.reconcile_handoff(handoff=handoff, by=_user(request))


@_step
def read_again(request: HttpRequest, handoff: Handoff) -> None:
    handoffs.read_again(handoff=handoff, by=_user(request))


@_step
def face(request: HttpRequest, handoff: Handoff) -> None:
    photo = request.FILES.get("photo")
    handoffs.verify_receiver(
        handoff=handoff,
        photo=photo.read() if photo else b"",
        captured_at=_captured_at(request.POST.get("captured_at", "")),
        device=request.POST.get("camera_device", "").strip()[:100] or "uploaded photo",
        by=_user(request),
    )


@_step
def accept(request: HttpRequest, handoff: Handoff) -> None:
    handoffs.accept_handoff(
        handoff=handoff,
        by=_user(request),
        pin=request.POST.get("pin", "").strip()[:32],
        badge=request.POST.get("badge", "").strip()[:64],
    )


@_step
def refuse(request: HttpRequest, handoff: Handoff) -> None:
    reason = " ".join(request.POST.get("reason", "").split())
    if not reason or len(reason) > 500:
        messages.error(request, _("Say why it is declined, in at most 500 characters."))
        return
    handoffs.refuse_handoff(handoff=handoff, reason=reason, by=_user(request))


@_step
def cancel(request: HttpRequest, handoff: Handoff) -> None:
    handoffs.cancel_handoff(handoff=handoff, by=_user(request))


def _captured_at(text: str) -> datetime:
    """When the camera says that the still was taken; now, where a file was chosen or the claim cannot be read."""
    try:
        claimed = parse_datetime(text)
    except ValueError:
        claimed = None
    if claimed is None:
        return timezone.now()
    return claimed.astimezone(UTC) if claimed.tzinfo else claimed.replace(tzinfo=UTC)


def _handoffs() -> QuerySet[Handoff]:
    related = ("consignment", "read_point__site", "session", "from_person", "from_party", "to_person", "opened_by")
    return (
        Handoff.objects.select_related(*related, "verification", "statement__entry")
        .prefetch_related("refusals__statement")
        .defer("statement__body", "statement__entry__note", "verification__record_json")
    )


def _released_by(handoff: Handoff) -> str:
    if handoff.from_person is not None:
        return display_name(handoff.from_person)
    return handoff.from_party.name if handoff.from_party else _("the consignor")


def _by_id(rows: Any, text: str) -> Any:
    try:
        return rows.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _status(refusal: Refusal | None, sentence: str) -> int:
    return refusal.status if refusal else 422 if sentence else 200


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
