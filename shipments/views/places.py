from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

def place_list(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def new_site(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def new_read_point(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404
