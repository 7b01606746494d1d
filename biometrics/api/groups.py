"""Authorised groups through the API: make one, name it, and say who is in it."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics import groups
from biometrics.models import AuthorisedGroup, Person


class GroupFields(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=groups.MAX_NAME)


class GroupView(APIView):
    permission_classes = [requires(Capability.MANAGE_PEOPLE)]

    def group(self, group_id: uuid.UUID) -> AuthorisedGroup:
        return get_object_or_404(_groups(), pk=group_id)

    def name(self, request: Request) -> str:
        fields = GroupFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return str(fields.validated_data["name"])


class Groups(GroupView):
    def get(self, request: Request) -> Response:
        return Response([describe_group(group) for group in _groups()])

    def post(self, request: Request) -> Response:
        group = groups.make_group(name=self.name(request), made_by=cast(User, request.user))
        return Response(describe_group(group), status=status.HTTP_201_CREATED)


class Group(GroupView):
    def get(self, request: Request, group_id: uuid.UUID) -> Response:
        return Response(describe_group(self.group(group_id)))

    def patch(self, request: Request, group_id: uuid.UUID) -> Response:
        return Response(describe_group(groups.rename_group(group=self.group(group_id), name=self.name(request))))


class Member(GroupView):
    def put(self, request: Request, group_id: uuid.UUID, person_id: uuid.UUID) -> Response:
        groups.add_member(group=self.group(group_id), person=get_object_or_404(Person, pk=person_id))
        return Response(describe_group(self.group(group_id)))

    def delete(self, request: Request, group_id: uuid.UUID, person_id: uuid.UUID) -> Response:
        groups.remove_member(group=self.group(group_id), person=get_object_or_404(Person, pk=person_id))
        return Response(describe_group(self.group(group_id)))


def describe_group(group: AuthorisedGroup) -> dict[str, Any]:
    return {"id": group.pk, "name": group.name, "members": sorted(person.pk for person in group.members.all())}


def _groups() -> QuerySet[AuthorisedGroup]:
    return AuthorisedGroup.objects.prefetch_related("members").order_by("name")
