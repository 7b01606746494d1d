"""Seals through the API: put on, looked at, broken, replaced; by a person who is named each time."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.roles import Capability
from custody import acts_on_goods
from custody.api.goods_fields import NotedFields, acted_by
from shipments.models import MAX_SEAL_NUMBER, Consignment, LogisticUnit, Seal
from shipments.seals import MAX_ISSUER, NewSeal


class SealFields(NotedFields):
    number = serializers.CharField(max_length=2 * MAX_SEAL_NUMBER)
    seal_class = serializers.CharField(max_length=1)
    issuer = serializers.CharField(max_length=MAX_ISSUER, default="", allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        # "class" is a word of Python's; it is the field's name all the same.
        fields = super().get_fields()
        fields["class"] = fields.pop("seal_class")
        return fields


class AffixFields(SealFields):
    unit = serializers.PrimaryKeyRelatedField(queryset=LogisticUnit.objects.all())


class CheckFields(NotedFields):
    found = serializers.CharField(max_length=16)
    found_number = serializers.CharField(max_length=2 * MAX_SEAL_NUMBER, default="", allow_blank=True)


class BreakFields(NotedFields):
    reason = serializers.CharField(max_length=24)


class ReplaceFields(SealFields):
    reason = serializers.CharField(max_length=24)


def describe(seal: Seal) -> dict[str, Any]:
    """Tell a seal with all that was done to it; ``entry`` is null while it waits to be sealed."""
    return {
        "id": seal.pk,
        "number": seal.number,
        "class": seal.seal_class,
        "issuer": seal.issuer,
        "shipment": seal.consignment_id,
        "unit": {"id": seal.unit_id, **seal.unit.codes()},
        "state": seal.state,
        "affixed_at": seal.affixed_at,
        "ended_at": seal.ended_at,
        "replaces": seal.replaces_id,
        "history": [
            {
                "act": event.act,
                "state": event.state,
                "found_number": event.found_number,
                "reason": event.reason,
                "person": event.person,
                "read_point": event.read_point_id,
                "acted_at": event.acted_at,
                "entry": event.statement.entry_id,
            }
            for event in seal.events.select_related("statement")
        ],
    }


class ShipmentSeals(APIView):
    """Every seal that was ever on the shipment's units, oldest first; a new one is posted."""

    def get_permissions(self) -> list[Any]:
        asked = Capability.SEE_GOODS if self.request.method == "GET" else Capability.KEEP_SEALS
        return [requires(asked)()]

    def get(self, request: Request, consignment_id: uuid.UUID) -> Response:
        shipment = get_object_or_404(Consignment, pk=consignment_id)
        return Response([describe(seal) for seal in shipment.seals.select_related("unit")])

    def post(self, request: Request, consignment_id: uuid.UUID) -> Response:
        shipment = get_object_or_404(Consignment, pk=consignment_id)
        fields = AffixFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        seal = acts_on_goods.affix_seal(
            unit=sent["unit"], consignment=shipment, seal=_new_seal(sent), by=acted_by(request, sent)
        )
        return Response(describe(seal), status=status.HTTP_201_CREATED)


class SealAct(APIView):
    permission_classes = [requires(Capability.KEEP_SEALS)]

    def seal(self, seal_id: uuid.UUID) -> Seal:
        return get_object_or_404(Seal.objects.select_related("unit"), pk=seal_id)


class Check(SealAct):
    def post(self, request: Request, seal_id: uuid.UUID) -> Response:
        fields = CheckFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        seal = acts_on_goods.check_seal(
            seal=self.seal(seal_id),
            finding=sent["found"],
            found_number=sent["found_number"],
            by=acted_by(request, sent),
        )
        return Response(describe(seal))


class Break(SealAct):
    def post(self, request: Request, seal_id: uuid.UUID) -> Response:
        fields = BreakFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        seal = acts_on_goods.break_seal(seal=self.seal(seal_id), reason=sent["reason"], by=acted_by(request, sent))
        return Response(describe(seal))


class Replace(SealAct):
    """Answered with the new seal."""

    def post(self, request: Request, seal_id: uuid.UUID) -> Response:
        fields = ReplaceFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        seal = acts_on_goods.replace_seal(
            seal=self.seal(seal_id), new=_new_seal(sent), reason=sent["reason"], by=acted_by(request, sent)
        )
        return Response(describe(seal), status=status.HTTP_201_CREATED)


def _new_seal(sent: dict[str, Any]) -> NewSeal:
    return NewSeal(sent["number"], sent["class"], sent["issuer"])
