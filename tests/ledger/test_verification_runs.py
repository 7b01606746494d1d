"""Verifications that people ask for: one at a time, watched, stopped, and taken up again where their runner died."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ledger import append_only, verification_runs
from ledger.errors import VerifierKeyMissing
from ledger.models import Entry, VerificationRun
from ledger.sealing import seal_all
from ledger.verification_runs import Depth, State, cancel_run, request_run, run, run_waiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(submit_one):
    shipment = uuid.uuid4().urn
    for n in range(5):
        submit_one(subject=shipment, n=n)
    seal_all()


def test_a_run_reaches_its_verdict_under_the_name_of_who_asked(log, ana):
    asked = request_run(requested_by=ana)
    assert (asked.state, asked.total) == (State.WAITING, Entry.objects.count())
    run(asked.pk)
    asked.refresh_from_db()
    assert asked.state == State.FINISHED
    assert asked.requested_by == ana
    assert asked.verdict["status"] == "intact_unwitnessed"
    assert asked.checked == asked.total
    assert asked.finished_at is not None


def test_while_one_is_alive_asking_again_returns_it(log, ana):
    first = request_run(requested_by=ana)
    assert request_run(requested_by=ana, depth=Depth.FAST) == first
    run(first.pk)
    assert request_run(requested_by=ana) != first


def test_a_run_is_done_once(log, ana, monkeypatch):
    asked = request_run(requested_by=ana)
    run(asked.pk)
    finished_at = VerificationRun.objects.get().finished_at
    run(asked.pk)
    assert VerificationRun.objects.get().finished_at == finished_at


def test_without_the_key_no_run_is_left(log, ana, own_log):
    for file in (own_log / "keys").iterdir():
        file.unlink()
    with pytest.raises(VerifierKeyMissing):
        request_run(requested_by=ana)
    assert not VerificationRun.objects.exists()


def test_a_run_that_nobody_began_is_cancelled_at_once(log, ana):
    asked = request_run(requested_by=ana)
    cancel_run(asked)
    run(asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.verdict) == (State.CANCELLED, None)


def test_a_run_under_way_stops_when_asked(log, ana, monkeypatch):
    asked = request_run(requested_by=ana)
    policy = verification_runs.own_policy

    def ask_to_stop():
        cancel_run(asked)
        return policy()

    monkeypatch.setattr(verification_runs, "own_policy", ask_to_stop)
    run(asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.verdict) == (State.CANCELLED, None)


def test_a_run_whose_runner_died_is_taken_up_by_the_sweep(log, ana):
    asked = request_run(requested_by=ana)
    VerificationRun.objects.update(state=State.RUNNING, progressed_at=timezone.now())
    run_waiting()
    asked.refresh_from_db()
    assert asked.state == State.RUNNING
    VerificationRun.objects.update(progressed_at=timezone.now() - verification_runs.SILENT_AFTER - timedelta(seconds=1))
    run_waiting()
    asked.refresh_from_db()
    assert asked.state == State.FINISHED


def test_a_run_that_fails_says_so_and_frees_the_next(log, ana, monkeypatch):
    def break_down(**_):
        raise ConnectionError("the database went away")

    asked = request_run(requested_by=ana)
    monkeypatch.setattr(verification_runs, "verify_log", break_down)
    run(asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.verdict) == (State.FAILED, None)
    assert request_run(requested_by=ana) != asked


def test_a_broken_log_is_told_with_its_first_bad_entry(log, ana):
    append_only.disarm(connection)
    note = bytes(Entry.objects.get(index=3).note)
    Entry.objects.filter(index=3).update(note=note.replace(b'"n":2', b'"n":7'))
    append_only.arm(connection)
    asked = request_run(requested_by=ana)
    run(asked.pk)
    asked.refresh_from_db()
    assert asked.state == State.FINISHED
    assert (asked.verdict["status"], asked.verdict["broken_at"]) == ("broken", 3)


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_the_run_is_done_beside_the_request(log, ana):
    asked = request_run(requested_by=ana)
    beside = [thread for thread in threading.enumerate() if thread.name == f"verification-{asked.pk}"]
    for thread in beside:
        thread.join(timeout=30)
    asked.refresh_from_db()
    assert asked.state == State.FINISHED
