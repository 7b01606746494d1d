"""An officer's approval in a handoff through the API, and what one sees before giving it."""

import uuid
from typing import Any, cast

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from custody.api.handoffs import describe
from custody.approvals import MAX_NOTE, approve
from custody.models import Approval, ApprovalReason, Document, Handoff, Purpose


class ApproveFields(serializers.Serializer[Any]):
    """``seen`` is ``needs.shown`` of the handoff as it was read."""

    purpose = serializers.ChoiceField(choices=Purpose.choices)
    reason = serializers.ChoiceField(choices=ApprovalReason.choices)
    document = serializers.ChoiceField(choices=Document.choices, default="", allow_blank=True)
    note = serializers.CharField(max_length=MAX_NOTE, default="", allow_blank=True)
    seen = serializers.CharField(max_length=2000)
    pin = serializers.CharField(max_length=32, default="", allow_blank=True)
    badge = serializers.CharField(max_length=64, default="", allow_blank=True)


class Approvals(APIView):
    """The handoff with its approvals, the newest first; POST gives another."""

    permission_classes = [requires(Capability.APPROVE_HANDOFFS)]

    def get(self, request: Request, handoff_id: uuid.UUID) -> Response:
        handoff = self._handoff(handoff_id)
        return Response(describe(handoff) | {"approvals": [_described(one) for one in handoff.approvals.all()]})

    def post(self, request: Request, handoff_id: uuid.UUID) -> Response:
        fields = ApproveFields(data=request.data)
        fields.is_valid(raise_exception=True)
        given = approve(handoff=self._handoff(handoff_id), by=cast(User, request.user), **fields.validated_data)
        return Response(_described(given), status=status.HTTP_201_CREATED)

    def _handoff(self, handoff_id: uuid.UUID) -> Handoff:
        related = ("consignment", "read_point", "session", "from_person", "to_person", "verification")
        return get_object_or_404(Handoff.objects.select_related(*related, "statement__entry"), pk=handoff_id)


def _described(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.pk,
        "purpose": approval.purpose,
        "reason": approval.reason,
        "document": approval.document or None,
        "exceptions": approval.exceptions,
        "officer": approval.officer_id,
        "given_at": approval.given_at,
    }
