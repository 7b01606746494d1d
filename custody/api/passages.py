"""Passages of a border through the API: the same services as on the pages, one call each."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
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
from biometrics.models import CaptureSource, Person
from biometrics.views.liveness import describe as describe_challenge
from custody.api.handoffs import FaceFields, read_sent_capture
from custody.models import (
    DECISIONS,
    Crossing,
    DocumentType,
    Exemption,
    Passage,
    PassageDirection,
    PassageState,
    WithoutFace,
)
from custody.passage_decisions import MAX_NOTE, advise, decide_passage
from custody.passage_search import count_shares, find_passages
from custody.passages import (
    Presented,
    cancel_passage,
    compare_traveller,
    decline_face,
    liveness_context,
    open_passage,
    show_portrait,
)
from shipments.models import Consignment, Party

# So many of the newest; the pages show them all.
MOST_LISTED = 500


class SearchFields(serializers.Serializer[Any]):
    crossing = serializers.PrimaryKeyRelatedField(queryset=Crossing.objects.all(), default=None)
    since = serializers.DateTimeField(default=None)
    until = serializers.DateTimeField(default=None)
    shipment = serializers.PrimaryKeyRelatedField(
        queryset=Consignment.objects.all(), source="consignment", default=None
    )
    outcome = serializers.ChoiceField(choices=PassageState.choices, source="state", default="")


class DocumentFields(serializers.Serializer[Any]):
    type = serializers.ChoiceField(choices=DocumentType.choices)
    issuing_state = serializers.CharField(max_length=8)
    number = serializers.CharField(max_length=40)
    expires_on = serializers.DateField(default=None, allow_null=True)


class OpenFields(serializers.Serializer[Any]):
    crossing = serializers.PrimaryKeyRelatedField(queryset=Crossing.objects.all())
    direction = serializers.ChoiceField(choices=PassageDirection.choices)
    document = DocumentFields()
    shipment = serializers.CharField(max_length=200, default="", allow_blank=True)
    person = serializers.PrimaryKeyRelatedField(queryset=Person.objects.all(), default=None, allow_null=True)
    carrier = serializers.PrimaryKeyRelatedField(queryset=Party.objects.all(), default=None, allow_null=True)
    exemption = serializers.ChoiceField(choices=Exemption.choices, default="", allow_blank=True)
    without_face = serializers.ChoiceField(choices=WithoutFace.choices, default="", allow_blank=True)
    attempt = serializers.UUIDField()


class PortraitFields(serializers.Serializer[Any]):
    photo = serializers.FileField()


class DeclineFields(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=WithoutFace.choices)


class DecideFields(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=[str(one) for one in DECISIONS])
    note = serializers.CharField(max_length=MAX_NOTE, default="", allow_blank=True)
    pin = serializers.CharField(max_length=32, default="", allow_blank=True)
    badge = serializers.CharField(max_length=64, default="", allow_blank=True)
    document_checked = serializers.BooleanField(default=False)


def describe(passage: Passage) -> dict[str, Any]:
    """Tell all but the document's number, which nobody reads here again."""
    return {
        "id": passage.pk,
        "attempt": passage.attempt,
        "crossing": passage.crossing_id,
        "direction": passage.direction,
        "shipment": passage.consignment_id,
        "traveller": passage.traveller_id,
        "exemption": passage.exemption or None,
        "without_face": passage.without_face or None,
        "portrait": passage.document.portrait_id is not None,
        "face": passage.match.outcome if passage.match else None,
        "second_capture_needed": passage.first_capture_id is not None,
        "outcome": passage.state,
        "advice": passage.advice or None,
        "findings": passage.findings,
        "opened_at": passage.opened_at,
        "closed_at": passage.closed_at,
        "entry": passage.statement.entry_id if passage.statement else None,
    }


