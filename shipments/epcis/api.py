"""
EPCIS 2.0's REST interface under ``/epcis/v2/``: capture, query, and what goes wrong as RFC 7807 problems.

JSON alone is spoken. What a client asks for and this server does not do (XML, translations between EPC formats,
another version) is answered with 406 or 415, never with something else.
"""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote, urlencode

from django.core import signing
from django.db.models import Q
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.epcis.answers import bare_event, collection, query_document
from shipments.epcis.capture import DocumentRefused, EventExists, capture_document, capture_event
from shipments.epcis.documents import MAX_BODY, MAX_EVENTS, DocumentTooLarge, DocumentUnreadable, write_json
from shipments.epcis.query import PER_PAGE, QueryRefused, event_types, find_event, find_events
from shipments.epcis.schema import shown
from shipments.models import CaptureJob
from shipments.report_body import ReportEncodingBroken, ReportEncodingUnknown, ReportTooLarge, read_report_body

VERSION = "2.0.0"
JSON_TYPES = ("application/json", "application/ld+json")
JOBS_A_PAGE = 100
_JOBS_SALT = "shipments.epcis.jobs"

# What each of the standard's headers may ask for; other values would need a translation that is not offered.
ASKED = {
    "GS1-EPCIS-Version": ("2.0", "2.0.0"),
    "GS1-CBV-Version": ("2.0", "2.0.0"),
    "GS1-EPC-Format": ("No_Preference", "Never_Translates"),
    "GS1-CBV-XML-Format": ("No_Preference", "Never_Translates"),
}
TOLD = {
    "GS1-EPCIS-Version": VERSION,
    "GS1-CBV-Version": VERSION,
    "GS1-EPC-Format": "Never_Translates",
    "GS1-CBV-XML-Format": "Never_Translates",
    "GS1-EPCIS-Capture-Limit": str(MAX_EVENTS),
    "GS1-EPCIS-Capture-File-Size-Limit": str(MAX_BODY),
}
BEHAVIOUR = "GS1-Capture-Error-Behaviour"

# Problem types of the standard, by what was refused here; the rest go by their HTTP status.
_BY_REFUSAL: dict[type[Refusal], str] = {
    DocumentRefused: "ValidationException",
    DocumentUnreadable: "ValidationException",
    DocumentTooLarge: "CaptureLimitExceededException",
    ReportTooLarge: "CaptureLimitExceededException",
    QueryRefused: "QueryParameterException",
    EventExists: "ResourceAlreadyExistsException",
}
_BY_STATUS = {
    401: "SecurityException",
    403: "SecurityException",
    404: "NoSuchResourceException",
    406: "NotAcceptableException",
    413: "CaptureLimitExceededException",
    415: "UnsupportedMediaTypeException",
}
_TITLES = {
    400: gettext_lazy("The request cannot be answered as it is"),
    401: gettext_lazy("Log in or send a token"),
    403: gettext_lazy("This account may not do this"),
    404: gettext_lazy("There is nothing here"),
    405: gettext_lazy("This address does not do that"),
    406: gettext_lazy("It cannot be answered in that form"),
    409: gettext_lazy("It is here already"),
    413: gettext_lazy("It is too much at once"),
    415: gettext_lazy("It cannot be read in that form"),
}


class NotOffered(Refusal):
    code = "not_offered"
    message = gettext_lazy("%(header)s: %(value)s is not offered here. Known are %(known)s.")
    status = 406


class HeaderUnknown(Refusal):
    code = "header_unknown"
    message = gettext_lazy("%(header)s: %(value)s is not known. Known are %(known)s.")
    status = 400


class NotJson(Refusal):
    code = "not_json"
    message = gettext_lazy("The body is %(type)s. Send it as application/json or application/ld+json.")
    status = 415


class NothingHere(Refusal):
    code = "not_found"
    message = gettext_lazy("There is nothing at this address.")
    status = 404


class ProblemRenderer(JSONRenderer):
    media_type = "application/problem+json"


