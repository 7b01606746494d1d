"""
Store what a reader posted: its bytes once, its reads once, its faults beside them. Nothing lost, nothing twice.

The caller has authenticated the reader. All of a report is committed together; until then the reader has no answer and
will send it again, which changes nothing.
"""

import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.models import CoverageGap, QuarantinedEvent, RawReport, Reader
from shipments.reader_alerts import observe_report
from shipments.readers.json_body import ReportUnreadable
from shipments.readers.registry import parse_report
from shipments.readers.report import Fault, Parsed
from shipments.report_rows import insert_reads, insert_report
from shipments.triggers import act_on_triggers

# A flood of poison must not become a flood of rows: the rest is counted, and stands in the report's bytes.
QUARANTINE_ROWS = 1_000
FAULTS_TOLD = 10
BATCH = 5_000
SIGN_OF_LIFE = timedelta(seconds=1)
_WRITING = Lock()


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
    parsed = _parse(reader, body, sha256)
    with _turn_to_write(), transaction.atomic():
        report = None if parsed is None else _store(reader, body, sha256, content_type, received_at, parsed)
        if report is None or parsed is None:
            receipt = _count_redelivery(reader, sha256, received_at)
        else:
            receipt = _receipt(report, faults=tuple(parsed.faults[:FAULTS_TOLD]))
            act_on_triggers(reader=reader, triggers=parsed.triggers, received_at=received_at)
        # Last, for it locks the reader's row until the commit.
        _note_sign_of_life(reader, received_at, heartbeat=receipt.heartbeat)
    if parsed is not None and not receipt.redelivered:
        observe_report(reader=reader, parsed=parsed, received_at=received_at)
    return receipt


def _turn_to_write() -> AbstractContextManager[object]:
    # SQLite has one writer at a time, and whoever waits for its lock sleeps ever longer and is overtaken. Threads of
    # this process wait for each other instead. Not inside a transaction: that one may hold SQLite's lock already.
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        return _WRITING
    return nullcontext()


def _parse(reader: Reader, body: bytes, sha256: str) -> Parsed | None:
    """Return what the report says, or None where it was stored before and cannot be read any more."""
    try:
        return parse_report(body, hint=reader.dialect)
    except ReportUnreadable as error:
        # What was accepted once is accepted for good: its reader waits for the answer that it did not get.
        if RawReport.objects.filter(reader=reader, sha256=sha256).exists():
            return None
        raise ReportRefused(reason=error.reason, detail=error.detail) from error


def _store(
    reader: Reader, body: bytes, sha256: str, content_type: str, received_at: datetime, parsed: Parsed
) -> RawReport | None:
    """Store the report and all that it says; None, and nothing, where the same bytes are there already."""
    report = RawReport(
        reader_id=reader.pk,
        read_point_id=reader.read_point_id,
        body=body,
        sha256=sha256,
        content_type="".join(letter for letter in content_type if letter.isprintable())[:100],
        dialect=parsed.dialect,
        received_at=received_at,
        last_received_at=received_at,
        events=parsed.events,
        reads_new=len(parsed.reads),
        quarantined=len(parsed.faults),
        other_events=parsed.other_events,
        gaps=len(parsed.gaps),
    )
    if not insert_report(report):
        return None
    new = insert_reads(report, parsed.reads) if parsed.reads else 0
    if new != len(parsed.reads):
        report.reads_new, report.reads_known = new, len(parsed.reads) - new
        report.save(update_fields=["reads_new", "reads_known"])
    if parsed.gaps:
        _store_gaps(report, parsed)
    if parsed.faults:
        _store_faults(report, parsed)
    return report


def _store_gaps(report: RawReport, parsed: Parsed) -> None:
    # In the order of their unique index, as reads are.
    gaps = sorted(parsed.gaps, key=lambda gap: (gap.first_ns, gap.last_ns, gap.purged))
    CoverageGap.objects.bulk_create(
        [
            CoverageGap(
                reader_id=report.reader_id,
                report=report,
                first_ns=gap.first_ns,
                last_ns=gap.last_ns,
                purged=gap.purged,
            )
            for gap in gaps
        ],
        ignore_conflicts=True,
        batch_size=BATCH,
    )


def _store_faults(report: RawReport, parsed: Parsed) -> None:
    QuarantinedEvent.objects.bulk_create(
        [
            QuarantinedEvent(report=report, position=fault.position, reason=fault.reason, excerpt=fault.excerpt)
            for fault in parsed.faults[:QUARANTINE_ROWS]
        ],
        batch_size=BATCH,
    )


def _note_sign_of_life(reader: Reader, received_at: datetime, *, heartbeat: bool) -> None:
    """Write when the reader was heard, to the second: each report's own time stands with the report."""
    heard = {"last_seen_at": reader.last_seen_at} | ({} if heartbeat else {"last_report_at": reader.last_report_at})
    stale = [name for name, before in heard.items() if before is None or abs(received_at - before) >= SIGN_OF_LIFE]
    if stale:
        Reader.objects.filter(pk=reader.pk).update(**dict.fromkeys(stale, received_at))


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
