"""
Stand-ins for further captures, made from the few photos that there are of a person.

Where packages carry one photo of somebody, the demo's other pictures are that photo framed, slanted, sharpened and lit
anew, until it passes the gate. It shows the way an enrolment and a handoff go and proves nothing about accuracy.
"""

import io

from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def reframe(
    photo: bytes,
    *,
    degrees: float = 0,
    brightness: float = 1.0,
    crop: float = 0.0,
    scale: float = 1.0,
    squeeze: float = 1.0,
    lean: float = 0.0,
    sharpen: int = 0,
) -> bytes:
    """
    Turn, relight, crop, scale and slant an encoded photo, and encode it as JPEG.

    :param crop: the share of width and height that is cut off, half of it on each side
    :param squeeze: how much wider it becomes, of its width
    :param lean: how far a row moves left, of its distance from the eyes: the nose goes with it, as in a turned head
    :param sharpen: per cent of an unsharp mask of 3 px
    """
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(photo))).convert("RGB")
    if lean:
        slant = (1, lean, -lean * picture.height / 3, 0, 1, 0)
        picture = picture.transform(picture.size, Image.Transform.AFFINE, slant, Image.Resampling.BICUBIC)
    picture = picture.rotate(degrees, Image.Resampling.BICUBIC)
    left, top = round(picture.width * crop / 2), round(picture.height * crop / 2)
    picture = picture.crop((left, top, picture.width - left, picture.height - top))
    size = round(picture.width * scale * squeeze), round(picture.height * scale)
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    if sharpen:
        picture = picture.filter(ImageFilter.UnsharpMask(radius=3, percent=sharpen, threshold=0))
    picture = ImageEnhance.Brightness(picture).enhance(brightness)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()
