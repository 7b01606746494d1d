"""The auditor's pages: the ledger, one entry, and a shipment's custody over time."""

import re
import uuid
from contextlib import suppress
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Max, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from custody.entry_checks import check_entry
from custody.facts import lay_out
from custody.facts.attachments import named_attachments
from custody.ledger_head import ledger_head
from custody.narrative import CustodyWindow, custody_windows, shipment_lines, tell_all
from custody.sentences import SENTENCES
from custody.verdicts import tell_verdict
from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment, Checkpoint, Entry, LogHead, Statement
from ledger.tlog.merkle import leaf_hash
from shipments.epcis.api import address_of
from shipments.finding import ShipmentUnknown, find_shipment
from shipments.models import Consignment, EpcisEvent

PAGE_SIZE = 50
# Shorter prefixes would match by chance, and look like entry numbers.
HASH_PREFIX = re.compile(r"[0-9a-fA-F]{8,64}", re.ASCII)
ENTRY_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@require_GET
@capability_required(Capability.READ_LEDGER)
def entries(request: HttpRequest) -> HttpResponse:
    sought, kind = request.GET.get("q", "").strip(), request.GET.get("kind", "")
    found = Entry.objects.order_by("-index")
    if sought:
        found = found.filter(_naming(sought))
    if kind in SENTENCES:
        found = found.filter(kind=kind)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    head = ledger_head()
    return render(
        request,
        "custody/ledger.html",
        {
            "head": head,
            "root": bytes(head.checkpoint.root).hex() if head.checkpoint else "",
            "verdict": tell_verdict(head.run) if head.run else None,
            "may_verify": cast(User, request.user).may(Capability.VERIFY_LEDGER),
            "page": page,
            "lines": tell_all(page.object_list),
            "sought": sought,
            "kind": kind,
            "kinds": [(kind, sentence.name) for kind, sentence in SENTENCES.items()],
            "query": urlencode({name: value for name, value in (("q", sought), ("kind", kind)) if value}),
        },
    )


def _naming(sought: str) -> Q:
    """Find by everything that ``sought`` can be: an entry's number, the beginning of its hash, a shipment's code."""
    found = Q(pk__in=[])
    if ENTRY_NUMBER.fullmatch(sought):
        found |= Q(index=int(sought))
    if HASH_PREFIX.fullmatch(sought):
        first, last = bytes.fromhex(sought.ljust(64, "0")), bytes.fromhex(sought.ljust(64, "f"))
        found |= Q(leaf_hash__gte=first, leaf_hash__lte=last)
    with suppress(ShipmentUnknown):
        found |= Q(subject=find_shipment(code=sought).pk.urn)
    return found


@require_GET
@capability_required(Capability.READ_LEDGER)
def entry(request: HttpRequest, index: int) -> HttpResponse:
    row = Entry.objects.filter(index=index).first()
    if row is None:
        return _missing_entry(request, index)
    line = tell_all([row])[0]
    of_subject = Entry.objects.filter(subject=row.subject)
    return render(
        request,
        "custody/entry.html",
        {
            "line": line,
            "entry": row,
            "sections": lay_out(line),
            "attachments": named_attachments(line),
            "checks": check_entry(row),
            "hash": leaf_hash(bytes(row.note)).hex(),
            "note": bytes(row.note).decode("utf-8", "replace"),
            "before": Entry.objects.filter(index__lt=index).order_by("-index").first(),
            "after": Entry.objects.filter(index__gt=index).order_by("index").first(),
            "subject_before": of_subject.filter(subject_seq__lt=row.subject_seq).order_by("-subject_seq").first(),
            "subject_after": of_subject.filter(subject_seq__gt=row.subject_seq).order_by("subject_seq").first(),
            "subject_place": row.subject_seq + 1,
            "subject_size": of_subject.count(),
            "may_verify": cast(User, request.user).may(Capability.VERIFY_LEDGER),
            "shipment": _consignment_of(row),
            "epcis_event": _event_address(row),
        },
    )