class PassageView(APIView):
    permission_classes = [requires(Capability.CHECK_PASSAGES)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def user(self, request: Request) -> User:
        return cast(User, request.user)

    def passage(self, passage_id: uuid.UUID) -> Passage:
        return get_object_or_404(_passages(), pk=passage_id)

    def answer(self, passage_id: uuid.UUID, code: int = status.HTTP_200_OK) -> Response:
        """Tell the passage, and of one that waits what the machine makes of it now."""
        found = self.passage(passage_id)
        told = describe(found)
        if found.state == PassageState.OPEN:
            advised = advise(found)
            told |= {"advice": advised.advice, "findings": [one.body() for one in advised.findings]}
        return Response(told, code)


class Crossings(APIView):
    permission_classes = [requires(Capability.SEE_PASSAGES)]

    def get(self, request: Request) -> Response:
        crossings = Crossing.objects.select_related("read_point__site")
        return Response(
            [
                {"id": one.pk, "name": str(one), "read_point": one.read_point_id, "open": one.enabled}
                for one in crossings
            ]
        )


class Passages(PassageView):
    """The newest passages that fit ``?crossing=&since=&until=&shipment=&outcome=``; POST begins another."""

    def get_permissions(self) -> list[Any]:
        wanted = Capability.SEE_PASSAGES if self.request.method == "GET" else Capability.CHECK_PASSAGES
        return [requires(wanted)()]

    def get(self, request: Request) -> Response:
        fields = SearchFields(data=request.query_params)
        fields.is_valid(raise_exception=True)
        found = find_passages(**fields.validated_data)
        shares = count_shares(found)
        return Response(
            {
                "decided": shares.decided,
                "without_face": shares.without_face,
                "passages": [describe(one) for one in found.select_related("match")[:MOST_LISTED]],
            }
        )

    def post(self, request: Request) -> Response:
        fields = OpenFields(data=request.data)
        fields.is_valid(raise_exception=True)
        given = dict(fields.validated_data)
        document = Presented(**given.pop("document"))
        begun = open_passage(by=self.user(request), document=document, **given)
        return self.answer(begun.pk, status.HTTP_201_CREATED)


class PassageDetail(PassageView):
    permission_classes = [requires(Capability.SEE_PASSAGES)]

    def get(self, request: Request, passage_id: uuid.UUID) -> Response:
        return self.answer(passage_id)


class Portrait(PassageView):
    def post(self, request: Request, passage_id: uuid.UUID) -> Response:
        fields = PortraitFields(data=request.data)
        fields.is_valid(raise_exception=True)
        photo = fields.validated_data["photo"].read()
        show_portrait(passage=self.passage(passage_id), photo=photo, by=self.user(request))
        return self.answer(passage_id)


class Challenge(PassageView):
    def post(self, request: Request, passage_id: uuid.UUID) -> Response:
        found = self.passage(passage_id)
        challenge = issue_challenge(
            person=found.traveller, context=liveness_context(found), issued_to=self.user(request)
        )
        return Response(describe_challenge(challenge), status=status.HTTP_201_CREATED)


class Face(PassageView):
    def post(self, request: Request, passage_id: uuid.UUID) -> Response:
        fields = FaceFields(data=request.data)
        fields.is_valid(raise_exception=True)
        found = self.passage(passage_id)
        compare_traveller(
            passage=found,
            capture=read_sent_capture(fields.validated_data, context=liveness_context(found)),
            source=CaptureSource.API,
            camera=fields.validated_data["camera"],
            by=self.user(request),
        )
        return self.answer(passage_id)


class Decline(PassageView):
    def post(self, request: Request, passage_id: uuid.UUID) -> Response:
        fields = DeclineFields(data=request.data)
        fields.is_valid(raise_exception=True)
        decline_face(passage=self.passage(passage_id), by=self.user(request), **fields.validated_data)
        return self.answer(passage_id)


class Decide(PassageView):
    def post(self, request: Request, passage_id: uuid.UUID) -> Response:
        fields = DecideFields(data=request.data)
        fields.is_valid(raise_exception=True)
        decide_passage(passage=self.passage(passage_id), by=self.user(request), **fields.validated_data)
        return self.answer(passage_id)


class Cancel(PassageView):
    def post(self, request: Request, passage_id: uuid.UUID) -> Response:
        cancel_passage(passage=self.passage(passage_id), by=self.user(request))
        return self.answer(passage_id)


def _passages() -> QuerySet[Passage]:
    return find_passages().select_related("match", "carrier", "document__portrait", "document__person")
