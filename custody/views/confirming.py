"""The last screen of a handoff: what still stands between the matched tags and custody, one thing after the other."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from biometrics.models import Person
from biometrics.people import display_name
from biometrics.verification import liveness_required
from custody import receiver_face
from custody.approvals import REASONS, approval_of, officer_awaited, shown
from custody.countersigning import released
from custody.handoff_exceptions import exceptions_of, must_read_again, weight_of
from custody.models import Approval, Document, Handoff, Purpose
from custody.sentences.exceptions import EXCEPTIONS, how_much, kilograms
from shipments.seals import seals_in_force

_ASKED = {
    Purpose.EXCEPTIONS: _("Accept what does not fit"),
    Purpose.RELEASE: _("Stand in for who hands over"),
    Purpose.DUAL_CONTROL: _("Stand in for the receiver’s face"),
}

_NEXT = {"officer": Purpose.EXCEPTIONS, "release": Purpose.RELEASE, "face": Purpose.DUAL_CONTROL}


def confirming(handoff: Handoff) -> dict[str, Any]:
    """Describe a handoff whose tags were matched; ``step``, what is next: read, officer, release, face or accept."""
    found = exceptions_of(handoff)
    wanting = [one for one in found if one.needs_officer]
    accepted = approval_of(handoff, Purpose.EXCEPTIONS) if wanting else None
    release = released(handoff)
    dual = None if receiver_face.face_holds(handoff) else approval_of(handoff, Purpose.DUAL_CONTROL)
    face = receiver_face.face_holds(handoff) or dual is not None
    step = "accept"
    if must_read_again(handoff):
        step = "read"
    elif wanting and accepted is None:
        step = "officer"
    elif not release:
        step = "release"
    elif not face:
        step = "face"
    left = receiver_face.attempts_left(handoff)
    return {
        "step": step,
        "exceptions": [
            {"name": EXCEPTIONS[one.code], "amount": how_much(one.code, one.items), "needs_officer": one.needs_officer}
            for one in found
        ],
        "exceptions_accepted": _told(accepted),
        "stood_in_for_holder": _told(release) if isinstance(release, Approval) else None,
        "stood_in_for_face": _told(dual),
        "face_confirmed": receiver_face.face_holds(handoff),
        "face_too_old": handoff.verification is not None and not receiver_face.face_holds(handoff),
        "minutes": int(receiver_face.FACE_HOLDS_FOR.total_seconds() // 60),
        "attempts_left": left if left < receiver_face.FACE_ATTEMPTS else None,
        "officer_awaited": officer_awaited(handoff),
        "once_more": receiver_face.first_capture(handoff) is not None,
        "liveness_required": liveness_required(),
        "liveness_context": receiver_face.liveness_context(handoff),
        "receiver_factors": _factors(handoff.to_person),
        "holder_factors": _factors(handoff.from_person) if handoff.from_person else None,
        "weight": _weight(handoff),
        "seals": [
            {"seal": seal, "looked_at": seal.events.filter(acted_at__gte=handoff.opened_at).exists()}
            for seal in seals_in_force(handoff.consignment)
        ],
    }


def wanted_of_officer(handoff: Handoff, context: dict[str, Any]) -> list[dict[str, Any]]:
    """List what an officer can vouch for now, each with its reasons, for one form each."""
    wanted = []
    if context["step"] == "officer":
        wanted.append(Purpose.EXCEPTIONS)
    if handoff.from_person_id and handoff.released_at is None and context["stood_in_for_holder"] is None:
        wanted.append(Purpose.RELEASE)
    if not context["face_confirmed"] and context["stood_in_for_face"] is None:
        wanted.append(Purpose.DUAL_CONTROL)
    if context["step"] == "read":
        wanted = []
    return [
        {
            "purpose": purpose.value,
            "title": _ASKED[purpose],
            "reasons": REASONS[purpose],
            "documents": Document if purpose != Purpose.EXCEPTIONS else (),
            # One thing at a time: what the handoff waits for now.
            "open": purpose == _NEXT.get(context["step"])
            and (purpose == Purpose.EXCEPTIONS or context["officer_awaited"]),
            "seen": shown(handoff),
        }
        for purpose in wanted
    ]


def _told(approval: Approval | None) -> dict[str, Any] | None:
    if approval is None:
        return None
    return {
        "officer": display_name(approval.officer),
        "reason": approval.get_reason_display(),
        "document": approval.get_document_display() if approval.document else "",
        "at": approval.given_at,
    }


def _factors(person: Person) -> dict[str, bool]:
    return {"pin": hasattr(person, "pin"), "badge": person.badges.filter(revoked_at=None).exists()}


def _weight(handoff: Handoff) -> dict[str, Any]:
    weight, declared = weight_of(handoff), handoff.consignment.declared_gross_mass_g
    return {
        "measured": kilograms(weight.measured_g) if weight else "",
        "fits": weight is None or weight.fits,
        "declared": kilograms(declared) if declared else "",
        "tolerance": kilograms(weight.tolerance_g) if weight else "",
    }
