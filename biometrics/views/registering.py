from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

def new(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404
