"""Logistic units through the API: how they nest, packed, unpacked and tied to their tags."""

import uuid
from typing import Any

from django.db.models import Count
from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.roles import Capability
from custody import acts_on_goods
from custody.api.goods_fields import ActFields, acted_by
from shipments import units
from shipments.consignments import Unit
from shipments.models import Consignment, LogisticUnit, ManifestItem


class UnitFields(serializers.Serializer[Any]):
    sscc = serializers.CharField(max_length=18, default="", allow_blank=True)
    grai = serializers.CharField(max_length=30, default="", allow_blank=True)
    bic = serializers.CharField(max_length=11, default="", allow_blank=True)
    epc = serializers.CharField(max_length=200, default="", allow_blank=True)
    tid = serializers.CharField(max_length=80, default="", allow_blank=True)


class PackFields(ActFields):
    contents = serializers.ListField(
        child=serializers.CharField(max_length=units.MAX_CODE), max_length=units.MAX_CONTENTS
    )


class UnpackFields(ActFields):
    """What is taken out; ``everything`` stands for all of it, so that a forgotten list empties no pallet."""

    contents = serializers.ListField(
        child=serializers.CharField(max_length=units.MAX_CODE), max_length=units.MAX_CONTENTS, default=list
    )
    everything = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs["contents"]) == attrs["everything"]:
            raise serializers.ValidationError({"contents": "Name what is taken out, or send everything: true."})
        return attrs


class TagFields(serializers.Serializer[Any]):
    epc = serializers.CharField(max_length=200)
    tid = serializers.CharField(max_length=80, default="", allow_blank=True)


def describe(unit: LogisticUnit, *, tags: int) -> dict[str, Any]:
    return {
        "id": unit.pk,
        **unit.codes(),
        "parent": unit.parent_id,
        "tags": tags,
        "epc": unit.epc_hex or None,
        "tid": unit.tid or None,
    }


def name_of(content: LogisticUnit | ManifestItem) -> dict[str, Any]:
    if isinstance(content, LogisticUnit):
        return {"id": content.pk, **content.codes()}
    return {"epc": content.epc_hex, "uri": content.epc_uri}


class ShipmentUnits(APIView):
    """The units of one shipment, each with the unit that holds it; a new one is posted."""

    def get_permissions(self) -> list[Any]:
        asked = Capability.SEE_GOODS if self.request.method == "GET" else Capability.HAND_OFF
        return [requires(asked)()]

    def get(self, request: Request, consignment_id: uuid.UUID) -> Response:
        shipment = get_object_or_404(Consignment, pk=consignment_id)
        counted = shipment.units.annotate(tags=Count("items"))
        return Response([describe(unit, tags=unit.tags) for unit in counted])

    def post(self, request: Request, consignment_id: uuid.UUID) -> Response:
        shipment = get_object_or_404(Consignment, pk=consignment_id)
        fields = UnitFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        unit = Unit(sscc=sent["sscc"], grai=sent["grai"], bic=sent["bic"], epc=sent["epc"])
        made = units.register_unit(consignment=shipment, unit=unit, tid=sent["tid"])
        return Response(describe(made, tags=0), status=status.HTTP_201_CREATED)


class UnitAct(APIView):
    permission_classes = [requires(Capability.HAND_OFF)]

    def unit(self, unit_id: uuid.UUID) -> LogisticUnit:
        return get_object_or_404(LogisticUnit.objects.select_related("consignment"), pk=unit_id)


class Pack(UnitAct):
    def post(self, request: Request, unit_id: uuid.UUID) -> Response:
        fields = PackFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        packed = acts_on_goods.pack(unit=self.unit(unit_id), contents=sent["contents"], by=acted_by(request, sent))
        return Response({"packed": [name_of(content) for content in packed]})


class Unpack(UnitAct):
    def post(self, request: Request, unit_id: uuid.UUID) -> Response:
        fields = UnpackFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        unpacked = acts_on_goods.unpack(unit=self.unit(unit_id), contents=sent["contents"], by=acted_by(request, sent))
        return Response({"unpacked": [name_of(content) for content in unpacked]})


class Tag(UnitAct):
    def post(self, request: Request, unit_id: uuid.UUID) -> Response:
        fields = TagFields(data=request.data)
        fields.is_valid(raise_exception=True)
        unit = self.unit(unit_id)
        epc = units.bind_tag(consignment=unit.consignment, unit=unit, **fields.validated_data)
        return Response({"epc": epc.hex, "uri": epc.uri, "digital_link": epc.digital_link, "flags": epc.flags})


class ShipmentTag(APIView):
    """Tie the chip of a tag to the goods whose EPC it carries."""

    permission_classes = [requires(Capability.HAND_OFF)]

    def post(self, request: Request, consignment_id: uuid.UUID) -> Response:
        fields = TagFields(data=request.data)
        fields.is_valid(raise_exception=True)
        shipment = get_object_or_404(Consignment, pk=consignment_id)
        epc = units.bind_tag(consignment=shipment, **fields.validated_data)
        return Response({"epc": epc.hex, "uri": epc.uri, "digital_link": epc.digital_link, "flags": epc.flags})
