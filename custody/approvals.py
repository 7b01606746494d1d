"""
Dual control: an officer vouches where a face, a holder or the goods cannot, and authenticates again for it.

Never the easy way: the officer is another person than both sides and another account than the one that opened the
handoff, saw the tags as they stand, names a reason and a document, and stands in the entry with all of it.
"""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.models import EvidenceKind, Person
from biometrics.people import display_name
from biometrics.second_factor import check_second_factor
from biometrics.vault import seal_evidence
from custody.handoff_exceptions import exceptions_for_officer, must_read_again
from custody.handoff_rows import lock_handoff, require_state
from custody.models import Approval, ApprovalReason, Document, Handoff, HandoffState, Purpose
from custody.officers import person_of_officer
from ledger.tlog.times import format_time
from refusals import Refusal

HOLDS_FOR = timedelta(minutes=10)
MAX_NOTE = 500

REASONS: dict[Purpose, tuple[ApprovalReason, ...]] = {
    Purpose.DUAL_CONTROL: (
        ApprovalReason.CAMERA_FAILED,
        ApprovalReason.FACE_NOT_VISIBLE,
        ApprovalReason.DECLINED,
        ApprovalReason.NOT_ENROLLED,
        ApprovalReason.OTHER,
    ),
    Purpose.RELEASE: (
        ApprovalReason.HOLDER_ABSENT,
        ApprovalReason.HOLDER_UNABLE,
        ApprovalReason.AUTHORITY_ORDER,
        ApprovalReason.OTHER,
    ),
    Purpose.EXCEPTIONS: (
        ApprovalReason.TAG_UNREADABLE,
        ApprovalReason.SHORTAGE,
        ApprovalReason.SURPLUS,
        ApprovalReason.WEIGHT_EXPLAINED,
        ApprovalReason.SEAL_SEEN,
        ApprovalReason.AUTHORITY_ORDER,
        ApprovalReason.OTHER,
    ),
}
"""What may be said for each purpose. Entries hold the code; a code is never taken away."""


class ApprovalNotYours(Refusal):
    code = "approval_not_yours"
    message = _("Standing in for a face, for who hands over, or accepting goods that do not fit is an officer’s act.")
    status = 403


class ApprovalByParty(Refusal):
    code = "approval_by_party"
    message = _("%(person)s takes part in this handoff, or opened it. Another officer must approve it.")


class ApprovalRefused(Refusal):
    code = "approval_refused"
    message = _("Nothing was approved: %(problem)s")
    status = 422


class ApprovalOutdated(Refusal):
    code = "approval_outdated"
    message = _("The handoff changed since it was shown. Look at it again, then approve what you see.")


class NothingToApprove(Refusal):
    code = "nothing_to_approve"
    message = _("%(reference)s needs no officer for that.")


def approve(
    *,
    handoff: Handoff,
    purpose: str,
    reason: str,
    by: User,
    seen: str,
    document: str = "",
    note: str = "",
    pin: str = "",
    badge: str = "",
) -> Approval:
    """
    Vouch for what the handoff shows now, and confirm it by the officer's own badge or PIN.

    :param seen: :func:`shown` of the handoff as the officer saw it: nobody approves what changed under their eyes
    :param document: the identity document that was checked; for exceptions there is none
    :raises Refusal: approval_not_yours, officer_not_on_file, approval_by_party, approval_refused, approval_outdated,
        nothing_to_approve, wrong_state, second_factor_refused, second_factor_locked
    """
    officer = _officer(by)
    note = " ".join(note.split())
    if problem := _problem(purpose, reason, document, note):
        raise ApprovalRefused(problem=problem)
    handoff = Handoff.objects.select_related("consignment", "from_person", "to_person").get(pk=handoff.pk)
    _require_needed(handoff, purpose, officer, by, seen)
    method = check_second_factor(person=officer, pin=pin, badge=badge)
    with transaction.atomic():
        handoff = lock_handoff(handoff)
        _require_needed(handoff, purpose, officer, by, seen)
        return Approval.objects.create(
            handoff=handoff,
            purpose=purpose,
            reason=reason,
            document=document,
            note=seal_evidence(person=officer, kind=EvidenceKind.NOTE, value=note.encode()) if note else None,
            exceptions=exceptions_for_officer(handoff) if purpose == Purpose.EXCEPTIONS else [],
            reconciliation_sha256=handoff.reconciliation_sha256,
            officer=officer,
            by=by,
            second_factor=method,
            given_at=timezone.now(),
        )


