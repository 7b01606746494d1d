from django.urls import path

from shipments.views import consignments, places, reader_alerts, readers

urlpatterns = [
    path("shipments/", consignments.shipment_list, name="shipments"),
    path("shipments/new/", consignments.new, name="shipment_new"),
    path("shipments/<uuid:consignment_id>/", consignments.shipment, name="shipment"),
    path("places/", places.place_list, name="places"),
    path("places/sites/new/", places.new_site, name="site_new"),
    path("places/read-points/new/", places.new_read_point, name="read_point_new"),
    path("places/sites/<uuid:site_id>/", places.edit_site, name="site_edit"),
    path("places/read-points/<uuid:read_point_id>/", places.edit_read_point, name="read_point_edit"),
    path("readers/new/", places.new_reader, name="reader_new"),
    path("readers/alerts/", reader_alerts.alert_list, name="reader_alerts"),
    path("readers/alerts/<uuid:alert_id>/acknowledge/", reader_alerts.acknowledge, name="reader_alert_acknowledge"),
    path("readers/quarantine/", reader_alerts.quarantine, name="quarantine"),
    path("readers/<uuid:reader_id>/", readers.reader, name="reader"),
    path("readers/<uuid:reader_id>/edit/", places.edit_reader, name="reader_edit"),
    path("readers/<uuid:reader_id>/switch/", readers.switch, name="reader_switch"),
    path("readers/<uuid:reader_id>/antennas/", readers.antenna, name="reader_antenna"),
    path("readers/<uuid:reader_id>/certificates/", readers.add_certificate, name="reader_certificate_add"),
    path("readers/<uuid:reader_id>/credentials/", readers.issue, name="reader_credential_issue"),
    path(
        "readers/<uuid:reader_id>/credentials/<uuid:credential_id>/revoke/",
        readers.revoke,
        name="reader_credential_revoke",
    ),
    path(
        "readers/<uuid:reader_id>/credentials/<uuid:credential_id>/rotate/",
        readers.rotate,
        name="reader_credential_rotate",
    ),
]
