"""What stops registering, enrolling, verifying or confirming a person, each with a sentence that says what to do."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class AccountTaken(Refusal):
    code = "account_taken"
    message = _("The account %(account)s belongs to another person. Take it from them first, or choose another.")


class NameMissing(Refusal):
    code = "name_missing"
    message = _("Enter the person's name, at most %(limit)s characters.")
    status = 400


class PersonKindUnknown(Refusal):
    code = "person_kind_unknown"
    message = _("%(kind)s is not a kind of person. Choose one of the list.")
    status = 400


class ConsentMissing(Refusal):
    code = "consent_missing"
    message = _("There is no standing consent. Show the consent text and record the person's consent first.")


class ConsentOutdated(Refusal):
    code = "consent_outdated"
    message = _(
        "The person agreed to version %(version)s of the text, which speaks neither of the document's photo nor of the "
        "searches. Show the current text and record the consent again."
    )


class ConsentTextUnknown(Refusal):
    code = "consent_text_unknown"
    message = _("There is no consent text of version %(version)s in the language %(language)s. Show the current text.")
    status = 400


class ConsentTermsUnknown(Refusal):
    code = "consent_terms_unknown"
    message = _("The consent names a purpose or a retention that is not on the list. Choose from the list.")
    status = 400


class NoConsentToWithdraw(Refusal):
    code = "no_consent_to_withdraw"
    message = _("There is no standing consent to withdraw.")


class PhotosMissing(Refusal):
    code = "photos_missing"
    message = _("Add %(least)s to %(most)s photos; %(given)s were given.")
    status = 400


class EnrolmentPhotoRefused(Refusal):
    """``reason_code`` among the facts is the code of what the photo was refused for."""

    code = "enrolment_photo_refused"
    message = _("Photo %(photo)s: %(reason)s")
    status = 422


class PhotoRepeated(Refusal):
    code = "photo_repeated"
    message = _("Photo %(photo)s is the same as photo %(same_as)s. Move the head a little and take another one.")
    status = 422


class PhotosDisagree(Refusal):
    code = "photos_disagree"
    message = _("Photo %(photo)s does not show the same face as the others. Take it again.")
    status = 422


class DocumentPhotoRefused(Refusal):
    """``reason_code`` among the facts is the code of what the photo was refused for."""

    code = "document_photo_refused"
    message = _("Photo of the document: %(reason)s")
    status = 422


class DocumentIsCapture(Refusal):
    code = "document_is_capture"
    message = _("The document's photo is photo %(photo)s once more. Photograph the identity document itself.")
    status = 422


class DocumentNumberUnusable(Refusal):
    code = "document_number_unusable"
    message = _("A document's number has 1 to %(limit)s letters and digits. Type it as it is printed.")
    status = 422


class PortraitMissing(Refusal):
    code = "portrait_missing"
    message = _("Photograph the portrait in the document first.")


class DocumentDisagrees(Refusal):
    code = "document_disagrees"
    message = _(
        "The face in the identity document is not near enough to the photos taken now. Photograph the document again, "
        "from nearer and without glare; where its picture is old, use a newer document."
    )
    status = 422


class PersonExempt(Refusal):
    code = "person_exempt"
    message = _(
        "%(name)s is exempt from face comparison: no photo is taken. An officer checks the document at each handoff."
    )


class FaceOnFile(Refusal):
    """Names nobody: the likeness may be chance, and who it is like is for an officer to see, on the record."""

    code = "duplicate_found"
    message = _("A face like this one is on file under another record. An officer has to decide before it is enrolled.")


class DuplicateUndecided(Refusal):
    code = "duplicate_undecided"
    message = _("An officer has not decided yet whether this person is on file already. Wait for the decision.")


class DuplicateConfirmed(Refusal):
    code = "duplicate_confirmed"
    message = _(
        "An officer decided that this person is on file under another record. Use that record; this one stays without "
        "a face."
    )


class DuplicateDecidedBefore(Refusal):
    code = "duplicate_decided_before"
    message = _("This was decided before: %(state)s. A decision stands as it was made.")


class DuplicateNoteMissing(Refusal):
    code = "duplicate_note_missing"
    message = _("Write what the decision rests on, at most %(limit)s characters.")
    status = 400


class DuplicateNotYours(Refusal):
    code = "duplicate_not_yours"
    message = _("%(user)s may not decide whether two records are one person. An officer may.")
    status = 403


class NotEnrolled(Refusal):
    code = "not_enrolled"
    message = _("%(name)s has no enrolled face. Enrol the person first.")


class TemplateOutdated(Refusal):
    code = "template_outdated"
    message = _("The template of %(name)s was replaced or made with other models. Enrol again, then verify.")


class PinTooWeak(Refusal):
    code = "pin_too_weak"
    message = _("Choose a PIN of %(least)s to %(most)s digits that are neither all the same nor in a row.")
    status = 400


class SecondFactorRefused(Refusal):
    """The badge or PIN given does not confirm the person."""

    code = "second_factor_refused"
    message = _("The badge or PIN does not confirm %(name)s.")
    status = 403


class SecondFactorMissing(SecondFactorRefused):
    message = _("Scan the badge or enter the PIN of %(name)s.")


class PinNotSet(SecondFactorRefused):
    message = _("%(name)s has no PIN. Scan the badge instead.")


class PinRefused(SecondFactorRefused):
    message = _("This is not the PIN of %(name)s. %(left)s tries left.")


class BadgeRefused(SecondFactorRefused):
    message = _("This badge is not a valid badge of %(name)s. Scan their own badge.")


class SecondFactorLocked(Refusal):
    code = "second_factor_locked"
    message = _("The PIN of %(name)s is locked for %(minutes)s minutes after too many tries. Use the badge.")
    status = 429


class EvidenceNotOpened(Exception):
    """Sealed evidence does not open under its person's key: it, its row or its key was changed or exchanged."""

    def __init__(self, *, evidence: object) -> None:
        super().__init__(
            f"the evidence {evidence} does not open: its bytes, its person, its kind or its key was changed"
        )


