"""The ledger through the API, for auditors' programs: entries as they were sealed, and the verdict."""

import uuid
from typing import Any, cast

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from ledger.models import Entry, VerificationRun
from ledger.verification_runs import cancel_run, request_run


class EntryNote(APIView):
    """The sealed bytes of one entry, untouched."""

    permission_classes = [requires(Capability.READ_LEDGER)]

    def get(self, request: Request, index: int) -> HttpResponse:
        entry = get_object_or_404(Entry, pk=index)
        return HttpResponse(bytes(entry.note), content_type="text/plain; charset=utf-8")


class Verifications(APIView):
    """Ask for a verification: answered at once with the run, which is then asked for until it has a verdict."""

    permission_classes = [requires(Capability.VERIFY_LEDGER)]

    def post(self, request: Request) -> Response:
        asked = request.data if isinstance(request.data, dict) else {}
        depth = asked.get("depth", VerificationRun.Depth.DEEP)
        if depth not in VerificationRun.Depth.values:
            raise ValidationError({"depth": f"one of {', '.join(VerificationRun.Depth.values)}"})
        run = request_run(requested_by=cast(User, request.user), depth=depth)
        return Response(_tell(run), status=202)


class VerificationDetail(APIView):
    permission_classes = [requires(Capability.VERIFY_LEDGER)]

    def get(self, request: Request, run_id: uuid.UUID) -> Response:
        return Response(_tell(get_object_or_404(VerificationRun, pk=run_id)))

    def delete(self, request: Request, run_id: uuid.UUID) -> Response:
        run = get_object_or_404(VerificationRun, pk=run_id)
        cancel_run(run)
        run.refresh_from_db()
        return Response(_tell(run), status=202)


def _tell(run: VerificationRun) -> dict[str, Any]:
    return {
        "id": run.pk,
        "state": run.state,
        "depth": run.depth,
        "checked": run.checked,
        "total": run.total,
        "verdict": run.verdict,
    }
