"""Reading goods through the API: the same services as on the screen, one call each."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from shipments.finding import find_shipment
from shipments.models import ReadPoint, ReadSession, SessionPurpose
from shipments.read_sessions import (
    document_bytes,
    end_read_session,
    open_read_session,
    session_result,
    session_tags,
)
from shipments.reconciliation import Reconciliation
from shipments.session_tags import tag_to_document

LISTED = 50


class OpenFields(serializers.Serializer[Any]):
    read_point = serializers.PrimaryKeyRelatedField(queryset=ReadPoint.objects.select_related("site"))
    shipment = serializers.CharField(max_length=200, default="", allow_blank=True)


class SessionView(APIView):
    permission_classes = [requires(Capability.HAND_OFF)]

    def session(self, session_id: uuid.UUID) -> ReadSession:
        return get_object_or_404(_sessions(), pk=session_id)


class ReadSessions(SessionView):
    def get(self, request: Request) -> Response:
        """List the newest sessions, of ``?read_point=`` where it is given; what a gate reads by itself among them."""
        sessions = _sessions()
        if asked := request.query_params.get("read_point", ""):
            sessions = sessions.filter(read_point=serializers.UUIDField().run_validation(asked))
        return Response([_head(session) for session in sessions[:LISTED]])

    def post(self, request: Request) -> Response:
        fields = OpenFields(data=request.data)
        fields.is_valid(raise_exception=True)
        code = fields.validated_data["shipment"]
        session = open_read_session(
            read_point=fields.validated_data["read_point"],
            opened_by=cast(User, request.user),
            purpose=SessionPurpose.CHECK,
            consignment=find_shipment(code=code) if code else None,
        )
        return Response(describe(self.session(session.pk)), status=status.HTTP_201_CREATED)


class ReadSessionDetail(SessionView):
    def get(self, request: Request, session_id: uuid.UUID) -> Response:
        return Response(describe(self.session(session_id)))


class Freeze(SessionView):
    def post(self, request: Request, session_id: uuid.UUID) -> Response:
        end_read_session(session=self.session(session_id))
        return Response(describe(self.session(session_id)))


class Document(SessionView):
    """The frozen document, byte for byte: its SHA-256 is ``document`` of the session."""

    def get(self, request: Request, session_id: uuid.UUID) -> HttpResponse:
        return HttpResponse(document_bytes(session=self.session(session_id)), content_type="application/json")


def describe(session: ReadSession) -> dict[str, Any]:
    """Tell a session whole: so far where it is open, as frozen otherwise."""
    tags = session_tags(session=session)
    told = _head(session) | {
        "tags": [tag_to_document(tag) for tag in tags if not tag.weak],
        "weak": [tag_to_document(tag) for tag in tags if tag.weak],
    }
    result = session_result(session=session)
    return told if result is None else told | {"result": _result(result)}


def _head(session: ReadSession) -> dict[str, Any]:
    return {
        "id": session.pk,
        "read_point": session.read_point_id,
        "purpose": session.purpose,
        "shipment": session.consignment.reference if session.consignment else None,
        "opened_at": session.opened_at,
        "opened_by": "trigger" if session.opened_by_id is None else "operator",
        "frozen_at": session.frozen_at,
        "document": session.document_sha256 or None,
    }


def _result(result: Reconciliation) -> dict[str, Any]:
    return result.summary() | {"inferred_items": [{"epc": item.epc_hex, "by": item.by} for item in result.inferred]}


def _sessions() -> QuerySet[ReadSession]:
    return ReadSession.objects.select_related("read_point__site", "consignment")
