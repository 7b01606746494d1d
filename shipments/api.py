"""
The address that a reader posts to. Readers are dumb and cannot be changed: whatever Accept or Content-Type they send,
the body is read as bytes and the answer is JSON.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from django.utils import timezone
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from shipments.authentication import POSTED, ReaderView
from shipments.ingest import record_report
from shipments.models import Reader
from shipments.reader_limits import charge_reads
from shipments.report_body import read_report_body, unpack


class AnyAcceptHeader(BaseContentNegotiation):
    """Answers in the first renderer's form: a 406 would make a reader send its report for ever."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or ""


class ReaderEventsView(ReaderView):
    """``POST /api/v1/readers/{id}/events``: store a report and answer with counts."""

    content_negotiation_class = AnyAcceptHeader
    parser_classes: Sequence[type[BaseParser]] = []

    def post(self, request: Request, reader_id: uuid.UUID) -> Response:
        encoding = request.headers.get("Content-Encoding", "")
        if POSTED in request.META:  # read already, to check the signature over it
            body = unpack(request.META[POSTED], encoding)
        else:
            body = read_report_body(
                stream=request.stream,
                declared_length=request.META.get("CONTENT_LENGTH") or "",
                encoding=encoding,
            )
        reader = request.auth
        assert isinstance(reader, Reader)  # IsReaderOfAddress admits nobody else
        receipt = record_report(
            reader=reader,
            body=body,
            content_type=request.META.get("CONTENT_TYPE") or "",
            received_at=timezone.now(),
        )
        charge_reads(reader=reader, reads=receipt.reads_new + receipt.reads_known + receipt.quarantined)
        return Response(asdict(receipt))
