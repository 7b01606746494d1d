"""Addresses of this app under ``/api/v1/``."""

from django.urls import path

from shipments import api_read_points, api_sessions, reader_api
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
    path("read-points/<uuid:read_point_id>/triggers", api_read_points.Triggers.as_view(), name="triggers"),
    path(
        "read-points/<uuid:read_point_id>/triggers/<uuid:rule_id>",
        api_read_points.TriggerDetail.as_view(),
        name="trigger",
    ),
    path("read-points/<uuid:read_point_id>/smoothing", api_read_points.Smoothing.as_view(), name="smoothing"),
    path("read-sessions", api_sessions.ReadSessions.as_view(), name="read-sessions"),
    path("read-sessions/<uuid:session_id>", api_sessions.ReadSessionDetail.as_view(), name="read-session"),
    path("read-sessions/<uuid:session_id>/freeze", api_sessions.Freeze.as_view(), name="read-session-freeze"),
    path("read-sessions/<uuid:session_id>/document", api_sessions.Document.as_view(), name="read-session-document"),
]
