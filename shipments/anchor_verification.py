"""
Hold the stored reports against the anchors in the ledger, and name the first that is not what it was.

Trusts the sealed entries, which ``manage.py verify_ledger`` verifies, and nothing else: neither the digest beside a
report nor the row that says which anchor it is under.

1. Each ``reads_anchored`` entry, in the log's order: its document is what it names, and adds up to its root.
2. Each report that the document lists: it is there, its bytes have that digest, and it arrived when it says.
3. Anchors that wait to be sealed: the same, by their statements.
4. No report claims an anchor that does not list it.
5. Reports that no anchor holds yet: their bytes fit the digest beside them, which is all that can be said of them.
"""

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment, Entry
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import NotCanonical, TlogError
from ledger.tlog.times import format_time
from shipments.anchoring import reports_root
from shipments.models import RawReport, ReportAnchor

# Bodies are read one by one; so many digests are asked for at once.
AT_ONCE = 500


class ReportsDiffer(Exception):
    """
    The first thing that is not as it was anchored.

    :ivar code: ``report_changed``, ``report_missing``, ``report_time_changed``, ``report_unlisted``,
        ``anchor_unreadable``, ``anchor_document_missing``, ``anchor_document_changed`` or ``anchor_root``
    :ivar entry: the index of the entry that says so; None where it is not sealed yet
    """

    def __init__(
        self, code: str, *, expected: str, found: str, entry: int | None = None, reader: str = "", report: str = ""
    ) -> None:
        self.code, self.expected, self.found = code, expected, found
        self.entry, self.reader, self.report = entry, reader, report
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class ReadsVerified:
    """How much was held against what: anchors and the reports under them, and the reports that wait for one."""

    anchors: int
    reports: int
    waiting: int


def verify_reads(*, on_progress: Callable[[int], None] | None = None) -> ReadsVerified:
    """
    Verify every stored report.

    :param on_progress: told how many reports were verified so far
    :raises ReportsDiffer: at the first one that is not as it was anchored
    """
    # What is anchored while this runs is left to the next run.
    begun = set(ReportAnchor.objects.values_list("pk", flat=True))
    listed: dict[uuid.UUID, int] = {}
    reports = 0
    for index, body in _anchors(begun, listed):
        anchor, rows = _read_document(index, body)
        _compare(index, anchor, rows)
        listed[anchor] = len(rows)
        reports += len(rows)
        if on_progress is not None:
            on_progress(reports)
    _find_unlisted(begun, listed)
    return ReadsVerified(len(listed), reports, _check_waiting())


def _anchors(begun: set[uuid.UUID], listed: Mapping[uuid.UUID, int]) -> Iterator[tuple[int | None, dict[str, Any]]]:
    for entry in Entry.objects.filter(kind="reads_anchored").order_by("index").iterator(chunk_size=100):
        yield entry.index, _sealed_body(entry)
    # Waiting to be sealed when this began, or hidden from the query above by a column.
    for pk in sorted(begun - listed.keys()):
        statement = ReportAnchor.objects.select_related("statement__entry").get(pk=pk).statement
        if statement.entry is not None:
            yield statement.entry.index, _sealed_body(statement.entry)
            continue
        try:
            body = canonical.decode(attachments.as_bytes(statement.body))
        except NotCanonical as error:
            raise ReportsDiffer("anchor_unreadable", expected="a statement", found=str(error)) from error
        yield None, body if isinstance(body, dict) else {}


def _sealed_body(entry: Entry) -> dict[str, Any]:
    try:
        return parse_entry(bytes(entry.note)).body
    except TlogError as error:
        found = str(error)
        raise ReportsDiffer("anchor_unreadable", expected="an entry", found=found, entry=entry.index) from error


