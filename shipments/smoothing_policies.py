"""The smoothing policy of a read point: which tags read there count as seen."""

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.models import ReadPoint, SmoothingPolicy
from shipments.readers.report import RSSI_RANGE_CDBM
from shipments.smoothing import MEDIAN, STRONGEST, Policy

MOST_READS = 1_000
EPOCH_RANGE_MS = (50, 60_000)


class PolicyRefused(Refusal):
    code = "smoothing_refused"
    message = _("The rule for weak reads was not saved: %(problem)s")
    status = 422


def policy_of(read_point: ReadPoint) -> Policy:
    """Return what a tag needs at ``read_point`` to count as seen: one read, unless something else was set."""
    row = SmoothingPolicy.objects.filter(read_point=read_point).first()
    if row is None:
        return Policy()
    return Policy(
        min_reads=row.min_reads,
        min_rssi_cdbm=row.min_rssi_cdbm,
        strength=row.strength,
        delta_e4=row.delta_e4,
        epoch_ms=row.epoch_ms,
    )


def set_policy(*, read_point: ReadPoint, policy: Policy) -> SmoothingPolicy:
    """
    Let ``policy`` decide in the sessions that are frozen at ``read_point`` from now on.

    :raises PolicyRefused: where a number is out of range
    """
    problem = _problem(policy)
    if problem is not None:
        raise PolicyRefused(problem=problem)
    with transaction.atomic():
        row, _created = SmoothingPolicy.objects.update_or_create(
            read_point=read_point,
            defaults={
                "min_reads": policy.min_reads,
                "min_rssi_cdbm": policy.min_rssi_cdbm,
                "strength": policy.strength,
                "delta_e4": policy.delta_e4,
                "epoch_ms": policy.epoch_ms,
            },
        )
    return row


def _problem(policy: Policy) -> object | None:
    if not 1 <= policy.min_reads <= MOST_READS:
        return _("a tag is read 1 to 1,000 times to count.")
    if policy.min_rssi_cdbm is not None and not RSSI_RANGE_CDBM[0] <= policy.min_rssi_cdbm <= RSSI_RANGE_CDBM[1]:
        return _("the signal strength lies between -200 and 100 dBm.")
    if policy.strength not in (STRONGEST, MEDIAN):
        return _("the strength is that of the strongest read, or the median.")
    if policy.delta_e4 is not None and not 1 <= policy.delta_e4 <= 9_999:
        return _("the chance lies between 0.01 and 99.99 per cent.")
    if not EPOCH_RANGE_MS[0] <= policy.epoch_ms <= EPOCH_RANGE_MS[1]:
        return _("an epoch lasts 50 to 60,000 milliseconds.")
    return None
