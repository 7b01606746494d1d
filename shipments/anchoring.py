"""
Bind what readers reported into the ledger within seconds, so that no report can be changed before a handoff uses it.

A ``reads_anchored`` entry about a site holds the RFC 6962 tree head over its reports' digests, and names the document
that lists them; a ``read_gap`` entry about a reader says what it lost. Run by the ledger's sweeper, in one process at a
time. Died in between: all of a batch is committed together, and the rows say what is left.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction

from ledger import attachments
from ledger.submission import submit
from ledger.tlog import canonical, merkle
from ledger.tlog.times import format_time
from shipments.models import CoverageGap, RawReport, ReportAnchor, Site
from shipments.readers.report import format_ns

LISTED = 100
# So many parameters fit into one query of SQLite.
MOST_A_BATCH = 30_000
# One sweep leaves the others their turn; the next one goes on.
MOST_BATCHES = 20


class AnchoredTwice(Exception):
    """Reports that were waiting a moment ago are anchored: another process is at it without the lease."""


class _Report(NamedTuple):
    pk: int
    sha256: str
    reader: uuid.UUID
    received_at: datetime
    gaps: int


def anchor_reports() -> int:
    """
    Bind the reports that wait, in entries of a bounded number each, and the gaps that readers admitted.

    :returns: how many reports were bound
    """
    bound = 0
    for _ in range(MOST_BATCHES):
        waiting = _waiting()
        for site, reports in waiting.items():
            _anchor(site, reports)
        found = sum(map(len, waiting.values()))
        bound += found
        if found < _batch():
            break
    tell_gaps()
    return bound


def _batch() -> int:
    return max(1, min(settings.READS_ANCHOR_BATCH, MOST_A_BATCH))


def _waiting() -> dict[Site, list[_Report]]:
    # By state, never by ``id > last``: serial ids commit out of order, and a report would be skipped.
    rows = (
        RawReport.objects.filter(anchor__isnull=True)
        .order_by("id")
        .values_list("read_point__site_id", "id", "sha256", "reader_id", "received_at", "gaps")[: _batch()]
    )
    by_site: defaultdict[uuid.UUID, list[_Report]] = defaultdict(list)
    for site, pk, sha256, reader, received_at, gaps in rows:
        by_site[site].append(_Report(pk, sha256, reader, received_at, gaps))
    sites = Site.objects.in_bulk(by_site)
    return {sites[pk]: by_site[pk] for pk in by_site}


def _anchor(site: Site, reports: list[_Report]) -> None:
    # Made before the transaction opens: SQLite's write lock is not held over it.
    reports.sort(key=lambda report: (report.sha256, report.reader.hex))
    anchor = uuid.uuid4()
    readers = sorted({report.reader.urn for report in reports})
    received = [report.received_at for report in reports]
    root = reports_root(report.sha256 for report in reports)
    document = canonical.encode(anchor_document(anchor, site, readers, reports))
    with transaction.atomic():
        body: dict[str, Any] = {
            "anchor": anchor.urn,
            "site": site.gln,
            "reports": len(reports),
            "root": root,
            "document": attachments.store(document, media_type="application/json"),
            "first_received_at": format_time(min(received)),
            "last_received_at": format_time(max(received)),
            "readers": readers[:LISTED],
            "readers_total": len(readers),
        }
        if gaps := sum(report.gaps for report in reports):
            body["gaps"] = gaps
        statement = submit(kind="reads_anchored", subject=site.pk.urn, body=body, key=f"reads_anchored:{anchor.hex}")
        row = ReportAnchor.objects.create(
            pk=anchor,
            site=site,
            statement=statement,
            count=len(reports),
            root=root,
            document_sha256=body["document"],
            first_received_at=min(received),
            last_received_at=max(received),
        )
        still = RawReport.objects.filter(pk__in=[report.pk for report in reports], anchor__isnull=True)
        if still.update(anchor=row) != len(reports):
            raise AnchoredTwice(f"of {len(reports)} reports at {site}")


def reports_root(digests: Iterable[str]) -> str:
    """RFC 6962 tree head over reports' digests in the order given: the 32 bytes of each are one leaf's data."""
    return merkle.root([merkle.leaf_hash(bytes.fromhex(digest)) for digest in digests]).hex()


def anchor_document(
    anchor: uuid.UUID, site: Site, readers: Sequence[str], reports: Iterable[_Report]
) -> dict[str, Any]:
    """Build the document of an anchor: each report as its reader's place in ``readers``, digest, and arrival."""
    places = {urn: place for place, urn in enumerate(readers)}
    return {
        "v": 1,
        "anchor": anchor.urn,
        "site": site.gln,
        "readers": list(readers),
        "reports": [[places[report.reader.urn], report.sha256, format_time(report.received_at)] for report in reports],
    }


def tell_gaps() -> None:
    """Submit a ``read_gap`` for each reader that admitted gaps which no entry holds yet."""
    gaps = list(
        CoverageGap.objects.filter(statement__isnull=True)
        .order_by("id")
        .select_related("report__read_point__site")
        .defer("report__body")[: _batch()]
    )
    by_reader: defaultdict[tuple[uuid.UUID, uuid.UUID], list[CoverageGap]] = defaultdict(list)
    for gap in gaps:
        by_reader[gap.reader_id, gap.report.read_point_id].append(gap)
    for (reader, _read_point), told in by_reader.items():
        _tell_gaps_of(reader, told)


def _tell_gaps_of(reader: uuid.UUID, gaps: list[CoverageGap]) -> None:
    read_point = gaps[0].report.read_point
    # As text: the reader's counter may pass 2^53.
    told = [
        {"first": format_ns(gap.first_ns), "last": format_ns(gap.last_ns), "purged": str(gap.purged)} for gap in gaps
    ]
    body: dict[str, Any] = {
        "reader": reader.urn,
        "site": read_point.site.gln,
        "read_point": read_point.sgln,
        "gaps": told[:LISTED],
        "gaps_total": len(gaps),
        "purged_total": str(sum(gap.purged for gap in gaps)),
    }
    with transaction.atomic():
        if len(gaps) > LISTED:
            document = canonical.encode({"v": 1, "reader": reader.urn, "gaps": told})
            body["document"] = attachments.store(document, media_type="application/json")
        first, last = gaps[0].pk, gaps[-1].pk
        statement = submit(kind="read_gap", subject=reader.urn, body=body, key=f"read_gap:{reader.hex}:{first}-{last}")
        still = CoverageGap.objects.filter(pk__in=[gap.pk for gap in gaps], statement__isnull=True)
        if still.update(statement=statement) != len(gaps):
            raise AnchoredTwice(f"of {len(gaps)} gaps of {reader}")
