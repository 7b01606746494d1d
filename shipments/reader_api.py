"""Readers for people's programs: how each is doing, what it logs in with, what is wrong, what it sent in vain."""

import uuid
from typing import Any, cast

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from shipments import reader_credentials
from shipments.models import (
    AlertCode,
    CredentialKind,
    QuarantinedEvent,
    Reader,
    ReaderAlert,
    ReaderCredential,
    ReadPoint,
)
from shipments.places import change_reader, forget_antenna, name_antenna, switch_reader
from shipments.quarantined_events import quarantined_events
from shipments.reader_alerts import acknowledge_alert, is_silent
from shipments.views.reader_health import count_last_day

# So many of the newest; the pages show them all.
MOST_LISTED = 200
KEPT = ("name", "read_point", "hostname", "dialect", "silent_after_s", "reports_per_s", "reads_per_s")


class AlertsAsked(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["open", "acknowledged", "all"], default="open")
    code = serializers.ChoiceField(choices=AlertCode.values, required=False)
    reader = serializers.PrimaryKeyRelatedField(queryset=Reader.objects.all(), required=False)


class QuarantineAsked(serializers.Serializer[Any]):
    reader = serializers.PrimaryKeyRelatedField(queryset=Reader.objects.all(), required=False)
    reason = serializers.CharField(max_length=40, required=False)


class ReaderFields(serializers.Serializer[Any]):
    """What may be changed of a reader; what is left out stays."""

    name = serializers.CharField(max_length=120, required=False)
    read_point = serializers.PrimaryKeyRelatedField(queryset=ReadPoint.objects.all(), required=False)
    hostname = serializers.CharField(max_length=120, allow_blank=True, required=False)
    dialect = serializers.CharField(max_length=32, allow_blank=True, required=False)
    silent_after_s = serializers.IntegerField(required=False)
    reports_per_s = serializers.IntegerField(allow_null=True, required=False)
    reads_per_s = serializers.IntegerField(allow_null=True, required=False)
    enabled = serializers.BooleanField(required=False)


class CredentialFields(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=CredentialKind.values, default=CredentialKind.BASIC)
    certificate = serializers.CharField(max_length=400, default="", allow_blank=True)


class RotateFields(serializers.Serializer[Any]):
    hours = serializers.IntegerField(default=24)


class AntennaFields(serializers.Serializer[Any]):
    looks_at = serializers.CharField(max_length=120)


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


def describe_credential(credential: ReaderCredential) -> dict[str, Any]:
    return {
        "id": credential.pk,
        "kind": credential.kind,
        "username": credential.username,
        "certificate": credential.certificate,
        "expires_at": credential.expires_at,
        "revoked_at": credential.revoked_at,
        "last_used_at": credential.last_used_at,
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

    def patch(self, request: Request, reader_id: uuid.UUID) -> Response:
        reader = get_object_or_404(_readers(), pk=reader_id)
        fields = ReaderFields(data=request.data)
        fields.is_valid(raise_exception=True)
        asked = dict(fields.validated_data)
        with transaction.atomic():
            if "enabled" in asked:
                switch_reader(reader=reader, enabled=asked.pop("enabled"))
            if asked:
                change_reader(reader=reader, **({name: getattr(reader, name) for name in KEPT} | asked))
        return Response(describe_reader(_readers().get(pk=reader_id)))


class Credentials(APIView):
    """Those of a reader that open something; a new one comes with its secret, this once."""

    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def get(self, request: Request, reader_id: uuid.UUID) -> Response:
        reader = get_object_or_404(Reader, pk=reader_id)
        live = reader_credentials.live_credentials(reader, timezone.now())
        return Response([describe_credential(credential) for credential in live])

    def post(self, request: Request, reader_id: uuid.UUID) -> Response:
        reader = get_object_or_404(Reader, pk=reader_id)
        fields = CredentialFields(data=request.data)
        fields.is_valid(raise_exception=True)
        kind, certificate = fields.validated_data["kind"], fields.validated_data["certificate"]
        if kind == CredentialKind.CERTIFICATE:
            credential = reader_credentials.register_certificate(reader=reader, certificate=certificate)
            return Response(describe_credential(credential), status=status.HTTP_201_CREATED)
        return _show_once(reader_credentials.issue(reader=reader, kind=kind))


class CredentialDetail(APIView):
    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def delete(self, request: Request, reader_id: uuid.UUID, credential_id: uuid.UUID) -> Response:
        credential = get_object_or_404(ReaderCredential, pk=credential_id, reader=reader_id)
        reader_credentials.revoke_credential(username=credential.username)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RotateCredential(APIView):
    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def post(self, request: Request, reader_id: uuid.UUID, credential_id: uuid.UUID) -> Response:
        credential = get_object_or_404(ReaderCredential, pk=credential_id, reader=reader_id)
        fields = RotateFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return _show_once(reader_credentials.rotate(credential=credential, hours=fields.validated_data["hours"]))


class AntennaDetail(APIView):
    """What the antenna at a port looks at."""

    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def put(self, request: Request, reader_id: uuid.UUID, port: int) -> Response:
        reader = get_object_or_404(Reader, pk=reader_id)
        fields = AntennaFields(data=request.data)
        fields.is_valid(raise_exception=True)
        antenna = name_antenna(reader=reader, port=port, **fields.validated_data)
        return Response({"port": antenna.port, "looks_at": antenna.looks_at})

    def delete(self, request: Request, reader_id: uuid.UUID, port: int) -> Response:
        forget_antenna(reader=get_object_or_404(Reader, pk=reader_id), port=port)
        return Response(status=status.HTTP_204_NO_CONTENT)


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


def _show_once(issued: reader_credentials.Issued) -> Response:
    told = describe_credential(issued.credential) | {"secret": issued.secret}
    response = Response(told, status=status.HTTP_201_CREATED)
    add_never_cache_headers(response)
    return response


def _readers() -> QuerySet[Reader]:
    return Reader.objects.select_related("read_point__site").annotate(
        alerts_open=Count("alerts", filter=Q(alerts__acknowledged_at__isnull=True))
    )
