"""Celery's way into the sealer: a sweep over state, so that a lost or doubled message loses and doubles nothing."""

from celery import shared_task

from ledger.sealing import seal_all


@shared_task
def seal() -> None:
    """Seal what is pending."""
    seal_all()
