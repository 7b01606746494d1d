"""With a broker named, the submitter sends a hint and the worker's sweep seals; a hint that is lost loses nothing."""

import pytest
from celery import current_app

from custody.celery import app
from ledger.models import Entry, Statement, VerificationRun
from ledger.tasks import seal, sweep, verify, verify_waiting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hints(settings, monkeypatch) -> list[str]:
    """Stand in for the broker: it keeps what was sent."""
    settings.BROKER_URL = "amqp://broker.invalid//"
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", sent.append)
    return sent


def test_the_hint_names_the_task_that_seals(submit_one, hints):
    submit_one()
    assert hints == [seal.name]
    assert not Entry.objects.exists()
    seal()
    assert Entry.objects.count() == 2


def test_a_lost_hint_leaves_the_statement_for_the_next_sweep(submit_one, hints, monkeypatch):
    def lose(name: str) -> None:
        raise ConnectionError("the broker does not answer")

    monkeypatch.setattr(current_app, "send_task", lose)
    submit_one()
    assert Statement.objects.filter(entry__isnull=True).count() == 1
    seal()
    seal()
    assert Entry.objects.count() == 2


def test_beat_sweeps_by_tasks_that_exist_and_lets_old_messages_go(settings):
    schedule = {entry["task"]: entry for entry in app.conf.beat_schedule.values()}
    assert set(schedule) == {sweep.name, verify_waiting.name}
    assert schedule[sweep.name]["schedule"] == settings.LEDGER_SWEEP_EVERY
    for entry in schedule.values():
        assert entry["options"]["expires"] == entry["schedule"]


def test_a_worker_acknowledges_what_it_did_and_takes_json_alone():
    assert app.conf.task_acks_late
    assert (app.conf.task_serializer, app.conf.accept_content) == ("json", ["json"])


def test_a_sweep_seals_what_a_lost_hint_left(submit_one, hints):
    submit_one()
    sweep()
    assert Entry.objects.count() == 2


def test_a_verification_is_done_once_however_often_its_message_comes(submit_one, hints, ana):
    submit_one()
    sweep()
    run = VerificationRun.objects.create(requested_by=ana)
    verify(str(run.pk))
    run.refresh_from_db()
    assert (run.state, run.verdict["status"], run.verdict["entries"]) == ("finished", "intact_unwitnessed", 2)
    finished = run.finished_at
    verify(str(run.pk))
    verify_waiting()
    run.refresh_from_db()
    assert run.finished_at == finished


def test_a_verification_whose_hint_was_lost_is_done_by_the_sweep_behind_it(submit_one, hints, ana):
    submit_one()
    sweep()
    run = VerificationRun.objects.create(requested_by=ana, depth="fast")
    verify_waiting()
    run.refresh_from_db()
    assert (run.state, run.verdict["entries"]) == ("finished", 2)