def _read_document(index: int | None, body: dict[str, Any]) -> tuple[uuid.UUID, list[tuple[uuid.UUID, str, str]]]:
    """Return the anchor's identifier, and of each report its reader, digest and arrival."""
    try:
        named = body["document"]
        document = canonical.decode(attachments.load(named))
        readers = [uuid.UUID(urn) for urn in document["readers"]]
        rows = [(readers[place], str(digest), str(arrived)) for place, digest, arrived in document["reports"]]
        anchor = uuid.UUID(body["anchor"])
        root, expected = reports_root(digest for _, digest, _ in rows), str(body["root"])
    except Attachment.DoesNotExist as error:
        raise ReportsDiffer("anchor_document_missing", expected=named, found="nothing", entry=index) from error
    except AttachmentChanged as error:
        raise ReportsDiffer(
            "anchor_document_changed", expected=named, found=error.facts["found"], entry=index
        ) from error
    except (NotCanonical, KeyError, IndexError, TypeError, ValueError) as error:
        raise ReportsDiffer("anchor_unreadable", expected="an anchor", found=str(error), entry=index) from error
    if root != expected or len(rows) != body.get("reports"):
        raise ReportsDiffer("anchor_root", expected=expected, found=root, entry=index)
    return anchor, rows


def _compare(index: int | None, anchor: uuid.UUID, rows: list[tuple[uuid.UUID, str, str]]) -> None:
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        found = _stored(part)
        for reader, digest, arrived in part:
            stored = found.get((reader, digest))
            facts: dict[str, Any] = {"entry": index, "reader": reader.urn, "report": digest}
            if stored is None:
                raise ReportsDiffer(
                    "report_missing", expected=digest, found=_stands_instead(anchor, reader, rows), **facts
                )
            if stored[0] != digest:
                raise ReportsDiffer("report_changed", expected=digest, found=stored[0], **facts)
            if stored[1] != arrived:
                raise ReportsDiffer("report_time_changed", expected=arrived, found=stored[1], **facts)


def _stored(rows: list[tuple[uuid.UUID, str, str]]) -> dict[tuple[uuid.UUID, str], tuple[str, str]]:
    """Map reader and listed digest to what the stored bytes hash to now, and when they arrived."""
    by_reader: defaultdict[uuid.UUID, list[str]] = defaultdict(list)
    for reader, digest, _ in rows:
        by_reader[reader].append(digest)
    found: dict[tuple[uuid.UUID, str], tuple[str, str]] = {}
    for reader, digests in by_reader.items():
        reports = RawReport.objects.filter(reader=reader, sha256__in=digests).order_by()
        for digest, body, received_at in reports.values_list("sha256", "body", "received_at").iterator(chunk_size=16):
            found[reader, digest] = (_digest(body), format_time(received_at))
    return found


def _stands_instead(anchor: uuid.UUID, reader: uuid.UUID, rows: list[tuple[uuid.UUID, str, str]]) -> str:
    """Say which report of that reader claims the anchor and is not in it: the one that was put in the place."""
    known = {digest for of, digest, _ in rows if of == reader}
    claimed = RawReport.objects.filter(anchor=anchor, reader=reader).order_by("id").values_list("sha256", flat=True)
    return next((digest for digest in claimed.iterator(chunk_size=1000) if digest not in known), "nothing")


def _find_unlisted(begun: set[uuid.UUID], listed: Mapping[uuid.UUID, int]) -> None:
    claimed = RawReport.objects.filter(anchor__isnull=False).order_by().values_list("anchor").annotate(n=Count("pk"))
    for anchor, count in claimed:
        expected = listed.get(anchor, 0)
        if count != expected and anchor in begun:
            raise ReportsDiffer(
                "report_unlisted", expected=f"{expected} reports", found=f"{count} reports", report=anchor.urn
            )


def _check_waiting() -> int:
    waiting = 0
    reports = RawReport.objects.filter(anchor__isnull=True).order_by("id")
    for reader, digest, body in reports.values_list("reader_id", "sha256", "body").iterator(chunk_size=16):
        waiting += 1
        if (found := _digest(body)) != digest:
            raise ReportsDiffer("report_changed", expected=digest, found=found, reader=reader.urn, report=digest)
    return waiting


def _digest(body: bytes | memoryview | str) -> str:
    return hashlib.sha256(attachments.as_bytes(body)).hexdigest()
