"""Celery's way in: a sweep over state, so that a lost or doubled message loses and doubles nothing."""

from celery import shared_task

from shipments.epcis.capture import work_waiting


@shared_task
def work_captures() -> None:
    """Do the captures that wait."""
    work_waiting()
