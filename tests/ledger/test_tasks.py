"""With a broker named, the submitter sends a hint and the worker's sweep seals; a hint that is lost loses nothing."""

import pytest
from celery import current_app

from ledger.models import Entry, Statement
from ledger.tasks import seal

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
