"""
Take in EPCIS documents: keep the bytes, then check and store their events, all or nothing or what can be kept.

The job's row is the truth. A thread or a Celery message is a hint that there is a job to do; whoever takes it claims
the row, and a job whose worker died is claimed again by the next sweep.
"""

import hashlib
import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from refusals import Refusal
from shipments.epcis.documents import MAX_EVENTS, DocumentTooLarge, read_json
from shipments.epcis.indexing import Indexed, index_event, own_context, store_events
from shipments.epcis.schema import MAX_ERRORS, Fault, check_event, check_frame, shown
from shipments.models import CaptureJob, EpcisEvent

logger = logging.getLogger(__name__)

State, Behaviour = CaptureJob.State, CaptureJob.ErrorBehaviour
Origin = EpcisEvent.Origin

# A worker that says nothing for so long has died.
SILENT_AFTER = timedelta(minutes=5)
MAX_ATTEMPTS = 5
CHUNK = 500
JOBS_A_SWEEP = 20
FAULTS_AN_EVENT = 3

# An event without an eventID gets one of its document's digest and its place: the same bytes again name the same event.
_NAMESPACE = uuid.UUID("7f0c1b9e-3f2d-5c0a-9a41-6d0f6b1f7a52")
_LIST = "/epcisBody/eventList"

_busy = threading.Lock()


class DocumentRefused(Refusal):
    code = "epcis_document_refused"
    message = gettext_lazy("Nothing was captured: %(problem)s")
    status = 400

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(problem=f"{first.pointer or '/'}: {first.sentence}")


class EventExists(Refusal):
    code = "event_exists"
    message = gettext_lazy("An event %(event_id)s is here already. Nothing was stored.")
    status = 409


class _ClaimLost(Exception):
    """Another worker took the job over: what this one was about to store is rolled back."""


@dataclass(slots=True)
class _Checked:
    """What became of some events: those that can be stored, and the first errors of the others."""

    good: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def refuse(self, problems: list[dict[str, Any]]) -> None:
        self.refused += 1
        self.errors += problems[: MAX_ERRORS - len(self.errors)]


# Asking -------------------------------------------------------------------------------------------------------------


def capture_document(*, body: bytes, by: User, error_behaviour: str = Behaviour.ROLLBACK) -> CaptureJob:
    """
    Keep an EPCISDocument and have its events captured; the same bytes again return the capture that they are in.

    :raises DocumentUnreadable: where it is no JSON that can be relied on
    :raises DocumentTooLarge: over 16 MiB, or 10,000 events
    :raises DocumentRefused: where it is no EPCISDocument; its events are checked in the job
    """
    document = read_json(body)
    if not isinstance(document, dict) or document.get("type") != "EPCISDocument":
        raise DocumentRefused([Fault("/type", _("A capture takes an EPCISDocument; one event goes to events."))])
    if faults := check_frame(document):
        raise DocumentRefused(faults)
    events = document["epcisBody"]["eventList"]
    if len(events) > MAX_EVENTS:
        raise DocumentTooLarge(limit=_("%(n)s events") % {"n": MAX_EVENTS})
    sha256 = hashlib.sha256(body).hexdigest()
    while True:
        try:
            with transaction.atomic():
                job = CaptureJob.objects.create(
                    captured_by=by, body=body, sha256=sha256, error_behaviour=error_behaviour, events=len(events)
                )
                transaction.on_commit(_hint, robust=True)
                return job
        except IntegrityError:
            # None where that one failed in this very moment: then these bytes may be tried again.
            if standing := CaptureJob.objects.filter(Q(success=True) | Q(success=None), sha256=sha256).first():
                return standing


def capture_event(*, body: bytes, by: User) -> EpcisEvent:
    """
    Capture one bare event at once; its bytes are kept as a capture that is finished.

    :raises DocumentUnreadable, DocumentTooLarge:
    :raises DocumentRefused: where the standard says no
    :raises EventExists: where its eventID is taken, or the same bytes were captured before
    """
    event = read_json(body)
    if faults := check_event(event, bare=True):
        raise DocumentRefused(faults)
    if _names_this_log(event):
        raise DocumentRefused([Fault("", _of_this_log())])
    sha256 = hashlib.sha256(body).hexdigest()
    event = _with_id(own_context(event, None), sha256, 0)
    if _taken([event]):
        raise EventExists(event_id=shown(event["eventID"]), full_id=event["eventID"])
    now = timezone.now()
    try:
        with transaction.atomic():
            job = CaptureJob.objects.create(
                captured_by=by,
                body=body,
                sha256=sha256,
                state=State.FINISHED,
                finished_at=now,
                success=True,
                events=1,
                done_events=1,
                stored_events=1,
            )
            indexed = index_event(event, record_time=now, origin=Origin.CAPTURED, job=job)
            store_events([indexed])
    except IntegrityError as error:
        # Somebody was faster, with this event or with these bytes.
        raise EventExists(event_id=shown(event["eventID"]), full_id=event["eventID"]) from error
    return indexed.row


