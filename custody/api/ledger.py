"""The ledger through the API, for auditors' programs: entries as they were sealed, and the verdict."""

from typing import cast

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from ledger.models import Entry
from ledger.verification import run_verification


class EntryNote(APIView):
    """The sealed bytes of one entry, untouched."""

    permission_classes = [requires(Capability.READ_LEDGER)]

    def get(self, request: Request, index: int) -> HttpResponse:
        entry = get_object_or_404(Entry, pk=index)
        return HttpResponse(bytes(entry.note), content_type="text/plain; charset=utf-8")


class Verifications(APIView):
    permission_classes = [requires(Capability.VERIFY_LEDGER)]

    def post(self, request: Request) -> Response:
        return Response(run_verification(requested_by=cast(User, request.user)).verdict)
