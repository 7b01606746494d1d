"""Erasure, export, looks and the retention report by API: the services of the pages, one call each."""

import uuid
from typing import Any, cast

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import add_never_cache_headers
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.erasure import Right, erase_person
from biometrics.looks import MAX_NOTE, image_type, look_at
from biometrics.models import Evidence, EvidenceLook, Person
from biometrics.retention import report
from biometrics.subject_access import export_person
from biometrics.views.rights import archive


class ErasureFields(serializers.Serializer[Any]):
    right = serializers.ChoiceField(choices=Right.choices)


class LookFields(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=EvidenceLook.Reason.choices)
    note = serializers.CharField(max_length=MAX_NOTE, default="", allow_blank=True)


class Erasure(APIView):
    permission_classes = [requires(Capability.ERASE_PEOPLE)]

    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        fields = ErasureFields(data=request.data)
        fields.is_valid(raise_exception=True)
        person = get_object_or_404(Person, pk=person_id)
        erased = erase_person(person=person, erased_by=cast(User, request.user), **fields.validated_data)
        return Response({"person": erased.pk, "erased_at": erased.erased_at})


class Export(APIView):
    permission_classes = [requires(Capability.LOOK_AT_EVIDENCE)]

    def post(self, request: Request, person_id: uuid.UUID) -> HttpResponse:
        person = get_object_or_404(Person, pk=person_id)
        return archive(export_person(person=person, asked_by=cast(User, request.user)), person)


class Look(APIView):
    permission_classes = [requires(Capability.LOOK_AT_EVIDENCE)]

    def post(self, request: Request, person_id: uuid.UUID, evidence_id: uuid.UUID) -> HttpResponse:
        fields = LookFields(data=request.data)
        fields.is_valid(raise_exception=True)
        evidence = get_object_or_404(Evidence.objects.select_related("person"), pk=evidence_id, person=person_id)
        value = look_at(evidence=evidence, looked_by=cast(User, request.user), **fields.validated_data)
        response = HttpResponse(value, content_type=image_type(value))
        add_never_cache_headers(response)
        return response


class Retention(APIView):
    permission_classes = [requires(Capability.SEE_RETENTION)]

    def get(self, request: Request) -> Response:
        rules = [
            {
                "rule": state.rule.code,
                "hours": state.rule.hours,
                "kept": state.kept,
                "due": state.due,
                "held": state.held,
                "oldest": state.oldest,
                "next_due": state.next_due,
                "destroyed_last_day": state.destroyed_day,
                "destroyed_last_30_days": state.destroyed_month,
            }
            for state in report()
        ]
        return Response({"rules": rules})
