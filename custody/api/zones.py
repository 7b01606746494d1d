"""Restricted zones through the API: what there is, who was there, the alerts and what officers made of them."""

import uuid
from datetime import timedelta
from typing import Any, cast

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from custody.api.cameras import tell_alert
from custody.hours import days_of
from custody.models import Zone, ZoneAlert
from custody.zone_alerts import MAX_NOTE, decide_alert
from custody.zone_search import how_watched, who_was_there

# So many of the newest; the pages show them all.
MOST_LISTED = 500
LONGEST = timedelta(days=31)


class SpanFields(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["since"] < attrs["until"] <= attrs["since"] + LONGEST:
            raise serializers.ValidationError("until lies behind since, by 31 days at most")
        return attrs


class DecideFields(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=ZoneAlert.Decision.choices)
    note = serializers.CharField(max_length=MAX_NOTE)


class Zones(APIView):
    permission_classes = [requires(Capability.WATCH_ZONES)]

    def get(self, request: Request) -> Response:
        zones = Zone.objects.select_related("site", "group").prefetch_related("cameras")
        return Response([_tell_zone(zone) for zone in zones])


class Presence(APIView):
    """Who was in a zone: ``?since=&until=``, RFC 3339. Beside it, when each camera watched and when not."""

    permission_classes = [requires(Capability.WATCH_ZONES)]

    def get(self, request: Request, zone_id: uuid.UUID) -> Response:
        fields = SpanFields(data=request.query_params)
        fields.is_valid(raise_exception=True)
        span = fields.validated_data
        zone = get_object_or_404(Zone, pk=zone_id)
        return Response(
            {
                "events": [
                    {
                        "id": event.pk,
                        "outcome": event.outcome,
                        "person": event.person_id,
                        "camera": event.camera_id,
                        "first_seen_at": event.first_seen_at,
                        "last_seen_at": event.last_seen_at,
                        "frames": event.frames,
                        "alerts": [alert.pk for alert in event.alerts.all()],
                    }
                    for event in who_was_there(zone=zone, **span)[:MOST_LISTED]
                ],
                "cameras": [
                    {
                        "id": watch.camera.pk,
                        "watched_s": int(watch.watched.total_seconds()),
                        "gaps": [{"since": since, "until": until} for since, until in watch.gaps[:MOST_LISTED]],
                    }
                    for watch in how_watched(zone=zone, **span)
                ],
            }
        )


class Alerts(APIView):
    """The newest alerts, ``?open=yes`` for those that wait for an officer."""

    permission_classes = [requires(Capability.WATCH_ZONES)]

    def get(self, request: Request) -> Response:
        alerts = ZoneAlert.objects.select_related("event", "statement")
        if request.query_params.get("open") == "yes":
            alerts = alerts.filter(decision="")
        return Response([tell_alert(alert) for alert in alerts[:MOST_LISTED]])


class Decide(APIView):
    permission_classes = [requires(Capability.WATCH_ZONES)]

    def post(self, request: Request, alert_id: uuid.UUID) -> Response:
        fields = DecideFields(data=request.data)
        fields.is_valid(raise_exception=True)
        alert = get_object_or_404(ZoneAlert, pk=alert_id)
        return Response(
            tell_alert(decide_alert(alert=alert, decided_by=cast(User, request.user), **fields.validated_data))
        )


def _tell_zone(zone: Zone) -> dict[str, Any]:
    return {
        "id": zone.pk,
        "site": zone.site.gln,
        "name": zone.name,
        "group": zone.group.name,
        "days": days_of(zone),
        "opens_at": zone.opens_at,
        "closes_at": zone.closes_at,
        "time_zone": zone.time_zone,
        "cameras": [
            {"id": camera.pk, "name": camera.name, "enabled": camera.enabled, "last_frame_at": camera.last_frame_at}
            for camera in zone.cameras.all()
        ],
    }
