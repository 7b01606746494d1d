"""Authorisations through the API: those on file, a new one, its withdrawal, employments, and a question in advance."""

import uuid
from typing import Any, cast

from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.people import people_on_file
from custody.authorisations import require_authorised, standing
from custody.granting import (
    MAX_LICENCE_NUMBER,
    MOST_LISTED,
    Terms,
    end_employment,
    grant_authorisation,
    record_employment,
    withdraw_authorisation,
)
from custody.hours import days_of
from custody.models import Authorisation, Employment, Licence, WithdrawalReason
from shipments.models import Consignment, Party, Site

# So many of the newest; the pages show them all.
MOST_TOLD = 500


class GrantFields(serializers.Serializer[Any]):
    """What is left out is not limited. Exactly one of ``person`` and ``employer``."""

    attempt = serializers.UUIDField()
    person = serializers.PrimaryKeyRelatedField(queryset=people_on_file(), default=None)
    employer = serializers.PrimaryKeyRelatedField(queryset=Party.objects.all(), default=None)
    hs = serializers.ListField(child=serializers.CharField(max_length=10), max_length=MOST_LISTED, default=list)
    sites = serializers.PrimaryKeyRelatedField(queryset=Site.objects.all(), many=True, default=list)
    consignor = serializers.PrimaryKeyRelatedField(queryset=Party.objects.all(), default=None)
    consignee = serializers.PrimaryKeyRelatedField(queryset=Party.objects.all(), default=None)
    days = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), max_length=7, default=lambda: list(range(7))
    )
    opens_at = serializers.TimeField(default=None)
    closes_at = serializers.TimeField(default=None)
    time_zone = serializers.CharField(max_length=64, default="UTC")
    valid_from = serializers.DateField(default=None)
    valid_until = serializers.DateField(default=None)
    licence = serializers.ChoiceField(choices=Licence.choices, default="", allow_blank=True)
    licence_until = serializers.DateField(default=None)
    licence_number = serializers.CharField(max_length=MAX_LICENCE_NUMBER, default="", allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["person"] is None) == (attrs["employer"] is None):
            raise serializers.ValidationError("name a person or an employer, one of the two")
        return attrs


class WithdrawFields(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=WithdrawalReason.choices)


class EmploymentFields(serializers.Serializer[Any]):
    attempt = serializers.UUIDField()
    person = serializers.PrimaryKeyRelatedField(queryset=people_on_file())
    employer = serializers.PrimaryKeyRelatedField(queryset=Party.objects.all())
    since = serializers.DateField(default=None)
    until = serializers.DateField(default=None)


class CheckFields(serializers.Serializer[Any]):
    shipment = serializers.PrimaryKeyRelatedField(queryset=Consignment.objects.all())
    site = serializers.PrimaryKeyRelatedField(queryset=Site.objects.all())
    person = serializers.PrimaryKeyRelatedField(queryset=people_on_file(), default=None)
    employer = serializers.PrimaryKeyRelatedField(queryset=Party.objects.all(), default=None)


class _SeeOrGrant(APIView):
    def get_permissions(self) -> list[Any]:
        needed = Capability.SEE_AUTHORISATIONS if self.request.method == "GET" else Capability.GRANT_AUTHORISATIONS
        return [requires(needed)()]


class Authorisations(_SeeOrGrant):
    """The newest first, ``?person=`` or ``?employer=`` for those of one; POST grants another."""

    def get(self, request: Request) -> Response:
        found = Authorisation.objects.select_related("statement", "withdrawal").prefetch_related("sites")
        for name in ("person", "employer"):
            if name in request.query_params:
                field = serializers.UUIDField()
                found = found.filter(**{name: field.run_validation(request.query_params[name])})
        return Response([describe(one) for one in found[:MOST_TOLD]])

    def post(self, request: Request) -> Response:
        fields = GrantFields(data=request.data)
        fields.is_valid(raise_exception=True)
        told = fields.validated_data
        person, employer, attempt = (told.pop(name) for name in ("person", "employer", "attempt"))
        granted = grant_authorisation(to=person or employer, allowed=Terms(**told), by=_user(request), attempt=attempt)
        return Response(describe(granted), status=status.HTTP_201_CREATED)


class AuthorisationDetail(_SeeOrGrant):
    def get(self, request: Request, authorisation_id: uuid.UUID) -> Response:
        return Response(describe(get_object_or_404(Authorisation, pk=authorisation_id)))


class Withdraw(_SeeOrGrant):
    def post(self, request: Request, authorisation_id: uuid.UUID) -> Response:
        fields = WithdrawFields(data=request.data)
        fields.is_valid(raise_exception=True)
        found = get_object_or_404(Authorisation, pk=authorisation_id)
        return Response(
            describe(withdraw_authorisation(authorisation=found, by=_user(request), **fields.validated_data))
        )


class Employments(_SeeOrGrant):
    """Who works for whom, the newest first; POST records another."""

    def get(self, request: Request) -> Response:
        return Response([_employed(one) for one in Employment.objects.all()[:MOST_TOLD]])

    def post(self, request: Request) -> Response:
        fields = EmploymentFields(data=request.data)
        fields.is_valid(raise_exception=True)
        made = record_employment(by=_user(request), **fields.validated_data)
        return Response(_employed(made), status=status.HTTP_201_CREATED)


class EndEmployment(_SeeOrGrant):
    def post(self, request: Request, employment_id: uuid.UUID) -> Response:
        found = get_object_or_404(Employment, pk=employment_id)
        return Response(_employed(end_employment(employment=found, by=_user(request))))


class Check(APIView):
    """
    Ask in advance, ``?shipment=&site=`` with ``person=`` or ``employer=``, whether they may take it there now.

    The answer is the authorisations by which they may, or the refusal that a handoff would meet. Asking is no attempt,
    and no entry.
    """

    permission_classes = [requires(Capability.HAND_OFF)]

    def get(self, request: Request) -> Response:
        fields = CheckFields(data=request.query_params)
        fields.is_valid(raise_exception=True)
        asked = fields.validated_data
        authorised = require_authorised(
            person=asked["person"],
            employer=asked["employer"],
            consignment=asked["shipment"],
            site=asked["site"],
            at=timezone.now(),
        )
        return Response({"authorisations": authorised.authorisations})


def describe(one: Authorisation) -> dict[str, Any]:
    """An authorisation as the API tells it; the number of a licence is never told."""
    return {
        "id": one.pk,
        "person": one.person_id,
        "employer": one.employer_id,
        "hs": one.hs,
        "sites": [site.pk for site in one.sites.all()],
        "consignor": one.consignor_id,
        "consignee": one.consignee_id,
        "days": days_of(one),
        "opens_at": one.opens_at,
        "closes_at": one.closes_at,
        "time_zone": one.time_zone,
        "valid_from": one.valid_from,
        "valid_until": one.valid_until,
        "licence": one.licence or None,
        "licence_until": one.licence_until,
        "granted_at": one.granted_at,
        "granted_by": one.granted_by_id,
        "state": standing(one, timezone.now()),
        "withdrawn_at": one.withdrawn_at,
        "withdrawn_for": one.withdrawn_for or None,
        "entry": one.statement.entry_id,
    }


def _employed(one: Employment) -> dict[str, Any]:
    return {
        "id": one.pk,
        "person": one.person_id,
        "employer": one.employer_id,
        "since": one.since,
        "until": one.until,
        "recorded_at": one.recorded_at,
        "ended_at": one.ended_at,
    }


def _user(request: Request) -> User:
    return cast(User, request.user)
