from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

def person(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def enrol(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def pin(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def badge(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404
