"""What is noticed about readers: once an hour with a count, never once a time, and nothing where all is well."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from shipments import reader_alerts
from shipments.models import AlertCode, Reader, ReaderAlert
from shipments.reader_alerts import (
    AlertKnown,
    acknowledge_alert,
    observe_report,
    raise_alert,
    watch_readers,
)
from shipments.reader_credentials import revoke_credential
from shipments.readers.registry import parse_report
from shipments.readers.report import Gap, Parsed, Read
from shipments.views.alert_lines import tell_alerts
from tests.shipments.conftest import PostingReader, item_epc

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.shipments.urls")]

AT = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


def ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1000) * 1_000_000


def report(reader: Reader, *, age_s: float, at: datetime = AT, **more: object) -> None:
    """A report whose newest read is so old on arrival; others in it are older."""
    newest = ns(at - timedelta(seconds=age_s))
    reads = [Read(item_epc(n), newest - n * 10**9, "") for n in range(3)]
    observe_report(reader=reader, parsed=Parsed(reads=reads, **more), received_at=at)


def alerts(code: str) -> list[ReaderAlert]:
    return list(ReaderAlert.objects.filter(code=code).order_by("first_at"))


# The clock -----------------------------------------------------------------------------------------------------------


def test_a_report_in_which_all_is_well_costs_no_query(reader, django_assert_num_queries) -> None:
    reader.hostname = "dock-1"
    with django_assert_num_queries(0):
        for seconds in range(50):
            report(reader, age_s=1.5, at=AT + timedelta(seconds=seconds), hostnames={"DOCK-1"})
        observe_report(reader=reader, parsed=Parsed(), received_at=AT)


def test_what_was_measured_is_written_with_the_sweep(reader) -> None:
    report(reader, age_s=1.25)
    watch_readers(now=AT)
    reader.refresh_from_db()
    assert (reader.clock_skew_ms, reader.clock_checked_at) == (-1250, AT)


def test_a_time_ahead_of_ours_is_a_wrong_clock_at_once(reader) -> None:
    report(reader, age_s=-4.9)
    assert not alerts("clock_skew")
    report(reader, age_s=-7)
    [alert] = alerts("clock_skew")
    assert (alert.facts, alert.reader, alert.read_point, alert.count) == (
        {"skew_ms": 7000},
        reader,
        reader.read_point,
        1,
    )
    reader.refresh_from_db()
    assert reader.clock_skew_ms == 7000


def test_a_clock_that_is_wrong_all_hour_is_one_alert_with_a_count(reader, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(reader_alerts.time, "monotonic", lambda: clock[0])
    for second in range(120):
        clock[0] = float(second)
        report(reader, age_s=-60, at=AT + timedelta(seconds=second))
    watch_readers(now=AT + timedelta(seconds=120))
    [alert] = alerts("clock_skew")
    assert alert.count == 120
    report(reader, age_s=-60, at=AT + timedelta(hours=1))
    clock[0] += 60
    report(reader, age_s=-60, at=AT + timedelta(hours=1, seconds=60))
    assert len(alerts("clock_skew")) == 2


def test_one_late_report_is_no_wrong_clock(reader) -> None:
    for minute, age_s in enumerate((1, 3600, 1, 90, 1)):
        report(reader, age_s=age_s, at=AT + timedelta(minutes=minute))
    assert not ReaderAlert.objects.exists()


def test_a_clock_that_stays_behind_is_told_after_ten_reports_and_five_minutes(reader) -> None:
    dice = random.Random(3)
    for second in range(0, 290, 10):
        report(reader, age_s=40 + dice.random() * 3, at=AT + timedelta(seconds=second))
    assert not ReaderAlert.objects.exists()
    for second in range(290, 330, 10):
        report(reader, age_s=40 + dice.random() * 3, at=AT + timedelta(seconds=second))
    [alert] = alerts("clock_skew")
    assert -43_000 < alert.facts["skew_ms"] <= -40_000


def test_reads_that_waited_for_the_network_are_late_and_not_a_wrong_clock(reader) -> None:
    # An hour's buffer, sent over ten minutes: each report is less late than the one before.
    for step in range(120):
        at = AT + timedelta(seconds=5 * step)
        report(reader, age_s=3600 * (1 - step / 120) + 1, at=at)
    report(reader, age_s=1, at=AT + timedelta(minutes=11))
    assert not ReaderAlert.objects.exists()


def test_a_door_at_which_little_happens_is_no_wrong_clock(reader) -> None:
    # It sends once a minute what it saw in it: the newest read is as old as chance has it.
    dice = random.Random(5)
    for minute in range(60):
        report(reader, age_s=dice.random() * 60 if minute % 4 else 2, at=AT + timedelta(minutes=minute))
    assert not ReaderAlert.objects.exists()


def test_the_time_of_sending_is_preferred_to_the_newest_read(reader) -> None:
    for minute in range(12):
        at = AT + timedelta(minutes=minute)
        report(reader, age_s=300, at=at, sent_at_ns=ns(at))
    assert not ReaderAlert.objects.exists()
    report(reader, age_s=0, sent_at_ns=ns(AT + timedelta(seconds=8)))
    assert alerts("clock_skew")[0].facts == {"skew_ms": 8000}


def test_our_own_form_may_say_when_it_was_sent() -> None:
    read = {"epc": item_epc(1), "read_at": 1795356300000}
    assert (
        parse_report(json.dumps({"sent_at": 1795356301000, "reads": [read]}).encode()).sent_at_ns == 1795356301 * 10**9
    )
    for sent_at in (None, "soon", 1, {}):
        parsed = parse_report(json.dumps({"sent_at": sent_at, "reads": [read]}).encode())
        assert (parsed.sent_at_ns, len(parsed.reads), parsed.faults) == (None, 1, [])


def test_a_redelivery_says_nothing_of_the_clock(reader, receive) -> None:
    body = json.dumps({"reads": [{"epc": item_epc(1), "read_at": int(AT.timestamp() * 1000)}]}).encode()
    for minute in range(20):
        receive(body, at=AT + timedelta(minutes=minute))
    assert not ReaderAlert.objects.exists()


def test_an_absurd_time_is_told_within_what_a_column_holds(reader, receive) -> None:
    receive(json.dumps({"reads": [{"epc": item_epc(1), "read_at": "2261-01-01T00:00:00Z"}]}).encode(), at=AT)
    reader.refresh_from_db()
    assert reader.clock_skew_ms > 10**12
    assert len(alerts("clock_skew")) == 1


# What a report claims and admits -------------------------------------------------------------------------------------


def test_a_report_in_anothers_name_is_an_alert(reader) -> None:
    reader.hostname = "dock-1"
    report(reader, age_s=0, hostnames={"dock-1", "dock-7"})
    report(reader, age_s=0, hostnames={"dock-7"})
    watch_readers(now=AT)
    [alert] = alerts("reader_claim_mismatch")
    assert (alert.facts, alert.count, alert.reader) == ({"claim": "hostname", "claimed": "dock-7"}, 2, reader)


def test_a_reader_without_a_hostname_may_call_itself_anything(reader) -> None:
    report(reader, age_s=0, hostnames={"dock-7"})
    assert not ReaderAlert.objects.exists()


def test_a_report_that_says_it_comes_from_another_site_is_an_alert(posting, other_reader) -> None:
    own, other = posting.reader.read_point.site.gln, other_reader.read_point.site.gln
    read = {"epc": "30", "read_at": 1795356301000}
    for site in (own, "", None, "0614141123453", 5):
        posting.post(json.dumps({"site": site, "reads": [read]}).encode())
    assert not alerts("reader_claim_mismatch")
    answer = posting.post(json.dumps({"site": other, "reads": [read | {"antenna": 2}]}).encode())
    assert answer.json()["reads_new"] == 1
    [alert] = alerts("reader_claim_mismatch")
    assert alert.facts == {"claim": "site", "claimed": other}
    assert f"stands at the site {other}" in tell_alerts([alert])[0].sentence


def test_a_credential_used_at_another_readers_address_is_an_alert(posting, other_reader) -> None:
    posting.post(b"[]", address=f"/api/v1/readers/{other_reader.pk}/events")
    [alert] = alerts("reader_claim_mismatch")
    assert alert.reader == posting.reader
    assert alert.facts == {"claim": "address", "claimed": other_reader.pk.urn, "site": "other"}


def test_lost_events_are_an_alert(reader, receive) -> None:
    parsed = Parsed(gaps=[Gap(1, 2, 5), Gap(3, 4, 1 << 62)])
    observe_report(reader=reader, parsed=parsed, received_at=AT)
    observe_report(reader=reader, parsed=parsed, received_at=AT + timedelta(minutes=1))
    [alert] = alerts("reader_overflow")
    assert (alert.count, alert.facts) == (2, {"gaps": 2, "purged": str(5 + (1 << 62))})


# The door ------------------------------------------------------------------------------------------------------------


def test_a_thousand_wrong_tries_are_one_alert_that_counts(posting, django_assert_max_num_queries) -> None:
    wrong = posting.authorization(password="wrong")
    assert posting.post(b"[]", authorization=wrong).status_code == 401
    with django_assert_max_num_queries(101):  # the look at the credential, and hardly ever more
        for _ in range(99):
            posting.post(b"[]", authorization=wrong)
    watch_readers()
    [alert] = alerts("reader_unauthenticated")
    assert (alert.count, alert.reader, alert.source) == (100, posting.reader, posting.username)
    assert alert.facts == {"reason": "wrong_secret", "address": "127.0.0.1", "credential": posting.username}


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("", "no_credential"),
        ("Basic ====", "header_malformed"),
        ("Basic bm9ib2R5OnNlY3JldA==", "unknown"),
        ("Bearer nobody", "unknown"),
    ],
)
def test_who_names_no_known_credential_is_counted_by_address_and_nothing_typed_is_kept(
    posting, authorization, reason
) -> None:
    posting.post(b"[]", authorization=authorization)
    [alert] = alerts("reader_unauthenticated")
    assert (alert.source, alert.reader) == ("127.0.0.1", posting.reader)
    assert alert.facts == {"reason": reason, "address": "127.0.0.1"}


def test_the_alert_says_what_the_answer_does_not(posting) -> None:
    revoked = PostingReader(posting.reader)
    revoke_credential(username=revoked.username)
    revoked.post(b"[]")
    assert alerts("reader_unauthenticated")[0].facts["reason"] == "revoked"


def test_ever_new_addresses_do_not_make_ever_new_rows(posting, monkeypatch) -> None:
    monkeypatch.setattr(reader_alerts, "MOST_SOURCES", 5)
    for host in [*range(20), *range(20)]:
        posting.client.post(posting.address, data=b"[]", content_type="", REMOTE_ADDR=f"10.0.0.{host}")
    sources = {alert.source: alert.count for alert in alerts("reader_unauthenticated")}
    assert len(sources) == 6
    assert sources["others"] >= 1
    watch_readers()
    assert sum(alert.count for alert in alerts("reader_unauthenticated")) == 40


def test_memory_is_bounded_too(posting, monkeypatch) -> None:
    monkeypatch.setattr(reader_alerts, "MOST_WAITING", 3)
    for host in range(20):
        posting.client.post(posting.address, data=b"[]", content_type="", REMOTE_ADDR=f"10.0.0.{host}")
    assert len(reader_alerts._times) <= 4
    watch_readers()
    assert sum(alert.count for alert in alerts("reader_unauthenticated")) == 20


# Silence -------------------------------------------------------------------------------------------------------------


def test_a_reader_that_falls_silent_is_one_alert_for_each_silence(reader, receive) -> None:
    receive(b"[]", at=AT)
    watch_readers(now=AT + timedelta(minutes=5))
    assert not ReaderAlert.objects.exists()
    for minutes in (6, 7, 90):
        watch_readers(now=AT + timedelta(minutes=minutes))
    [alert] = alerts("reader_silent")
    assert (alert.reader, alert.since, alert.count, alert.facts) == (reader, AT, 1, {"silent_s": 360})
    receive(b"[]", at=AT + timedelta(hours=2))
    watch_readers(now=AT + timedelta(hours=3))
    assert len(alerts("reader_silent")) == 2


@pytest.mark.parametrize("change", [{"enabled": False}, {"silent_after_s": 0}, {"last_seen_at": None}])
def test_whose_silence_means_nothing(reader, receive, change) -> None:
    receive(b"[]", at=AT)
    Reader.objects.update(**change)
    watch_readers(now=AT + timedelta(days=1))
    assert not ReaderAlert.objects.exists()


# Acknowledging -------------------------------------------------------------------------------------------------------


def test_an_acknowledged_alert_counts_on_and_the_next_hour_is_a_new_one(reader, beto, ana) -> None:
    raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=AT, facts={})
    [alert] = alerts("reader_overflow")
    known = acknowledge_alert(alert=alert, account=beto)
    assert (known.acknowledged_by, known.acknowledged_at <= timezone.now()) == (beto, True)
    assert acknowledge_alert(alert=alert, account=beto) == known
    with pytest.raises(AlertKnown, match="beto"):
        acknowledge_alert(alert=alert, account=ana)
    raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=AT + timedelta(minutes=10), facts={})
    raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=AT + timedelta(hours=1), facts={})
    first, second = alerts("reader_overflow")
    assert (first.count, first.acknowledged_by) == (2, beto)
    assert (second.count, second.acknowledged_by) == (1, None)


def test_whoever_is_second_to_raise_an_alert_counts_the_first_ones_up(reader, monkeypatch) -> None:
    real = reader_alerts._count_up
    answers = iter([False])

    def not_there_yet(*args: object) -> bool:
        return next(answers, True) and real(*args)

    raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=AT, facts={})
    monkeypatch.setattr(reader_alerts, "_count_up", not_there_yet)
    raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=AT, facts={})
    [alert] = alerts("reader_overflow")
    assert alert.count == 2
