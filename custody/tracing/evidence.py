"""
What else is known of a window: raw reads, gaps of readers, alerts of zones, and what others did to the goods.

Entries are told as entries. Raw reads and silences are rows, told as such: of a read it is said what binds it.
"""

import hashlib
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from custody.entry_checks import own_verifiers
from custody.models import ZoneAlert
from custody.tracing.chains import Chain, TakeOver, Told, read_told
from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment
from ledger.tlog import canonical
from ledger.tlog.errors import NotCanonical
from shipments.models import AlertCode, CoverageGap, RawReport, Reader, ReaderAlert, ReadSession, TagRead

# So many stretches of raw reads, alerts and gaps are told of one window; the rest is counted.
MOST_TOLD = 50
# Reads of one reader no further apart than this are one stretch.
STRETCH = timedelta(minutes=10)

_OPENS = ("inspection", "seizure", "seal_broken", "seal_replaced", "unit_packed")
_NS = 1_000_000_000


@dataclass(frozen=True)
class RawReads:
    """
    A stretch of raw reads of one tag by one reader.

    :param bound: what binds its first report: ``entry`` (in the document of a handoff's session), ``anchor`` (an entry
        lists its digest), ``nothing`` yet, or ``altered``: its bytes are not those under the digest
    """

    reader: str
    site: str
    read_point: str
    first_at: datetime
    last_at: datetime
    reads: int
    session: str
    bound: str
    entry: int | None = None


@dataclass(frozen=True)
class ReaderGap:
    """A time in which a reader admitted lost reads (``overflow``) or was not heard (``silent``)."""

    kind: str
    reader: str
    read_point: str
    since: datetime
    until: datetime
    entry: int | None = None


@dataclass(frozen=True)
class NearAlert:
    """An alert of a zone at one of the two places, by its entry."""

    alert: str
    entry: int | None
    code: str
    zone: str
    site: str
    person: str
    first_seen_at: datetime
    decision: str
    fault: str = ""

    @property
    def stands(self) -> bool:
        """Whether it still says that somebody was near: not where an officer found it mistaken or allowed."""
        return self.decision not in (ZoneAlert.Decision.MISTAKEN, ZoneAlert.Decision.ALLOWED)


def opened_by_others(acts: Iterable[Told], custodians: Sequence[str]) -> list[Told]:
    """Of the entries in a window, those by which somebody else than its custodians came to the goods."""
    return [
        act
        for act in acts
        if act.kind in _OPENS and act.person not in custodians and act.body.get("act") != "packed"
    ]  # fmt: skip


def raw_reads(
    *, epcs: Sequence[str], since: datetime, until: datetime, readers: Sequence[uuid.UUID] | None = None
) -> dict[str, list[RawReads]]:
    """
    Return for each tag that was read in a span the stretches of its raw reads, by the readers' own clocks.

    By the index on reader and time: it costs what all the reads in the span cost to pass over.
    """
    asked = readers if readers is not None else list(Reader.objects.order_by().values_list("pk", flat=True))
    rows = (
        TagRead.objects.filter(
            reader__in=asked,
            read_at_ns__gte=int(since.timestamp() * _NS),
            read_at_ns__lte=int(until.timestamp() * _NS),
            epc_hex__in=list(epcs),
        )
        .order_by()
        .values_list("read_at_ns", "reader_id", "report_id", "epc_hex")
    )
    stretches: dict[str, list[_Stretch]] = {}
    newest: dict[tuple[str, uuid.UUID], _Stretch] = {}
    for at_ns, reader, report, epc_hex in sorted(rows):
        held = newest.get((epc_hex, reader))
        if held is not None and at_ns - held.last_ns <= STRETCH.total_seconds() * _NS:
            held.last_ns, held.reads = at_ns, held.reads + 1
        else:
            newest[epc_hex, reader] = stretch = _Stretch(report, at_ns, at_ns)
            stretches.setdefault(epc_hex, []).append(stretch)
    return _describe({epc_hex: found[:MOST_TOLD] for epc_hex, found in stretches.items()})


@dataclass
class _Stretch:
    report: int
    first_ns: int
    last_ns: int
    reads: int = 1


def _describe(stretches: dict[str, list[_Stretch]]) -> dict[str, list[RawReads]]:
    reports = (
        RawReport.objects.filter(pk__in={stretch.report for found in stretches.values() for stretch in found})
        .select_related("reader", "read_point__site", "session", "anchor__statement")
        .in_bulk()
    )
    binding = {pk: _binding(report) for pk, report in reports.items()}
    return {
        epc_hex: [_raw_reads(stretch, reports[stretch.report], *binding[stretch.report]) for stretch in found]
        for epc_hex, found in stretches.items()
    }


def _raw_reads(stretch: _Stretch, report: RawReport, bound: str, entry: int | None) -> RawReads:
    return RawReads(
        reader=report.reader.name,
        site=report.read_point.site.gln,
        read_point=report.read_point.sgln,
        first_at=_moment(stretch.first_ns),
        last_at=_moment(stretch.last_ns),
        reads=stretch.reads,
        session=report.session_id.urn if report.session_id else "",
        bound=bound,
        entry=entry,
    )


