"""Where an officer is wanted, how often one stood in of late, and the form by which one does."""

import uuid
from datetime import timedelta
from typing import Any, cast

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.models import Person
from custody.approvals import approval_of, officer_awaited
from custody.approvals import approve as approve_handoff
from custody.handoff_exceptions import exceptions_for_officer, must_read_again
from custody.models import Approval, Handoff, HandoffState, Purpose

COUNTED_OVER = timedelta(days=30)
MOST_LISTED = 200


@require_GET
@capability_required(Capability.SEE_REFUSALS)
def approval_list(request: HttpRequest) -> HttpResponse:
    """The open handoffs that wait for an officer, the longest waiting first, and the counts of the last thirty days."""
    matched = (
        Handoff.objects.filter(state=HandoffState.RECONCILED)
        .select_related("consignment", "read_point__site", "to_person")
        .order_by("reconciled_at")
    )[:MOST_LISTED]
    waiting = [one for one in matched if _waits(one)]
    names = open_names({one.to_person for one in waiting})
    since = timezone.now() - COUNTED_OVER
    accepted = Handoff.objects.filter(state=HandoffState.ACCEPTED, closed_at__gte=since)
    counts = accepted.aggregate(all=Count("pk"), dual=Count("pk", filter=Q(dual_control__isnull=False)))
    given = Approval.objects.filter(given_at__gte=since)
    context = {
        "waiting": [
            {"handoff": one, "receiver": names.get(one.to_person_id, _("a person whose name does not open"))}
            for one in waiting
        ],
        "days": COUNTED_OVER.days,
        "accepted": counts["all"],
        "dual": counts["dual"],
        "share": f"{100 * counts['dual'] / counts['all']:.1f}" if counts["all"] else "0",
        "officers": _by_officer(given),
    }
    return render(request, "custody/approvals.html", context)


@reload_if_logged_out
@capability_required(Capability.APPROVE_HANDOFFS)
def approve(request: HttpRequest, handoff_id: uuid.UUID) -> HttpResponse:
    # Who had to log in between comes back by GET: show the page, do nothing.
    if request.method == "POST":
        sent = request.POST
        approve_handoff(
            handoff=get_object_or_404(Handoff, pk=handoff_id),
            purpose=sent.get("purpose", "")[:16],
            reason=sent.get("reason", "")[:32],
            document=sent.get("document", "")[:32],
            note=sent.get("note", ""),
            seen=sent.get("seen", ""),
            by=cast(User, request.user),
            pin=sent.get("pin", "").strip()[:32],
            badge=sent.get("badge", "").strip()[:64],
        )
        messages.success(request, _("Approved. Whoever has this handoff open can go on."))
    return redirect("handoff", handoff_id)


def _waits(handoff: Handoff) -> bool:
    if officer_awaited(handoff):
        return True
    if must_read_again(handoff):
        return False
    return bool(exceptions_for_officer(handoff)) and approval_of(handoff, Purpose.EXCEPTIONS) is None


def _by_officer(given: Any) -> list[dict[str, Any]]:
    counted = (
        given.values("officer")
        .annotate(
            dual=Count("pk", filter=Q(purpose=Purpose.DUAL_CONTROL)),
            release=Count("pk", filter=Q(purpose=Purpose.RELEASE)),
            exceptions=Count("pk", filter=Q(purpose=Purpose.EXCEPTIONS)),
        )
        .order_by("-dual", "-release", "officer")[:MOST_LISTED]
    )
    rows = list(counted)
    names = open_names(Person.objects.filter(pk__in=[row["officer"] for row in rows]))
    return [row | {"name": names.get(row["officer"], _("a person whose name does not open"))} for row in rows]
