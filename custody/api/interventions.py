"""Officers' acts through the API: the same services as on the pages, one call each."""

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
from custody.api.handoffs import FaceFields, read_sent_capture
from custody.interventions import (
    MAX_NOTE,
    begin_intervention,
    cancel_intervention,
    confirm_officer,
    in_force,
    liveness_context,
)
from custody.models import Act, Findings, Intervention, Reason
from shipments.models import Consignment, ReadPoint

MOST_LISTED = 500


class BeginFields(serializers.Serializer[Any]):
    act = serializers.ChoiceField(choices=Act.choices)
    reason = serializers.ChoiceField(choices=Reason.choices)
    findings = serializers.ChoiceField(choices=Findings.choices, default="", allow_blank=True)
    read_point = serializers.PrimaryKeyRelatedField(queryset=ReadPoint.objects.select_related("site"))
    note = serializers.CharField(max_length=MAX_NOTE, default="", allow_blank=True)
    attempt = serializers.UUIDField()


def describe(intervention: Intervention) -> dict[str, Any]:
    return {
        "id": intervention.pk,
        "shipment": intervention.consignment_id,
        "act": intervention.act,
        "reason": intervention.reason,
        "findings": intervention.findings or None,
        "state": intervention.state,
        "officer": intervention.officer_id,
        "opened_at": intervention.opened_at,
        "closed_at": intervention.closed_at,
        "second_capture_needed": intervention.first_capture_id is not None,
        "entry": intervention.statement.entry_id if intervention.statement else None,
    }


class InterventionView(APIView):
    permission_classes = [requires(Capability.INTERVENE)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def user(self, request: Request) -> User:
        return cast(User, request.user)

    def intervention(self, intervention_id: uuid.UUID) -> Intervention:
        return get_object_or_404(
            Intervention.objects.select_related("statement", "officer", "read_point__site"), pk=intervention_id
        )


class ShipmentInterventions(InterventionView):
    """The acts on one shipment, the newest first, and what holds it now; POST begins another."""

    def get(self, request: Request, consignment_id: uuid.UUID) -> Response:
        consignment = get_object_or_404(Consignment, pk=consignment_id)
        stopping = in_force(consignment)
        found = consignment.interventions.select_related("statement")[:MOST_LISTED]
        return Response(
            {"in_force": stopping.pk if stopping else None, "interventions": [describe(one) for one in found]}
        )

    def post(self, request: Request, consignment_id: uuid.UUID) -> Response:
        fields = BeginFields(data=request.data)
        fields.is_valid(raise_exception=True)
        consignment = get_object_or_404(Consignment, pk=consignment_id)
        begun = begin_intervention(consignment=consignment, by=self.user(request), **fields.validated_data)
        return Response(describe(begun), status=status.HTTP_201_CREATED)


class Challenge(InterventionView):
    def post(self, request: Request, intervention_id: uuid.UUID) -> Response:
        found = self.intervention(intervention_id)
        challenge = issue_challenge(person=found.officer, context=liveness_context(found), issued_to=self.user(request))
        return Response(
            {
                "challenge": challenge.pk,
                "nonce": challenge.nonce,
                "turns": challenge.turns,
                "expires_at": challenge.expires_at,
            },
            status=status.HTTP_201_CREATED,
        )


class Face(InterventionView):
    """Confirm the officer's face: where it matches, the act is done."""

    def post(self, request: Request, intervention_id: uuid.UUID) -> Response:
        fields = FaceFields(data=request.data)
        fields.is_valid(raise_exception=True)
        found = self.intervention(intervention_id)
        confirm_officer(
            intervention=found,
            capture=read_sent_capture(fields.validated_data, context=liveness_context(found)),
            source=CaptureSource.API,
            camera=fields.validated_data["camera"],
            by=self.user(request),
        )
        return Response(describe(self.intervention(intervention_id)))


class Cancel(InterventionView):
    def post(self, request: Request, intervention_id: uuid.UUID) -> Response:
        cancel_intervention(intervention=self.intervention(intervention_id), by=self.user(request))
        return Response(describe(self.intervention(intervention_id)))
