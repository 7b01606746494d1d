"""Reports are bound into the ledger soon, once, and so that a change of a single stored byte is found and named."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from ledger import attachments, sweeps
from ledger.models import Attachment, Entry, Statement
from ledger.sealing import seal_all
from ledger.tlog import canonical, merkle
from ledger.tlog.attachment_names import named_in
from ledger.tlog.entry import parse_entry
from shipments import anchoring
from shipments.anchor_verification import ReportsDiffer, verify_reads
from shipments.anchoring import anchor_reports
from shipments.models import CoverageGap, RawReport, ReportAnchor
from tests.shipments.conftest import item_epc

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 14, 5, 0, 123456, tzinfo=UTC)


def body_of(serial: int, **extra: object) -> bytes:
    return json.dumps({"reads": [{"epc": item_epc(serial), "read_at": 1795356300000}], **extra}).encode()


def overflow(second: int, purged: int = 7) -> dict[str, object]:
    return {
        "timestamp": "2026-11-02T07:30:00Z",
        "eventType": "overflow",
        "overflowEvent": {
            "firstEventTimestamp": f"2026-11-02T07:24:{second:02d}Z",
            "lastEventTimestamp": "2026-11-02T07:25:00Z",
            "eventsPurged": purged,
        },
    }


def anchors() -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind="reads_anchored").order_by("id")]


@pytest.fixture
def sealed(receive, reader, other_reader) -> list[dict]:
    """Three reports at two sites, anchored and sealed."""
    receive(body_of(1), at=AT)
    receive(body_of(2), at=AT + timedelta(seconds=2))
    receive(body_of(3), by=other_reader, at=AT)
    assert anchor_reports() == 3
    seal_all()
    return anchors()


def change(report: RawReport, **columns: object) -> None:
    RawReport.objects.filter(pk=report.pk).update(**columns)


def test_an_entry_for_each_site_holds_the_root_over_its_reports(sealed, door, reader) -> None:
    assert Entry.objects.filter(kind="reads_anchored").count() == 2
    entry = Entry.objects.get(kind="reads_anchored", subject=door.site.pk.urn)
    body = parse_entry(bytes(entry.note)).body
    digests = sorted(hashlib.sha256(body_of(serial)).digest() for serial in (1, 2))
    assert body == {
        "anchor": ReportAnchor.objects.get(site=door.site).pk.urn,
        "site": door.site.gln,
        "reports": 2,
        "root": merkle.root([merkle.leaf_hash(digest) for digest in digests]).hex(),
        "document": body["document"],
        "first_received_at": "2026-11-22T14:05:00.123Z",
        "last_received_at": "2026-11-22T14:05:02.123Z",
        "readers": [reader.pk.urn],
        "readers_total": 1,
    }
    document = canonical.decode(attachments.load(body["document"]))
    assert document["readers"] == [reader.pk.urn]
    assert [(place, digest) for place, digest, _ in document["reports"]] == [(0, digest.hex()) for digest in digests]
    assert list(named_in("reads_anchored", body)) == [body["document"]]


def test_what_is_anchored_is_not_anchored_again(sealed, receive) -> None:
    assert anchor_reports() == 0
    receive(body_of(1))  # the same bytes again: a re-delivery
    assert anchor_reports() == 0
    assert len(anchors()) == 2


def test_an_idle_reader_is_one_report_and_one_entry_for_ever(receive) -> None:
    for minute in range(5):
        receive(b"[]", at=AT + timedelta(minutes=minute))
        anchor_reports()
    assert len(anchors()) == 1


def test_a_report_that_was_committed_late_is_not_skipped(receive) -> None:
    receive(body_of(1))
    receive(body_of(2))
    first = RawReport.objects.order_by("id").first()
    assert anchor_reports() == 2
    # As where a lower id is committed after a higher one was anchored.
    RawReport.objects.filter(pk=first.pk).update(anchor=None)
    assert anchor_reports() == 1
    assert not RawReport.objects.filter(anchor=None).exists()


def test_a_batch_is_bounded_and_the_rest_goes_into_the_next(receive, settings) -> None:
    settings.READS_ANCHOR_BATCH = 2
    for serial in range(1, 6):
        receive(body_of(serial))
    assert anchor_reports() == 5
    assert [body["reports"] for body in anchors()] == [2, 2, 1]
    assert verify_reads().reports == 5


def test_no_entry_without_reports(db) -> None:
    assert anchor_reports() == 0
    assert not Statement.objects.exists()


def test_two_sweepers_at_once_bind_each_report_once(receive, monkeypatch) -> None:
    receive(body_of(1))
    waiting = anchoring._waiting()
    anchor_reports()
    monkeypatch.setattr(anchoring, "_waiting", lambda: waiting)
    with pytest.raises(anchoring.AnchoredTwice):
        anchor_reports()
    assert ReportAnchor.objects.count() == len(anchors()) == 1


def test_the_index_of_what_waits_is_the_one_that_is_asked(receive) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL scans a small table whatever index there is")
    receive(body_of(1))
    waiting = RawReport.objects.filter(anchor__isnull=True).order_by("id").values_list("id")[:10]
    assert "report_not_anchored" in waiting.explain()


def test_a_sweep_anchors_and_seals(receive, settings) -> None:
    parts = [part for part in settings.LEDGER_SWEEP_PARTS if part[0] == "anchoring"]
    settings.LEDGER_SWEEP_PARTS = [(name, path, 0) for name, path, _ in parts]
    receive(body_of(1))
    assert sweeps.sweep() == ()
    sweeps.sweep()
    assert Entry.objects.filter(kind="reads_anchored").count() == 1


# Gaps ----------------------------------------------------------------------------------------------------------------


def gaps() -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind="read_gap").order_by("id")]


def test_the_gaps_that_a_reader_admits_are_one_entry_a_sweep(receive, reader, other_reader, door) -> None:
    receive(json.dumps([overflow(1), overflow(2, purged=5)]).encode())
    receive(json.dumps([overflow(3)]).encode(), by=other_reader)
    anchor_reports()
    assert anchor_reports() == 0
    told = {body["reader"]: body for body in gaps()}
    assert set(told) == {reader.pk.urn, other_reader.pk.urn}
    assert len(gaps()) == 2
    assert told[reader.pk.urn] == {
        "reader": reader.pk.urn,
        "site": door.site.gln,
        "read_point": door.sgln,
        "gaps": [
            {"first": "2026-11-02T07:24:01.000000000Z", "last": "2026-11-02T07:25:00.000000000Z", "purged": "7"},
            {"first": "2026-11-02T07:24:02.000000000Z", "last": "2026-11-02T07:25:00.000000000Z", "purged": "5"},
        ],
        "gaps_total": 2,
        "purged_total": "12",
    }
    assert [body["gaps"] for body in anchors()] == [2, 1]
    receive(json.dumps([overflow(4)]).encode())
    anchor_reports()
    assert len(gaps()) == 3
    assert not CoverageGap.objects.filter(statement=None).exists()


def test_more_gaps_than_an_entry_lists_stand_in_its_document(receive) -> None:
    receive(json.dumps([overflow(second % 60, purged=second + 1) for second in range(101)]).encode())
    anchor_reports()
    [body] = gaps()
    assert (len(body["gaps"]), body["gaps_total"]) == (100, 101)
    assert len(canonical.decode(attachments.load(body["document"]))["gaps"]) == 101
    assert list(named_in("read_gap", body)) == [body["document"]]
    seal_all()


# Verification --------------------------------------------------------------------------------------------------------


def test_reports_that_nobody_touched_are_what_was_anchored(sealed, receive) -> None:
    receive(body_of(9))
    verified = verify_reads()
    assert (verified.anchors, verified.reports, verified.waiting) == (2, 3, 1)
    out = StringIO()
    call_command("verify_reads", stdout=out)
    assert "Every report is what was anchored." in out.getvalue()


def test_a_changed_byte_is_found_and_the_report_is_named(sealed, reader) -> None:
    report = RawReport.objects.get(sha256=hashlib.sha256(body_of(2)).hexdigest())
    changed = bytes(report.body).replace(b"1795356300000", b"1795356300001")
    change(report, body=changed)
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    entry = Entry.objects.get(kind="reads_anchored", subject=reader.read_point.site.pk.urn)
    assert (differ.value.code, differ.value.report, differ.value.reader) == (
        "report_changed",
        report.sha256,
        reader.pk.urn,
    )
    assert (differ.value.entry, differ.value.found) == (entry.index, hashlib.sha256(changed).hexdigest())
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_reads", stdout=out)
    assert ended.value.code == 1
    for told in ("report_changed", report.sha256, reader.name, str(entry.index), differ.value.found):
        assert told in out.getvalue()


def test_the_digest_beside_the_report_may_be_changed_as_well(sealed) -> None:
    report = RawReport.objects.get(sha256=hashlib.sha256(body_of(2)).hexdigest())
    change(report, body=body_of(4), sha256=hashlib.sha256(body_of(4)).hexdigest())
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    assert (differ.value.code, differ.value.report) == ("report_missing", report.sha256)
    assert differ.value.found == hashlib.sha256(body_of(4)).hexdigest()


def test_a_report_that_was_moved_to_another_time(sealed) -> None:
    report = RawReport.objects.get(sha256=hashlib.sha256(body_of(2)).hexdigest())
    change(report, received_at=AT - timedelta(hours=1))
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    assert (differ.value.code, differ.value.found) == ("report_time_changed", "2026-11-22T13:05:00.123Z")


def test_a_report_that_was_slipped_under_an_anchor(sealed, receive) -> None:
    receive(body_of(5))
    RawReport.objects.filter(anchor=None).update(anchor=ReportAnchor.objects.first())
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    assert differ.value.code == "report_unlisted"


def test_a_report_that_waits_for_its_anchor_is_held_against_its_own_digest(receive) -> None:
    receive(body_of(1))
    change(RawReport.objects.get(), body=body_of(2))
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    assert (differ.value.code, differ.value.entry) == ("report_changed", None)


def test_an_anchor_that_waits_to_be_sealed_counts(receive, monkeypatch) -> None:
    receive(body_of(1))
    anchor_reports()
    Statement.objects.update(entry=None)
    assert verify_reads().anchors == 1
    change(RawReport.objects.get(), body=body_of(2))
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    assert differ.value.code == "report_changed"


@pytest.mark.parametrize(
    ("code", "content"), [("anchor_document_missing", None), ("anchor_document_changed", b'{"v":1}')]
)
def test_an_anchors_document(sealed, code, content) -> None:
    from ledger import append_only

    document = sealed[0]["document"]
    append_only.disarm(connection)
    try:
        if content is None:
            Attachment.objects.filter(pk=document).delete()
        else:
            Attachment.objects.filter(pk=document).update(content=content)
    finally:
        append_only.arm(connection)
    with pytest.raises(ReportsDiffer) as differ:
        verify_reads()
    assert (differ.value.code, differ.value.expected) == (code, document)
