"""
Shipments that stand: with one custodian for longer than the limit of the site at which they were handed over.

The open shipments are looked at in rounds, some each time, in the order of their newest handoffs' statements.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_checks.cursors import lock_cursor
from custody.discrepancy_codes import Code
from custody.models import Discrepancy, Handoff, HandoffState, SiteWatch

BATCH = 200


def check_dwell(*, now: datetime | None = None) -> int:
    """Look at the next open shipments that somebody holds. :returns: how many"""
    now = now or timezone.now()
    limits = dict(SiteWatch.objects.exclude(dwell_limit_h=None).values_list("site_id", "dwell_limit_h"))
    with transaction.atomic():
        cursor = lock_cursor("dwell")
        accepted = Handoff.objects.filter(state=HandoffState.ACCEPTED, consignment__closed_at=None)
        later = accepted.filter(consignment=OuterRef("consignment"), statement_id__gt=OuterRef("statement_id"))
        held = list(
            accepted.filter(~Exists(later), statement_id__gt=cursor.position)
            .select_related("consignment", "read_point__site")
            .order_by("statement_id")[:BATCH]
        )
        for handoff in held:
            hours = limits.get(handoff.read_point.site_id, settings.DISCREPANCY_DWELL_H)
            if hours:
                _check(handoff, timedelta(hours=hours), now)
        # After the last one the next round begins.
        full = len(held) == BATCH
        cursor.position = held[-1].statement_id or 0 if full else 0
        cursor.save(update_fields=["position"])
    return len(held)


def _check(handoff: Handoff, limit: timedelta, now: datetime) -> None:
    assert handoff.closed_at is not None
    key = f"dwell_overrun:{handoff.pk}"
    before = Discrepancy.objects.filter(key=key).order_by("-round").first()
    # What was explained may stand for the same time again before it is told anew.
    since = before.resolved_at if before is not None and before.resolved_at is not None else handoff.closed_at
    if now - since <= limit:
        return
    open_discrepancy(
        code=Code.DWELL_OVERRUN,
        consignment=handoff.consignment,
        key=key,
        evidence=Evidence(
            read_point=handoff.read_point,
            figures={
                "held_min": int((now - handoff.closed_at) / timedelta(minutes=1)),
                "limit_min": int(limit / timedelta(minutes=1)),
            },
        ),
        since=handoff.closed_at,
        until=now,
    )
