"""A reader's page: is it heard and right, what to enter in it, its credentials, and what it sent, readable or not."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import capability_required
from accounts.roles import Capability
from refusals import Refusal
from shipments import reader_credentials
from shipments.models import (
    CoverageGap,
    CredentialKind,
    ManifestItem,
    QuarantinedEvent,
    Reader,
    ReaderCredential,
    TagRead,
)
from shipments.places import forget_antenna, name_antenna, switch_reader
from shipments.reader_alerts import open_alerts
from shipments.views.alert_lines import tell_alerts
from shipments.views.places import DIALECT_NAMES
from shipments.views.reader_health import count_last_day, tell_clock, tell_health

READS_SHOWN = 25
QUARANTINED_SHOWN = 25
GAPS_SHOWN = 5
ALERTS_SHOWN = 3

# Those with a secret of ours; a certificate is made elsewhere.
ISSUED_KINDS = (CredentialKind.BASIC, CredentialKind.BEARER, CredentialKind.SIGNATURE)
OVERLAPS = (
    (1, gettext_lazy("1 hour")),
    (24, gettext_lazy("1 day")),
    (72, gettext_lazy("3 days")),
    (168, gettext_lazy("7 days")),
)

REASONS = {
    "dialect_unknown": gettext_lazy("In no form that is known"),
    "duplicate_keys": gettext_lazy("One field is there twice"),
    "not_an_event": gettext_lazy("Not an event"),
    "not_json": gettext_lazy("Not JSON"),
    "event_type_malformed": gettext_lazy("The event’s type cannot be read"),
    "event_type_unknown": gettext_lazy("An unknown type of event"),
    "event_body_missing": gettext_lazy("The event has no content"),
    "event_number_malformed": gettext_lazy("The event’s number cannot be read"),
    "epc_missing": gettext_lazy("No tag number"),
    "epc_malformed": gettext_lazy("The tag number cannot be read"),
    "epc_contradicts_itself": gettext_lazy("Two different tag numbers"),
    "tid_malformed": gettext_lazy("The chip’s number (TID) cannot be read"),
    "tid_contradicts_itself": gettext_lazy("Two different chip numbers (TID)"),
    "time_missing": gettext_lazy("No time"),
    "time_malformed": gettext_lazy("The time cannot be read"),
    "time_out_of_range": gettext_lazy("The time is out of range"),
    "antenna_malformed": gettext_lazy("The antenna cannot be read"),
    "rssi_malformed": gettext_lazy("The signal strength cannot be read"),
    "overflow_malformed": gettext_lazy("A report of lost events that cannot be read"),
}


@dataclass(frozen=True)
class ReadRow:
    read: TagRead
    at: datetime | None
    item: ManifestItem | None
    looks_at: str

    @property
    def rssi_dbm(self) -> float | None:
        return None if self.read.rssi_cdbm is None else self.read.rssi_cdbm / 100


@require_GET
@capability_required(Capability.MANAGE_GOODS)
def reader(request: HttpRequest, reader_id: uuid.UUID) -> HttpResponse:
    return _show(request, _find(reader_id))


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def issue(request: HttpRequest, reader_id: uuid.UUID) -> HttpResponse:
    """Issue a credential and show it in this answer alone: a redirect would have to keep the secret somewhere."""
    if request.method == "GET":  # the address left in the bar, or a change of language
        return redirect("reader", reader_id)
    found = _find(reader_id)
    kind = request.POST.get("kind", CredentialKind.BASIC)
    issued = reader_credentials.issue(reader=found, kind=kind if kind in ISSUED_KINDS else CredentialKind.BASIC)
    return _show_once(request, found, issued)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_GOODS)
def rotate(request: HttpRequest, reader_id: uuid.UUID, credential_id: uuid.UUID) -> HttpResponse:
    """Issue another of the same kind, and let the old one work on for as long as was chosen."""
    if request.method == "GET":
        return redirect("reader", reader_id)
    found = _find(reader_id)
    credential = get_object_or_404(ReaderCredential, pk=credential_id, reader=found)
    asked = request.POST.get("hours", "")
    try:
        hours = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0
        issued = reader_credentials.rotate(credential=credential, hours=hours)
    except Refusal as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
        return redirect("reader", reader_id)
    return _show_once(request, found, issued)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def add_certificate(request: HttpRequest, reader_id: uuid.UUID) -> HttpResponse:
    try:
        reader_credentials.register_certificate(
            reader=_find(reader_id), certificate=request.POST.get("certificate", "")
        )
        messages.success(request, _("The reader may log in with this certificate, through the proxy that checks it."))
    except Refusal as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
    return redirect("reader", reader_id)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def revoke(request: HttpRequest, reader_id: uuid.UUID, credential_id: uuid.UUID) -> HttpResponse:
    credential = get_object_or_404(ReaderCredential, pk=credential_id, reader=reader_id)
    reader_credentials.revoke_credential(username=credential.username)
    messages.success(
        request, _("%(username)s is revoked and opens nothing any more.") % {"username": credential.username}
    )
    return redirect("reader", reader_id)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def switch(request: HttpRequest, reader_id: uuid.UUID) -> HttpResponse:
    found = switch_reader(reader=_find(reader_id), enabled=request.POST.get("enabled") == "yes")
    if found.enabled:
        messages.success(request, _("%(reader)s is switched on: what it posts is taken again.") % {"reader": found})
    else:
        messages.success(
            request, _("%(reader)s is switched off: whatever it posts is turned away.") % {"reader": found}
        )
    return redirect("reader", reader_id)


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def antenna(request: HttpRequest, reader_id: uuid.UUID) -> HttpResponse:
    """Describe an antenna, or forget its description."""
    found, asked = _find(reader_id), request.POST.get("port", "")
    port = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0
    try:
        if "forget" in request.POST:
            forget_antenna(reader=found, port=port)
        else:
            name_antenna(reader=found, port=port, looks_at=request.POST.get("looks_at", ""))
    except Refusal as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
    return redirect(f"{reverse('reader', args=[found.pk])}#antennas")


def _show_once(request: HttpRequest, found: Reader, issued: reader_credentials.Issued) -> HttpResponse:
    response = _show(request, found, issued=issued)
    add_never_cache_headers(response)
    return response


def _find(reader_id: uuid.UUID) -> Reader:
    return get_object_or_404(Reader.objects.select_related("read_point__site"), pk=reader_id)


def _show(request: HttpRequest, found: Reader, *, issued: reader_credentials.Issued | None = None) -> HttpResponse:
    now = timezone.now()
    clock, clock_wrong = tell_clock(found)
    antennas = list(found.antennas.all())
    alerts = open_alerts().filter(reader=found).select_related("read_point__site").order_by("-last_at")
    return render(
        request,
        "shipments/reader.html",
        {
            "reader": found,
            "health": tell_health(found, now),
            "day": count_last_day(found, now),
            "dialect": DIALECT_NAMES.get(found.dialect, _("Told by what arrives")),
            "address": request.build_absolute_uri(reverse("reader-events", args=[found.pk])),
            "clock": clock,
            "clock_wrong": clock_wrong,
            "alerts": tell_alerts(alerts[:ALERTS_SHOWN]),
            "alerts_total": alerts.count(),
            "antennas": antennas,
            "credentials": reader_credentials.live_credentials(found, now),
            "kinds": [(kind, CredentialKind(kind).label) for kind in ISSUED_KINDS],
            "certificates": bool(settings.READER_MTLS_HEADER and settings.READER_MTLS_PROXIES),
            "hours": OVERLAPS,
            "window_minutes": settings.READER_SIGNATURE_WINDOW // 60,
            "rates": (
                found.reports_per_s or settings.READER_REPORTS_PER_S,
                found.reads_per_s or settings.READER_READS_PER_S,
            ),
            "issued": issued,
            "reads": _newest_reads(found, {antenna.port: antenna.looks_at for antenna in antennas}),
            "quarantined": [
                (event, REASONS.get(event.reason, event.reason))
                for event in QuarantinedEvent.objects.filter(report__reader=found)
                .select_related("report")
                .defer("report__body")
                .order_by("-report", "position")[:QUARANTINED_SHOWN]
            ],
            "gaps": [
                (gap, _moment(gap.first_ns), _moment(gap.last_ns))
                for gap in CoverageGap.objects.filter(reader=found).order_by("-last_ns")[:GAPS_SHOWN]
            ],
        },
    )


def _newest_reads(found: Reader, antennas: dict[int, str]) -> list[ReadRow]:
    # By the reader's own time, which its unique index is in order of.
    reads = list(TagRead.objects.filter(reader=found).order_by("-read_at_ns", "-id")[:READS_SHOWN])
    items = ManifestItem.objects.filter(epc_hex__in={read.epc_hex for read in reads}, released_at=None)
    by_epc = {item.epc_hex: item for item in items.select_related("consignment")}
    return [
        ReadRow(read, _moment(read.read_at_ns), by_epc.get(read.epc_hex), antennas.get(read.antenna, ""))
        for read in reads
    ]


def _moment(nanoseconds: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None
