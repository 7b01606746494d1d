"""The auditor's verification page: start a run, watch it, read its verdict, and what to pin to verify elsewhere."""

import uuid
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from custody.ledger_head import ledger_head
from custody.narrative import Line, tell_all
from custody.verdicts import tell_verdict
from custody.watchers import watchers
from ledger.errors import VerifierKeyMissing
from ledger.models import Entry, VerificationRun
from ledger.own_policy import own_policy
from ledger.verification_runs import cancel_run, request_run

PAGE_SIZE = 20
ALIVE = (VerificationRun.State.WAITING, VerificationRun.State.RUNNING)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.VERIFY_LEDGER)
def verification(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _start(request)
    runs = VerificationRun.objects.select_related("requested_by")
    page = Paginator(runs.exclude(state__in=ALIVE), PAGE_SIZE).get_page(request.GET.get("page"))
    newest = runs.exclude(state__in=ALIVE).first()
    verdict = tell_verdict(newest) if newest else None
    try:
        vkeys = own_policy().vkeys
    except VerifierKeyMissing:
        vkeys = ()
    return render(
        request,
        "custody/verification.html",
        {
            "alive": runs.filter(state__in=ALIVE).first(),
            "depths": VerificationRun.Depth,
            "newest": newest,
            "verdict": verdict,
            "neighbours": _around(verdict.broken_at) if verdict and verdict.broken_at is not None else [],
            "history": [(run, tell_verdict(run)) for run in page.object_list],
            "page": page,
            "head": ledger_head(),
            "origin": settings.LEDGER_ORIGIN,
            "vkeys": vkeys,
            "watchers": watchers(),
        },
    )


def _start(request: HttpRequest) -> HttpResponse:
    depth = request.POST.get("depth", VerificationRun.Depth.DEEP)
    if depth not in VerificationRun.Depth.values:
        return redirect("verification")
    try:
        request_run(requested_by=cast(User, request.user), depth=depth)
    except VerifierKeyMissing as error:
        messages.error(request, error.sentence, extra_tags=error.code)
    return HttpResponseRedirect(reverse("verification"))


@require_GET
@reload_if_logged_out
@capability_required(Capability.VERIFY_LEDGER)
def progress(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """How far a run is; once it has ended, the whole page is asked for anew, which shows the verdict."""
    run = get_object_or_404(VerificationRun, pk=run_id)
    if run.state not in ALIVE:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    etag = f'"{run.state}-{run.checked}-{bool(run.cancel_asked_at)}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers={"ETag": etag})
    answer = render(request, "custody/verification_progress.html", {"run": run})
    answer["ETag"] = etag
    return answer


@require_POST
@capability_required(Capability.VERIFY_LEDGER)
def cancel(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    cancel_run(get_object_or_404(VerificationRun, pk=run_id))
    return redirect("verification")


def _around(index: int) -> list[Line]:
    """The first bad entry between its neighbours."""
    return tell_all(Entry.objects.filter(index__gte=index - 1, index__lte=index + 1).order_by("index"))
