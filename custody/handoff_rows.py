"""A handoff's row under its lock, its state, and the read sessions that follow each other in it."""

from accounts.models import User
from custody import errors
from custody.models import EarlierSession, Handoff, HandoffState
from shipments.models import Consignment
from shipments.read_sessions import freeze_read_session, open_read_session


def lock_handoff(handoff: Handoff, *states: HandoffState) -> Handoff:
    """Re-read the handoff under a row lock, and require one of ``states`` where any are named. In a transaction."""
    # The shipment first, as open_handoff locks it: locks that are taken in one order do not wait for each other.
    consignment = Consignment.objects.select_for_update(of=("self",)).get(handoffs=handoff.pk)
    locked = (
        Handoff.objects.select_for_update(of=("self",))
        .select_related("read_point__site", "session", "to_person")
        .get(pk=handoff.pk)
    )
    locked.consignment = consignment
    if states:
        require_state(locked, *states)
    return locked


def require_state(handoff: Handoff, *states: HandoffState) -> None:
    if handoff.state not in states:
        raise errors.WrongState(state=handoff.get_state_display().lower())


def open_next_session(handoff: Handoff, by: User, *, matched: bool) -> None:
    EarlierSession.objects.create(handoff=handoff, session=handoff.session, matched=matched)
    handoff.session = open_read_session(read_point=handoff.read_point, opened_by=by)


def close_session(handoff: Handoff) -> None:
    # An open session would keep the read point from the next handoff.
    if handoff.session.frozen_at is None:
        handoff.session = freeze_read_session(session=handoff.session)
