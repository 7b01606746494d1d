"""Authorised groups: make one, name it, and say who is in it."""

import uuid
from typing import cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics import groups
from biometrics.directory import find_by_name, open_names
from biometrics.models import NEVER_REGISTERED, AuthorisedGroup, Person, Template
from refusals import Refusal

PER_PAGE = 50
MOST_FOUND = 20

_ENROLLED = Exists(Template.objects.filter(active=True, person=OuterRef("pk")))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def group_list(request: HttpRequest) -> HttpResponse:
    """All groups, and the field in which another one is named."""
    refusal, name = None, request.POST.get("name", "")
    if request.method == "POST":
        try:
            group = groups.make_group(name=name, made_by=cast(User, request.user))
        except Refusal as refused:
            refusal = refused
        else:
            return redirect("group", group.pk)
    found = AuthorisedGroup.objects.select_related("made_by").annotate(size=Count("members")).order_by("name")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "groups": page.object_list, "refusal": refusal, "name": name, "most": groups.MAX_NAME}
    return render(request, "biometrics/groups_list.html", context, status=refusal.status if refusal else 200)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def group(request: HttpRequest, group_id: uuid.UUID) -> HttpResponse:
    """One group. Whom to add is searched by POST: a name must not stand in addresses and their logs."""
    found = get_object_or_404(AuthorisedGroup.objects.select_related("made_by"), pk=group_id)
    return _show(request, found, name=request.POST.get("name", "").strip()[: groups.MAX_NAME])


@require_POST
@capability_required(Capability.MANAGE_PEOPLE)
def group_rename(request: HttpRequest, group_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(AuthorisedGroup, pk=group_id)
    try:
        groups.rename_group(group=found, name=request.POST.get("name", ""))
    except Refusal as refusal:
        found.refresh_from_db()
        return _show(request, found, refusal=refusal)
    messages.success(request, _("The group is renamed."))
    return redirect("group", found.pk)


@require_POST
@capability_required(Capability.MANAGE_PEOPLE)
def group_add(request: HttpRequest, group_id: uuid.UUID, person_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(AuthorisedGroup, pk=group_id)
    try:
        groups.add_member(group=found, person=get_object_or_404(Person, pk=person_id))
    except Refusal as refusal:
        return _show(request, found, refusal=refusal)
    return redirect("group", found.pk)


@require_POST
@capability_required(Capability.MANAGE_PEOPLE)
def group_remove(request: HttpRequest, group_id: uuid.UUID, person_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(AuthorisedGroup, pk=group_id)
    groups.remove_member(group=found, person=get_object_or_404(Person, pk=person_id))
    return redirect("group", found.pk)


def _show(
    request: HttpRequest, found: AuthorisedGroup, *, name: str = "", refusal: Refusal | None = None
) -> HttpResponse:
    members = found.members.order_by("-registered_at").annotate(enrolled=_ENROLLED)
    page = Paginator(members, PER_PAGE).get_page(request.GET.get("page"))
    others = Person.objects.filter(erased_at=None, exempt=False).exclude(kind__in=NEVER_REGISTERED)
    fitting = find_by_name(list(others.exclude(groups=found)), name)[:MOST_FOUND] if name else []
    names = open_names([*page.object_list, *fitting])
    return render(
        request,
        "biometrics/group.html",
        {
            "group": found,
            "page": page,
            "rows": [{"person": person, "name": names.get(person.pk, "")} for person in page.object_list],
            "enrolled": members.filter(enrolled=True).count(),
            "name": name,
            "fitting": [{"person": person, "name": names.get(person.pk, "")} for person in fitting],
            "most": groups.MAX_NAME,
            "refusal": refusal,
        },
        status=refusal.status if refusal else 200,
    )
