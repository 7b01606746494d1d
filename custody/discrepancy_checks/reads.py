"""
What the tags of shipments tell as they are read: the same number at two sites too soon, from two chips, from another
chip than the bound one, at a site off the plan, or outside the hours.

Each report is looked at once. Of each tag the newest sighting is kept, and held against the next one.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_checks.cursors import lock_cursor
from custody.discrepancy_checks.places import check_hours, check_route, travel_time
from custody.discrepancy_codes import Code
from custody.models import LastSighting
from shipments.finding import which_shipments_hold
from shipments.models import Consignment, LogisticUnit, ManifestItem, RawReport, Site, TagRead

BATCH = 50
MOST_BATCHES = 10
# Row numbers are given before their transaction commits: none is taken for past before so long.
SETTLED_AFTER = timedelta(seconds=30)
BEGINS_BACK = timedelta(days=1)
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Seen:
    epc: str
    tid: str
    first_ns: int
    last_ns: int
    report: RawReport
    consignment: Consignment


def check_new_reads(*, now: datetime | None = None) -> int:
    """Look at the reports that came in since the last time. :returns: how many"""
    now, looked_at = now or timezone.now(), 0
    for _batch in range(MOST_BATCHES):
        with transaction.atomic():
            cursor = lock_cursor("reads", begin=_begin(now))
            coming = RawReport.objects.filter(pk__gt=cursor.position).order_by("pk").defer("body")
            waiting = list(coming.select_related("reader", "read_point__site")[:BATCH])
            reports = list(takewhile(lambda report: report.received_at <= now - SETTLED_AFTER, waiting))
            if not reports:
                break
            _check(reports)
            cursor.position = reports[-1].pk
            cursor.save(update_fields=["position"])
        looked_at += len(reports)
        if len(reports) < BATCH:
            break
    return looked_at


def _begin(now: datetime) -> int:
    first = RawReport.objects.filter(received_at__gte=now - BEGINS_BACK).order_by("pk").values_list("pk").first()
    return first[0] - 1 if first else 0


def _check(reports: list[RawReport]) -> None:
    by_pk = {report.pk: report for report in reports}
    rows = list(
        TagRead.objects.filter(report__in=list(by_pk))
        .order_by()
        .values("report_id", "epc_hex", "tid")
        .annotate(first=Min("read_at_ns"), last=Max("read_at_ns"))
    )
    holders = which_shipments_hold({row["epc_hex"] for row in rows})
    seen = [
        _Seen(row["epc_hex"], row["tid"].upper(), row["first"], row["last"], by_pk[row["report_id"]], holder)
        for row in rows
        if (holder := holders.get(row["epc_hex"])) is not None and holder.closed_at is None
    ]
    seen.sort(key=lambda one: (one.report.pk, one.last_ns, one.epc, one.tid))
    epcs = sorted({one.epc for one in seen})
    known, bound = _known(epcs), _bound(epcs)
    places: set[tuple[uuid.UUID, int]] = set()
    clones: dict[str, list[tuple[_Seen, LastSighting]]] = {}
    for one in seen:
        before = known.get(one.epc)
        _check_chip(one, bound.get(one.epc, ""), before)
        if _clock_holds(one):
            if before is not None and _apart(one, before) < travel_time(before.read_point.site, _site(one)):
                # A pallet of clones is one finding: the sites make it, and its tags are the evidence.
                between = sorted((before.read_point.site.code, _site(one).code))
                key = f"clone_suspected:{one.consignment.pk}:{':'.join(between)}"
                clones.setdefault(key, []).append((one, before))
            # The tags of a shipment in one report are in one place.
            if (one.consignment.pk, one.report.pk) not in places:
                places.add((one.consignment.pk, one.report.pk))
                evidence = Evidence(items=(one.epc,), reader=one.report.reader, read_point=one.report.read_point)
                at = _moment(one.last_ns)
                check_route(one.consignment, one.report.read_point.site, at, evidence)
                check_hours(one.consignment, one.report.read_point.site, at, evidence)
            if before is None or one.last_ns >= before.at_ns:
                known[one.epc] = _sighting(one, before)
    for key, found in clones.items():
        _open_clones(key, found)
    LastSighting.objects.bulk_create(
        known.values(),
        update_conflicts=True,
        unique_fields=["epc_hex"],
        update_fields=["read_point", "reader", "at_ns", "tid"],
        batch_size=_AT_ONCE,
    )


def _sighting(one: _Seen, before: LastSighting | None) -> LastSighting:
    # Readers may tell the chip now and then only: what was told before still holds.
    tid = one.tid or (before.tid if before is not None else "")
    report = one.report
    return LastSighting(epc_hex=one.epc, read_point=report.read_point, reader=report.reader, at_ns=one.last_ns, tid=tid)


def _site(one: _Seen) -> Site:
    return one.report.read_point.site


def _apart(one: _Seen, before: LastSighting) -> timedelta:
    later_ns = one.first_ns - before.at_ns if one.first_ns > before.at_ns else max(0, before.at_ns - one.last_ns)
    return timedelta(microseconds=later_ns // 1000)


def _open_clones(key: str, found: list[tuple[_Seen, LastSighting]]) -> None:
    one, before = found[0]
    needed = travel_time(before.read_point.site, _site(one))
    times = [ns for seen, known in found for ns in (seen.first_ns, seen.last_ns, known.at_ns)]
    open_discrepancy(
        code=Code.CLONE_SUSPECTED,
        consignment=one.consignment,
        key=key,
        evidence=Evidence(
            items=tuple(dict.fromkeys(seen.epc for seen, _known in found)),
            reader=one.report.reader,
            read_point=one.report.read_point,
            figures={
                "apart_s": min(int(_apart(seen, known).total_seconds()) for seen, known in found),
                "travel_s": int(needed.total_seconds()),
            },
        ),
        since=_moment(min(times)),
        until=_moment(max(times)),
    )


def _check_chip(one: _Seen, bound: str, before: LastSighting | None) -> None:
    if not one.tid:
        return
    if bound and not _same_chip(bound, one.tid):
        code = Code.TID_MISMATCH
    elif before is not None and before.tid and not _same_chip(before.tid, one.tid):
        code = Code.DUPLICATE_EPC
    else:
        return
    open_discrepancy(
        code=code,
        consignment=one.consignment,
        key=f"{code}:{one.consignment.pk}:{one.epc}",
        evidence=Evidence(items=(one.epc,), reader=one.report.reader, read_point=one.report.read_point),
        until=min(_moment(one.last_ns), timezone.now()),
        # A chip stays another chip: each read would open it anew.
        once=True,
    )


def _same_chip(one: str, other: str) -> bool:
    """Readers tell more or fewer words of a TID: the longer of the two must continue the shorter."""
    return one.startswith(other) or other.startswith(one)


def _clock_holds(one: _Seen) -> bool:
    """Whether the reader's times can be believed: its clock is not known to be wrong, and it read nothing to come."""
    limit_ms = settings.READER_CLOCK_SKEW_LIMIT * 1000
    skew_ms = one.report.reader.clock_skew_ms
    ahead_ms = one.last_ns // 10**6 - one.report.received_at.timestamp() * 1000
    return (skew_ms is None or abs(skew_ms) <= limit_ms) and ahead_ms <= limit_ms


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // 10**9, UTC)


def _known(epcs: list[str]) -> dict[str, LastSighting]:
    found: dict[str, LastSighting] = {}
    for some in _some(epcs):
        rows = LastSighting.objects.filter(epc_hex__in=some).select_related("read_point__site", "reader")
        found |= {row.epc_hex: row for row in rows}
    return found


def _bound(epcs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _some(epcs):
        for rows in (LogisticUnit.objects, ManifestItem.objects):
            held = rows.filter(epc_hex__in=some, released_at=None).exclude(tid="")
            found |= {epc: tid.upper() for epc, tid in held.values_list("epc_hex", "tid")}
    return found


def _some(epcs: list[str]) -> Iterable[list[str]]:
    return (epcs[start : start + _AT_ONCE] for start in range(0, len(epcs), _AT_ONCE))
