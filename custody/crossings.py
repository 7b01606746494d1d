"""Which read points are border crossings: a supervisor says so, and officers check passages there."""

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from custody.models import Crossing
from refusals import Refusal
from shipments.models import ReadPoint


class CrossingNotYours(Refusal):
    code = "crossing_not_yours"
    message = _("Whoever manages places says which of them is a border crossing.")
    status = 403


def open_crossing(*, read_point: ReadPoint, by: User) -> Crossing:
    """
    Say that a read point is a border crossing; one that was closed is open again.

    :raises CrossingNotYours:
    """
    _require_manager(by)
    with transaction.atomic():
        crossing, _made = Crossing.objects.get_or_create(read_point=read_point, defaults={"made_by": by})
        Crossing.objects.filter(pk=crossing.pk).update(enabled=True)
        crossing.refresh_from_db()
    return crossing


def close_crossing(*, crossing: Crossing, by: User) -> Crossing:
    """
    Begin no more passages there; those that were stay on record.

    :raises CrossingNotYours:
    """
    _require_manager(by)
    crossing.enabled = False
    crossing.save(update_fields=["enabled"])
    return crossing


def _require_manager(by: User) -> None:
    if not by.may(Capability.MANAGE_GOODS):
        raise CrossingNotYours
