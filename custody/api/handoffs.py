"""The handoff through the API: the same services as on the screen, one call each."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.liveness import issue_challenge
from biometrics.models import CaptureSource, Person
from biometrics.verification import MOST_FRAMES, Burst, Still, read_burst
from custody import handoffs, receiver_face
from custody.approvals import approval_of, ask_officer, shown
from custody.countersigning import release_custody, released
from custody.handoff_exceptions import exceptions_for_officer, must_read_again
from custody.models import Handoff, HandoffState, Purpose
from shipments.models import ReadPoint, ReadSession


class OpenFields(serializers.Serializer[Any]):
    shipment = serializers.CharField(max_length=200)
    receiver = serializers.PrimaryKeyRelatedField(queryset=Person.objects.all())
    read_point = serializers.PrimaryKeyRelatedField(queryset=ReadPoint.objects.all())
    attempt = serializers.UUIDField()
    take_over = serializers.PrimaryKeyRelatedField(
        queryset=ReadSession.objects.select_related("read_point"), required=False, allow_null=True
    )


class FaceFields(serializers.Serializer[Any]):
    """A photo, or the frames that answer a challenge."""

    photo = serializers.FileField(required=False)
    challenge = serializers.CharField(max_length=64, default="")
    nonce = serializers.CharField(max_length=128, default="")
    frames = serializers.ListField(child=serializers.FileField(), max_length=MOST_FRAMES, default=list)
    frame_times = serializers.CharField(max_length=1024, default="")
    camera = serializers.CharField(max_length=100, default="", allow_blank=True)
    captured_at = serializers.DateTimeField(required=False)


class FactorFields(serializers.Serializer[Any]):
    """Somebody's own PIN or badge."""

    pin = serializers.CharField(max_length=32, default="", allow_blank=True)
    badge = serializers.CharField(max_length=64, default="", allow_blank=True)


class WeighFields(serializers.Serializer[Any]):
    measured_g = serializers.IntegerField(allow_null=True)


class RefuseFields(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


def describe(handoff: Handoff) -> dict[str, Any]:
    """Tell all that the operator may know of a handoff: its state, its tags, and its entry once sealed."""
    answer: dict[str, Any] = {
        "id": handoff.pk,
        "attempt": handoff.attempt,
        "shipment": handoff.consignment.reference,
        "receiver": handoff.to_person_id,
        "read_point": handoff.read_point_id,
        "state": handoff.state,
        "tags": handoff.reconciliation or handoffs.match_tags(handoff).summary(),
        "face": _face(handoff),
        "needs": _needs(handoff),
        "entry": None,
    }
    entry = handoff.statement.entry if handoff.statement else None
    if entry is not None:
        answer["entry"] = {
            "index": entry.index,
            "leaf_hash": bytes(entry.leaf_hash).hex(),
            "sealed_at": entry.sealed_at,
        }
    return answer


def _face(handoff: Handoff) -> str:
    if handoff.verification is not None:
        return handoff.verification.outcome
    return "second_capture" if receiver_face.first_capture(handoff) is not None else "not_confirmed"


def _needs(handoff: Handoff) -> dict[str, Any] | None:
    """What stands between the matched tags and custody; ``shown`` is what an officer who approves sends back."""
    if handoff.state != HandoffState.RECONCILED:
        return None
    return {
        "read_again": must_read_again(handoff),
        "exceptions": exceptions_for_officer(handoff),
        "exceptions_approved": approval_of(handoff, Purpose.EXCEPTIONS) is not None,
        "released": bool(released(handoff)),
        "face_stood_in_for": approval_of(handoff, Purpose.DUAL_CONTROL) is not None,
        "shown": shown(handoff),
    }


class HandoffView(APIView):
    permission_classes = [requires(Capability.HAND_OFF)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def handoff(self, handoff_id: uuid.UUID) -> Handoff:
        return get_object_or_404(_handoffs(), pk=handoff_id)

    def user(self, request: Request) -> User:
        return cast(User, request.user)

    def answer(self, handoff: Handoff, status: int = status.HTTP_200_OK) -> Response:
        return Response(describe(_handoffs().get(pk=handoff.pk)), status=status)


class Handoffs(HandoffView):
    def post(self, request: Request) -> Response:
        fields = OpenFields(data=request.data)
        fields.is_valid(raise_exception=True)
        handoff = handoffs.open_handoff(**fields.validated_data, opened_by=self.user(request))
        return self.answer(handoff, status.HTTP_201_CREATED)


class HandoffDetail(HandoffView):
    def get(self, request: Request, handoff_id: uuid.UUID) -> Response:
        return self.answer(self.handoff(handoff_id))


class Reconcile(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        return self.answer(handoffs.reconcile_handoff(handoff=self.handoff(handoff_id), by=self.user(request)))


class ReadAgain(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        return self.answer(handoffs.read_again(handoff=self.handoff(handoff_id), by=self.user(request)))


class Weigh(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        fields = WeighFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return self.answer(handoffs.weigh_shipment(handoff=self.handoff(handoff_id), **fields.validated_data))


class Release(HandoffView):
    """Who holds custody confirms the matched tags by their own PIN or badge."""

    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        fields = FactorFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return self.answer(release_custody(handoff=self.handoff(handoff_id), **fields.validated_data))


class AskOfficer(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        handoff = self.handoff(handoff_id)
        ask_officer(handoff=handoff)
        return self.answer(handoff)


class Challenge(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        handoff = self.handoff(handoff_id)
        challenge = issue_challenge(
            person=handoff.to_person, context=receiver_face.liveness_context(handoff), issued_to=self.user(request)
        )
        return Response(
            {
                "challenge": challenge.pk,
                "nonce": challenge.nonce,
                "turns": challenge.turns,
                "expires_at": challenge.expires_at,
            },
            status=status.HTTP_201_CREATED,
        )


class Face(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        fields = FaceFields(data=request.data)
        fields.is_valid(raise_exception=True)
        handoff = self.handoff(handoff_id)
        receiver_face.verify_receiver(
            handoff=handoff,
            capture=read_sent_capture(fields.validated_data, context=receiver_face.liveness_context(handoff)),
            source=CaptureSource.API,
            camera=fields.validated_data["camera"],
            by=self.user(request),
        )
        return self.answer(handoff)


def read_sent_capture(sent: dict[str, Any], *, context: str) -> Still | Burst:
    """Read what :class:`FaceFields` admitted: a burst that answers a challenge issued for ``context``, or a still."""
    captured_at = sent.get("captured_at") or timezone.now()
    if sent["frames"]:
        return read_burst(
            challenge=sent["challenge"],
            nonce=sent["nonce"],
            context=context,
            frames=[frame.read() for frame in sent["frames"]],
            frame_times=sent["frame_times"],
            captured_at=captured_at,
        )
    return Still(sent["photo"].read() if "photo" in sent else b"", captured_at)


class Accept(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        fields = FactorFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return self.answer(
            handoffs.accept_handoff(handoff=self.handoff(handoff_id), by=self.user(request), **fields.validated_data)
        )


class Refuse(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        fields = RefuseFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return self.answer(
            handoffs.refuse_handoff(handoff=self.handoff(handoff_id), by=self.user(request), **fields.validated_data)
        )


class Cancel(HandoffView):
    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        return self.answer(handoffs.cancel_handoff(handoff=self.handoff(handoff_id), by=self.user(request)))


def _handoffs() -> QuerySet[Handoff]:
    return Handoff.objects.select_related(
        "consignment", "read_point", "session", "from_person", "to_person", "verification", "statement__entry"
    )
