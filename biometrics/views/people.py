"""Everybody on file: who they are, whether their face is enrolled, and what the other factor is."""

from collections.abc import Sequence
from typing import cast
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import find_by_name, open_names
from biometrics.models import (
    NEVER_REGISTERED,
    Badge,
    Consent,
    ConsentPurpose,
    DuplicateReview,
    Person,
    PersonKind,
    Pin,
    Template,
)
from biometrics.people import people_on_file

PER_PAGE = 50
KINDS = [(value, label) for value, label in PersonKind.choices if value not in NEVER_REGISTERED]

_THEIRS = {"person": OuterRef("pk")}
_ENROLLED = Exists(Template.objects.filter(active=True, **_THEIRS))
_CONSENTED = Exists(Consent.objects.filter(purpose=ConsentPurpose.CUSTODY, withdrawn_at=None, **_THEIRS))
_HAS_PIN = Exists(Pin.objects.filter(**_THEIRS))
_HAS_BADGE = Exists(Badge.objects.filter(revoked_at=None, **_THEIRS))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.SEE_PEOPLE)
def people_list(request: HttpRequest) -> HttpResponse:
    """All people, the newest first. A name is searched by POST: it must not stand in addresses and their logs."""
    user = cast(User, request.user)
    name = request.POST.get("name", "").strip()[:120]
    chosen = request.POST if request.method == "POST" else request.GET
    kind, enrolled = chosen.get("kind", ""), chosen.get("enrolled", "")
    query = urlencode({key: value for key, value in (("kind", kind), ("enrolled", enrolled)) if value})
    if request.method == "POST" and not name:
        return redirect(f"{reverse('people')}?{query}" if query else reverse("people"))
    found = people_on_file().order_by("-registered_at")
    if kind in dict(KINDS):
        found = found.filter(kind=kind)
    if enrolled in ("yes", "no"):
        found = found.filter(_ENROLLED if enrolled == "yes" else ~_ENROLLED)
    found = found.annotate(enrolled=_ENROLLED, consented=_CONSENTED, has_pin=_HAS_PIN, has_badge=_HAS_BADGE)
    listed: Sequence[Person] | QuerySet[Person] = find_by_name(list(found), name) if name else found
    # What a name finds stands on one page: the next one would be an address with the name in it.
    page = Paginator(listed, max(len(listed), 1) if name else PER_PAGE).get_page(request.GET.get("page"))
    names = open_names(page.object_list)
    return render(
        request,
        "biometrics/people_list.html",
        {
            "page": page,
            "rows": [{"person": person, "name": names.get(person.pk, "")} for person in page.object_list],
            "name": name,
            "kind": kind,
            "enrolled": enrolled,
            "kinds": KINDS,
            "query": query,
            "may_manage": user.may(Capability.MANAGE_PEOPLE),
            "may_decide": user.may(Capability.DECIDE_DUPLICATES),
            "undecided": DuplicateReview.objects.filter(state=DuplicateReview.State.PENDING).count(),
        },
    )
