"""One shape for every refusal that the API answers: a stable code, a sentence, and the facts behind it."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from refusals import Refusal


def answer_refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    """Render refusals and REST framework's own errors as ``{"code", "sentence", "facts"?}``."""
    if isinstance(error, Refusal):
        return Response(
            {"code": error.code, "sentence": error.sentence, "facts": _plain(error.facts)}, status=error.status
        )
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.data = {
            "code": "fields_refused",
            "sentence": "Some fields cannot be used as they are; see facts.",
            "facts": response.data,
        }
    elif isinstance(error, exceptions.APIException):
        response.data = {"code": str(error.get_codes()), "sentence": str(error.detail)}
    else:
        response.data = {"code": "not_found", "sentence": str(error) or "There is nothing at this address."}
    return response


def answer_missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere: a program in JSON, a person with a page."""
    if request.path.startswith("/api/"):
        return JsonResponse({"code": "not_found", "sentence": "There is nothing at this address."}, status=404)
    return page_not_found(request, exception)


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | list | dict) else str(value) for name, value in facts.items()}
