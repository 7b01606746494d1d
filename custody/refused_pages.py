"""Show a refusal on the page that asked: as a message after a redirect, or as JSON where a script asked for it."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from refusals import Refusal


class RefusedPages:
    """Middleware for pages; the API renders refusals by its own handler (:mod:`custody.api.errors`)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Refusal):
            return None
        if request.accepts("application/json") and not request.accepts("text/html"):
            return JsonResponse({"code": exception.code, "sentence": exception.sentence}, status=exception.status)
        messages.error(request, exception.sentence, extra_tags=exception.code)
        return HttpResponseRedirect(_page_that_asked(request))


def _page_that_asked(request: HttpRequest) -> str:
    page = request.headers.get("Referer", "")
    own = url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    # A page that refuses its own GET must not be sent to itself for ever.
    if own and not (request.method == "GET" and urlsplit(page).path == request.path):
        return page
    return reverse("home")
