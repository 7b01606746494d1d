"""
Traces through the API: of a tag, a shipment, a person, and what several shipments have in common.

For accounts that may read the ledger; names stand in the answer only for those that may see people as well.
"""

import uuid
from typing import cast

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Person
from custody.models import PersonTraced
from custody.tracing.patterns import trace_pattern
from custody.tracing.persons import trace_person
from custody.tracing.shipments import trace_shipment
from custody.tracing.tags import trace_tag
from custody.tracing.telling import Naming, tag_as_data
from custody.tracing.telling_persons import pattern_as_data, trace_of_person_as_data
from custody.tracing.telling_shipments import shipment_as_data
from shipments.finding import find_shipment


class TagTraces(APIView):
    """``?shipment=`` names another shipment than the one that holds the tag now."""

    permission_classes = [requires(Capability.READ_LEDGER)]

    def get(self, request: Request, tag: str) -> Response:
        code = request.query_params.get("shipment", "")
        shipment = find_shipment(code=code) if code else None
        return Response(tag_as_data(trace_tag(tag=tag, shipment=shipment), Naming(cast(User, request.user))))


class ShipmentTraces(APIView):
    permission_classes = [requires(Capability.READ_LEDGER)]

    def get(self, request: Request, shipment: str) -> Response:
        trace = trace_shipment(shipment=find_shipment(code=shipment))
        return Response(shipment_as_data(trace, Naming(cast(User, request.user))))


class PersonTraces(APIView):
    """The look is recorded."""

    permission_classes = [requires(Capability.READ_LEDGER)]

    def get(self, request: Request, person_id: uuid.UUID) -> Response:
        user = cast(User, request.user)
        person = get_object_or_404(Person, pk=person_id)
        trace = trace_person(person=person, asked_by=user, way=PersonTraced.Way.API)
        return Response(trace_of_person_as_data(trace, Naming(user)))


class Patterns(APIView):
    """``?shipment=`` two times or more."""

    permission_classes = [requires(Capability.READ_LEDGER)]

    def get(self, request: Request) -> Response:
        asked = [find_shipment(code=code) for code in request.query_params.getlist("shipment")]
        return Response(pattern_as_data(trace_pattern(shipments=asked), Naming(cast(User, request.user))))