# Doing --------------------------------------------------------------------------------------------------------------


def work_waiting() -> None:
    """Do captures that wait, or whose worker died: the sweep behind a lost hint."""
    for job_id in list(_claimable().order_by("created_at").values_list("pk", flat=True)[:JOBS_A_SWEEP]):
        work_job(job_id)


def work_job(job_id: uuid.UUID) -> None:
    """Do one capture, if nobody else is doing it; a second call for a finished one does nothing."""
    claim = uuid.uuid4()
    claimed = (
        _claimable()
        .filter(pk=job_id)
        .update(state=State.RUNNING, claim=claim, claimed_at=timezone.now(), attempts=F("attempts") + 1)
    )
    if not claimed:
        return
    job = CaptureJob.objects.get(pk=job_id)
    if job.attempts > MAX_ATTEMPTS:
        # Each worker before died over it and could not say so.
        _give_up(job)
        return
    try:
        document = read_json(bytes(job.body))
        context, events = document.get("@context"), document["epcisBody"]["eventList"]
        if job.error_behaviour == Behaviour.PROCEED:
            _keep_what_can_be_kept(job, events, context)
        else:
            _keep_all_or_nothing(job, events, context)
    except _ClaimLost:
        logger.warning("capture %s was taken over by another worker", job_id)
    except Exception:
        # Claimed again by a later sweep; a fault of our own must not make it try for ever.
        logger.exception("capture %s failed", job_id)
        if job.attempts >= MAX_ATTEMPTS:
            _give_up(job)


def _claimable() -> "QuerySet[CaptureJob]":
    silent = timezone.now() - SILENT_AFTER
    return CaptureJob.objects.filter(Q(state=State.WAITING) | Q(state=State.RUNNING, claimed_at__lt=silent))


def _keep_all_or_nothing(job: CaptureJob, events: list[Any], context: Any) -> None:
    checked = _check(job, events, context, 0)
    for _again in range(MAX_ATTEMPTS):
        _drop_taken(checked)
        if checked.refused:
            _finish(job, success=False, done_events=0, refused_events=checked.refused, errors=checked.errors)
            return
        rows = _rows(job, checked)
        try:
            # One transaction with the end of the job: a crash leaves no event and a job to be done again.
            with transaction.atomic():
                _finish(job, success=True, done_events=len(events), stored_events=len(rows))
                store_events(rows)
            return
        except IntegrityError:
            # Another capture stored one of these events since they were looked up.
            continue
    raise RuntimeError("other captures store the same events again and again")


def _keep_what_can_be_kept(job: CaptureJob, events: list[Any], context: Any) -> None:
    errors, refused, stored = list(job.errors), job.refused_events, job.stored_events
    for start in range(job.done_events, len(events), CHUNK):
        chunk = events[start : start + CHUNK]
        checked = _check(job, chunk, context, start)
        for _again in range(MAX_ATTEMPTS):
            _drop_taken(checked)
            rows = _rows(job, checked)
            try:
                # What is stored and how far the job is, in one transaction: it goes on from here after a crash.
                with transaction.atomic():
                    _change(
                        job,
                        claimed_at=timezone.now(),
                        done_events=start + len(chunk),
                        stored_events=stored + len(rows),
                        refused_events=refused + checked.refused,
                        errors=(errors + checked.errors)[:MAX_ERRORS],
                    )
                    store_events(rows)
                break
            except IntegrityError:
                continue
        else:
            raise RuntimeError("other captures store the same events again and again")
        errors, refused, stored = errors + checked.errors, refused + checked.refused, stored + len(checked.good)
    _finish(job, success=refused == 0)


def _check(job: CaptureJob, events: list[Any], context: Any, start: int) -> _Checked:
    checked = _Checked()
    met: set[tuple[str, bool]] = set()
    for position, event in enumerate(events, start=start):
        where = f"{_LIST}/{position}"
        if faults := check_event(event):
            problems = (_problem("ValidationException", 400, f.sentence, where + f.pointer) for f in faults)
            checked.refuse(list(problems)[:FAULTS_AN_EVENT])
            continue
        if _names_this_log(event):
            checked.refuse([_problem("ValidationException", 400, _of_this_log(), where)])
            continue
        event = _with_id(own_context(event, context), job.sha256, position)
        if (key := _key(event)) in met:
            checked.refuse([_exists(event, where)])
            continue
        met.add(key)
        checked.good.append((position, event))
    return checked


