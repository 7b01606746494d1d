"""The officers' list of refused attempts: who, what, where, and the entry that says so for good."""

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from custody.directory import Directory
from custody.models import Refused
from custody.narrative import tell_refused
from custody.sentences.reasons import REASONS
from ledger.tlog import canonical
from ledger.tlog.errors import NotCanonical

PAGE_SIZE = 50


@dataclass(frozen=True)
class RefusalLine:
    refused: Refused
    sentence: str
    attempt: int | None
    items: list[str]


@require_GET
@capability_required(Capability.SEE_REFUSALS)
def refusal_list(request: HttpRequest) -> HttpResponse:
    code = request.GET.get("code", "")
    refused = Refused.objects.select_related("consignment", "handoff", "by", "statement__entry")
    counted = Refused.objects.order_by("code").values_list("code").annotate(count=Count("pk"))
    if code:
        refused = refused.filter(code=code)
    page = Paginator(refused.order_by("-at"), PAGE_SIZE).get_page(request.GET.get("page"))
    directory, user = Directory(), cast(User, request.user)
    return render(
        request,
        "custody/refusals.html",
        {
            "page": page,
            "lines": [_line(row, directory) for row in page.object_list],
            "codes": [(name, REASONS.get(name, name), count) for name, count in counted],
            "code": code,
            "query": urlencode({"code": code}) if code else "",
            "may_read_ledger": user.may(Capability.READ_LEDGER),
            "may_hand_off": user.may(Capability.HAND_OFF),
        },
    )


def _line(refused: Refused, directory: Directory) -> RefusalLine:
    body = _body(refused)
    face, items = body.get("face"), body.get("items")
    return RefusalLine(
        refused=refused,
        sentence=tell_refused(refused, directory),
        attempt=face.get("attempt") if isinstance(face, dict) else None,
        items=items if isinstance(items, list) else [],
    )


def _body(refused: Refused) -> dict[str, Any]:
    try:
        body = canonical.decode(bytes(refused.statement.body))
    except NotCanonical:
        return {}
    return body if isinstance(body, dict) else {}
