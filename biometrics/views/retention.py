"""The retention report: rule by rule what is kept, what is due, what was destroyed, and on whom a hold stands."""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import EvidenceHold
from biometrics.retention import erased_lately, report


@require_GET
@capability_required(Capability.SEE_RETENTION)
def retention(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    return render(
        request,
        "biometrics/retention.html",
        {
            "states": report(),
            "erased_day": erased_lately(days=1),
            "erased_month": erased_lately(days=30),
            "holds": EvidenceHold.objects.filter(lifted_at=None).select_related("placed_by"),
            "may_read_ledger": user.may(Capability.READ_LEDGER),
            "may_look": user.may(Capability.LOOK_AT_EVIDENCE),
        },
    )
