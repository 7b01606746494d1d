"""What every act on the goods is sent with: who acts, and where."""

from typing import Any, cast

from rest_framework import serializers
from rest_framework.request import Request

from accounts.models import User
from biometrics.people import people_on_file
from custody.acts_on_goods import MAX_NOTE, By
from shipments.models import ReadPoint


class ActFields(serializers.Serializer[Any]):
    person = serializers.PrimaryKeyRelatedField(queryset=people_on_file())
    read_point = serializers.PrimaryKeyRelatedField(
        queryset=ReadPoint.objects.select_related("site"), required=False, allow_null=True
    )


class NotedFields(ActFields):
    note = serializers.CharField(max_length=MAX_NOTE, default="", allow_blank=True)


def acted_by(request: Request, sent: dict[str, Any]) -> By:
    return By(
        person=sent["person"],
        account=cast(User, request.user),
        read_point=sent.get("read_point"),
        note=sent.get("note", ""),
    )
