"""Which read points are border crossings."""

import uuid
from typing import cast

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from custody.crossings import close_crossing, open_crossing
from custody.models import Crossing
from shipments.models import ReadPoint


class CrossingForm(forms.Form):
    read_point = forms.ModelChoiceField(
        label=gettext_lazy("Read point"),
        queryset=ReadPoint.objects.select_related("site").filter(crossing=None),
        empty_label=None,
        help_text=gettext_lazy("A lane or a gate at which a border is crossed."),
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def crossing_list(request: HttpRequest) -> HttpResponse:
    form = CrossingForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        open_crossing(read_point=form.cleaned_data["read_point"], by=cast(User, request.user))
        return redirect("crossings")
    crossings = Crossing.objects.select_related("read_point__site")
    context = {"crossings": crossings, "form": form, "any_left": form.fields["read_point"].queryset.exists()}  # type: ignore[attr-defined]
    return render(request, "custody/crossing_list.html", context, status=422 if form.errors else 200)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def switch(request: HttpRequest, crossing_id: uuid.UUID) -> HttpResponse:
    crossing = get_object_or_404(Crossing, pk=crossing_id)
    user = cast(User, request.user)
    if request.POST.get("open") == "1":
        open_crossing(read_point=crossing.read_point, by=user)
    else:
        close_crossing(crossing=crossing, by=user)
    return redirect("crossings")
