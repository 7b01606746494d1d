"""The front door: each role begins on the page where its work is."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.models import User
from accounts.roles import Role

BEGINS_AT: dict[str, str] = {
    Role.OPERATOR: "handoffs",
    Role.SUPERVISOR: "handoffs",
    Role.OFFICER: "refusals",
    Role.AUDITOR: "ledger",
    Role.ADMINISTRATOR: "people",
    Role.WITNESS: "log-checkpoint",
    Role.REPRESENTATIVE: "declarations",
}


@login_required
def home(request: HttpRequest) -> HttpResponse:
    return redirect(BEGINS_AT[cast(User, request.user).role])
