"""Addresses under ``/epcis/v2/``."""

from django.urls import path, re_path

from shipments.epcis import api

urlpatterns = [
    path("capture", api.Capture.as_view(), name="epcis-capture"),
    path("capture/<uuid:capture_id>", api.CaptureDetail.as_view(), name="epcis-capture-job"),
    path("events", api.Events.as_view(), name="epcis-events"),
    path("events/<path:event_id>", api.EventDetail.as_view()),
    path("eventTypes", api.EventTypes.as_view(), name="epcis-event-types"),
    re_path("", api.Nothing.as_view()),
]
