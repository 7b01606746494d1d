"""A read point's rules through the API: what starts reading there by itself, and which reads count."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.roles import Capability
from shipments.models import Reader, ReadPoint, TriggerDoes, TriggerRule
from shipments.smoothing import MEDIAN, STRONGEST, Policy
from shipments.smoothing_policies import policy_of, set_policy
from shipments.trigger_rules import add_trigger_rule, retire_trigger_rule


class TriggerFields(serializers.Serializer[Any]):
    reader = serializers.PrimaryKeyRelatedField(queryset=Reader.objects.all())
    port = serializers.IntegerField()
    on_high = serializers.ChoiceField(choices=TriggerDoes.choices, default=TriggerDoes.OPEN)
    on_low = serializers.ChoiceField(choices=TriggerDoes.choices, default=TriggerDoes.CLOSE)
    longest_s = serializers.IntegerField(default=300)
    min_gap_ms = serializers.IntegerField(default=500)


class PolicyFields(serializers.Serializer[Any]):
    min_reads = serializers.IntegerField(default=1)
    min_rssi_cdbm = serializers.IntegerField(default=None, allow_null=True)
    strength = serializers.ChoiceField(choices=[STRONGEST, MEDIAN], default=STRONGEST)
    delta_e4 = serializers.IntegerField(default=None, allow_null=True)
    epoch_ms = serializers.IntegerField(default=500)


class ReadPointView(APIView):
    permission_classes = [requires(Capability.MANAGE_GOODS)]

    def read_point(self, read_point_id: uuid.UUID) -> ReadPoint:
        return get_object_or_404(ReadPoint, pk=read_point_id)


class Triggers(ReadPointView):
    def get(self, request: Request, read_point_id: uuid.UUID) -> Response:
        rules = self.read_point(read_point_id).trigger_rules.filter(retired_at=None)
        return Response([_tell(rule) for rule in rules])

    def post(self, request: Request, read_point_id: uuid.UUID) -> Response:
        fields = TriggerFields(data=request.data)
        fields.is_valid(raise_exception=True)
        rule = add_trigger_rule(read_point=self.read_point(read_point_id), **fields.validated_data)
        return Response(_tell(rule), status=status.HTTP_201_CREATED)


class TriggerDetail(ReadPointView):
    def delete(self, request: Request, read_point_id: uuid.UUID, rule_id: uuid.UUID) -> Response:
        """Take the rule out of use; the sessions that it opened keep naming it."""
        retire_trigger_rule(rule=get_object_or_404(TriggerRule, pk=rule_id, read_point=read_point_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Smoothing(ReadPointView):
    def get(self, request: Request, read_point_id: uuid.UUID) -> Response:
        return Response(_tell_policy(policy_of(self.read_point(read_point_id))))

    def put(self, request: Request, read_point_id: uuid.UUID) -> Response:
        fields = PolicyFields(data=request.data)
        fields.is_valid(raise_exception=True)
        read_point = self.read_point(read_point_id)
        set_policy(read_point=read_point, policy=Policy(**fields.validated_data))
        return Response(_tell_policy(policy_of(read_point)))


def _tell(rule: TriggerRule) -> dict[str, Any]:
    return {
        "id": rule.pk,
        "reader": rule.reader_id,
        "port": rule.port,
        "on_high": rule.on_high,
        "on_low": rule.on_low,
        "longest_s": rule.longest_s,
        "min_gap_ms": rule.min_gap_ms,
    }


def _tell_policy(policy: Policy) -> dict[str, Any]:
    return {
        "min_reads": policy.min_reads,
        "min_rssi_cdbm": policy.min_rssi_cdbm,
        "strength": policy.strength,
        "delta_e4": policy.delta_e4,
        "epoch_ms": policy.epoch_ms,
    }
