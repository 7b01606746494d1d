"""What else is done about one person, through the API: consent anew, PIN, badge, holds, past verifications."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.cache import add_never_cache_headers
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import requires
from accounts.roles import Capability
from biometrics.api.enrolment import ConsentFields, PersonView, describe
from biometrics.consent import ConsentGiven, record_consent
from biometrics.holds import MAX_AUTHORITY, lift_hold, place_hold
from biometrics.models import EvidenceHold, Person, Verification
from biometrics.people import people_on_file
from biometrics.second_factor import issue_badge, set_pin
from ledger.tlog.errors import NotCanonical

# So many of the newest; the page shows them all.
MOST_LISTED = 200


class PinFields(serializers.Serializer[Any]):
    pin = serializers.CharField(max_length=64)


class HoldFields(serializers.Serializer[Any]):
    authority = serializers.CharField(max_length=MAX_AUTHORITY)


class Consents(PersonView):
    """Record that the person agreed to a text anew; the consent before it ends."""

    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        fields = ConsentFields(data=request.data)
        fields.is_valid(raise_exception=True)
        person = get_object_or_404(people_on_file().filter(exempt=False), pk=person_id)
        given = ConsentGiven(**fields.validated_data)
        record_consent(person=person, consent=given, recorded_by=self.user(request))
        return Response(describe(person), status=status.HTTP_201_CREATED)


class NewPin(PersonView):
    def put(self, request: Request, person_id: uuid.UUID) -> Response:
        fields = PinFields(data=request.data)
        fields.is_valid(raise_exception=True)
        set_pin(person=self.person(person_id), pin=fields.validated_data["pin"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class NewBadge(PersonView):
    """Issue a badge: its code is in this answer and nowhere else, and older badges end."""

    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        response = Response({"code": issue_badge(person=self.person(person_id))}, status=status.HTTP_201_CREATED)
        add_never_cache_headers(response)
        return response


class Verifications(PersonView):
    """The newest verifications, with what the page shows: outcomes, and no distances."""

    permission_classes = [requires(Capability.SEE_PEOPLE)]

    def get(self, request: Request, person_id: uuid.UUID) -> Response:
        rows = self.person(person_id).verifications.select_related("requested_by").order_by("-created_at")
        return Response([_describe(row) for row in rows[:MOST_LISTED]])


class Holds(PersonView):
    """The holds on what is held about a person, standing ones and lifted ones; and another one."""

    permission_classes = [requires(Capability.LOOK_AT_EVIDENCE)]

    def get(self, request: Request, person_id: uuid.UUID) -> Response:
        holds = get_object_or_404(Person, pk=person_id).holds.select_related("placed_by", "lifted_by")
        return Response([describe_hold(hold) for hold in holds.order_by("-placed_at")])

    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        fields = HoldFields(data=request.data)
        fields.is_valid(raise_exception=True)
        person = get_object_or_404(Person, pk=person_id)
        hold = place_hold(person=person, placed_by=self.user(request), **fields.validated_data)
        return Response(describe_hold(hold), status=status.HTTP_201_CREATED)


class Lift(PersonView):
    permission_classes = [requires(Capability.LOOK_AT_EVIDENCE)]

    def post(self, request: Request, person_id: uuid.UUID, hold_id: uuid.UUID) -> Response:
        hold = get_object_or_404(EvidenceHold, pk=hold_id, person=person_id)
        return Response(describe_hold(lift_hold(hold=hold, lifted_by=self.user(request))))


def describe_hold(hold: EvidenceHold) -> dict[str, Any]:
    return {
        "id": hold.pk,
        "authority": hold.authority,
        "placed_at": hold.placed_at,
        "placed_by": hold.placed_by.get_username(),
        "lifted_at": hold.lifted_at,
        "lifted_by": hold.lifted_by.get_username() if hold.lifted_by else None,
    }


def _describe(verification: Verification) -> dict[str, Any]:
    try:
        record = verification.record
    except NotCanonical:
        record = {}
    return {
        "id": verification.pk,
        "at": verification.created_at,
        "outcome": verification.outcome,
        "liveness": record.get("liveness", {}).get("outcome"),
        "device": record.get("device"),
        "target_fmr": record.get("target_fmr"),
        "dataset": record.get("dataset"),
        "first_capture": verification.first_capture_id,
        "requested_by": verification.requested_by.get_username(),
    }
