"""
Read sessions: which tags a read point saw between opening and freezing. What counts is when we received a report, by
our clock: a reader's own may be wrong.

A frozen session is its document, stored by digest; the rows are not asked again.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Min, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from ledger import attachments
from ledger.tlog import canonical, merkle
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.epc import decode_epc
from shipments.models import NO_ANTENNA, CoverageGap, RawReport, Reader, ReadPoint, ReadSession, TagRead
from shipments.readers.report import format_ns, parse_time


class ReadPointBusy(Refusal):
    code = "read_point_busy"
    message = _(
        "%(read_point)s is reading for another handoff. Finish or cancel that one, or choose another read point."
    )


@dataclass(frozen=True, slots=True)
class SeenTag:
    """One tag of a read session. Times are the reader's, in nanoseconds since 1970."""

    epc_hex: str
    uri: str
    reads: int
    first_read_at_ns: int
    last_read_at_ns: int
    strongest_rssi_cdbm: int | None
    antennas: tuple[int, ...]


def open_read_session(*, read_point: ReadPoint, opened_by: User) -> ReadSession:
    """
    Let the reads at ``read_point`` count from now on.

    :raises ReadPointBusy: where a session is open there already
    """
    try:
        with transaction.atomic():
            return ReadSession.objects.create(read_point=read_point, opened_by=opened_by, opened_at=timezone.now())
    except IntegrityError as error:
        # Only the one-open-session constraint can have failed: any other is a fault of ours and must show.
        if not ReadSession.objects.filter(read_point=read_point, frozen_at__isnull=True).exists():
            raise
        raise ReadPointBusy(read_point=str(read_point)) from error


def tags_seen(*, session: ReadSession) -> list[SeenTag]:
    """Return the session's tags by EPC: so far where it is open, as the document holds them where it is frozen."""
    if session.frozen_at is not None:
        return [_tag_from_document(tag) for tag in read_document(session=session)["tags"]]
    return _count_tags(_reports_received(session, timezone.now()))


def freeze_read_session(*, session: ReadSession) -> ReadSession:
    """
    Close the session for good and store its document; a frozen one is returned unchanged.

    A report still in flight at this moment has had no answer yet, and is in no document.
    """
    with transaction.atomic():
        session = (
            ReadSession.objects.select_for_update(of=("self",)).select_related("read_point__site").get(pk=session.pk)
        )
        if session.frozen_at is not None:
            return session
        session.frozen_at = timezone.now()
        # One statement settles which reports count: a report committed after it is in none of the queries below,
        # whatever the isolation level.
        _reports_received(session, session.frozen_at).filter(session__isnull=True).update(session=session)
        digests = list(session.reports.order_by("sha256", "reader_id").values_list("sha256", flat=True))
        session.reports_root = _reports_root(digests)
        document = _document(session, session.frozen_at, digests)
        session.document_sha256 = attachments.store(canonical.encode(document), media_type="application/json")
        session.save(update_fields=["frozen_at", "reports_root", "document_sha256"])
    return session


def read_document(*, session: ReadSession) -> dict[str, Any]:
    """
    Return the document of a frozen session.

    :raises AttachmentChanged: if it is not what was frozen
    """
    document = canonical.decode(attachments.load(session.document_sha256))
    assert isinstance(document, dict)
    return document


def _reports_received(session: ReadSession, until: datetime) -> QuerySet[RawReport]:
    return RawReport.objects.filter(
        read_point_id=session.read_point_id, received_at__gte=session.opened_at, received_at__lte=until
    )


def _reports_root(digests: list[str]) -> str:
    """RFC 6962 tree head over the reports' digests in ascending order: the 32 bytes of each are one leaf's data."""
    return merkle.root([merkle.leaf_hash(bytes.fromhex(digest)) for digest in digests]).hex()


def _document(session: ReadSession, frozen_at: datetime, digests: list[str]) -> dict[str, Any]:
    readers = set(Reader.objects.filter(read_point_id=session.read_point_id).values_list("pk", flat=True))
    readers |= set(session.reports.order_by().values_list("reader_id", flat=True).distinct())
    document: dict[str, Any] = {
        "v": 1,
        "session": session.pk.urn,
        "site": session.read_point.site.gln,
        "read_point": session.read_point.sgln,
        "readers": sorted(reader.urn for reader in readers),
        "opened_at": format_time(session.opened_at),
        "frozen_at": format_time(frozen_at),
        "reports": digests,
        "reports_root": session.reports_root,
        "quarantined": session.reports.aggregate(total=Sum("quarantined"))["total"] or 0,
        "tags": [_tag_to_document(tag) for tag in _count_tags(session.reports.all())],
    }
    gaps = CoverageGap.objects.filter(report__session=session).order_by("first_ns", "last_ns", "reader_id", "purged")
    if gaps:
        document["gaps"] = [
            {
                "reader": gap.reader_id.urn,
                "first": format_ns(gap.first_ns),
                "last": format_ns(gap.last_ns),
                # As text: the reader's counter may pass 2^53.
                "purged": str(gap.purged),
            }
            for gap in gaps
        ]
    return document


def _count_tags(reports: QuerySet[RawReport]) -> list[SeenTag]:
    reads = TagRead.objects.filter(report__in=reports.order_by().values("pk")).order_by()
    antennas: defaultdict[str, set[int]] = defaultdict(set)
    for epc_hex, antenna in reads.exclude(antenna=NO_ANTENNA).values_list("epc_hex", "antenna").distinct():
        antennas[epc_hex].add(antenna)
    counted = reads.values("epc_hex").annotate(
        reads=Count("pk"), first=Min("read_at_ns"), last=Max("read_at_ns"), strongest=Max("rssi_cdbm")
    )
    return [
        SeenTag(
            epc_hex=row["epc_hex"],
            uri=decode_epc(row["epc_hex"]).uri,
            reads=row["reads"],
            first_read_at_ns=row["first"],
            last_read_at_ns=row["last"],
            strongest_rssi_cdbm=row["strongest"],
            antennas=tuple(sorted(antennas[row["epc_hex"]])),
        )
        # In Python: databases differ in how they collate.
        for row in sorted(counted, key=lambda row: str(row["epc_hex"]))
    ]


def _tag_to_document(tag: SeenTag) -> dict[str, Any]:
    found: dict[str, Any] = {
        "epc": tag.epc_hex,
        "uri": tag.uri,
        "reads": tag.reads,
        "first": format_ns(tag.first_read_at_ns),
        "last": format_ns(tag.last_read_at_ns),
        "antennas": list(tag.antennas),
    }
    if tag.strongest_rssi_cdbm is not None:
        found["rssi_cdbm"] = tag.strongest_rssi_cdbm
    return found


def _tag_from_document(tag: dict[str, Any]) -> SeenTag:
    return SeenTag(
        epc_hex=tag["epc"],
        uri=tag["uri"],
        reads=tag["reads"],
        first_read_at_ns=parse_time(tag["first"]),
        last_read_at_ns=parse_time(tag["last"]),
        strongest_rssi_cdbm=tag.get("rssi_cdbm"),
        antennas=tuple(tag["antennas"]),
    )