class PersonKeyMissing(Exception):
    """The person's key is gone, and with it everything sealed under it."""

    def __init__(self, *, person: object) -> None:
        super().__init__(f"the key of person {person} does not exist: what was sealed under it cannot be opened")


class MasterKeyWrong(Exception):
    """The master key at hand is not the one that wrapped the person's key."""

    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__(f"the person's key was wrapped by master key {expected}; the one configured is {found}")


class MasterKeyMissing(Exception):
    """There are wrapped keys but no master key: a new one would open none of them."""

    def __init__(self, *, path: object) -> None:
        super().__init__(f"people are on file but the biometrics master key is not at {path}: bring it back")


class MasterKeyMalformed(Exception):
    def __init__(self, *, source: str) -> None:
        super().__init__(f"the biometrics master key in {source} is not 64 hexadecimal digits")


class KeyServiceFailed(Exception):
    """The command that wraps and unwraps keys did not answer as agreed; nothing is sealed or opened without it."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"the key service of BIOMETRICS_KMS_COMMAND failed: {reason}")


class EvidenceDestroyed(Refusal):
    code = "evidence_destroyed"
    message = _("This was destroyed on %(at)s (%(rule)s). What the ledger holds of it opens nothing.")
    status = 410


class LookNotAllowed(Refusal):
    code = "look_not_allowed"
    message = _("%(user)s may not look at biometric evidence. An officer may.")
    status = 403


class LookReasonMissing(Refusal):
    code = "look_reason_missing"
    message = _("Choose from the list what you look at the evidence for. It is recorded before anything is shown.")
    status = 400


class HeldByAuthority(Refusal):
    code = "held_by_authority"
    message = _("%(authority)s ordered to keep what is held about this person. An officer lifts the hold first.")


class HoldAuthorityMissing(Refusal):
    code = "hold_authority_missing"
    message = _("Name who ordered the hold and the file number, at most %(limit)s characters.")
    status = 400


class HoldAlreadyLifted(Refusal):
    code = "hold_already_lifted"
    message = _("This hold was lifted before.")


class PersonErased(Refusal):
    code = "person_erased"
    message = _("What was held about this person was erased on %(at)s. Nothing is left to act on.")
    status = 410


class ErasureRightUnknown(Refusal):
    code = "erasure_right_unknown"
    message = _("Choose from the list by which right the person is erased.")
    status = 400


class ErasureNotAllowed(Refusal):
    code = "erasure_not_allowed"
    message = _("%(user)s may not erase people. An administrator may.")
    status = 403


class WatchlistNotYours(Refusal):
    code = "watchlist_not_yours"
    message = _("%(user)s may not keep the watchlist. An officer may.")
    status = 403


class WatchlistReasonMissing(Refusal):
    code = "watchlist_reason_missing"
    message = _("Write the reason, at most %(limit)s characters. It is kept encrypted.")
    status = 400


class WatchlistAuthorityMissing(Refusal):
    code = "watchlist_authority_missing"
    message = _("Name who ordered it and the file number, at most %(limit)s characters.")
    status = 400


class WatchlistExpiryUnusable(Refusal):
    code = "watchlist_expiry_unusable"
    message = _("Choose a day to come, at most %(days)s days from now. Who is wanted longer is proposed again.")
    status = 400


class WatchlistPhotoRefused(Refusal):
    """``reason_code`` among the facts is the code of what the photo was refused for."""

    code = "watchlist_photo_refused"
    message = _("Photo %(photo)s: %(reason)s")
    status = 422


class WatchlistFull(Refusal):
    code = "watchlist_full"
    message = _(
        "The watchlist holds %(size)s faces. With one more, no threshold keeps false leads under %(rate)s. Remove an "
        "entry first."
    )


class SecondOfficerNeeded(Refusal):
    code = "second_officer_needed"
    message = _("%(user)s proposed this entry. Another officer confirms it.")
    status = 403


class WatchlistConfirmedBefore(Refusal):
    code = "watchlist_confirmed_before"
    message = _("This entry was confirmed before: the face is searched for already.")


class WatchlistEntryEnded(Refusal):
    code = "watchlist_entry_ended"
    message = _("This entry was removed, or has expired. Propose a new one where the face is still wanted.")


class LeadDecidedBefore(Refusal):
    code = "lead_decided_before"
    message = _("This lead was decided before: %(state)s. A decision stands as it was made.")


class GroupNameUnusable(Refusal):
    code = "group_name_unusable"
    message = _("Give the group a name of its own, at most %(limit)s characters.")
    status = 400


class GroupMemberUnusable(Refusal):
    code = "group_member_unusable"
    message = _("This person is erased, exempt from face comparison or on the watchlist, and cannot be in a group.")


class LivenessMissing(Refusal):
    code = "liveness_missing"
    message = _("A photo alone does not count here. Turn the head before the camera as the page asks.")
    status = 422


class FramesMalformed(Refusal):
    code = "frames_malformed"
    message = _(
        "The frames did not arrive as the page sends them: %(found)s frames and %(times)s times. Capture again."
    )
    status = 400


class FirstCaptureUsed(Refusal):
    code = "first_capture_used"
    message = _("The first capture cannot be used any more. Start again with a new one.")


class GroupTooLarge(Refusal):
    code = "group_too_large"
    message = _(
        "%(name)s has %(size)s enrolled faces, and the calibration answers for %(largest)s. Make smaller groups of it."
    )
