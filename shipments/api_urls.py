"""Addresses of this app under ``/api/v1/``."""

from django.urls import path

from shipments.api import ReaderEventsView

urlpatterns = [
    path("readers/<uuid:reader_id>/events", ReaderEventsView.as_view(), name="reader-events"),
]
