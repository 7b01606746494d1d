from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

def people_list(request: HttpRequest, **at: Any) -> HttpResponse:
    raise Http404
