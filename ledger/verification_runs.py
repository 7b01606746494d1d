"""
Verifications that people start from a page or through the API: requested, run where there is time, watched, cancelled.

The row is the truth. A Celery message or a thread is a hint that there is a run to do; whoever takes it claims the row,
and a run whose runner died is claimed again by the next sweep.
"""

import logging
import os
import threading
import time
import uuid
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from ledger.models import LogHead, VerificationRun
from ledger.own_policy import own_policy
from ledger.tlog.verdict import Verdict
from ledger.tlog.verify import Cancelled
from ledger.verification import verify_log

logger = logging.getLogger(__name__)

State, Depth = VerificationRun.State, VerificationRun.Depth

# A runner writes how far it is about once a second; one that is silent for so long has died.
SILENT_AFTER = timedelta(minutes=2)
_EVERY_SECONDS = 0.5


def request_run(*, requested_by: User, depth: str = Depth.DEEP) -> VerificationRun:
    """
    Ask for a verification of the whole log, and return the run that does it.

    One at a time: while one is waiting or running, that one is returned.

    :raises VerifierKeyMissing: if the verifier key is not at hand: without it nothing is verified, and no run is left
    """
    own_policy()
    with transaction.atomic():
        alive = _alive().first()
        if alive:
            return alive
        head = LogHead.objects.first()
        run = VerificationRun.objects.create(requested_by=requested_by, depth=depth, total=head.size if head else 0)
        transaction.on_commit(lambda: _hint(run.pk), robust=True)
    return run


def cancel_run(run: VerificationRun) -> None:
    """Ask a run to stop; one that nobody has begun is cancelled at once."""
    now = timezone.now()
    found = VerificationRun.objects.filter(pk=run.pk)
    found.filter(state__in=(State.WAITING, State.RUNNING), cancel_asked_at=None).update(cancel_asked_at=now)
    found.filter(state=State.WAITING).update(state=State.CANCELLED, finished_at=now)


def run(run_id: uuid.UUID) -> None:
    """Do one run, if nobody else is doing it; a second call for the same run does nothing."""
    now = timezone.now()
    claimed = _claimable().filter(pk=run_id).update(state=State.RUNNING, progressed_at=now, checked=0)
    if not claimed:
        return
    found = VerificationRun.objects.get(pk=run_id)
    watch = _Watch(run_id)
    try:
        verdict = verify_log(
            policy=own_policy(),
            deep=found.depth == Depth.DEEP,
            workers=max(1, (os.cpu_count() or 1) - 1),
            on_progress=watch.progress,
            cancelled=watch.cancelled,
        )
    except Cancelled:
        _finish(run_id, State.CANCELLED)
    except Exception:
        logger.exception("verification %s failed", run_id)
        _finish(run_id, State.FAILED)
    else:
        _finish(run_id, State.FINISHED, verdict)


def run_waiting() -> None:
    """Do every run that waits, or whose runner died: the sweep behind a lost hint."""
    for run_id in _claimable().order_by("started_at").values_list("pk", flat=True):
        run(run_id)


def _hint(run_id: uuid.UUID) -> None:
    if settings.BROKER_URL:
        # By name: the task imports this module.
        current_app.send_task("ledger.tasks.verify", args=[str(run_id)])
    else:
        threading.Thread(target=_run_beside, args=[run_id], name=f"verification-{run_id}", daemon=True).start()


def _run_beside(run_id: uuid.UUID) -> None:
    try:
        run(run_id)
    finally:
        connection.close()


def _alive() -> "QuerySet[VerificationRun]":
    return VerificationRun.objects.filter(state__in=(State.WAITING, State.RUNNING)).order_by("started_at")


def _claimable() -> "QuerySet[VerificationRun]":
    silent = timezone.now() - SILENT_AFTER
    return VerificationRun.objects.filter(Q(state=State.WAITING) | Q(state=State.RUNNING, progressed_at__lt=silent))


class _Watch:
    """Writes how far a run is, and reads whether it is to stop; both seldom enough not to slow it down."""

    def __init__(self, run_id: uuid.UUID) -> None:
        self._row = VerificationRun.objects.filter(pk=run_id)
        self._write_at = self._ask_at = 0.0
        self._stop = False

    def progress(self, entries: int) -> None:
        if time.monotonic() >= self._write_at:
            self._row.update(checked=entries, progressed_at=timezone.now())
            self._write_at = time.monotonic() + _EVERY_SECONDS

    def cancelled(self) -> bool:
        if time.monotonic() >= self._ask_at:
            self._stop = self._row.filter(cancel_asked_at__isnull=False).exists()
            self._ask_at = time.monotonic() + _EVERY_SECONDS
        return self._stop


def _finish(run_id: uuid.UUID, state: str, verdict: Verdict | None = None) -> None:
    changes: dict[str, object] = {"state": state, "finished_at": timezone.now()}
    if verdict is not None:
        changes |= {"verdict": told(verdict), "checked": verdict.entries}
    VerificationRun.objects.filter(pk=run_id).update(**changes)


def told(verdict: Verdict) -> dict[str, object]:
    """Put a verdict into the form in which it is stored and answered."""
    return {
        "status": verdict.status,
        "sentence": verdict.sentence(),
        "entries": verdict.entries,
        "size": verdict.size,
        "uncovered": verdict.uncovered,
        "broken_at": verdict.broken_at,
        "check": verdict.check,
        "expected": verdict.expected,
        "found": verdict.found,
        "root": verdict.root,
        "witnesses": list(verdict.witnesses),
        "timestamps": verdict.timestamps,
    }
