"""
Notice what is wrong with a reader, and say so once an hour instead of once a time.

All is well in nearly every report, and costs then a comparison in memory: no query. What was measured of a clock is
written at most once a minute and process, for all readers together.

A clock that is wrong. No tag is read after its report arrived, so a time that lies ahead of ours is a wrong clock at
once. A time that lies behind may as well be a read that waited while the network was down, or a report that was sent
again. So the past counts only where it stays: :data:`LATE_REPORTS` reports in a row over :data:`LATE_FOR`, none of them
a re-delivery, all older than the limit, and not catching up. A reader that empties its buffer comes nearer to now with
each report, and begins the row anew whenever it has come nearer by more than the limit. What is compared is the
reader's time of sending where its report has one, and else its newest read. Each process keeps the row in its memory.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from refusals import Refusal
from shipments.models import AlertCode, Reader, ReaderAlert, ReaderCredential, Site
from shipments.reader_credentials import OUR_NAME
from shipments.readers.report import Parsed

HOUR = timedelta(hours=1)
LATE_REPORTS = 10
LATE_FOR = timedelta(minutes=5)
# So many sources an hour are told apart; what knocks under ever new names and addresses is counted together beyond.
MOST_SOURCES = 100
OTHERS = "others"
# What happens with every request is written once in so many seconds for each source, and counted in memory between.
WRITTEN_EVERY_S = 10.0
MEASURES_WRITTEN_EVERY_S = 60.0
MOST_WAITING = 1_000
MAX_SKEW_MS = 1 << 62


class AlertKnown(Refusal):
    code = "reader_alert_acknowledged"
    message = _("%(account)s has acknowledged this alert already. There is nothing left to do with it.")


@dataclass(slots=True)
class _Late:
    """Reports in a row that were older than the limit: since when, how many, how old the first and the least old."""

    since: datetime
    first_ms: int
    least_ms: int
    count: int = 1


@dataclass(slots=True)
class _Times:
    """What is counted in memory of one alert: when it was last written (monotonic), how many times since."""

    written: float
    waiting: int = 0


_late: dict[uuid.UUID, _Late] = {}
_measured: dict[uuid.UUID, tuple[int, datetime]] = {}
_times: dict[tuple[str, str], _Times] = {}
_lock = Lock()
_measures_written = time.monotonic()


# A report ------------------------------------------------------------------------------------------------------------


def observe_report(*, reader: Reader, parsed: Parsed, received_at: datetime) -> None:
    """
    Look at a report that was stored just now and is no re-delivery, and raise the alerts that it gives cause for.

    No query where all is well, but for a write a minute of what was measured, and one where a report names its site.
    """
    if parsed.gaps:
        purged = sum(gap.purged for gap in parsed.gaps)
        # As text: the reader's counter may pass what JSON can hold.
        facts = {"gaps": len(parsed.gaps), "purged": str(purged)}
        raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=received_at, facts=facts)
    if reader.hostname and parsed.hostnames:
        own = reader.hostname.casefold()
        others = [name for name in parsed.hostnames if name.casefold() != own]
        if others:
            note_claim(reader=reader, claim="hostname", claimed=min(others), at=received_at)
    if parsed.site and not Site.objects.filter(gln=parsed.site, read_points=reader.read_point_id).exists():
        note_claim(reader=reader, claim="site", claimed=parsed.site, at=received_at)
    told_ns = parsed.sent_at_ns
    if told_ns is None:
        if not parsed.reads:
            return
        told_ns = max(read.read_at_ns for read in parsed.reads)
    offset_ms = told_ns // 1_000_000 - round(received_at.timestamp() * 1000)
    skew_ms = _tell_skew(reader.pk, offset_ms, received_at)
    if skew_ms is None:
        return
    _measured[reader.pk] = (skew_ms, received_at)
    if abs(skew_ms) > settings.READER_CLOCK_SKEW_LIMIT * 1000:
        if count := _count_time(AlertCode.CLOCK_SKEW, reader.pk.hex):
            _write_measures([reader.pk])
            facts = {"skew_ms": skew_ms}
            raise_alert(code=AlertCode.CLOCK_SKEW, reader=reader, at=received_at, facts=facts, count=count)
    elif time.monotonic() - _measures_written > MEASURES_WRITTEN_EVERY_S:
        _write_measures()


def _tell_skew(reader: uuid.UUID, offset_ms: int, at: datetime) -> int | None:
    """
    Return the reader's clock less ours where this report tells it, else None.

    :param offset_ms: the newest time in the report less when it arrived
    """
    limit_ms = settings.READER_CLOCK_SKEW_LIMIT * 1000
    if offset_ms >= -limit_ms:
        _late.pop(reader, None)
        return offset_ms
    age_ms = -offset_ms
    row = _late.get(reader)
    if row is None or age_ms < row.first_ms - limit_ms:
        _late[reader] = _Late(at, age_ms, age_ms)
        return None
    row.count += 1
    row.least_ms = min(row.least_ms, age_ms)
    return -row.least_ms if row.count >= LATE_REPORTS and at - row.since >= LATE_FOR else None


def _write_measures(readers: Sequence[uuid.UUID] | None = None) -> None:
    global _measures_written
    if readers is None:
        _measures_written = time.monotonic()
        readers = list(_measured)
    for reader in readers:
        if (measured := _measured.pop(reader, None)) is not None:
            skew_ms, at = measured
            bounded = max(-MAX_SKEW_MS, min(skew_ms, MAX_SKEW_MS))
            Reader.objects.filter(pk=reader).update(clock_skew_ms=bounded, clock_checked_at=at)


# The door ------------------------------------------------------------------------------------------------------------


def note_claim(*, reader: Reader, claim: str, claimed: uuid.UUID | str, at: datetime | None = None) -> None:
    """
    Note that a reader's credential was used in another's name.

    :param claim: ``hostname``, where the report names another sender; ``site``, where it names another place;
        ``address``, where it was sent to another's
    """
    count = _count_time(AlertCode.CLAIM_MISMATCH, reader.pk.hex)
    if not count:
        return
    facts: dict[str, Any] = {"claim": claim}
    if isinstance(claimed, uuid.UUID):
        other = Reader.objects.select_related("read_point").filter(pk=claimed).first()
        if other is not None:
            facts["claimed"] = other.pk.urn
            facts["site"] = "same" if other.read_point.site_id == reader.read_point.site_id else "other"
    else:
        facts["claimed"] = "".join(letter for letter in claimed if letter.isprintable())[:120]
    raise_alert(code=AlertCode.CLAIM_MISMATCH, reader=reader, at=at or timezone.now(), facts=facts, count=count)


def note_turned_away(
    *, reason: str, credential: ReaderCredential | None, address: str, addressed: uuid.UUID | None
) -> None:
    """Count a request that nobody was let in for, by the credential that it named or by where it came from."""
    source = _told_apart(credential.username if credential is not None else address[:45] or OTHERS)
    count = _count_time(AlertCode.UNAUTHENTICATED, source)
    if not count:
        return
    facts = {"reason": reason, "address": address[:45]}
    reader = credential.reader if credential is not None else None
    if reader is None and addressed is not None and source != OTHERS:
        reader = Reader.objects.filter(pk=addressed).first()
    if credential is not None and OUR_NAME.fullmatch(credential.username):
        facts["credential"] = credential.username
    raise_alert(
        code=AlertCode.UNAUTHENTICATED, reader=reader, at=timezone.now(), facts=facts, source=source, count=count
    )


def _told_apart(source: str) -> str:
    """Return the source, or one name for all of them where memory keeps too many: what knocks may choose its own."""
    now = time.monotonic()
    with _lock:
        if (AlertCode.UNAUTHENTICATED, source) in _times or len(_times) < MOST_WAITING:
            return source
        stale = [key for key, times in _times.items() if not times.waiting and now - times.written > WRITTEN_EVERY_S]
        for key in stale:
            del _times[key]
        return source if stale else OTHERS


def _count_time(code: str, source: str) -> int:
    """
    Return how many times are to be written now: 0 where this one waits in memory.

    A flood then costs one write per source in :data:`WRITTEN_EVERY_S`. What waits is written with the next time or by a
    sweep in this process; what still waits when the process ends is not counted.
    """
    now = time.monotonic()
    with _lock:
        key = (code, source)
        known = _times.get(key)
        if known is None:
            _times[key] = _Times(now)
            return 1
        known.waiting += 1
        if now - known.written < WRITTEN_EVERY_S:
            return 0
        known.written, waiting, known.waiting = now, known.waiting, 0
        return waiting


def _write_waiting() -> None:
    """Count what waits onto the newest alert of its source."""
    with _lock:
        found = [(key, times.waiting) for key, times in _times.items() if times.waiting]
        for key, _waiting in found:
            _times[key].waiting = 0
    for (code, source), waiting in found:
        # Of more sources than are told apart, those beyond have no alert of their own.
        alerts = ReaderAlert.objects.filter(code=code).order_by("-since")
        newest = alerts.filter(source=source).first() or alerts.filter(source=OTHERS).first()
        if newest is not None:
            ReaderAlert.objects.filter(pk=newest.pk).update(count=F("count") + waiting)


# Alerts --------------------------------------------------------------------------------------------------------------


def raise_alert(
    *,
    code: AlertCode,
    reader: Reader | None,
    at: datetime,
    facts: dict[str, Any],
    source: str = "",
    since: datetime | None = None,
    count: int = 1,
) -> None:
    """
    Raise an alert, or count up the one that the same source has in this hour.

    An acknowledged one counts on quietly until its hour ends: who acknowledges knows of it.
    """
    source = source or (reader.pk.hex if reader is not None else OTHERS)
    since = since or at.replace(minute=0, second=0, microsecond=0)
    if _count_up(code, source, since, at, count, facts):
        return
    if source != OTHERS and code == AlertCode.UNAUTHENTICATED:
        told_apart = ReaderAlert.objects.filter(code=code, since=since)[:MOST_SOURCES].count()
        if told_apart >= MOST_SOURCES:
            raise_alert(code=code, reader=None, at=at, facts=facts, source=OTHERS, since=since, count=count)
            return
    alert = ReaderAlert(
        code=code,
        reader=reader,
        read_point_id=reader.read_point_id if reader is not None else None,
        source=source,
        since=since,
        first_at=at,
        last_at=at,
        count=count,
        facts=facts,
    )
    # Another connection may have been first: theirs stands, and ours is counted onto it.
    ReaderAlert.objects.bulk_create([alert], ignore_conflicts=True)
    if not ReaderAlert.objects.filter(pk=alert.pk).exists():
        _count_up(code, source, since, at, count, facts)


def _count_up(code: str, source: str, since: datetime, at: datetime, count: int, facts: dict[str, Any]) -> bool:
    known = ReaderAlert.objects.filter(code=code, source=source, since=since)
    return known.update(count=F("count") + count, last_at=at, facts=facts) > 0


def acknowledge_alert(*, alert: ReaderAlert, account: User) -> ReaderAlert:
    """
    Record that somebody has seen the alert.

    :raises AlertKnown: where somebody else did before
    """
    with transaction.atomic():
        alert = ReaderAlert.objects.select_for_update(of=("self",)).get(pk=alert.pk)
        if alert.acknowledged_by is not None:
            if alert.acknowledged_by == account:
                return alert
            raise AlertKnown(account=alert.acknowledged_by.get_username())
        alert.acknowledged_by, alert.acknowledged_at = account, timezone.now()
        alert.save(update_fields=["acknowledged_by", "acknowledged_at"])
    return alert


def open_alerts() -> QuerySet[ReaderAlert]:
    """Those that nobody has acknowledged."""
    return ReaderAlert.objects.filter(acknowledged_at__isnull=True)


# The sweep -----------------------------------------------------------------------------------------------------------


def watch_readers(*, now: datetime | None = None) -> None:
    """
    Raise an alert for each reader that fell silent, one for each silence; and write what this process has measured.

    A reader that was never heard is being set up, and no alert.
    """
    now = now or timezone.now()
    _write_measures()
    _write_waiting()
    heard = Reader.objects.filter(enabled=True, silent_after_s__gt=0, last_seen_at__isnull=False)
    silent = [reader for reader in heard if is_silent(reader, now)]
    told = ReaderAlert.objects.filter(
        code=AlertCode.SILENT, reader__in=silent, since__in=[reader.last_seen_at for reader in silent]
    )
    known = set(told.values_list("reader_id", "since"))
    for reader in silent:
        assert reader.last_seen_at is not None
        if (reader.pk, reader.last_seen_at) not in known:
            seconds = int((now - reader.last_seen_at).total_seconds())
            raise_alert(
                code=AlertCode.SILENT, reader=reader, at=now, facts={"silent_s": seconds}, since=reader.last_seen_at
            )


def is_silent(reader: Reader, now: datetime) -> bool:
    """Tell whether a reader was heard, and then for too long no more."""
    return (
        reader.last_seen_at is not None
        and reader.silent_after_s > 0
        and now - reader.last_seen_at > timedelta(seconds=reader.silent_after_s)
    )


def forget_all() -> None:
    """Forget what this process counts and measures."""
    global _measures_written
    with _lock:
        _late.clear()
        _measured.clear()
        _times.clear()
    _measures_written = time.monotonic()
