"""Why a photo or a face cannot be used, each with a sentence for the person in front of the camera."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class PhotoRefused(Refusal):
    status = 400


class PhotoEmpty(PhotoRefused):
    code = "photo_empty"
    message = _("The photo holds no data. Take it again or choose another file.")


class PhotoTooLarge(PhotoRefused):
    code = "photo_too_large"
    message = _("The photo has %(megabytes)s MB and at most %(limit)s MB are taken. Send a smaller one.")
    status = 413


class PhotoTooManyPixels(PhotoRefused):
    code = "photo_too_many_pixels"
    message = _("The photo has %(width)s × %(height)s pixels. Send one of at most %(limit)s megapixels.")
    status = 413


class PhotoNotAnImage(PhotoRefused):
    code = "photo_not_an_image"
    message = _("This is not a photo that can be read. Send a JPEG, PNG or WebP photo.")
    status = 415


class PhotoTruncated(PhotoRefused):
    code = "photo_truncated"
    message = _("The photo is cut off or damaged. Take it again or send the whole file.")


class PhotoAnimated(PhotoRefused):
    code = "photo_animated"
    message = _("The photo is an animation. Send a still photo.")


class FaceRefused(Refusal):
    status = 422


class NoFaceFound(FaceRefused):
    code = "no_face"
    message = _("No face was found. Face the camera, in even light, without mask or hat.")


class SeveralFaces(FaceRefused):
    code = "several_faces"
    message = _("%(count)s faces are in the photo. Only the person concerned may be in it.")


class FaceTooSmall(FaceRefused):
    code = "face_too_small"
    message = _(
        "The face is too small: %(found)s pixels between the eyes, at least %(needed)s are needed. Come closer."
    )


class FaceTurned(FaceRefused):
    code = "face_turned"
    message = _("The head is turned aside. Look straight into the camera.")


class FaceTooDark(FaceRefused):
    code = "face_too_dark"
    message = _(
        "The face is too dark: %(found)s%% of full brightness, at least %(needed)s%% is needed. Turn to a light."
    )


class FaceTooBright(FaceRefused):
    code = "face_too_bright"
    message = _(
        "The face is too bright: %(found)s%% of full brightness, at most %(allowed)s%% is good. Step out of the bright"
        " light."
    )


class FaceOverexposed(FaceRefused):
    code = "face_overexposed"
    message = _(
        "%(found)s%% of the face is glaring white, at most %(allowed)s%% may be. Move away from the lamp or the sun."
    )


class FaceUnderexposed(FaceRefused):
    code = "face_underexposed"
    message = _(
        "%(found)s%% of the face lies in black shadow, at most %(allowed)s%% may. Let light fall on the face from the"
        " front."
    )


class FaceUnclear(FaceRefused):
    code = "face_unclear"
    message = _("The face does not show clearly. Take off mask, hat or dark glasses and look straight into the camera.")


class FaceBlurred(FaceRefused):
    code = "face_blurred"
    message = _("The face is blurred. Hold still, wipe the lens, or come closer.")


class EngineUnusable(Exception):
    """No face can be compared on this machine until its administrator has done something."""


class ModelFileMissing(EngineUnusable):
    """The face models are not installed; nothing can be compared without them."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"the model file {name} is not there: install face_recognition_models as the lock names it")


class ModelFileUnreadable(EngineUnusable):
    """The weights' file is not the network that this engine knows."""

    def __init__(self, *, name: str, found: str) -> None:
        super().__init__(f"the model file {name} cannot be read: {found}. Install it again, as the lock names it")


class EngineDisagrees(EngineUnusable):
    """The converted network does not say what dlib says: nothing may be decided with it."""

    def __init__(self, *, difference: float, limit: float) -> None:
        super().__init__(
            f"the descriptors differ from dlib's by {difference:.1e}, and at most {limit:.0e} is allowed: delete the"
            " converted network in BIOMETRICS_MODELS_DIR and start again, or set BIOMETRICS_ENGINE=dlib"
        )


class EngineUnknown(EngineUnusable):
    """BIOMETRICS_ENGINE names an engine that is not there."""

    def __init__(self, *, name: str, known: str) -> None:
        super().__init__(f"BIOMETRICS_ENGINE is {name!r}: set it to one of {known}")
