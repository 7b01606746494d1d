"""Addresses of this app under ``/api/v1/``."""

from django.urls import path

from shipments import api_read_points, api_sessions
from shipments.api import ReaderEventsView

urlpatterns = [
    path("readers/<uuid:reader_id>/events", ReaderEventsView.as_view(), name="reader-events"),
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
