from django.urls import path

from shipments.views import captures, consignments, places, readers

urlpatterns = [
    path("shipments/", consignments.shipment_list, name="shipments"),
    path("shipments/new/", consignments.new, name="shipment_new"),
    path("shipments/<uuid:consignment_id>/", consignments.shipment, name="shipment"),
    path("epcis/", captures.captures, name="captures"),
    path("epcis/captures/<uuid:capture_id>/", captures.capture, name="capture"),
    path("epcis/captures/<uuid:capture_id>/document", captures.document, name="capture_document"),
    path("places/", places.place_list, name="places"),
    path("places/sites/new/", places.new_site, name="site_new"),
    path("places/read-points/new/", places.new_read_point, name="read_point_new"),
    path("readers/new/", places.new_reader, name="reader_new"),
    path("readers/<uuid:reader_id>/", readers.reader, name="reader"),
    path("readers/<uuid:reader_id>/credentials/", readers.issue, name="reader_credential_issue"),
    path(
        "readers/<uuid:reader_id>/credentials/<uuid:credential_id>/revoke/",
        readers.revoke,
        name="reader_credential_revoke",
    ),
]