def ask_officer(*, handoff: Handoff) -> None:
    """Put the handoff before the officers, because the camera, the receiver or who hands over cannot serve."""
    with transaction.atomic():
        handoff = lock_handoff(handoff, HandoffState.RECONCILED)
        if not officer_awaited(handoff):
            handoff.officer_asked_at = timezone.now()
            handoff.save(update_fields=["officer_asked_at"])


def officer_awaited(handoff: Handoff) -> bool:
    """Tell whether an officer was asked and none has answered since; another need of one is asked for anew."""
    asked = handoff.officer_asked_at
    return asked is not None and not handoff.approvals.filter(given_at__gte=asked).exists()


def shown(handoff: Handoff) -> str:
    """Name what an officer sees of a handoff: its matched tags, its weight and what does not fit."""
    listed = ",".join(f"{one['code']}={one['items']}" for one in exceptions_for_officer(handoff))
    return f"{handoff.reconciliation_sha256}:{handoff.measured_g or ''}:{listed}"


def approval_of(handoff: Handoff, purpose: Purpose) -> Approval | None:
    """Return the approval that counts now: for the tags as they are matched, and given not long ago."""
    if handoff.reconciled_at is None:
        return None
    given = handoff.approvals.select_related("officer", "by", "note").filter(purpose=purpose)
    # By the time as well: the same tags, read once more, have the same digest.
    newest = given.filter(
        reconciliation_sha256=handoff.reconciliation_sha256, given_at__gte=handoff.reconciled_at
    ).first()
    if newest is None:
        return None
    if purpose == Purpose.EXCEPTIONS:
        return newest if newest.exceptions == exceptions_for_officer(handoff) else None
    return newest if timezone.now() - newest.given_at <= HOLDS_FOR else None


def approval_body(approval: Approval) -> dict[str, Any]:
    """Build the part of an entry that says what an officer vouched for; ``note`` is a commitment."""
    body: dict[str, Any] = {
        "officer": approval.officer_id.urn,
        "operator": approval.by.pk.urn,
        "reason": str(approval.reason),
        "second_factor": approval.second_factor,
        "given_at": format_time(approval.given_at),
    }
    if approval.document:
        body["document_checked"] = str(approval.document)
    if approval.note is not None:
        body["note"] = approval.note.commitment
    return body


def _officer(by: User) -> Person:
    if not by.may(Capability.APPROVE_HANDOFFS):
        raise ApprovalNotYours
    return person_of_officer(by)


def _problem(purpose: str, reason: str, document: str, note: str) -> Any:
    if purpose not in Purpose.values:
        return _("the purpose is one of: %(known)s.") % {"known": ", ".join(Purpose.values)}
    fitting = REASONS[Purpose(purpose)]
    if reason not in fitting:
        return _("the reason is one of: %(known)s.") % {"known": ", ".join(fitting)}
    if purpose == Purpose.EXCEPTIONS:
        if document:
            return _("a document is checked for a person, not for goods.")
    elif document not in Document.values:
        return _("name the document that was checked, one of: %(known)s.") % {"known": ", ".join(Document.values)}
    if reason == ApprovalReason.OTHER and not note:
        return _("another reason is told in the note.")
    if len(note) > MAX_NOTE or not note.isprintable():
        return _("a note has at most %(limit)s characters that can be printed.") % {"limit": MAX_NOTE}
    return ""


def _require_needed(handoff: Handoff, purpose: str, officer: Person, by: User, seen: str) -> None:
    require_state(handoff, HandoffState.RECONCILED)
    if officer.pk in (handoff.from_person_id, handoff.to_person_id) or by.pk == handoff.opened_by_id:
        raise ApprovalByParty(person=display_name(officer))
    if seen != shown(handoff):
        raise ApprovalOutdated
    if not _needed(handoff, Purpose(purpose)):
        raise NothingToApprove(reference=handoff.consignment.reference)


def _needed(handoff: Handoff, purpose: Purpose) -> bool:
    match purpose:
        case Purpose.DUAL_CONTROL:
            return True
        case Purpose.RELEASE:
            return handoff.from_person_id is not None and handoff.released_at is None
        case Purpose.EXCEPTIONS:
            return not must_read_again(handoff) and bool(exceptions_for_officer(handoff))
