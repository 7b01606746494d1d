"""
Stand-ins for a second capture, made from the only photo that there is of a person.

Where packages carry one photo of somebody, the demo's "live" picture is that photo framed, turned and lit anew. It
shows the way a handoff goes and proves nothing about accuracy.
"""

import io

from PIL import Image, ImageEnhance, ImageOps


def reframe(
    photo: bytes, *, degrees: float = 0, brightness: float = 1.0, crop: float = 0.0, scale: float = 1.0
) -> bytes:
    """
    Turn, relight, crop and scale an encoded photo, and encode it as JPEG.

    :param crop: the share of width and height that is cut off, half of it on each side
    """
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(photo))).convert("RGB")
    picture = picture.rotate(degrees, Image.Resampling.BICUBIC)
    left, top = round(picture.width * crop / 2), round(picture.height * crop / 2)
    picture = picture.crop((left, top, picture.width - left, picture.height - top))
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    picture = ImageEnhance.Brightness(picture).enhance(brightness)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=88)
    return encoded.getvalue()
