"""One shape for every refusal that the API answers: a stable code, a sentence, and the facts behind it."""

from typing import Any

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


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | list | dict) else str(value) for name, value in facts.items()}
