"""A reader's rate: what it may save up, what it waits for, and that its flood is nobody else's."""

import json

import pytest

from shipments import reader_limits
from shipments.models import RawReport
from shipments.reader_limits import charge_reads, take_report
from tests.shipments.conftest import PostingReader, item_epc

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.shipments.urls")]


@pytest.fixture(autouse=True)
def small_buckets(settings) -> None:
    settings.READER_REPORTS_PER_S, settings.READER_READS_PER_S, settings.READER_BURST_S = 2, 100, 5


def test_what_was_saved_up_may_be_sent_at_once_and_then_at_the_rate(reader) -> None:
    assert [take_report(reader=reader, now=100.0) for _ in range(11)] == [0] * 10 + [1]
    assert [take_report(reader=reader, now=101.0) for _ in range(3)] == [0, 0, 1]
    # An hour's rest gives no more than the burst.
    assert [take_report(reader=reader, now=3700.0) for _ in range(11)] == [0] * 10 + [1]


def test_reads_are_paid_for_afterwards_and_then_waited_for(reader) -> None:
    assert take_report(reader=reader, now=100.0) == 0
    charge_reads(reader=reader, reads=1_500, now=100.0)  # 500 were there
    assert take_report(reader=reader, now=100.0) == 10
    assert take_report(reader=reader, now=109.5) == 1
    assert take_report(reader=reader, now=110.0) == 0


def test_a_reader_may_have_a_rate_of_its_own(reader) -> None:
    reader.reports_per_s = 1
    assert [take_report(reader=reader, now=100.0) for _ in range(6)] == [0] * 5 + [1]
    reader.reports_per_s = 100
    assert take_report(reader=reader, now=100.1) == 0


def test_a_flood_is_answered_with_429_and_when_to_come_back_and_stops_no_other_reader(
    posting, other_reader, monkeypatch
) -> None:
    clock = [500.0]
    monkeypatch.setattr(reader_limits.time, "monotonic", lambda: clock[0])
    body = json.dumps({"reads": [{"epc": item_epc(1), "read_at": 1795356300000}]}).encode()
    answers = [posting.post(body) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert (answers[-1].json()["code"], answers[-1]["Retry-After"]) == ("reader_too_fast", "1")
    assert "Send again in 1 second." in answers[-1].json()["sentence"]
    other = PostingReader(other_reader)
    assert other.post(body).status_code == 200
    # It is counted by who it is, whatever it logs in with.
    assert PostingReader(posting.reader).post(body).status_code == 429
    clock[0] += 1
    assert posting.post(body).status_code == 200


def test_what_is_sent_too_fast_is_not_read(posting) -> None:
    for _ in range(10):
        take_report(reader=posting.reader)
    assert posting.post(b"[]").status_code == 429
    assert not RawReport.objects.exists()


def test_whoever_is_not_let_in_takes_nothing_from_the_reader(posting) -> None:
    for _ in range(15):
        posting.post(b"[]", authorization=posting.authorization(password="wrong"))
    assert posting.post(b"[]").status_code == 200


def test_buckets_that_are_full_again_are_dropped(reader, other_reader, monkeypatch) -> None:
    monkeypatch.setattr(reader_limits, "MOST_BUCKETS", 1)
    take_report(reader=reader, now=100.0)
    take_report(reader=other_reader, now=200.0)
    assert set(reader_limits._buckets) == {other_reader.pk}
