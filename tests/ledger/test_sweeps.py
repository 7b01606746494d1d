"""A sweep does what is due, part by part; two at once do not ask the same twice."""

import logging
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ledger import sweeps
from ledger.errors import LogWentBack
from ledger.models import Checkpoint, Statement

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pending(settings, monkeypatch, submit_one):
    """Two statements whose hints were lost, in a log that has begun."""
    submit_one()
    settings.BROKER_URL = "amqp://broker.invalid//"
    monkeypatch.setattr("ledger.sealing.current_app.send_task", lambda name: None)
    for _ in range(2):
        submit_one()
    assert Statement.objects.filter(entry=None).count() == 2


@pytest.fixture
def shown(monkeypatch) -> dict[str, list[int]]:
    """Stand in for the witnesses and the authority: which sizes each was shown, and whether in a transaction."""
    shown: dict[str, list[int]] = {"witnesses": [], "timestamps": []}

    def to(name: str):
        def show() -> None:
            assert not connection.in_atomic_block
            shown[name].append(Checkpoint.objects.first().size)

        return show

    for name in shown:
        monkeypatch.setitem(sweeps._SHOWN_TO, name, to(name))
    return shown


def test_a_sweep_seals_what_is_pending_and_then_shows_it(pending, shown):
    assert sweeps.sweep() == ()
    assert not Statement.objects.filter(entry=None).exists()
    assert shown == {"witnesses": [4], "timestamps": [4]}


def test_a_log_that_has_not_begun_is_shown_to_nobody(shown, caplog):
    assert sweeps.sweep() == ()
    assert shown == {"witnesses": [], "timestamps": []}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_part_that_fails_is_one_line_in_the_log_and_stops_no_other(pending, shown, monkeypatch, caplog):
    def stand_still() -> None:
        raise LogWentBack(database=1, signed=2)

    def lose() -> None:
        raise OSError("no route\nto the witness")

    monkeypatch.setattr(sweeps, "seal_all", stand_still)
    monkeypatch.setitem(sweeps._SHOWN_TO, "witnesses", lose)
    assert sweeps.sweep() == ("sealing", "witnesses")
    assert shown["timestamps"] == [2]
    lines = [record.getMessage() for record in caplog.records if record.name == "ledger.sweeps"]
    assert [line.partition(": The")[0] for line in lines] == [
        "sweep: sealing failed: LogWentBack",
        "sweep: witnesses failed: OSError: no route to the witness",
    ]
    # The lease of the part that failed is free again.
    with sweeps._lease("witnesses") as ours:
        assert ours


def test_two_sweeps_at_once_ask_once(submit_one, shown, monkeypatch):
    submit_one()
    asked, go_on = threading.Event(), threading.Event()

    def ask_slowly() -> None:
        shown["witnesses"].append(Checkpoint.objects.first().size)
        asked.set()
        assert go_on.wait(10)

    def sweep_beside() -> None:
        try:
            sweeps.sweep()
        finally:
            connection.close()

    monkeypatch.setitem(sweeps._SHOWN_TO, "witnesses", ask_slowly)
    first = threading.Thread(target=sweep_beside)
    first.start()
    try:
        assert asked.wait(10)
        assert sweeps.sweep() == ()
        assert shown == {"witnesses": [2], "timestamps": [2]}
    finally:
        go_on.set()
        first.join(10)
    sweeps.sweep()
    assert shown["witnesses"] == [2, 2]


def test_the_sweeper_sweeps_when_woken_and_ends_when_told(submit_one, monkeypatch):
    swept = threading.Semaphore(0)
    monkeypatch.setattr(sweeps, "sweep", swept.release)
    before = threading.active_count()
    sweeper = sweeps.Sweeper(every=3600)
    sweeper.start()
    try:
        assert swept.acquire(timeout=10)
        sweeps.wake()
        assert swept.acquire(timeout=10)
    finally:
        sweeper.stop()
    assert threading.active_count() == before


def test_the_sweeper_goes_on_after_a_sweep_that_failed(pending, shown, monkeypatch):
    done = threading.Event()
    real = sweeps.sweep

    def sweep() -> tuple[str, ...]:
        failed = real()
        connection.close() if failed else done.set()
        sweeps.wake()
        return failed

    tries = iter([OSError("the database went away")])
    seal_all = sweeps.seal_all

    def seal() -> None:
        for error in tries:
            raise error
        seal_all()

    monkeypatch.setattr(sweeps, "seal_all", seal)
    monkeypatch.setattr(sweeps, "sweep", sweep)
    sweeper = sweeps.Sweeper(every=3600)
    sweeper.start()
    try:
        assert done.wait(10)
    finally:
        sweeper.stop()
    assert not Statement.objects.filter(entry=None).exists()


def test_the_command_says_what_was_not_done(pending, shown, monkeypatch):
    call_command("sweep")
    assert not Statement.objects.filter(entry=None).exists()

    def lose() -> None:
        raise OSError("no route to the authority")

    monkeypatch.setitem(sweeps._SHOWN_TO, "timestamps", lose)
    with pytest.raises(CommandError, match="Not done: timestamps"):
        call_command("sweep")
