"""
The address that a camera posts its frames to: one encoded picture a request, by the camera's own token and no session.
"""

import base64
import binascii
import uuid
from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework import authentication, exceptions, permissions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from biometrics.engine.photo import MAX_BYTES
from custody.models import Camera, ZoneAlert, ZoneEvent
from custody.zone_watch import watch_frame
from custody.zones import find_camera
from refusals import Refusal
from shipments.api import AnyAcceptHeader


class FrameTooLarge(Refusal):
    code = "frame_too_large"
    message = _("The frame has more than %(limit_mib)s MiB. Set the camera to a smaller picture.")
    status = 413


class CameraAuthentication(authentication.BaseAuthentication):
    """The camera's token as RFC 6750 bearer, or as the password of HTTP Basic: many cameras know nothing else."""

    def authenticate(self, request: Request) -> tuple[None, Camera] | None:
        scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
        token = given.strip()
        if scheme.lower() == "basic":
            token = _password(token)
        elif scheme.lower() != "bearer":
            return None
        camera_id = request.parser_context["kwargs"]["camera_id"]
        camera = find_camera(camera_id=camera_id, token=token)
        if camera is None:
            raise exceptions.AuthenticationFailed(
                _("The token is not this camera’s, or the camera or its zone is switched off."),
                code="camera_token_refused",
            )
        return None, camera

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="cameras", charset="UTF-8"'


class IsCamera(permissions.BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Camera)


class CameraFrames(APIView):
    """``POST /api/v1/cameras/{id}/frames``: the picture is the body; ``X-Captured-At`` may say when it was taken."""

    authentication_classes = [CameraAuthentication]
    permission_classes = [IsCamera]
    content_negotiation_class = AnyAcceptHeader
    parser_classes: Sequence[type[BaseParser]] = []

    def post(self, request: Request, camera_id: uuid.UUID) -> Response:
        camera = request.auth
        assert isinstance(camera, Camera)  # IsCamera admits nobody else
        watched = watch_frame(
            camera=camera,
            data=_body(request),
            received_at=timezone.now(),
            captured_at=_moment(request.headers.get("X-Captured-At", "")),
        )
        return Response(
            {
                "faces": [_tell_event(event) for event in watched.events],
                "alerts": [tell_alert(alert) for alert in watched.alerts],
            },
            status=202,
        )


def tell_alert(alert: ZoneAlert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "code": alert.code,
        "zone": alert.event.zone_id,
        "camera": alert.event.camera_id,
        "person": alert.event.person_id,
        "raised_at": alert.raised_at,
        "decision": alert.decision or None,
        "decided_at": alert.decided_at,
        "entry": alert.statement.entry_id,
    }


def _tell_event(event: ZoneEvent) -> dict[str, Any]:
    return {"event": event.pk, "outcome": event.outcome, "frames": event.frames}


def _body(request: Request) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > MAX_BYTES:
        raise FrameTooLarge(limit_mib=MAX_BYTES >> 20)
    body = request.stream.read(MAX_BYTES + 1) if request.stream is not None else b""
    if len(body) > MAX_BYTES:
        raise FrameTooLarge(limit_mib=MAX_BYTES >> 20)
    return body


def _moment(text: str) -> Any:
    # A wrong clock or spelling is no reason to lose a frame: it is left out, and ours stands.
    try:
        moment = parse_datetime(text[:40])
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _password(packed: str) -> str:
    try:
        return base64.b64decode(packed, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
