"""A prepared declaration through the API: its author's face, then the second factor, and it is submitted."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.liveness import issue_challenge
from biometrics.models import CaptureSource
from biometrics.views.liveness import describe as describe_challenge
from custody.api.handoffs import FaceFields, FactorFields, read_sent_capture
from custody.declaring import discard_draft, liveness_context, submit_draft, verify_author
from custody.faces_shown import attempts_left, awaits_second_capture, face_holds
from custody.models import ActState, DeclarationDraft


def describe_draft(draft: DeclarationDraft) -> dict[str, Any]:
    """Tell what waits for its author: ``face`` is confirmed, not_confirmed, or asks for a second_capture."""
    face = "confirmed" if face_holds(draft) else "not_confirmed"
    return {
        "id": draft.pk,
        "shipment": draft.consignment_id,
        "amends": {"declaration": draft.declaration_id, "version": draft.amends} if draft.declaration_id else None,
        "person": draft.person_id,
        "document_sha256": draft.content_sha256,
        "state": draft.state,
        "face": "second_capture" if draft.state == ActState.OPEN and awaits_second_capture(draft) else face,
        "attempts_left": attempts_left(draft),
        "declaration": draft.version.declaration_id if draft.version else None,
        "version": draft.version.number if draft.version else None,
        "opened_at": draft.opened_at,
    }


class DraftView(APIView):
    permission_classes = [requires(Capability.DECLARE)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def user(self, request: Request) -> User:
        return cast(User, request.user)

    def draft(self, request: Request, draft_id: uuid.UUID) -> DeclarationDraft:
        """Return the draft where it is the account's own: what others prepare is not declared yet."""
        return get_object_or_404(drafts_of(self.user(request)), pk=draft_id)

    def answer(self, request: Request, draft_id: uuid.UUID) -> Response:
        return Response(describe_draft(self.draft(request, draft_id)))


class Draft(DraftView):
    def get(self, request: Request, draft_id: uuid.UUID) -> Response:
        return self.answer(request, draft_id)


class Challenge(DraftView):
    def post(self, request: Request, draft_id: uuid.UUID) -> Response:
        draft = self.draft(request, draft_id)
        challenge = issue_challenge(person=draft.person, context=liveness_context(draft), issued_to=self.user(request))
        return Response(describe_challenge(challenge), status=status.HTTP_201_CREATED)


class Face(DraftView):
    def post(self, request: Request, draft_id: uuid.UUID) -> Response:
        fields = FaceFields(data=request.data)
        fields.is_valid(raise_exception=True)
        draft = self.draft(request, draft_id)
        verify_author(
            draft=draft,
            capture=read_sent_capture(fields.validated_data, context=liveness_context(draft)),
            source=CaptureSource.API,
            camera=fields.validated_data["camera"],
            by=self.user(request),
        )
        return self.answer(request, draft_id)


class Submit(DraftView):
    def post(self, request: Request, draft_id: uuid.UUID) -> Response:
        fields = FactorFields(data=request.data)
        fields.is_valid(raise_exception=True)
        submit_draft(draft=self.draft(request, draft_id), by=self.user(request), **fields.validated_data)
        return self.answer(request, draft_id)


class Discard(DraftView):
    def post(self, request: Request, draft_id: uuid.UUID) -> Response:
        discard_draft(draft=self.draft(request, draft_id), by=self.user(request))
        return self.answer(request, draft_id)


def drafts_of(account: User) -> QuerySet[DeclarationDraft]:
    found = DeclarationDraft.objects.filter(opened_by=account)
    return found.select_related("consignment", "declaration", "person", "verification", "version")