def _missing_entry(request: HttpRequest, index: int) -> HttpResponse:
    """An entry that was sealed and is gone is a finding, not an address typed wrong."""
    signed = Checkpoint.objects.aggregate(size=Max("size"))["size"] or 0
    stored = LogHead.objects.aggregate(size=Max("size"))["size"] or 0
    if index >= max(signed, stored):
        raise Http404
    context = {
        "index": index,
        "may_verify": cast(User, request.user).may(Capability.VERIFY_LEDGER),
        "before": Entry.objects.filter(index__lt=index).order_by("-index").first(),
        "after": Entry.objects.filter(index__gt=index).order_by("index").first(),
    }
    return render(request, "custody/entry_missing.html", context, status=404)


def _event_address(row: Entry) -> str:
    """Where the entry's EPCIS event is answered; empty where its kind has none, or it was not made yet."""
    event_id = EpcisEvent.objects.filter(entry_index=row.index).values_list("event_id", flat=True).first()
    return address_of(event_id) if event_id else ""


def _consignment_of(row: Entry) -> Consignment | None:
    try:
        return Consignment.objects.filter(pk=uuid.UUID(row.subject)).first()
    except ValueError:
        return None


@require_GET
@capability_required(Capability.READ_LEDGER)
def note(request: HttpRequest, index: int) -> HttpResponse:
    row = get_object_or_404(Entry, pk=index)
    return _download(bytes(row.note), media_type="text/plain; charset=utf-8", name=f"entry-{index}.note")


@require_GET
@capability_required(Capability.READ_LEDGER)
def attachment(request: HttpRequest, sha256: str) -> HttpResponse:
    kept = get_object_or_404(Attachment.objects.defer("content"), pk=sha256)
    try:
        content = attachments.load(sha256)
    except AttachmentChanged as error:
        messages.error(request, error.sentence, extra_tags=error.code)
        return redirect("ledger")
    ending = "json" if kept.media_type == "application/json" else "bin"
    return _download(content, media_type=kept.media_type, name=f"{sha256}.{ending}")


def _download(content: bytes, *, media_type: str, name: str) -> HttpResponse:
    # Never shown in place: what a reader sent must not become a page of ours.
    return HttpResponse(
        content, content_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@require_GET
@capability_required(Capability.READ_LEDGER)
def shipment_timeline(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    consignment = get_object_or_404(Consignment.objects.select_related("consignor", "consignee"), pk=consignment_id)
    lines = shipment_lines(consignment)
    windows = custody_windows(lines)
    now = timezone.now()
    return render(
        request,
        "custody/timeline.html",
        {
            "shipment": consignment,
            "lines": lines,
            "windows": [_shown(window) for window in windows],
            "strip": _to_scale(windows, now),
            "now": now,
            "pending": Statement.objects.filter(subject=consignment.pk.urn, entry__isnull=True).count(),
        },
    )


def _shown(window: CustodyWindow) -> dict[str, Any]:
    """A window as partials/timeline.html takes it."""
    return {
        "title": window.holder,
        "from_at": window.since,
        "until_at": window.until,
        "open": window.until is None,
        "gap": not window.known,
        "place": window.place,
        "url": reverse("entry", args=[window.entry.index]),
        "facts": [{"tone": "plain", "icon": "file-certificate", "word": _("Entry %(n)s") % {"n": window.entry.index}}],
    }


def _to_scale(windows: list[CustodyWindow], now: datetime) -> list[dict[str, Any]]:
    """The windows in thousandths of the time since the first one, as partials/custody_strip.html takes them."""
    if not windows:
        return []
    begin = windows[0].since
    whole = max((now - begin).total_seconds(), 1.0)

    def at(moment: datetime) -> int:
        return min(max(round((moment - begin).total_seconds() / whole * 1000), 0), 1000)

    return [
        {
            "start": at(window.since),
            "width": at(window.until or now) - at(window.since),
            "gap": not window.known,
            "title": window.holder,
        }
        for window in windows
    ]