class _JsonAlone(BaseContentNegotiation):
    """Bodies are read as bytes by the views; what an answer may be is asked there, so that a 406 is a problem too."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return ProblemRenderer(), ProblemRenderer.media_type


class EpcisView(APIView):
    """What all addresses share: the standard's headers both ways, capabilities by method, problems for errors."""

    content_negotiation_class = _JsonAlone
    parser_classes: list[type[BaseParser]] = []
    to_read = Capability.SEE_GOODS

    def get_permissions(self) -> list[Any]:
        return [requires(Capability.CAPTURE_EVENTS if self.request.method == "POST" else self.to_read)()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        for header, known in ASKED.items():
            value = request.headers.get(header)
            if value and value not in known:
                raise NotOffered(header=header, value=shown(value), known=", ".join(known))
        accepted = request.headers.get("Accept", "*/*")
        if request.method == "GET" and not any(word in accepted for word in ("*/*", "application/*", *JSON_TYPES)):
            raise NotOffered(header="Accept", value=shown(accepted), known=", ".join(JSON_TYPES))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        for header, value in TOLD.items():
            response.headers.setdefault(header, value)
        response.headers["Vary"] = "Accept, Authorization, Cookie"
        return response

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """What is offered, in headers alone."""
        headers = {"Allow": ", ".join(self.allowed_methods)}
        if "POST" in self.allowed_methods:
            headers[BEHAVIOUR] = CaptureJob.ErrorBehaviour.ROLLBACK
        return HttpResponse(status=204, headers=headers)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return answer_problem


class Capture(EpcisView):
    """Documents: taken at once, worked afterwards; and the list of captures."""

    to_read = Capability.CAPTURE_EVENTS

    def post(self, request: Request) -> HttpResponse:
        behaviour = request.headers.get(BEHAVIOUR, CaptureJob.ErrorBehaviour.ROLLBACK).lower()
        known = CaptureJob.ErrorBehaviour.values
        if behaviour not in known:
            raise HeaderUnknown(header=BEHAVIOUR, value=shown(behaviour), known=", ".join(known))
        job = capture_document(body=_body(request), by=cast(User, request.user), error_behaviour=behaviour)
        headers = {"Location": reverse("epcis-capture-job", args=[job.pk]), BEHAVIOUR: job.error_behaviour}
        return HttpResponse(status=202, headers=headers)

    def get(self, request: Request) -> HttpResponse:
        parameters = _parameters(request, known=("perPage", "nextPageToken"))
        per_page = min(_whole("perPage", parameters.get("perPage", str(PER_PAGE))), JOBS_A_PAGE)
        jobs = CaptureJob.objects.defer("body")
        if token := parameters.get("nextPageToken"):
            try:
                at, key = signing.loads(token, salt=_JOBS_SALT)
            except signing.BadSignature as error:
                raise QueryRefused("nextPageToken", _("This nextPageToken was not given out here.")) from error
            jobs = jobs.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=key))
        found = list(jobs[: per_page + 1])
        token = ""
        if len(found) > per_page:
            last = found[per_page - 1]
            token = signing.dumps([last.created_at.isoformat(), str(last.pk)], salt=_JOBS_SALT)
        return _answer(write_json([tell_job(job) for job in found[:per_page]]), request, token)


class CaptureDetail(EpcisView):
    to_read = Capability.CAPTURE_EVENTS

    def get(self, request: Request, capture_id: Any) -> HttpResponse:
        job = CaptureJob.objects.defer("body").filter(pk=capture_id).first()
        if job is None:
            raise NothingHere
        return _answer(write_json(tell_job(job)), request)


class Events(EpcisView):
    def post(self, request: Request) -> HttpResponse:
        event = capture_event(body=_body(request), by=cast(User, request.user))
        return HttpResponse(status=201, headers={"Location": address_of(event.event_id)})

    def get(self, request: Request) -> HttpResponse:
        page = find_events(_parameters(request))
        return _answer(query_document(page.events), request, page.next_token)


class EventDetail(EpcisView):
    def get(self, request: Request, event_id: str) -> HttpResponse:
        _parameters(request, known=())
        found = find_event(event_id)
        if found is None:
            raise NothingHere
        return _answer(bare_event(found.document), request)


class EventTypes(EpcisView):
    def get(self, request: Request) -> HttpResponse:
        return _answer(collection(event_types()), request)


