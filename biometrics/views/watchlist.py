"""
The watchlist for officers: who is on it, who was proposed, and what another officer confirms or takes off.

A photo is shown by a POST alone, once :mod:`biometrics.looks` has recorded who looks and why, and is kept in no cache.
"""

import base64
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics import watchlist
from biometrics.directory import open_names
from biometrics.looks import look_at_all
from biometrics.models import Evidence, EvidenceLook, WatchlistEntry, WatchlistLead
from biometrics.vault import NOT_OPENED, open_evidence
from refusals import Refusal

PER_PAGE = 50

_SIGNATURES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "image/webp"}

_CHIPS = {
    "proposed": ("waiting", "hourglass", gettext_lazy("Waits for a second officer")),
    "searched": ("ok", "eye", gettext_lazy("Searched for")),
    "expired": ("plain", "clock", gettext_lazy("Expired")),
    "removed": ("plain", "x", gettext_lazy("Removed")),
}


class EntryForm(forms.Form):
    authority = forms.CharField(
        label=gettext_lazy("By whose order"),
        max_length=watchlist.MAX_AUTHORITY,
        help_text=gettext_lazy("The authority and its file number, for example: Fiscalía 4, FED/2026/118."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=watchlist.MAX_REASON,
        help_text=gettext_lazy("It is kept encrypted; officers read it here."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    expires_on = forms.DateField(
        label=gettext_lazy("Look for this face until"),
        help_text=gettext_lazy("A year at most. Who is wanted longer is proposed again."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    name = forms.CharField(
        label=gettext_lazy("Name, where it is known"),
        max_length=watchlist.MAX_NAME,
        required=False,
        help_text=gettext_lazy("It is kept encrypted and never compared."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def save(self, *, photos: Sequence[bytes], proposed_by: User) -> WatchlistEntry:
        typed = self.cleaned_data
        # To the end of that day, in the time zone of the pages.
        end = timezone.make_aware(datetime.combine(typed["expires_on"] + timedelta(days=1), time.min))
        return watchlist.propose_watchlisted(
            photos=photos,
            reason=typed["reason"],
            authority=typed["authority"],
            expires_at=end,
            proposed_by=proposed_by,
            name=typed["name"],
        )


@require_GET
@capability_required(Capability.KEEP_WATCHLIST)
def watchlist_list(request: HttpRequest) -> HttpResponse:
    """Everybody on the watchlist or proposed for it; who was removed or has expired is asked for."""
    ended = Q(removed_at__isnull=False) | Q(expires_at__lte=timezone.now())
    showing_ended = request.GET.get("ended") == "yes"
    found = _entries().filter(ended) if showing_ended else _entries().exclude(ended)
    open_leads = Count("leads", filter=Q(leads__state=WatchlistLead.State.OPEN))
    page = Paginator(found.annotate(open_leads=open_leads).order_by("-proposed_at"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    names = open_names([entry.subject for entry in page.object_list])
    return render(
        request,
        "biometrics/watchlist_list.html",
        {
            "page": page,
            "rows": [
                {"entry": entry, "name": names.get(entry.subject_id, ""), "state": state_of(entry)}
                for entry in page.object_list
            ],
            "open_leads": WatchlistLead.objects.filter(state=WatchlistLead.State.OPEN).count(),
            "showing_ended": showing_ended,
            "query": "ended=yes" if showing_ended else "",
        },
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.KEEP_WATCHLIST)
def watchlist_new(request: HttpRequest) -> HttpResponse:
    form, refusal = EntryForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        photos = [file.read() for file in request.FILES.getlist("photos")]
        try:
            entry = form.save(photos=photos, proposed_by=cast(User, request.user))
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(
                request, _("The entry is proposed. The face is searched for once another officer confirms.")
            )
            return redirect("watchlist_entry", entry.pk)
    return render(
        request,
        "biometrics/watchlist_new.html",
        {"form": form, "refusal": refusal, "most": watchlist.MOST_PHOTOS},
        status=422 if refusal or form.errors else 200,
    )


@require_GET
@capability_required(Capability.KEEP_WATCHLIST)
def watchlist_entry(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(entry_id))


@require_POST
@capability_required(Capability.KEEP_WATCHLIST)
def watchlist_photos(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    """Show the photos in this answer alone, after the look is recorded."""
    entry = _find(entry_id)
    evidence = [photo.evidence for photo in entry.photos.select_related("evidence__person")]
    try:
        photos = show_photos(evidence, request, reason=EvidenceLook.Reason.INVESTIGATION)
    except Refusal as refusal:
        return _show(request, entry, refusal=refusal)
    return _show(request, entry, photos=photos)


@require_POST
@capability_required(Capability.KEEP_WATCHLIST)
def watchlist_confirm(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    entry = _find(entry_id)
    try:
        watchlist.confirm_watchlisted(entry=entry, confirmed_by=cast(User, request.user))
    except Refusal as refusal:
        return _show(request, entry, refusal=refusal)
    messages.success(request, _("The entry is confirmed: from now on the face is searched for."))
    return redirect("watchlist_entry", entry.pk)


@require_POST
@capability_required(Capability.KEEP_WATCHLIST)
def watchlist_remove(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    entry = _find(entry_id)
    try:
        watchlist.remove_watchlisted(
            entry=entry, removed_by=cast(User, request.user), reason=request.POST.get("reason", "")
        )
    except Refusal as refusal:
        return _show(request, entry, refusal=refusal)
    messages.success(request, _("The entry is removed: the face is not searched for any more."))
    return redirect("watchlist_entry", entry.pk)


def show_photos(evidence: Iterable[Evidence], request: HttpRequest, *, reason: str) -> list[str]:
    """
    Return the photos as ``data:`` addresses, once the look is recorded.

    :raises Refusal: look_not_allowed, evidence_destroyed
    """
    rows = list(evidence)
    values = look_at_all(evidence=rows, looked_by=cast(User, request.user), reason=reason)
    return [_data_address(values[row.pk]) for row in rows]


def open_text(evidence: Evidence | None) -> str:
    """Open a sealed note for the screen; empty where it was destroyed or does not open."""
    if evidence is None:
        return ""
    try:
        return open_evidence(evidence).decode("utf-8")
    except NOT_OPENED:
        return ""


def state_of(entry: WatchlistEntry) -> dict[str, Any]:
    """Return the entry's state as a chip: code, tone, icon, word."""
    code = watchlist.entry_state(entry)
    tone, icon, word = _CHIPS[code]
    return {"code": code, "tone": tone, "icon": icon, "word": word}


def _show(
    request: HttpRequest, entry: WatchlistEntry, *, refusal: Refusal | None = None, photos: Sequence[str] = ()
) -> HttpResponse:
    state = state_of(entry)
    response = render(
        request,
        "biometrics/watchlist_entry.html",
        {
            "entry": entry,
            "name": open_names([entry.subject]).get(entry.subject_id, ""),
            "state": state,
            "standing": state["code"] in ("proposed", "searched"),
            "own_proposal": entry.proposed_by_id == cast(User, request.user).pk,
            "reason": open_text(entry.reason),
            "photos": photos,
            "leads": entry.leads.select_related("decided_by"),
            "refusal": refusal,
        },
        status=refusal.status if refusal else 200,
    )
    add_never_cache_headers(response)
    return response


def _data_address(photo: bytes) -> str:
    kind = _SIGNATURES.get(photo[:2], "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(photo).decode('ascii')}"


def _entries() -> QuerySet[WatchlistEntry]:
    return WatchlistEntry.objects.select_related("subject", "proposed_by", "confirmed_by", "removed_by")


def _find(entry_id: uuid.UUID) -> WatchlistEntry:
    return get_object_or_404(_entries().select_related("reason"), pk=entry_id)
