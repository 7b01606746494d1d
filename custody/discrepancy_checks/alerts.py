"""What the readers' alerts and the verifications of the log give cause for. Neither is about one shipment."""

from datetime import UTC, datetime, timedelta

from django.db import transaction

from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_checks.cursors import lock_cursor
from custody.discrepancy_codes import Code
from custody.models import Discrepancy
from ledger.models import VerificationRun
from ledger.tlog.verdict import BROKEN
from shipments.models import AlertCode, ReaderAlert

BATCH = 200
# Written by other processes meanwhile: looked at twice, found once.
OVERLAP = timedelta(minutes=2)
# A mistyped password is no finding.
LEAST_TURNED_AWAY = 5

_CODES = {
    AlertCode.OVERFLOW: Code.READ_GAP,
    AlertCode.CLOCK_SKEW: Code.CLOCK_SKEW,
    AlertCode.UNAUTHENTICATED: Code.READER_UNAUTHENTICATED,
}


def check_alerts() -> None:
    """Look at what has changed since the last time. Acknowledged alerts too: who acknowledges one settles nothing."""
    with transaction.atomic():
        cursor = lock_cursor("reader_alerts")
        since = _moment(cursor.position) - OVERLAP
        alerts = list(
            ReaderAlert.objects.filter(code__in=list(_CODES), last_at__gte=since)
            .select_related("reader", "read_point__site")
            .order_by("last_at")[:BATCH]
        )
        for alert in alerts:
            _check_alert(alert)
        if alerts:
            # More than a batch at one moment would never be passed: past them all, then.
            newest = _millis(alerts[-1].last_at)
            cursor.position = max(newest, cursor.position + (1 if len(alerts) == BATCH else 0))
            cursor.save(update_fields=["position"])
    with transaction.atomic():
        cursor = lock_cursor("verifications")
        runs = VerificationRun.objects.filter(
            state=VerificationRun.State.FINISHED, finished_at__gte=_moment(cursor.position) - OVERLAP
        ).order_by("finished_at")[:BATCH]
        for run in runs:
            _check_run(run)
            assert run.finished_at is not None
            cursor.position = max(cursor.position, _millis(run.finished_at))
        cursor.save(update_fields=["position"])


def _check_alert(alert: ReaderAlert) -> None:
    code = _CODES[AlertCode(alert.code)]
    if code == Code.READER_UNAUTHENTICATED and alert.count < LEAST_TURNED_AWAY:
        return
    key = f"{code}:{alert.source}"
    if _settled(key, alert.first_at):
        return
    figures = {"times": alert.count}
    if code == Code.CLOCK_SKEW and isinstance(alert.facts.get("skew_ms"), int):
        figures["skew_ms"] = max(-(2**53) + 1, min(alert.facts["skew_ms"], 2**53 - 1))
    evidence = Evidence(reader=alert.reader, read_point=alert.read_point, figures=figures)
    if code != Code.READER_UNAUTHENTICATED and alert.reader is None:
        return
    open_discrepancy(code=code, consignment=None, key=key, evidence=evidence, since=alert.first_at, until=alert.last_at)


def _check_run(run: VerificationRun) -> None:
    verdict = run.verdict or {}
    if verdict.get("status") != BROKEN or run.finished_at is None:
        return
    at = verdict.get("broken_at")
    place = str(at) if at is not None else str(verdict.get("check", ""))
    key = f"chain_broken:{place}"
    if _settled(key, run.finished_at):
        return
    figures = {"sound_entries": int(verdict.get("entries", 0))} | ({"entry_index": at} if at is not None else {})
    open_discrepancy(
        code=Code.CHAIN_BROKEN, consignment=None, key=key, evidence=Evidence(figures=figures), until=run.finished_at
    )


def _settled(key: str, found_at: datetime) -> bool:
    """Whether it was resolved after it was found: looked at again, the same thing is no new finding."""
    return Discrepancy.objects.filter(key=key, resolved_at__gte=found_at).exists()


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
