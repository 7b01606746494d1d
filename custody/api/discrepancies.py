"""Discrepancies through the API: the queue, one with its history, and what officers do; routes and sites' rules."""

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
from custody.discrepancies import (
    MAX_NOTE,
    assign_discrepancy,
    note_discrepancy,
    resolve_discrepancy,
)
from custody.discrepancy_search import Asked, find_discrepancies
from custody.models import Discrepancy, Outcome, PlannedRoute
from custody.routes import current_route, plan_route
from shipments.models import Consignment, Site

MOST_LISTED = 500


class AssignFields(serializers.Serializer[Any]):
    assignee = serializers.SlugRelatedField("username", queryset=User.objects.filter(is_active=True), allow_null=True)


class NoteFields(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=MAX_NOTE)


class ResolveFields(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    note = serializers.CharField(max_length=MAX_NOTE)
    password = serializers.CharField(max_length=256, default="", allow_blank=True, trim_whitespace=False)
    later_entry = serializers.IntegerField(min_value=0, max_value=2**53, default=None, allow_null=True)


class RouteFields(serializers.Serializer[Any]):
    sites = serializers.ListField(child=serializers.SlugRelatedField("gln", queryset=Site.objects.all()))


def tell(one: Discrepancy) -> dict[str, Any]:
    """Describe a discrepancy as its entry does; notes stay where they are sealed."""
    return {
        "id": one.pk,
        "code": one.code,
        "severity": one.severity,
        "shipment": one.consignment_id,
        "reader": one.reader_id,
        "evidence": one.evidence,
        "since": one.since,
        "until": one.until,
        "custodians": [person.pk for person in one.custodians.all()],
        "opened_at": one.opened_at,
        "entry": one.statement.entry_id,
        "reopens": one.reopens_id,
        "assignee": one.assignee.username if one.assignee else None,
        "outcome": one.outcome or None,
        "resolved_at": one.resolved_at,
        "resolution_entry": one.resolution.entry_id if one.resolution else None,
    }


class Discrepancies(APIView):
    """The queue as on the page: ``?state=&whose=&severity=&code=&shipment=``, at most 500."""

    permission_classes = [requires(Capability.SEE_DISCREPANCIES)]

    def get(self, request: Request) -> Response:
        asked = Asked.read(request.query_params.dict())
        found = find_discrepancies(asked=asked, by=_user(request)).prefetch_related("custodians")
        return Response([tell(one) for one in found[:MOST_LISTED]])


class DiscrepancyDetail(APIView):
    permission_classes = [requires(Capability.SEE_DISCREPANCIES)]

    def get(self, request: Request, discrepancy_id: uuid.UUID) -> Response:
        one = _find(discrepancy_id)
        steps = [
            {
                "step": step.step,
                "at": step.at,
                "by": step.by.username,
                "assignee": step.assignee.username if step.assignee else None,
                "note": step.note.commitment if step.note else None,
            }
            for step in one.steps.select_related("by", "assignee", "note")
        ]
        return Response(tell(one) | {"steps": steps})


class Assign(APIView):
    permission_classes = [requires(Capability.SETTLE_DISCREPANCIES)]

    def post(self, request: Request, discrepancy_id: uuid.UUID) -> Response:
        fields = AssignFields(data=request.data)
        fields.is_valid(raise_exception=True)
        assign_discrepancy(discrepancy=_find(discrepancy_id), by=_user(request), **fields.validated_data)
        return Response(tell(_find(discrepancy_id)))


class Note(APIView):
    permission_classes = [requires(Capability.SETTLE_DISCREPANCIES)]

    def post(self, request: Request, discrepancy_id: uuid.UUID) -> Response:
        fields = NoteFields(data=request.data)
        fields.is_valid(raise_exception=True)
        note_discrepancy(discrepancy=_find(discrepancy_id), by=_user(request), **fields.validated_data)
        return Response(tell(_find(discrepancy_id)), status=status.HTTP_201_CREATED)


class Resolve(APIView):
    permission_classes = [requires(Capability.SETTLE_DISCREPANCIES)]

    def post(self, request: Request, discrepancy_id: uuid.UUID) -> Response:
        fields = ResolveFields(data=request.data)
        fields.is_valid(raise_exception=True)
        resolve_discrepancy(discrepancy=_find(discrepancy_id), by=_user(request), **fields.validated_data)
        return Response(tell(_find(discrepancy_id)))


class ShipmentRoute(APIView):
    """The places that are planned for a shipment, by their GLNs in order; PUT plans them anew."""

    permission_classes = [requires(Capability.SEE_GOODS)]

    def get(self, request: Request, consignment_id: uuid.UUID) -> Response:
        return Response(_tell_route(current_route(get_object_or_404(Consignment, pk=consignment_id))))

    def put(self, request: Request, consignment_id: uuid.UUID) -> Response:
        fields = RouteFields(data=request.data)
        fields.is_valid(raise_exception=True)
        consignment = get_object_or_404(Consignment, pk=consignment_id)
        plan_route(consignment=consignment, by=_user(request), **fields.validated_data)
        return Response(_tell_route(current_route(consignment)))


def _tell_route(route: PlannedRoute | None) -> dict[str, Any]:
    if route is None:
        return {"number": 0, "sites": [], "planned_at": None}
    return {
        "number": route.number,
        "sites": [place.site.gln for place in route.places.all()],
        "planned_at": route.planned_at,
    }


def _find(discrepancy_id: uuid.UUID) -> Discrepancy:
    return get_object_or_404(
        Discrepancy.objects.select_related("consignment", "statement", "resolution", "assignee").prefetch_related(
            "custodians"
        ),
        pk=discrepancy_id,
    )


def _user(request: Request) -> User:
    return cast(User, request.user)
