"""Who attends an inspection, through the API: named, then verified by face."""

import uuid
from typing import Any, cast

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.liveness import issue_challenge
from biometrics.models import CaptureSource
from biometrics.views.liveness import describe as describe_challenge
from custody.api.handoffs import FaceFields, read_sent_capture
from custody.attendances import begin_attendance, cancel_attendance, confirm_attendance, liveness_context
from custody.faces_shown import attempts_left
from custody.models import Attendance, Intervention


class AttendFields(serializers.Serializer[Any]):
    person = serializers.UUIDField()
    attempt = serializers.UUIDField()


def describe(attendance: Attendance) -> dict[str, Any]:
    return {
        "id": attendance.pk,
        "intervention": attendance.intervention_id,
        "person": attendance.person_id,
        "state": attendance.state,
        "second_capture_needed": attendance.first_capture_id is not None,
        "attempts_left": attempts_left(attendance),
        "opened_at": attendance.opened_at,
        "closed_at": attendance.closed_at,
        "entry": attendance.statement.entry_id if attendance.statement else None,
    }


class AttendanceView(APIView):
    permission_classes = [requires(Capability.INTERVENE)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def user(self, request: Request) -> User:
        return cast(User, request.user)

    def attendance(self, attendance_id: uuid.UUID) -> Attendance:
        return get_object_or_404(Attendance.objects.select_related("person", "statement"), pk=attendance_id)

    def answer(self, attendance_id: uuid.UUID) -> Response:
        return Response(describe(self.attendance(attendance_id)))


class Attendances(AttendanceView):
    """Who attended one inspection; POST names another person."""

    def get(self, request: Request, intervention_id: uuid.UUID) -> Response:
        found = get_object_or_404(Intervention, pk=intervention_id)
        attending = Attendance.objects.filter(intervention=found).select_related("statement")
        return Response([describe(one) for one in attending])

    def post(self, request: Request, intervention_id: uuid.UUID) -> Response:
        fields = AttendFields(data=request.data)
        fields.is_valid(raise_exception=True)
        intervention = get_object_or_404(Intervention, pk=intervention_id)
        begun = begin_attendance(intervention=intervention, by=self.user(request), **fields.validated_data)
        return Response(describe(begun), status=status.HTTP_201_CREATED)


class Challenge(AttendanceView):
    def post(self, request: Request, attendance_id: uuid.UUID) -> Response:
        found = self.attendance(attendance_id)
        challenge = issue_challenge(person=found.person, context=liveness_context(found), issued_to=self.user(request))
        return Response(describe_challenge(challenge), status=status.HTTP_201_CREATED)


class Face(AttendanceView):
    def post(self, request: Request, attendance_id: uuid.UUID) -> Response:
        fields = FaceFields(data=request.data)
        fields.is_valid(raise_exception=True)
        found = self.attendance(attendance_id)
        confirm_attendance(
            attendance=found,
            capture=read_sent_capture(fields.validated_data, context=liveness_context(found)),
            source=CaptureSource.API,
            camera=fields.validated_data["camera"],
            by=self.user(request),
        )
        return self.answer(attendance_id)


class Cancel(AttendanceView):
    def post(self, request: Request, attendance_id: uuid.UUID) -> Response:
        cancel_attendance(attendance=self.attendance(attendance_id), by=self.user(request))
        return self.answer(attendance_id)
