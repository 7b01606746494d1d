"""A shipment's sealed entries as an EPCIS document, to give to whoever keeps events of their own."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.roles import Capability
from custody.epcis_events import export_shipment
from shipments.models import Consignment


@require_GET
@capability_required(Capability.SEE_GOODS)
def shipment_document(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    consignment = get_object_or_404(Consignment, pk=consignment_id)
    # A reference may hold anything printable; a file's name may not.
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in consignment.reference)
    headers = {"Content-Disposition": f'attachment; filename="{name}.epcis.json"'}
    content = export_shipment(consignment).document
    return HttpResponse(content, content_type="application/ld+json", headers=headers)
