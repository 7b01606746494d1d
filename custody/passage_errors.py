"""What stops a passage, each with a stable code and a sentence that says what to do."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class PassageNotYours(Refusal):
    code = "passage_not_yours"
    message = _("A passage is checked by the officer who began it, under their own account.")
    status = 403


class PassageRefused(Refusal):
    code = "passage_refused"
    message = _("Nothing was recorded: %(problem)s")
    status = 422


class CrossingClosed(Refusal):
    code = "crossing_closed"
    message = _("%(crossing)s is no open border crossing. Choose another, or have it opened.")


class PassageClosed(Refusal):
    code = "passage_closed"
    message = _("This passage is closed already: %(state)s. Begin another one.")


class PassageExpired(Refusal):
    code = "passage_expired"
    message = _(
        "This passage was begun more than %(hours)s hours ago. Begin another one; this one is on record as open."
    )


class AttemptReused(Refusal):
    code = "attempt_reused"
    message = _("This attempt began another passage before. Start a new one.")


class FaceDeclined(Refusal):
    code = "face_declined"
    message = _("No photo is taken of this traveller: the document is checked by eye.")


class TooLateToDecline(Refusal):
    code = "too_late_to_decline"
    message = _(
        "The face was compared already. Decide on what was found; passing against it takes a note and your PIN."
    )


class ComparedAlready(Refusal):
    code = "compared_already"
    message = _("The face matches the document already. Decide on the passage.")


class ComparisonUnderWay(Refusal):
    code = "comparison_under_way"
    message = _("A face is being compared for this passage. Wait for the answer.")


class NoAttemptLeft(Refusal):
    code = "no_attempt_left"
    message = _("Every attempt to compare the face is used. Decide on the passage.")


class TravellerNotMatched(Refusal):
    code = "face_mismatch"
    message = _("The face does not match the document. Attempts left: %(left)s.")


class TravellerNotMatchedFinally(Refusal):
    code = "face_mismatch"
    message = _("The face does not match the document. Decide on the passage.")


class CaptureRefused(Refusal):
    """``reason_code`` among the facts says whether liveness or the photo was refused."""

    code = "capture_refused"
    message = _("%(reason)s Attempts left: %(left)s.")


class FaceNotCompared(Refusal):
    code = "face_not_compared"
    message = _("Nobody passes unchecked. Compare the face, or record why the document is checked by eye.")


class DocumentNotChecked(Refusal):
    code = "document_not_checked"
    message = _("Check the document by eye and say that you did, then decide.")
    status = 422


class NoteMissing(Refusal):
    code = "note_missing"
    message = _("This goes against the advice. Write why, at most %(limit)s characters.")
    status = 422


class FindingsChanged(Refusal):
    code = "findings_changed"
    message = _("Something changed while you decided. Read the findings again, then decide.")
