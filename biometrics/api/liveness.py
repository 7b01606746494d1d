"""The liveness challenge through the API: what a program with a camera asks for before it sends frames."""

import uuid
from typing import cast

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics.liveness import issue_challenge
from biometrics.models import LivenessChallenge, Person
from biometrics.views.liveness import describe

# A field of its own and no serializer: theirs have an attribute of that name already.
CONTEXT = serializers.CharField(max_length=LivenessChallenge._meta.get_field("context").max_length)


class Challenge(APIView):
    permission_classes = [requires(Capability.HAND_OFF) | requires(Capability.MANAGE_PEOPLE)]

    def post(self, request: Request, person_id: uuid.UUID) -> Response:
        sent = request.data if isinstance(request.data, dict) else {}
        challenge = issue_challenge(
            person=get_object_or_404(Person, pk=person_id),
            context=CONTEXT.run_validation(sent.get("context", serializers.empty)),
            issued_to=cast(User, request.user),
        )
        return Response(describe(challenge), status=status.HTTP_201_CREATED)
