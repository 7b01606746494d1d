"""
Who holds custody gives it: the person who hands over confirms the matched tags by their own badge or PIN.

Without it nobody takes a shipment from a custodian who did not let it go, unless an officer stands in.
"""

from django.db import transaction
from django.utils import timezone

from biometrics.second_factor import check_second_factor
from custody import errors
from custody.approvals import approval_of
from custody.handoff_rows import lock_handoff, require_state
from custody.models import Approval, Handoff, HandoffState, Purpose


def release_custody(*, handoff: Handoff, pin: str = "", badge: str = "") -> Handoff:
    """
    Confirm by the holder's badge or PIN that custody of what was matched is given up. Confirmed again, it stays.

    :raises Refusal: wrong_state, nobody_hands_over, tags_matched_anew, second_factor_refused, second_factor_locked
    """
    handoff = Handoff.objects.select_related("from_person", "consignment").get(pk=handoff.pk)
    require_state(handoff, HandoffState.RECONCILED)
    if handoff.from_person is None:
        raise errors.NobodyHandsOver(reference=handoff.consignment.reference)
    if handoff.released_at is not None:
        return handoff
    method = check_second_factor(person=handoff.from_person, pin=pin, badge=badge)
    matched = handoff.reconciliation_sha256
    with transaction.atomic():
        handoff = lock_handoff(handoff, HandoffState.RECONCILED)
        if handoff.reconciliation_sha256 != matched:
            raise errors.TagsMatchedAnew
        if handoff.released_at is None:
            handoff.released_at, handoff.release_factor = timezone.now(), method
            handoff.save(update_fields=["released_at", "release_factor"])
    return handoff


def released(handoff: Handoff) -> bool | Approval:
    """Tell whether who holds custody gave it up, or return the officer's approval that stands in for that."""
    if handoff.from_person_id is None or handoff.released_at is not None:
        return True
    return approval_of(handoff, Purpose.RELEASE) or False
