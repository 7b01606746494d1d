"""
Untrusted bytes to pixels. Size, format and dimensions are read from the header and capped before anything is decoded.

What is kept of a photo (:attr:`Photo.encoded`) decodes to the same pixels and carries no metadata: no place, no device.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from biometrics.engine.errors import (
    PhotoAnimated,
    PhotoEmpty,
    PhotoNotAnImage,
    PhotoTooLarge,
    PhotoTooManyPixels,
    PhotoTruncated,
)
from biometrics.engine.metadata import strip_jpeg, strip_png, strip_webp

MAX_BYTES = 15 * 1024 * 1024
# Decoding takes up to 20 bytes a pixel (docs/faces.md). A JPEG's decoder can halve the picture as it reads, so that a
# telephone's largest still costs no more; a PNG's and a WebP's cannot, and no camera writes such large ones.
MAX_PIXELS = 50_000_000
MAX_DECODED_PIXELS = 16_000_000
# A common progressive JPEG has about ten scans; each one costs a pass over all pixels, whatever its size in the file.
MAX_JPEG_SCANS = 64

_STRIP_PIXELS = 250_000
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright: ``rgb`` is uint8 of height × width × 3, ``grey`` uint8 of height × width."""

    rgb: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    encoded: bytes
    media_type: str

    @property
    def width(self) -> int:
        return int(self.grey.shape[1])

    @property
    def height(self) -> int:
        return int(self.grey.shape[0])


@dataclass(frozen=True)
class _Format:
    media_type: str
    open: Callable[[io.BytesIO], ImageFile.ImageFile]
    max_pixels: int
    strip: Callable[[bytes, int], bytes]


# The plug-ins are called directly: Image.open() would let every other format of Pillow look at the bytes, and warns of
# large images through the process-wide warnings filter, which no thread can change for itself alone.
_JPEG = _Format("image/jpeg", lambda file: JpegImagePlugin.jpeg_factory(file), MAX_PIXELS, strip_jpeg)
_PNG = _Format("image/png", lambda file: PngImagePlugin.PngImageFile(file), MAX_DECODED_PIXELS, strip_png)
_WEBP = _Format("image/webp", lambda file: WebPImagePlugin.WebPImageFile(file), MAX_DECODED_PIXELS, strip_webp)


def decode_photo(data: bytes) -> Photo:
    """
    Decode a JPEG, PNG or WebP still: upright, 8 bits, transparent parts on white; a huge JPEG at half its width.

    :raises PhotoRefused: photo_empty, photo_too_large, photo_too_many_pixels, photo_not_an_image, photo_truncated,
        photo_animated
    """
    if not data:
        raise PhotoEmpty
    if len(data) > MAX_BYTES:
        raise PhotoTooLarge(megabytes=round(len(data) / 2**20, 1), limit=MAX_BYTES // 2**20)
    kind = _recognise(data)
    if kind is _JPEG and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PhotoNotAnImage
    if kind is _WEBP:
        # libwebp allocates the canvas when it opens the file, so its header is read here first.
        _require_still_of_bounded_size(kind.max_pixels, *_webp_header(data))
    # Whoever imports face_recognition turns this on for the whole process: half a photo would pass for a whole one.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image = _open(kind, data)
    # An MPO (several JPEGs in one file, as stereo and portrait cameras write) is a still: its first picture counts.
    animated = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    # No camera writes CMYK, and a progressive one holds a third more than any other while it is decoded.
    max_pixels = MAX_DECODED_PIXELS if image.mode == "CMYK" else kind.max_pixels
    _require_still_of_bounded_size(max_pixels, *image.size, animated)
    orientation = _orientation(image)
    if image.width * image.height > MAX_DECODED_PIXELS:
        image.draft(None, (image.width // 2, image.height // 2))
    try:
        image.load()
        upright = _to_rgb(image)
    except (
        Exception
    ) as error:  # a decoder's errors are many: OSError, SyntaxError, ValueError, struct.error, zlib.error
        raise PhotoTruncated from error
    del image
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    return Photo(
        rgb=_pixels(upright),
        grey=_pixels(upright.convert("L")),
        encoded=kind.strip(data, orientation),
        media_type=kind.media_type,
    )


def _recognise(data: bytes) -> _Format:
    if data.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    raise PhotoNotAnImage


def _open(kind: _Format, data: bytes) -> ImageFile.ImageFile:
    try:
        return kind.open(io.BytesIO(data))
    except Exception as error:  # the plug-ins' parsers raise whatever the bytes lead them to
        raise PhotoNotAnImage from error


def _require_still_of_bounded_size(max_pixels: int, width: int, height: int, animated: bool) -> None:
    if animated:
        raise PhotoAnimated
    if width < 1 or height < 1:
        raise PhotoNotAnImage
    if width * height > max_pixels:
        raise PhotoTooManyPixels(width=width, height=height, limit=max_pixels // 1_000_000)


def _webp_header(data: bytes) -> tuple[int, int, bool]:
    """Read width, height and the animation flag from a WebP header (RFC 9649, section 2.5 to 2.7)."""
    chunk, header = data[12:16], data[20:30]
    if len(header) < 10:
        raise PhotoNotAnImage
    if chunk == b"VP8X":
        width = 1 + int.from_bytes(header[4:7], "little")
        return width, 1 + int.from_bytes(header[7:10], "little"), bool(header[0] & 0x02)
    if chunk == b"VP8L":
        bits = int.from_bytes(header[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), False
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", header[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    raise PhotoNotAnImage


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block says nothing about the pixels: they stand as they are
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        deep = np.asarray(image)
        return Image.fromarray((np.clip(deep, 0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(white, seen).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Copy the pixels in strips: at once, Pillow would hold them three times over."""
    bands = (3,) if image.mode == "RGB" else ()
    pixels = np.empty((image.height, image.width, *bands), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    pixels.flags.writeable = False
    return pixels
