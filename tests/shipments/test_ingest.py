"""Nothing lost, nothing twice: what is in the tables after a reader posted, posted again, and posted rubbish."""

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipments import ingest
from shipments.ingest import ReportRefused, record_report
from shipments.models import CoverageGap, QuarantinedEvent, RawReport, Reader, TagRead
from tests.shipments.conftest import item_epc

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


def reads_body(*reads: tuple[int, int], **extra: object) -> bytes:
    """Our own form with (serial, millisecond) pairs."""
    return json.dumps(
        {
            "reads": [
                {"epc": item_epc(serial), "antenna": 1, "read_at": 1795356300000 + ms, "rssi_cdbm": -5000 - serial}
                for serial, ms in reads
            ],
            **extra,
        }
    ).encode()


def overflow(purged: int = 7) -> dict[str, object]:
    return {
        "timestamp": "2026-11-02T07:30:00Z",
        "eventType": "overflow",
        "overflowEvent": {
            "firstEventTimestamp": "2026-11-02T07:24:00Z",
            "lastEventTimestamp": "2026-11-02T07:25:00Z",
            "eventsPurged": purged,
        },
    }


def test_a_report_is_kept_byte_for_byte_with_its_reads(reader, receive) -> None:
    body = reads_body((1, 0), (2, 5))
    receipt = receive(body, at=AT)
    assert (receipt.reads_new, receipt.reads_known, receipt.quarantined, receipt.gaps) == (2, 0, 0, 0)
    report = RawReport.objects.get()
    assert bytes(report.body) == body
    assert report.sha256 == hashlib.sha256(body).hexdigest()
    assert (report.dialect, report.reader, report.read_point) == ("custody", reader, reader.read_point)
    read = TagRead.objects.order_by("read_at_ns").first()
    assert (read.epc_hex, read.read_at_ns, read.reader_time) == (item_epc(1), 1795356300 * 10**9, "1795356300000")
    assert (read.antenna, read.rssi_cdbm, read.event_number, read.tid) == (1, -5001, -1, "")


def test_the_same_bytes_again_are_counted_and_stored_once(receive) -> None:
    body = reads_body((1, 0), (2, 5))
    receive(body, at=AT)
    again = receive(body, at=AT + timedelta(minutes=1))
    assert (again.reads_new, again.reads_known, again.redelivered) == (0, 2, True)
    report = RawReport.objects.get()
    assert (report.deliveries, report.received_at, report.last_received_at) == (2, AT, AT + timedelta(minutes=1))
    assert TagRead.objects.count() == 2


def test_a_rebatched_stream_is_stored_exactly_once(receive) -> None:
    dice = random.Random(7)
    stream = [(serial, ms) for serial in range(40) for ms in range(0, 500, 20)]
    for _ in range(4):
        dice.shuffle(stream)
        start = 0
        while start < len(stream):
            size = dice.randint(1, 200)
            receive(reads_body(*stream[start : start + size]))
            start += size
    assert TagRead.objects.count() == len(stream)
    stored = set(TagRead.objects.values_list("epc_hex", "read_at_ns"))
    assert stored == {(item_epc(serial), (1795356300000 + ms) * 10**6) for serial, ms in stream}


def test_a_read_twice_in_one_report_is_one_read(receive) -> None:
    receipt = receive(reads_body((1, 0), (1, 0), (1, 1)))
    assert (receipt.reads_new, receipt.reads_known) == (2, 1)


@pytest.mark.parametrize(
    "difference", [{"antenna": 2}, {"read_at": 1795356300001}, {"event_number": 0}, {"epc": item_epc(2)}]
)
def test_what_differs_in_one_part_of_the_key_is_another_read(receive, difference) -> None:
    read = {"epc": item_epc(1), "antenna": 1, "read_at": 1795356300000}
    receive(json.dumps({"reads": [read, {**read, **difference}]}).encode())
    assert TagRead.objects.count() == 2


def test_two_readers_may_see_the_same_tag_at_the_same_time(receive, other_reader) -> None:
    body = reads_body((1, 0))
    receive(body)
    receipt = receive(body, by=other_reader)
    assert (receipt.reads_new, receipt.redelivered) == (1, False)
    assert (RawReport.objects.count(), TagRead.objects.count()) == (2, 2)


def test_nanoseconds_and_the_readers_own_words_are_kept(receive) -> None:
    body = json.dumps({"reads": [{"epc": item_epc(1), "read_at": "2026-09-05T01:07:01.785123456-0600"}]}).encode()
    receive(body)
    read = TagRead.objects.get()
    assert (read.read_at_ns, read.reader_time) == (1788592021_785123456, "2026-09-05T01:07:01.785123456-0600")


