"""
Store what a reader posted: its bytes once, its reads once, its faults beside them. Nothing lost, nothing twice.

The caller has authenticated the reader. All of a report is committed together; until then the reader has no answer and
will send it again, which changes nothing.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.models import (
    NO_ANTENNA,
    NO_EVENT_NUMBER,
    CoverageGap,
    QuarantinedEvent,
    RawReport,
    Reader,
    TagRead,
)
from shipments.reader_alerts import observe_report
from shipments.readers.json_body import ReportUnreadable
from shipments.readers.registry import parse_report
from shipments.readers.report import Fault, Parsed

# A flood of poison must not become a flood of rows: the rest is counted, and stands in the report's bytes.
QUARANTINE_ROWS = 1_000
FAULTS_TOLD = 10
BATCH = 5_000


class ReportRefused(Refusal):
    code = "report_unreadable"
    message = _("The report cannot be read (%(reason)s %(detail)s). Send UTF-8 JSON in one of the documented forms.")
    status = 400


@dataclass(frozen=True, slots=True)
class ReportReceipt:
    """What became of a report. ``redelivered``: the same bytes had come before, and nothing was stored."""

    reads_new: int
    reads_known: int
    quarantined: int
    gaps: int
    heartbeat: bool
    redelivered: bool
    dialect: str
    faults: tuple[Fault, ...] = ()


def record_report(*, reader: Reader, body: bytes, content_type: str, received_at: datetime) -> ReportReceipt:
    """
    Store one report of ``reader``.

    :param body: the bytes as posted, after Content-Encoding was undone
    :raises ReportRefused: where the bytes are no JSON report; nothing is stored
    """
    sha256 = hashlib.sha256(body).hexdigest()
    # Parsed before the transaction opens: SQLite's write lock is not held over it.
    parsed = None
    if not RawReport.objects.filter(reader=reader, sha256=sha256).exists():
        parsed = _parse(body, reader.dialect)
    with transaction.atomic():
        report = None
        if parsed is not None:
            report = _store_report(reader, body, sha256, content_type, received_at, parsed)
        # None too where the same bytes arrived on another connection in the meantime and were first.
        receipt = _count_redelivery(reader, sha256, received_at) if report is None else _store(report, parsed)
        seen = {"last_seen_at": received_at}
        if not receipt.heartbeat:
            seen["last_report_at"] = received_at
        # Last, for it locks the reader's row until the commit.
        Reader.objects.filter(pk=reader.pk).update(**seen)
    if parsed is not None and not receipt.redelivered:
        observe_report(reader=reader, parsed=parsed, received_at=received_at)
    return receipt


def _parse(body: bytes, hint: str) -> Parsed:
    try:
        return parse_report(body, hint=hint)
    except ReportUnreadable as error:
        raise ReportRefused(reason=error.reason, detail=error.detail) from error


def _store_report(
    reader: Reader, body: bytes, sha256: str, content_type: str, received_at: datetime, parsed: Parsed
) -> RawReport | None:
    report, created = RawReport.objects.get_or_create(
        reader=reader,
        sha256=sha256,
        defaults={
            "read_point_id": reader.read_point_id,
            "body": body,
            "content_type": "".join(letter for letter in content_type if letter.isprintable())[:100],
            "dialect": parsed.dialect,
            "received_at": received_at,
            "last_received_at": received_at,
            "events": parsed.events,
            "quarantined": len(parsed.faults),
            "other_events": parsed.other_events,
            "gaps": len(parsed.gaps),
        },
    )
    return report if created else None


def _store(report: RawReport, parsed: Parsed | None) -> ReportReceipt:
    assert parsed is not None
    _store_reads(report, parsed)
    CoverageGap.objects.bulk_create(
        [
            CoverageGap(
                reader_id=report.reader_id,
                report=report,
                first_ns=gap.first_ns,
                last_ns=gap.last_ns,
                purged=gap.purged,
            )
            for gap in parsed.gaps
        ],
        ignore_conflicts=True,
        batch_size=BATCH,
    )
    QuarantinedEvent.objects.bulk_create(
        [
            QuarantinedEvent(report=report, position=fault.position, reason=fault.reason, excerpt=fault.excerpt)
            for fault in parsed.faults[:QUARANTINE_ROWS]
        ],
        batch_size=BATCH,
    )
    # The rows that carry this report are the new ones: a conflict leaves the earlier report's row in place.
    report.reads_new = report.reads.count()
    report.reads_known = len(parsed.reads) - report.reads_new
    report.save(update_fields=["reads_new", "reads_known"])
    return _receipt(report, faults=tuple(parsed.faults[:FAULTS_TOLD]))


def _store_reads(report: RawReport, parsed: Parsed) -> None:
    rows = [
        TagRead(
            reader_id=report.reader_id,
            report=report,
            epc_hex=read.epc_hex,
            antenna=NO_ANTENNA if read.antenna is None else read.antenna,
            read_at_ns=read.read_at_ns,
            reader_time=read.reader_time,
            rssi_cdbm=read.rssi_cdbm,
            event_number=NO_EVENT_NUMBER if read.event_number is None else read.event_number,
            tid=read.tid,
        )
        for read in parsed.reads
    ]
    # In the order of the unique index: two batches with the same reads in another order would wait for each other.
    rows.sort(key=lambda row: (row.read_at_ns, row.epc_hex, row.antenna, row.event_number))
    TagRead.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)


def _count_redelivery(reader: Reader, sha256: str, received_at: datetime) -> ReportReceipt:
    known = RawReport.objects.filter(reader=reader, sha256=sha256)
    known.update(deliveries=F("deliveries") + 1, last_received_at=received_at)
    return _receipt(known.defer("body").get(), redelivered=True)


def _receipt(report: RawReport, *, redelivered: bool = False, faults: tuple[Fault, ...] = ()) -> ReportReceipt:
    return ReportReceipt(
        reads_new=0 if redelivered else report.reads_new,
        reads_known=report.reads_known + (report.reads_new if redelivered else 0),
        quarantined=report.quarantined,
        gaps=report.gaps,
        heartbeat=report.events == 0,
        redelivered=redelivered,
        dialect=report.dialect,
        faults=faults,
    )
