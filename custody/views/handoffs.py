"""
The handoff on the screen: their list, and one address for the whole act, rendered by its state.

Each step is a POST that makes one service call and goes back to that address; a refusal arrives there as a message.
"""

import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

import segno
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.models import CaptureSource, Verification
from biometrics.people import display_name
from biometrics.verification import Burst
from custody import errors, handoffs, receiver_face
from custody.approvals import ask_officer
from custody.countersigning import release_custody
from custody.directory import Directory
from custody.models import OPEN_STATES, Handoff, HandoffState
from custody.narrative import tell_refused
from custody.views.captures import camera_of, read_capture
from custody.views.confirming import confirming, wanted_of_officer
from custody.views.opening import READ_POINT
from ledger.models import Statement
from refusals import Refusal
from shipments.models import RawReport
from shipments.views.tag_rows import TagRows, scanned_row, tag_rows

PER_PAGE = 50
FACTORS = {"pin": gettext_lazy("PIN"), "badge": gettext_lazy("Badge")}

PAGES = {
    HandoffState.READING: "custody/handoff_reading.html",
    HandoffState.RECONCILED: "custody/handoff_reconciled.html",
    HandoffState.ACCEPTED: "custody/handoff_accepted.html",
    HandoffState.REFUSED: "custody/handoff_closed.html",
    HandoffState.CANCELLED: "custody/handoff_closed.html",
}


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
    return {"tags": _tag_rows(handoff)}


def _tag_rows(handoff: Handoff) -> TagRows:
    # While the reader still reads, a tag that was not seen is only awaited.
    reading = handoff.state == HandoffState.READING
    return tag_rows(handoff.consignment, handoffs.match_tags(handoff), reading=reading)


def _reconciled(request: HttpRequest, handoff: Handoff) -> dict[str, Any]:
    context = confirming(handoff) | {"tags": _tag_rows(handoff)}
    if _user(request).may(Capability.APPROVE_HANDOFFS):
        context["wanted"] = wanted_of_officer(handoff, context)
    return context


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
    if reads.get("inferred"):
        tags += _(", %(count)s inferred") % {"count": reads["inferred"]}
    if reads.get("unexpected"):
        tags += _(", %(count)s unexpected") % {"count": len(reads["unexpected"])}
    factor = FACTORS.get(handoff.second_factor, handoff.second_factor)
    confirmed = _("Face matched; %(factor)s")
    if handoff.dual_control_id is not None:
        confirmed = _("An officer stood in for the face; %(factor)s")
    return [
        {"name": _("Shipment"), "value": f"{handoff.consignment.reference} · {handoff.consignment.description}"},
        {"name": _("From"), "value": _released_by(handoff)},
        {"name": _("To"), "value": display_name(handoff.to_person)},
        {"name": _("Place"), "value": f"{point.name}, {point.site.name}"},
        {"name": _("Accepted"), "value": render_to_string("partials/time.html", {"at": handoff.closed_at})},
        {"name": _("Tags"), "value": tags},
        {"name": _("Person"), "value": confirmed % {"factor": factor}},
        *_stood_in(handoff),
    ]


def _stood_in(handoff: Handoff) -> list[dict[str, Any]]:
    """What the one who handed over confirmed by, and for what officers stood in."""
    facts = []
    if handoff.released_at is not None:
        factor = FACTORS.get(handoff.release_factor, handoff.release_factor)
        facts.append({"name": _("Handed over"), "value": _("Confirmed by %(factor)s") % {"factor": factor}})
    for approval in handoff.approvals.select_related("officer"):
        if approval.reconciliation_sha256 == handoff.reconciliation_sha256:
            told = f"{display_name(approval.officer)}: {approval.get_reason_display()}"
            facts.append({"name": approval.get_purpose_display(), "value": told})
    return facts


def _closed(request: HttpRequest, handoff: Handoff) -> dict[str, Any]:
    refused = handoff.refusals.select_related("statement__entry").first()
    if handoff.state != HandoffState.REFUSED or refused is None:
        return {"refused": None}
    return {"refused": refused, "because": tell_refused(refused, Directory())}


@reload_if_logged_out
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
    context = {"tags": _tag_rows(handoff)}
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
    if handoff.state == HandoffState.RECONCILED:
        # An officer approves from another device, and the one at the dock goes on.
        return f"{handoff.state}-{handoff.approvals.count()}"
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

    @reload_if_logged_out
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
    row = scanned_row(handoff.consignment, epc, handoffs.match_tags(handoff))
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
def weigh(request: HttpRequest, handoff: Handoff) -> None:
    handoffs.weigh_shipment(handoff=handoff, measured_g=_grams(request.POST.get("kg", "")))


def _grams(typed: str) -> int | None:
    """Read kilograms as they are typed, with a comma or a point. :raises WeightRefused:"""
    typed = typed.strip()[:20]
    if not typed:
        return None
    if not re.fullmatch(r"[0-9]{1,10}(?:[.,][0-9]{1,3})?", typed):
        raise errors.WeightNotRead(typed=typed)
    return int(Decimal(typed.replace(",", ".")) * 1000)


@_step
def release(request: HttpRequest, handoff: Handoff) -> None:
    release_custody(handoff=handoff, **_factor(request))


@_step
def ask_for_officer(request: HttpRequest, handoff: Handoff) -> None:
    ask_officer(handoff=handoff)
    messages.info(request, _("The officers see this handoff now. This page goes on by itself when one has answered."))


@_step
def face(request: HttpRequest, handoff: Handoff) -> None:
    camera = camera_of(request)
    capture = read_capture(request, context=receiver_face.liveness_context(handoff))
    live = isinstance(capture, Burst)
    verification = receiver_face.verify_receiver(
        handoff=handoff,
        capture=capture,
        source=CaptureSource.WEBCAM if camera or live else CaptureSource.UPLOAD,
        camera=camera,
        by=_user(request),
    )
    if verification.outcome == Verification.Outcome.SECOND_CAPTURE:
        messages.info(request, _("One more capture is needed."))


@_step
def accept(request: HttpRequest, handoff: Handoff) -> None:
    handoffs.accept_handoff(
        handoff=handoff,
        by=_user(request),
        **_factor(request),
    )


def _factor(request: HttpRequest) -> dict[str, str]:
    return {"pin": request.POST.get("pin", "").strip()[:32], "badge": request.POST.get("badge", "").strip()[:64]}


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


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
