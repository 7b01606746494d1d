"""The same face under two records, through the API: what waits for an officer, and the decision."""

import uuid
from typing import Any, cast

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.duplicates import MAX_NOTE, decide_duplicate
from biometrics.models import DuplicateReview

MOST_LISTED = 200


class DecisionFields(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=[DuplicateReview.State.SAME, DuplicateReview.State.DIFFERENT])
    note = serializers.CharField(max_length=MAX_NOTE)


class Duplicates(APIView):
    permission_classes = [requires(Capability.DECIDE_DUPLICATES)]

    def get(self, request: Request) -> Response:
        found = DuplicateReview.objects.select_related("raised_by", "decided_by").order_by("-raised_at")
        if request.query_params.get("state") in DuplicateReview.State.values:
            found = found.filter(state=request.query_params["state"])
        return Response([describe_review(review) for review in found[:MOST_LISTED]])


class DecideDuplicate(APIView):
    permission_classes = [requires(Capability.DECIDE_DUPLICATES)]

    def post(self, request: Request, review_id: uuid.UUID) -> Response:
        fields = DecisionFields(data=request.data)
        fields.is_valid(raise_exception=True)
        review = decide_duplicate(
            review=get_object_or_404(DuplicateReview, pk=review_id),
            same_person=fields.validated_data["decision"] == DuplicateReview.State.SAME,
            note=fields.validated_data["note"],
            decided_by=cast(User, request.user),
        )
        return Response(describe_review(review))


def describe_review(review: DuplicateReview) -> dict[str, Any]:
    """Tell which records are asked about; the faces are shown on the page alone, each look an entry."""
    return {
        "id": review.pk,
        "person": review.person_id,
        "other": review.other_id,
        "state": review.state,
        "raised_at": review.raised_at,
        "raised_by": review.raised_by.get_username(),
        "decided_at": review.decided_at,
        "decided_by": review.decided_by.get_username() if review.decided_by else None,
    }