def _drop_taken(checked: _Checked) -> None:
    taken = _taken([event for _position, event in checked.good])
    if taken:
        for position, event in checked.good:
            if _key(event) in taken:
                checked.refuse([_exists(event, f"{_LIST}/{position}")])
        checked.good = [one for one in checked.good if _key(one[1]) not in taken]


def _taken(events: Sequence[dict[str, Any]]) -> set[tuple[str, bool]]:
    """Tell which of the events are here already; one of the ledger's own is in error only where the ledger says so."""
    found: set[tuple[str, bool]] = set()
    identifiers = sorted({event["eventID"] for event in events})
    for start in range(0, len(identifiers), CHUNK):
        rows = EpcisEvent.objects.filter(event_id__in=identifiers[start : start + CHUNK])
        for event_id, is_error, origin in rows.order_by().values_list("event_id", "is_error", "origin"):
            found.add((event_id, is_error))
            if origin == Origin.OWN:
                found |= {(event_id, True), (event_id, False)}
    return found & {_key(event) for event in events}


def _rows(job: CaptureJob, checked: _Checked) -> list[Indexed]:
    """Make the rows before the transaction that stores them: SQLite's write lock is not held over it."""
    now = timezone.now()
    return [
        index_event(event, record_time=now, origin=Origin.CAPTURED, job=job, position=position)
        for position, event in checked.good
    ]


def _finish(job: CaptureJob, *, success: bool, **columns: Any) -> None:
    _change(job, state=State.FINISHED, finished_at=timezone.now(), success=success, **columns)


def _give_up(job: CaptureJob) -> None:
    sentence = _("The capture failed %(n)s times for a reason of ours; the server's log has it.")
    problem = _problem("ImplementationException", 500, sentence % {"n": MAX_ATTEMPTS})
    _finish(job, success=False, errors=[*job.errors, problem][-MAX_ERRORS:])


def _change(job: CaptureJob, **columns: Any) -> None:
    """Write to the job while it is this worker's. :raises _ClaimLost:"""
    if not CaptureJob.objects.filter(pk=job.pk, claim=job.claim, state=State.RUNNING).update(**columns):
        raise _ClaimLost


def _key(event: dict[str, Any]) -> tuple[str, bool]:
    return event["eventID"], "errorDeclaration" in event


def _with_id(event: dict[str, Any], sha256: str, position: int) -> dict[str, Any]:
    if "eventID" in event:
        return event
    return event | {"eventID": uuid.uuid5(_NAMESPACE, f"{sha256}/{position}").urn}


def _names_this_log(event: Any) -> bool:
    """Tell whether an event passes itself off as read from this ledger: our own events alone name it."""
    return any(text == settings.LEDGER_ORIGIN for text in _strings(event))


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def _of_this_log() -> str:
    return _("The event names this ledger as its origin. Such events are made here from sealed entries, not captured.")


def _exists(event: dict[str, Any], where: str) -> dict[str, Any]:
    sentence = _("An event %(id)s is here already, or stands before this one.") % {"id": shown(event["eventID"])}
    return _problem("ResourceAlreadyExistsException", 409, sentence, where)


def _problem(kind: str, status: int, detail: str, pointer: str = "") -> dict[str, Any]:
    told = {"type": f"epcisException:{kind}", "status": status, "title": _TITLES[kind], "detail": detail}
    return told | ({"pointer": pointer} if pointer else {})


_TITLES = {
    "ValidationException": "The event is not as the standard says",
    "ResourceAlreadyExistsException": "The event is here already",
    "ImplementationException": "The capture could not be done",
}


# Hinting ------------------------------------------------------------------------------------------------------------


def _hint() -> None:
    if settings.BROKER_URL:
        # By name: the task imports this module.
        current_app.send_task("shipments.epcis.tasks.work_captures")
    else:
        threading.Thread(target=_work_beside, name="captures", daemon=True).start()


def _work_beside() -> None:
    # One at a time in a process; what comes in between is found by the next hint or the next sweep.
    if not _busy.acquire(blocking=False):
        return
    try:
        work_waiting()
    finally:
        _busy.release()
        connection.close()
