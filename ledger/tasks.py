"""Celery's ways in: each task is a sweep over state, so that a lost or doubled message loses and doubles nothing."""

import uuid

from celery import shared_task

from ledger import sweeps, verification_runs
from ledger.sealing import seal_all


@shared_task
def seal() -> None:
    """Seal what is pending."""
    seal_all()


@shared_task
def sweep() -> None:
    """Seal what is pending, ask the witnesses, timestamp what is due, and do what other apps have done in a sweep."""
    sweeps.sweep()


@shared_task
def verify(run_id: str) -> None:
    """Do one verification, if nobody else is doing it."""
    verification_runs.run(uuid.UUID(run_id))


@shared_task
def verify_waiting() -> None:
    """Do the verifications whose hint was lost, or whose worker died."""
    verification_runs.run_waiting()
