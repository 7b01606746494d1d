"""What stops a handoff, each with a stable code and a sentence that says what to do."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class ShipmentClosed(Refusal):
    code = "shipment_closed"
    message = _("%(reference)s was closed: its journey has ended. Scan another shipment.")


class HandoffAlreadyOpen(Refusal):
    code = "handoff_already_open"
    message = _("%(reference)s has an open handoff to %(receiver)s. Finish or cancel that one first.")


class SamePersonOnBothSides(Refusal):
    code = "same_person_both_sides"
    message = _("%(person)s already holds custody of %(reference)s. Somebody else must take it.")


class TagOfAnotherShipment(Refusal):
    code = "wrong_consignment"
    message = _("%(tag)s belongs to shipment %(other)s. Take it away from %(reference)s, then read again.")


class ScannedTagOfAnotherShipment(Refusal):
    code = "wrong_consignment"
    message = _("This tag belongs to shipment %(other)s. Scan a tag from %(reference)s.")


class ScannedTagUnknown(Refusal):
    code = "unexpected_tag"
    message = _("This tag is not on the manifest of %(reference)s. Scan a tag from the manifest.")


class NothingRead(Refusal):
    code = "nothing_read"
    message = _("No tag of %(reference)s has been read yet. Bring the goods to the reader, or check that it is on.")


class WrongState(Refusal):
    code = "wrong_state"
    message = _("This handoff is %(state)s; that step is not open.")


class FaceNotMatched(Refusal):
    code = "face_mismatch"
    message = _("The face does not match %(person)s. Attempts left: %(left)s.")


class FaceNotMatchedFinally(Refusal):
    code = "face_mismatch"
    message = _("The face does not match %(person)s. This handoff is refused; an officer can see it.")


class LivenessNotShown(Refusal):
    """``reason_code`` among the facts is the code of what was missing in the answer to the challenge."""

    code = "liveness_failed"
    message = _("%(reason)s Attempts left: %(left)s.")


class LivenessNotShownFinally(Refusal):
    code = "liveness_failed"
    message = _("%(reason)s This handoff is refused; an officer can see it.")


class PhotoShownBefore(Refusal):
    code = "photo_resubmitted"
    message = _("%(reason)s Attempts left: %(left)s.")


class PhotoShownBeforeFinally(Refusal):
    code = "photo_resubmitted"
    message = _("%(reason)s This handoff is refused; an officer can see it.")


class FaceMissing(Refusal):
    code = "face_missing"
    message = _("Confirm the face of %(person)s first.")


class FaceTooOld(Refusal):
    code = "face_too_old"
    message = _("The face was confirmed more than %(minutes)s minutes ago. Confirm it again.")


class NobodyHandsOver(Refusal):
    code = "nobody_hands_over"
    message = _("Nobody holds custody of %(reference)s yet: the receiver alone confirms this handoff.")


class NotReleased(Refusal):
    code = "not_released"
    message = _("%(person)s holds custody and confirms first, by badge or PIN. If that cannot be, ask an officer.")


class TagsMatchedAnew(Refusal):
    code = "tags_matched_anew"
    message = _("The tags were matched again meanwhile. Look at them, then confirm.")


class ReadAgainFirst(Refusal):
    code = "read_again_first"
    message = _("%(count)s tags of %(reference)s were not read. Read again before custody passes without them.")


class ExceptionsNotApproved(Refusal):
    code = "exceptions_not_approved"
    message = _("%(reference)s does not fit what was expected. An officer must accept the exceptions first.")


class WeightNotRead(Refusal):
    code = "weight_not_read"
    message = _("“%(typed)s” is not a weight. Type kilograms in digits, with at most three behind the point.")
    status = 422


class WeightRefused(Refusal):
    code = "weight_refused"
    message = _("The weight was not recorded: a weight is more than nothing and at most %(most)s kg.")
    status = 422


class AttemptReused(Refusal):
    code = "attempt_reused"
    message = _("This attempt opened another handoff before. Start a new one.")


class NoAttemptLeft(Refusal):
    code = "no_attempt_left"
    message = _("Every attempt to confirm the face of %(person)s is used or under way. Wait for the answer.")


class Declined(Refusal):
    code = "declined"
    message = _("The handoff was declined.")


class ManifestInUse(Refusal):
    code = "manifest_in_use"
    message = _(
        "The manifest of %(reference)s stays as it is: a handoff has been matched against it. Enter what came later as "
        "a shipment of its own."
    )
