"""Parts of pages that htmx asks for: what to answer where the session has ended meanwhile."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse


def reload_if_logged_out(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page whose session has ended go to the log-in as a whole: htmx would put that page into a part of it."""

    @wraps(view)
    def live(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "HX-Request" in request.headers and not request.user.is_authenticated:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return view(request, *args, **kwargs)

    return live
