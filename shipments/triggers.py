"""
Sessions that nobody opens: a light barrier or a door contact at the gate, wired to an input of its reader, starts and
ends reading by a rule of the read point.

A trigger never ends what an operator reads, nor opens beside it. It says when to read, and proves nothing: whoever
holds the reader's credential can send one.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from shipments.models import (
    Reader,
    ReadSession,
    SessionPurpose,
    TriggerDoes,
    TriggerEvent,
    TriggerOutcome,
    TriggerRule,
)
from shipments.read_sessions import ReadPointBusy, freeze_read_session, lock_read_point, open_read_session
from shipments.readers.report import Trigger

ACTED = (TriggerOutcome.OPENED, TriggerOutcome.CLOSED, TriggerOutcome.NOTHING, TriggerOutcome.BUSY)
# An edge that is older by more than this does not come out of turn: the reader's clock was put right.
CLOCK_SET_BACK_NS = 60 * 1_000_000_000


def act_on_triggers(*, reader: Reader, triggers: Iterable[Trigger], received_at: datetime) -> list[TriggerEvent]:
    """
    Open and freeze sessions as the rules of ``reader``'s inputs say, in the order of the reader's own times.

    Call it in the transaction that stored the report: the whole of that report counts for what it opens or closes. An
    event that was acted on before, in a report that was batched anew, changes nothing.

    :param received_at: when the report came; a session that is opened begins then
    :returns: the events that were new
    """
    told = sorted(triggers, key=lambda trigger: (trigger.at_ns, trigger.port, trigger.high))
    if not told:
        return []
    rules = {
        rule.port: rule
        for rule in TriggerRule.objects.select_related("read_point__site", "reader").filter(
            reader=reader,
            retired_at__isnull=True,
            read_point=reader.read_point_id,  # none of where it stood before
        )
    }
    acted = []
    with transaction.atomic():
        # In one order: two readers may stand at each other's read points after a move.
        for read_point in sorted({rule.read_point for rule in rules.values()}, key=lambda point: point.pk):
            lock_read_point(read_point)
        for trigger in told:
            rule = rules.get(trigger.port)
            if rule is not None and (event := _act(rule, trigger, received_at)) is not None:
                acted.append(event)
    return acted


def settle_triggers(*, now: datetime | None = None) -> int:
    """
    Do what is due by time alone: end sessions that lasted as long as their rule allows, and let a change that came too
    soon after another count where the input has stayed so. Part of each sweep.

    :returns: how many sessions were opened or frozen
    """
    now = now or timezone.now()
    return sum(_settle(rule, now) for rule in TriggerRule.objects.select_related("read_point__site", "reader"))


def _act(rule: TriggerRule, trigger: Trigger, received_at: datetime) -> TriggerEvent | None:
    event = TriggerEvent(
        rule=rule,
        high=trigger.high,
        at_ns=trigger.at_ns,
        reader_time=trigger.reader_time,
        received_at=received_at,
        outcome=_in_its_time(rule, trigger),
    )
    try:
        with transaction.atomic():
            event.save()
    except IntegrityError:
        return None  # known: the reader sent it again in another report
    if event.outcome == TriggerOutcome.NOTHING:
        _carry_out(event)
    return event


def _in_its_time(rule: TriggerRule, trigger: Trigger) -> TriggerOutcome:
    """Tell whether to act on it now: *nothing* stands for yes, before it is known what there is to do."""
    last = rule.events.filter(outcome__in=ACTED).order_by("-id").first()
    if last is None:
        return TriggerOutcome.NOTHING
    since = trigger.at_ns - last.at_ns
    if -CLOCK_SET_BACK_NS < since < 0:
        return TriggerOutcome.LATE
    if 0 <= since < rule.min_gap_ms * 1_000_000:
        return TriggerOutcome.BOUNCED
    return TriggerOutcome.NOTHING


def _carry_out(event: TriggerEvent) -> bool:
    """Do what the rule says for this level, under the read point's lock; tell whether a session changed."""
    rule = event.rule
    does = rule.on_high if event.high else rule.on_low
    event.outcome = TriggerOutcome.NOTHING
    if does == TriggerDoes.OPEN:
        event.outcome = _open(event)
    elif does == TriggerDoes.CLOSE:
        event.outcome = _close(event)
    event.save(update_fields=["outcome"])
    return event.outcome in (TriggerOutcome.OPENED, TriggerOutcome.CLOSED)


def _open(event: TriggerEvent) -> TriggerOutcome:
    try:
        open_read_session(read_point=event.rule.read_point, opened_by=event, purpose=SessionPurpose.PASSAGE)
    except ReadPointBusy:
        return TriggerOutcome.BUSY
    return TriggerOutcome.OPENED


def _close(event: TriggerEvent) -> TriggerOutcome:
    session = ReadSession.objects.filter(read_point=event.rule.read_point, frozen_at__isnull=True).first()
    if session is None:
        return TriggerOutcome.NOTHING
    if session.purpose != SessionPurpose.PASSAGE:
        return TriggerOutcome.BUSY
    freeze_read_session(session=session, trigger=event)
    return TriggerOutcome.CLOSED


def _settle(rule: TriggerRule, now: datetime) -> int:
    if not (_is_overdue(rule, now) or _has_settled(rule, now)):
        return 0
    changed = 0
    with transaction.atomic():
        lock_read_point(rule.read_point)
        # Looked at again: a report may have been acted on while this waited for the lock.
        if event := _has_settled(rule, now):
            changed += _carry_out(event)
        if session := _is_overdue(rule, now):
            freeze_read_session(session=session)
            changed += 1
    return changed


def _is_overdue(rule: TriggerRule, now: datetime) -> ReadSession | None:
    return ReadSession.objects.filter(
        opened_by_trigger__rule=rule,
        purpose=SessionPurpose.PASSAGE,
        frozen_at__isnull=True,
        opened_at__lte=now - timedelta(seconds=rule.longest_s),
    ).first()


def _has_settled(rule: TriggerRule, now: datetime) -> TriggerEvent | None:
    """Return the rule's newest event where it was taken for a bounce and the input has stayed as it says since."""
    if rule.retired_at is not None:
        return None
    newest = rule.events.exclude(outcome=TriggerOutcome.LATE).order_by("-id").first()
    if newest is None or newest.outcome != TriggerOutcome.BOUNCED:
        return None
    if now - newest.received_at < timedelta(milliseconds=rule.min_gap_ms):
        return None
    acted = rule.events.filter(outcome__in=ACTED).order_by("-id").first()
    return newest if acted is None or acted.high != newest.high else None