def _binding(report: RawReport) -> tuple[str, int | None]:
    """Say what binds a report's bytes, after holding them against it."""
    if hashlib.sha256(attachments.as_bytes(report.body)).hexdigest() != report.sha256:
        return "altered", None
    if report.anchor is not None and report.anchor.statement.entry_id is not None:
        try:
            document = canonical.decode(attachments.load(report.anchor.document_sha256))
            listed = any(digest == report.sha256 for _reader, digest, _at in document["reports"])
        except (Attachment.DoesNotExist, AttachmentChanged, NotCanonical, KeyError, TypeError, ValueError):
            listed = False
        return ("anchor", report.anchor.statement.entry_id) if listed else ("altered", None)
    if report.session is not None and _in_document(report.session, report.sha256):
        return "entry", None
    return "nothing", None


def _in_document(session: ReadSession, sha256: str) -> bool:
    try:
        document = canonical.decode(attachments.load(session.document_sha256))
        return sha256 in document["reports"]
    except (Attachment.DoesNotExist, AttachmentChanged, NotCanonical, KeyError, TypeError):
        return False


def reader_gaps(*, read_points: Sequence[str], since: datetime, until: datetime) -> list[ReaderGap]:
    """Return when readers of these read points lost reads or were silent, as far as it touches the span."""
    readers = {
        reader.pk: reader
        for reader in Reader.objects.filter(read_point__sgln__in=read_points).select_related("read_point")
    }
    overflows = CoverageGap.objects.filter(
        reader__in=list(readers),
        first_ns__lte=int(until.timestamp() * _NS),
        last_ns__gte=int(since.timestamp() * _NS),
    ).select_related("statement")
    gaps = [
        ReaderGap(
            "overflow",
            readers[gap.reader_id].name,
            readers[gap.reader_id].read_point.sgln,
            _moment(gap.first_ns),
            _moment(gap.last_ns),
            gap.statement.entry_id if gap.statement else None,
        )
        for gap in overflows[:MOST_TOLD]
    ]
    silences = ReaderAlert.objects.filter(code=AlertCode.SILENT, reader__in=list(readers), since__lte=until)
    for alert in silences.order_by("-since")[:MOST_TOLD]:
        assert alert.reader_id is not None
        reader = readers[alert.reader_id]
        # It was silent until its next report, whatever that was.
        ended = (
            RawReport.objects.filter(read_point=reader.read_point, reader=reader, received_at__gt=alert.since)
            .order_by("received_at")
            .values_list("received_at", flat=True)
            .first()
        )
        if ended is None or ended >= since:
            gaps.append(ReaderGap("silent", reader.name, reader.read_point.sgln, alert.since, ended or until))
    return sorted(gaps, key=lambda gap: gap.since)


def zone_alerts(*, sites: Sequence[str], since: datetime, until: datetime) -> list[NearAlert]:
    """Return the alerts of zones at these sites whose stay touches the span, each read from its entry."""
    rows = (
        ZoneAlert.objects.filter(
            Q(event__last_seen_at__gte=since), Q(event__first_seen_at__lte=until), event__zone__site__gln__in=sites
        )
        .select_related("event__zone__site", "statement__entry")
        .order_by("event__first_seen_at")[:MOST_TOLD]
    )
    verifiers = own_verifiers() if rows else ()
    alerts = []
    for row in rows:
        near = NearAlert(
            alert=row.pk.urn,
            entry=row.statement.entry_id,
            code=row.code,
            zone=row.event.zone_id.urn,
            site=row.event.zone.site.gln,
            person=row.event.person_id.urn if row.event.person_id else "",
            first_seen_at=row.event.first_seen_at,
            decision=row.decision,
        )
        if row.statement.entry is not None:
            sealed = read_told(row.statement.entry, verifiers)
            if sealed.fault:
                near = replace(near, fault=sealed.fault)
            elif (sealed.body.get("alert"), sealed.body.get("code")) != (near.alert, near.code):
                near = replace(near, code=str(sealed.body.get("code", "")), fault="row_differs")
        alerts.append(near)
    return alerts


def chip_was_told(takeover: TakeOver, epc_hex: str) -> bool:
    """Tell whether the session that saw the tag also read a chip number, by the document that the entry names."""
    try:
        document = canonical.decode(attachments.load(takeover.document))
        return any(tag["epc"] == epc_hex and tag.get("tids") for tag in document["tags"])
    except (Attachment.DoesNotExist, AttachmentChanged, NotCanonical, KeyError, TypeError):
        return False


def readers_elsewhere(sites: Collection[str]) -> list[uuid.UUID]:
    """Return the readers at other sites than these."""
    return list(Reader.objects.exclude(read_point__site__gln__in=sites).order_by().values_list("pk", flat=True))


def sites_of(chain: Chain) -> set[str]:
    return {one.site for one in chain.takeovers}


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / _NS, tz=UTC)
