"""Readers for people's programs: how each is doing, what is wrong with them, and what they sent in vain."""

import uuid
from typing import Any, cast

from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from shipments.models import AlertCode, QuarantinedEvent, Reader, ReaderAlert
from shipments.quarantine import quarantined_events
from shipments.reader_alerts import acknowledge_alert, is_silent
from shipments.views.reader_health import count_last_day

# So many of the newest; the pages show them all.
MOST_LISTED = 200


class AlertsAsked(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["open", "acknowledged", "all"], default="open")
    code = serializers.ChoiceField(choices=AlertCode.values, required=False)
    reader = serializers.PrimaryKeyRelatedField(queryset=Reader.objects.all(), required=False)


class QuarantineAsked(serializers.Serializer[Any]):
    reader = serializers.PrimaryKeyRelatedField(queryset=Reader.objects.all(), required=False)
    reason = serializers.CharField(max_length=40, required=False)


def describe_reader(reader: Reader) -> dict[str, Any]:
    """Tell a reader's place and health; ``alerts`` are those that nobody has acknowledged."""
    return {
        "id": reader.pk,
        "name": reader.name,
        "hostname": reader.hostname,
        "site": reader.read_point.site.gln,
        "read_point": reader.read_point.sgln,
        "direction": reader.read_point.direction,
        "dialect": reader.dialect,
        "enabled": reader.enabled,
        "silent": is_silent(reader, timezone.now()),
        "last_seen_at": reader.last_seen_at,
        "last_report_at": reader.last_report_at,
        "clock_skew_ms": reader.clock_skew_ms,
        "clock_checked_at": reader.clock_checked_at,
        "alerts": reader.alerts_open,  # type: ignore[attr-defined]
    }


def describe_alert(alert: ReaderAlert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "code": alert.code,
        "reader": alert.reader_id,
        "read_point": alert.read_point.sgln if alert.read_point else None,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "count": alert.count,
        "facts": alert.facts,
        "acknowledged_by": alert.acknowledged_by.get_username() if alert.acknowledged_by else None,
        "acknowledged_at": alert.acknowledged_at,
    }


def describe_event(event: QuarantinedEvent) -> dict[str, Any]:
    return {
        "reader": event.report.reader_id,
        "report": event.report.sha256,
        "position": event.position,
        "reason": event.reason,
        "excerpt": event.excerpt,
        "received_at": event.report.received_at,
    }


class Readers(APIView):
    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def get(self, request: Request) -> Response:
        return Response([describe_reader(reader) for reader in _readers()])


class ReaderDetail(APIView):
    """One reader, its antennas, and what it sent within a day."""

    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def get(self, request: Request, reader_id: uuid.UUID) -> Response:
        reader = get_object_or_404(_readers(), pk=reader_id)
        day = count_last_day(reader, timezone.now())
        return Response(
            describe_reader(reader)
            | {
                "antennas": list(reader.antennas.values("port", "looks_at")),
                "last_day": {name: counted or 0 for name, counted in day.items()},
            }
        )


class ReaderAlerts(APIView):
    permission_classes = [requires(Capability.WATCH_READERS)]

    def get(self, request: Request) -> Response:
        asked = AlertsAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        state = wanted.pop("state")
        alerts = ReaderAlert.objects.filter(**wanted).select_related("read_point", "acknowledged_by")
        if state != "all":
            alerts = alerts.filter(acknowledged_at__isnull=state == "open")
        return Response([describe_alert(alert) for alert in alerts.order_by("-last_at")[:MOST_LISTED]])


class AcknowledgeAlert(APIView):
    permission_classes = [requires(Capability.WATCH_READERS)]

    def post(self, request: Request, alert_id: uuid.UUID) -> Response:
        alert = get_object_or_404(ReaderAlert, pk=alert_id)
        return Response(describe_alert(acknowledge_alert(alert=alert, account=cast(User, request.user))))


class Quarantine(APIView):
    permission_classes = [requires(Capability.WATCH_READERS)]

    def get(self, request: Request) -> Response:
        asked = QuarantineAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response([describe_event(event) for event in quarantined_events(**asked.validated_data)[:MOST_LISTED]])


def _readers() -> QuerySet[Reader]:
    return Reader.objects.select_related("read_point__site").annotate(
        alerts_open=Count("alerts", filter=Q(alerts__acknowledged_at__isnull=True))
    )
