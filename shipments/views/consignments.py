from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

def shipment_list(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def new(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404


def shipment(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404