class Nothing(EpcisView):
    """Every other address under the interface's."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NothingHere


def address_of(event_id: str) -> str:
    """Return the address of an event, its identifier percent-encoded whole."""
    return f"{reverse('epcis-events')}/{quote(event_id, safe='')}"


def tell_job(job: CaptureJob) -> dict[str, Any]:
    """A capture as the standard answers it."""
    told: dict[str, Any] = {
        "captureID": str(job.pk),
        "createdAt": format_time(job.created_at),
        "running": job.state != CaptureJob.State.FINISHED,
        # While it runs nobody knows; the standard has no third value.
        "success": bool(job.success),
        "captureErrorBehaviour": job.error_behaviour,
        "errors": job.errors,
    }
    if job.finished_at:
        told["finishedAt"] = format_time(job.finished_at)
    return told


# Reading and answering ----------------------------------------------------------------------------------------------


def _body(request: Request) -> bytes:
    kind = request.content_type.partition(";")[0].strip().lower() if request.content_type else ""
    if kind not in JSON_TYPES:
        raise NotJson(type=shown(kind) or "—")
    encoding = request.headers.get("Content-Encoding", "")
    try:
        return read_report_body(
            stream=request.stream, declared_length=request.META.get("CONTENT_LENGTH") or "", encoding=encoding
        )
    except ReportTooLarge as error:
        raise DocumentTooLarge(limit=_("%(mib)s MiB") % {"mib": error.facts["limit_mib"]}) from error
    except ReportEncodingUnknown as error:
        raise HeaderUnknown(header="Content-Encoding", value=shown(encoding), known="gzip, identity") from error
    except ReportEncodingBroken as error:
        raise DocumentUnreadable("gzip", _("it says that it is gzip, and cannot be unpacked.")) from error


def _parameters(request: Request, *, known: tuple[str, ...] | None = None) -> dict[str, str]:
    """
    Return the query's parameters, each once.

    :raises QueryRefused: where one stands twice, or is none of ``known``
    """
    found: dict[str, str] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        if known is not None and name not in known:
            raise QueryRefused(name, _("The parameter %(name)s is not known here.") % {"name": shown(name)})
        if len(values) > 1:
            raise QueryRefused(name, _("%(name)s stands twice; part its values with |.") % {"name": shown(name)})
        found[name] = str(values[0])
    return found


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text)):
        raise QueryRefused(name, _("%(name)s is a whole number above zero.") % {"name": name})
    return int(text)


def _answer(content: bytes, request: Request, next_token: str = "") -> HttpResponse:
    asked = request.headers.get("Accept", "")
    media_type = JSON_TYPES[1] if JSON_TYPES[1] in asked and JSON_TYPES[0] not in asked else JSON_TYPES[0]
    headers = {}
    if next_token:
        parameters = {**_parameters(request), "nextPageToken": next_token}
        headers["Link"] = f'<{request.build_absolute_uri(request.path)}?{urlencode(parameters)}>; rel="next"'
    return HttpResponse(content, content_type=media_type, headers=headers)


def answer_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Render refusals and REST framework's own errors as RFC 7807 problems with the standard's types."""
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    if isinstance(error, Refusal):
        status, detail = error.status, error.sentence
        kind = _BY_REFUSAL.get(type(error)) or _BY_STATUS.get(status, "ValidationException")
        more["code"] = error.code
        if isinstance(error, DocumentRefused):
            more["errors"] = [{"pointer": fault.pointer, "detail": fault.sentence} for fault in error.faults]
        if isinstance(error, QueryRefused):
            more["parameter"] = error.facts["parameter"]
        if isinstance(error, EventExists):
            headers["Location"] = address_of(error.facts["full_id"])
    elif isinstance(error, exceptions.APIException):
        status, detail = error.status_code, str(error.detail)
        kind = _BY_STATUS.get(status, "ValidationException")
        if auth_header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = auth_header
    else:
        return None
    problem = {
        "type": f"epcisException:{kind}",
        "title": str(_TITLES.get(status, _TITLES[400])),
        "status": status,
        "detail": detail,
    }
    return Response(problem | more, status=status, headers=headers)
