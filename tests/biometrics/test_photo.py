"""Untrusted bytes: every bad photo has a named outcome, and every good one becomes the same upright pixels."""

import io
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biometrics.engine.errors import PhotoRefused
from biometrics.engine.photo import MAX_BYTES, decode_photo
from tests.biometrics.pictures import encode, png_chunk, png_of, webp_header

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x * 4 % 256, y * 5 % 256, (x + y) % 256], axis=-1).astype(np.uint8))


def exif(orientation: int, **more: str) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = "ACME Cameras"
    block.get_ifd(0x8825)[1] = "N"
    return block.tobytes()


def frames(format: str) -> bytes:
    return encode(gradient(), format, save_all=True, append_images=[Image.new("RGB", (64, 48), "red")], duration=50)


def bad_photos() -> dict[str, tuple[bytes, str]]:
    jpeg, png, webp = encode(gradient(), "JPEG"), encode(gradient(), "PNG"), encode(gradient(), "WEBP")
    text_bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 80_000_000))
    return {
        "empty": (b"", "photo_empty"),
        "text": (b"this is no photo at all", "photo_not_an_image"),
        "svg": (SVG, "photo_not_an_image"),
        "pickle": (b"\x80\x04\x95\x10\x00\x00\x00", "photo_not_an_image"),
        "gif": (encode(gradient(), "GIF"), "photo_not_an_image"),
        "animated gif": (frames("GIF"), "photo_not_an_image"),
        "bmp": (encode(gradient(), "BMP"), "photo_not_an_image"),
        "tiff": (encode(gradient(), "TIFF"), "photo_not_an_image"),
        "jpeg signature alone": (b"\xff\xd8\xff", "photo_not_an_image"),
        "png signature alone": (png[:8], "photo_not_an_image"),
        "webp signature alone": (webp[:16], "photo_not_an_image"),
        "jpeg cut off": (jpeg[:-60], "photo_truncated"),
        "png cut off": (png[: len(png) * 2 // 3], "photo_truncated"),
        "webp cut off": (webp[: len(webp) * 2 // 3], "photo_not_an_image"),
        "png with damaged rows": (png[:90] + bytes(40) + png[130:], "photo_truncated"),
        "animated png": (frames("PNG"), "photo_animated"),
        "animated webp": (frames("WEBP"), "photo_animated"),
        "over the size": (jpeg + bytes(MAX_BYTES), "photo_too_large"),
        "200 megapixel png": (png_of(20_000, 10_000), "photo_too_many_pixels"),
        "4 gigapixel png": (png_of(65_535, 8).replace(b"\0\0\0\x08", b"\0\0\xff\xff", 1), "photo_not_an_image"),
        "268 megapixel webp": (webp_header(16_383, 16_383), "photo_too_many_pixels"),
        "png with a text bomb": (png_of(8, 8, extra=text_bomb), "photo_not_an_image"),
        "progressive jpeg of a thousand scans": (jpeg + b"\xff\xda" * 1000, "photo_not_an_image"),
    }


BAD = bad_photos()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photo_has_a_named_outcome(name: str) -> None:
    data, code = BAD[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PhotoRefused) as refused:
        decode_photo(data)
    assert refused.value.code == code
    assert refused.value.sentence
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 64


def test_random_damage_never_gets_past_the_refusals() -> None:
    random = np.random.default_rng(7)
    for format in ("JPEG", "PNG", "WEBP"):
        whole = encode(gradient(), format)
        for _ in range(150):
            data = bytearray(whole)
            for at in random.integers(0, len(data), size=3):
                data[at] = random.integers(0, 256)
            try:
                photo = decode_photo(bytes(data))
            except PhotoRefused:
                continue
            assert decode_photo(photo.encoded).rgb.shape == photo.rgb.shape


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_exif_orientation_gives_the_same_pixels(format: str, orientation: int) -> None:
    turn = TURNS[orientation]
    stored = gradient().transpose(turn) if turn is not None else gradient()
    photo = decode_photo(encode(stored, format, exif=exif(orientation), lossless=True))
    assert np.array_equal(photo.rgb, np.asarray(gradient()))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_what_is_kept_has_the_same_pixels_and_no_metadata(format: str, progressive: bool, orientation: int) -> None:
    about = {"exif": exif(orientation), "icc_profile": b"a profile" * 30}
    sent = encode(gradient(), format, progressive=progressive, **about)
    sent += b"PK\x03\x04 an archive behind the picture"
    assert b"ACME" in sent
    photo = decode_photo(sent)
    assert not any(secret in photo.encoded for secret in (b"ACME", b"a profile", b"archive"))
    kept = decode_photo(photo.encoded)
    assert np.array_equal(kept.rgb, photo.rgb)
    assert kept.encoded == photo.encoded


def test_real_photos_lose_nothing_but_metadata(photos: Path) -> None:
    for path in sorted(photos.glob("obama*.jpg")):
        sent = path.read_bytes()
        photo = decode_photo(sent)
        assert np.array_equal(decode_photo(photo.encoded).rgb, photo.rgb)
        assert np.array_equal(photo.rgb, np.asarray(Image.open(path).convert("RGB")))
        assert b"Exif" not in photo.encoded


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    deep = (np.arange(64 * 48).reshape(48, 64) * 21).astype(np.uint16)
    photo = decode_photo(encode(Image.fromarray(deep), "PNG"))
    assert photo.rgb.shape == (48, 64, 3)
    assert np.array_equal(photo.grey, deep >> 8)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_colour_mode_becomes_8_bit_rgb(mode: str) -> None:
    photo = decode_photo(encode(gradient().convert(mode), "JPEG" if mode == "CMYK" else "PNG"))
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.shape == (48, 64, 3)
    assert np.array_equal(decode_photo(photo.encoded).rgb, photo.rgb)


def test_transparent_parts_are_white_as_a_person_sees_them() -> None:
    hidden = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (decode_photo(encode(hidden, "PNG")).rgb == 255).all()


def test_the_first_picture_of_several_in_a_jpeg_is_the_photo() -> None:
    mpo = encode(gradient(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")])
    photo = decode_photo(mpo)
    assert photo.rgb.shape == (48, 64, 3)
    assert len(photo.encoded) < len(mpo) * 3 // 4
    assert Image.open(io.BytesIO(photo.encoded)).format == "JPEG"
