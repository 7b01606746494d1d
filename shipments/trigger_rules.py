"""What the inputs of readers do at a read point: rules are added and retired, never changed."""

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.models import Reader, ReadPoint, TriggerDoes, TriggerRule

MOST_PORTS = 32_767
LONGEST_S = 24 * 60 * 60
LONGEST_GAP_MS = 60_000


class TriggerRefused(Refusal):
    code = "trigger_refused"
    message = _("The trigger was not saved: %(problem)s")
    status = 422


class TriggerExists(Refusal):
    code = "trigger_exists"
    message = _("Input %(port)s of %(reader)s has a rule already. Remove that one first.")


def add_trigger_rule(
    *,
    read_point: ReadPoint,
    reader: Reader,
    port: int,
    on_high: str = TriggerDoes.OPEN,
    on_low: str = TriggerDoes.CLOSE,
    longest_s: int = 300,
    min_gap_ms: int = 500,
) -> TriggerRule:
    """
    Let an input of ``reader`` start or end reading at ``read_point``.

    :param port: the input as the reader numbers it
    :param longest_s: after so many seconds a session that it opened ends by itself
    :param min_gap_ms: a change sooner than this after the last one counts only if it stays (a contact bounces)
    :raises TriggerRefused: where a number is out of range, or the reader stands elsewhere
    :raises TriggerExists: where that input has a rule
    """
    problem = _problem(read_point, reader, port, on_high, on_low, longest_s, min_gap_ms)
    if problem is not None:
        raise TriggerRefused(problem=problem)
    try:
        with transaction.atomic():
            return TriggerRule.objects.create(
                read_point=read_point,
                reader=reader,
                port=port,
                on_high=on_high,
                on_low=on_low,
                longest_s=longest_s,
                min_gap_ms=min_gap_ms,
            )
    except IntegrityError as error:
        raise TriggerExists(port=port, reader=reader.name) from error


def retire_trigger_rule(*, rule: TriggerRule) -> TriggerRule:
    """Take a rule out of use; what it opened ends by its time limit, or by an operator."""
    TriggerRule.objects.filter(pk=rule.pk, retired_at__isnull=True).update(retired_at=timezone.now())
    rule.refresh_from_db()
    return rule


def _problem(
    read_point: ReadPoint, reader: Reader, port: int, on_high: str, on_low: str, longest_s: int, min_gap_ms: int
) -> object | None:
    if reader.read_point_id != read_point.pk:
        return _("the reader stands at another read point.")
    if not 0 <= port <= MOST_PORTS:
        return _("the input is a number from 0 to 32,767.")
    if not {on_high, on_low} <= set(TriggerDoes.values) or on_high == on_low == TriggerDoes.NOTHING:
        return _("say what the input does when it goes high, or when it goes low.")
    if not 1 <= longest_s <= LONGEST_S:
        return _("a session lasts from one second to a day.")
    if not 0 <= min_gap_ms <= LONGEST_GAP_MS:
        return _("the shortest gap lies between 0 and 60,000 milliseconds.")
    return None
