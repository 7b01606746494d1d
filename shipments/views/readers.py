"""A reader's page: is it heard, what to enter in it, its credentials, and what it sent, readable or not."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
from shipments.models import CoverageGap, ManifestItem, QuarantinedEvent, Reader, ReaderCredential, TagRead
from shipments.mqtt_connection import topic_of
from shipments.reader_credentials import issue_credential, revoke_credential
from shipments.views.places import DIALECT_NAMES
from shipments.views.reader_health import count_last_day, tell_health

READS_SHOWN = 25
QUARANTINED_SHOWN = 25
GAPS_SHOWN = 5

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
    "empty": gettext_lazy("An empty report"),
    "not_utf8": gettext_lazy("Not UTF-8"),
    "not_events": gettext_lazy("Neither an event nor a list of events"),
    "too_deep": gettext_lazy("Nested too deep"),
    "too_many_events": gettext_lazy("Too many events in one report"),
    "form_malformed": gettext_lazy("A form that cannot be read"),
    "report_encoding_broken": gettext_lazy("gzip that cannot be unpacked"),
    "report_too_large": gettext_lazy("Too large when unpacked"),
    "not_processed": gettext_lazy("It could not be stored; the log says why"),
    "overflow_malformed": gettext_lazy("A report of lost events that cannot be read"),
    "gap_malformed": gettext_lazy("A gap that cannot be read"),
    "trigger_malformed": gettext_lazy("A change of an input (GPI) that cannot be read"),
}


@dataclass(frozen=True)
class ReadRow:
    read: TagRead
    at: datetime | None
    item: ManifestItem | None

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
    """Issue a credential and show it in this answer alone: a redirect would have to keep the password somewhere."""
    if request.method == "GET":  # the address left in the bar, or a change of language
        return redirect("reader", reader_id)
    found = _find(reader_id)
    username, password = issue_credential(reader=found)
    response = _show(request, found, username=username, password=password)
    add_never_cache_headers(response)
    return response


@require_POST
@capability_required(Capability.MANAGE_GOODS)
def revoke(request: HttpRequest, reader_id: uuid.UUID, credential_id: uuid.UUID) -> HttpResponse:
    credential = get_object_or_404(ReaderCredential, pk=credential_id, reader=reader_id)
    revoke_credential(username=credential.username)
    messages.success(
        request, _("%(username)s is revoked and opens nothing any more.") % {"username": credential.username}
    )
    return redirect("reader", reader_id)


def _find(reader_id: uuid.UUID) -> Reader:
    return get_object_or_404(Reader.objects.select_related("read_point__site"), pk=reader_id)


def _show(request: HttpRequest, found: Reader, *, username: str = "", password: str = "") -> HttpResponse:
    now = timezone.now()
    return render(
        request,
        "shipments/reader.html",
        {
            "reader": found,
            "health": tell_health(found, now),
            "day": count_last_day(found, now),
            "dialect": DIALECT_NAMES.get(found.dialect, _("Told by what arrives")),
            "topic": topic_of(found.pk),
            "address": request.build_absolute_uri(reverse("reader-events", args=[found.pk])),
            "credentials": found.credentials.filter(revoked_at=None).order_by("-created_at"),
            "username": username,
            "password": password,
            "reads": _newest_reads(found),
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


def _newest_reads(found: Reader) -> list[ReadRow]:
    # By the reader's own time, which its unique index is in order of.
    reads = list(TagRead.objects.filter(reader=found).order_by("-read_at_ns", "-id")[:READS_SHOWN])
    items = ManifestItem.objects.filter(epc_hex__in={read.epc_hex for read in reads}, released_at=None)
    by_epc = {item.epc_hex: item for item in items.select_related("consignment")}
    return [ReadRow(read, _moment(read.read_at_ns), by_epc.get(read.epc_hex)) for read in reads]


def _moment(nanoseconds: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None
