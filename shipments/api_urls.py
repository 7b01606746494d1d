"""Addresses of this app under ``/api/v1/``."""

from django.urls import path

from shipments import reader_api
from shipments.api import ReaderEventsView

urlpatterns = [
    path("readers", reader_api.Readers.as_view()),
    path("readers/<uuid:reader_id>", reader_api.ReaderDetail.as_view()),
    path("readers/<uuid:reader_id>/events", ReaderEventsView.as_view(), name="reader-events"),
    path("readers/<uuid:reader_id>/credentials", reader_api.Credentials.as_view()),
    path("readers/<uuid:reader_id>/credentials/<uuid:credential_id>", reader_api.CredentialDetail.as_view()),
    path("readers/<uuid:reader_id>/credentials/<uuid:credential_id>/rotate", reader_api.RotateCredential.as_view()),
    path("readers/<uuid:reader_id>/antennas/<int:port>", reader_api.AntennaDetail.as_view()),
    path("reader-alerts", reader_api.ReaderAlerts.as_view()),
    path("reader-alerts/<uuid:alert_id>/acknowledge", reader_api.AcknowledgeAlert.as_view()),
    path("quarantine", reader_api.Quarantine.as_view()),
]