def test_heartbeats_are_one_row_and_say_that_the_reader_lives(reader, receive) -> None:
    assert receive(b"[]", at=AT).heartbeat
    assert receive(b"[]", at=AT + timedelta(seconds=30)).heartbeat
    reader.refresh_from_db()
    assert (reader.last_seen_at, reader.last_report_at) == (AT + timedelta(seconds=30), None)
    assert RawReport.objects.get().deliveries == 2
    receive(reads_body((1, 0)), at=AT + timedelta(seconds=60))
    reader.refresh_from_db()
    assert reader.last_report_at == reader.last_seen_at == AT + timedelta(seconds=60)


def test_overflow_is_recorded_as_a_gap_once(receive) -> None:
    receipt = receive(json.dumps([overflow()]).encode())
    assert (receipt.gaps, receipt.quarantined, receipt.heartbeat) == (1, 0, False)
    receive(json.dumps([overflow(), overflow(8)]).encode())
    assert sorted(CoverageGap.objects.values_list("purged", flat=True)) == [7, 8]
    assert QuarantinedEvent.objects.count() == 0


def test_a_poison_event_is_quarantined_with_its_reason(receive) -> None:
    good = {"epc": item_epc(1), "read_at": 1795356300000}
    body = json.dumps({"reads": [good, {"epc": "zz\x00\ud800", "read_at": 1}, {**good, "antenna": "٣"}]}).encode()
    receipt = receive(body)
    assert (receipt.reads_new, receipt.quarantined) == (1, 2)
    assert [fault.reason for fault in receipt.faults] == ["epc_malformed", "antenna_malformed"]
    kept = QuarantinedEvent.objects.values_list("position", "reason", "excerpt")
    assert [(position, reason) for position, reason, _ in kept] == [(1, "epc_malformed"), (2, "antenna_malformed")]
    assert "zz\\u0000\\ud800" in kept[0][2]


def test_a_flood_of_poison_is_counted_and_not_all_written_out(receive) -> None:
    receipt = receive(b"[" + b"0," * 4_999 + b"0]")
    assert receipt.quarantined == 5_000
    assert QuarantinedEvent.objects.count() == ingest.QUARANTINE_ROWS
    assert len(receipt.faults) == ingest.FAULTS_TOLD


def test_rubbish_leaves_nothing_behind(reader, receive) -> None:
    with pytest.raises(ReportRefused) as refused:
        receive(b'[{"eventType":"tagInventory"')
    assert refused.value.code == "report_unreadable"
    assert "not_json" in refused.value.sentence
    assert RawReport.objects.count() == 0
    reader.refresh_from_db()
    assert reader.last_seen_at is None


def test_a_report_is_stored_whole_or_not_at_all(receive, monkeypatch) -> None:
    half = json.dumps({"reads": [{"epc": item_epc(1), "read_at": 1795356300000}, {}]}).encode()

    def full_disk(*args: object, **options: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(QuarantinedEvent.objects, "bulk_create", full_disk)
    with pytest.raises(DatabaseError), transaction.atomic():
        receive(half)
    monkeypatch.undo()
    assert (RawReport.objects.count(), TagRead.objects.count()) == (0, 0)
    # The reader has had no answer and sends it again.
    assert receive(half).reads_new == 1


def test_a_content_type_of_any_length_is_kept_short(reader) -> None:
    record_report(reader=reader, body=b"[]", content_type="application/json;\x00" + "x" * 500, received_at=AT)
    assert len(RawReport.objects.get().content_type) == 100


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20)), max_size=8).map(
                lambda reads: reads_body(*reads)
            ),
            st.lists(st.sampled_from([overflow(), {"eventType": "x"}, None, 1, "\ud800"]), max_size=4).map(
                lambda events: json.dumps(events).encode()
            ),
        ),
        max_size=6,
    )
)
def test_any_sequence_of_reports_adds_up(reader: Reader, bodies: list[bytes]) -> None:
    with transaction.atomic():
        new = 0
        for body in bodies:
            try:
                new += record_report(reader=reader, body=body, content_type="", received_at=AT).reads_new
            except ReportRefused:
                assert not RawReport.objects.filter(sha256=hashlib.sha256(body).hexdigest()).exists()
        assert TagRead.objects.count() == new
        for report in RawReport.objects.all():
            parts = report.reads_new + report.reads_known + report.quarantined + report.gaps + report.other_events
            assert parts == report.events
            assert report.reads.count() == report.reads_new
        transaction.set_rollback(True)


def test_the_database_itself_refuses_a_second_copy_of_a_read(receive) -> None:
    receive(reads_body((1, 0)))
    read = TagRead.objects.get()
    read.pk = None
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor():
        read.save(force_insert=True)
