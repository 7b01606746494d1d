from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

def new(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def reader(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404
