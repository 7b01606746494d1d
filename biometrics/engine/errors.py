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


class ModelFileMissing(Exception):
    """The face models are not installed; nothing can be compared without them."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"the model file {name} is not there: install face_recognition_models as the lock names it")
