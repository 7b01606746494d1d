"""
A real broker, and a real worker with beat as its own process: hints seal, lost ones are made good, and a verification
that the auditor starts on the page is done by the worker, watched, and stopped.

``TEST_BROKER`` names another broker than the one on this machine. The queue is this test's own.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection, transaction
from django.urls import reverse
from kombu.exceptions import OperationalError

from custody.celery import app
from ledger.models import Entry, Statement, VerificationRun
from ledger.submission import Draft, submit_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent.parent
BROKER = os.environ.get("TEST_BROKER", "amqp://guest:guest@127.0.0.1:5672//")
# Enough for a deep verification of some seconds, in which it can be watched and stopped.
ENTRIES = 12_000


@pytest.fixture
def broker(settings) -> Iterator[str]:
    """Send this process's hints to the broker, into a queue that only this test knows."""
    before = {name: app.conf[name] for name in ("broker_url", "task_default_queue")}
    queue = f"custody-test-{uuid.uuid4().hex[:12]}"
    app.conf.update(broker_url=BROKER, task_default_queue=queue)
    try:
        _reach_broker()
        settings.BROKER_URL = BROKER
        yield queue
        with app.connection_for_write() as last:
            last.default_channel.queue_delete(queue)
    finally:
        app.pool.force_close_all()
        app.conf.update(before)


def _reach_broker() -> None:
    try:
        with app.connection_for_write(connect_timeout=2) as probe:
            probe.ensure_connection(max_retries=1, timeout=2)
    except (OSError, OperationalError) as error:
        why = f"no broker at {BROKER} (TEST_BROKER names another): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def worker(broker, own_log) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Start the worker as the manual says, with its beat, over this test's database, key and store."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        with (own_log / "worker.log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "celery", "-A", "custody", "worker", "--beat", "--concurrency", "2",
                     "--schedule", str(own_log / "beat"), "--loglevel", "INFO"],
                    cwd=ROOT, env=_environment(own_log, broker), stdout=log, stderr=log, start_new_session=True,
                )
            )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGCONT)
        process.terminate()
        try:
            process.wait(timeout=15)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _environment(own_log: Path, queue: str) -> dict[str, str]:
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        host = f"{database['HOST']}:{database['PORT'] or 5432}"
        url = f"postgres://{database['USER']}:{quote(database['PASSWORD'])}@{host}/{database['NAME']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "DJANGO_"))}
    return kept | {
        "BROKER_URL": BROKER,
        "BROKER_QUEUE": queue,
        "CUSTODY_VAR": str(own_log),
        "DATABASE_URL": url,
        "LEDGER_SWEEP_EVERY": "1",
    }


def until(true: Callable[[], object], own_log: Path, *, within: float = 240) -> None:
    ends = time.monotonic() + within
    while not true():
        assert time.monotonic() < ends, (own_log / "worker.log").read_text()
        time.sleep(0.05)


def submit_many(count: int) -> None:
    with transaction.atomic():
        submit_all(
            [
                Draft(kind="handoff", subject=uuid.uuid4().urn, body={"n": n}, key=f"broker:{uuid.uuid4()}")
                for n in range(count)
            ]
        )


def test_a_worker_behind_a_real_broker(broker, worker, own_log, client, ana):
    # Hints that the broker lost while there was no worker: only beat's sweep can make them good.
    submit_many(ENTRIES)
    with app.connection_for_write() as meanwhile:
        assert meanwhile.default_channel.queue_purge(broker) == 1
    assert not Entry.objects.exists()
    running = worker()
    until(lambda: not Statement.objects.filter(entry=None).exists(), own_log)
    assert Entry.objects.count() > ENTRIES

    # A hint that arrives.
    submit_many(1)
    until(lambda: not Statement.objects.filter(entry=None).exists(), own_log, within=10)

    client.force_login(ana)
    page = reverse("verification")

    # From the page, watched until the page asks for itself anew, with the verdict.
    client.post(page, {"depth": "deep"})
    run = VerificationRun.objects.get()
    progress = reverse("verification_progress", args=[run.pk])
    seen = set()

    def has_ended() -> bool:
        answer = client.get(progress)
        run.refresh_from_db()
        seen.add((run.state, run.checked))
        return answer.headers.get("HX-Refresh") == "true"

    until(has_ended, own_log)
    assert (run.state, run.verdict["status"], run.checked) == ("finished", "intact_unwitnessed", Entry.objects.count())
    assert any(state == "running" and 0 < checked < run.total for state, checked in seen)
    assert "Intact" in client.get(page).content.decode()

    # Another, stopped in the middle of its work: the worker is held still while the auditor presses the button.
    client.post(page, {"depth": "deep"})
    stopped = VerificationRun.objects.exclude(pk=run.pk).get()
    until(lambda: VerificationRun.objects.filter(pk=stopped.pk, state="running").exists(), own_log)
    os.killpg(running.pid, signal.SIGSTOP)
    client.post(reverse("verification_cancel", args=[stopped.pk]))
    assert "Stopping" in client.get(reverse("verification_progress", args=[stopped.pk])).content.decode()
    os.killpg(running.pid, signal.SIGCONT)
    until(lambda: VerificationRun.objects.filter(pk=stopped.pk, state="cancelled").exists(), own_log)
    stopped.refresh_from_db()
    assert stopped.verdict is None
    assert stopped.checked < stopped.total
