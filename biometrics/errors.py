"""What stops registering, enrolling, verifying or confirming a person, each with a sentence that says what to do."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


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
    message = _("Photo %(photo)s is the same as photo %(same_as)s. Take another one.")
    status = 422


class PhotosDisagree(Refusal):
    code = "photos_disagree"
    message = _("Photo %(photo)s does not show the same face as the others. Take it again.")
    status = 422


class AlreadyEnrolledAs(Refusal):
    code = "already_enrolled"
    message = _("This face is already enrolled as %(name)s. Use that record, or have an officer look at both.")


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
