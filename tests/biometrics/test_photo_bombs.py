"""
Hostile photos in a process of their own: each has a named outcome, within a bound of memory and of time.

Measured in a child, for this process's peak would be anybody's.
"""

import io
import json
import os
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from biometrics.engine.errors import PhotoRefused
from biometrics.engine.photo import MAX_DECODED_PIXELS, MAX_PIXELS, decode_photo
from tests.biometrics.pictures import encode, png_chunk, png_of, webp_header
from tests.biometrics.test_photo import exif, frames, gradient

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = int(os.environ.get("PHOTO_MUTATIONS", "2000"))
# Beside what the interpreter, numpy and Pillow hold: the most that any accepted photo takes while it is decoded.
MOST_MIB = 400
# A refusal reads a header; what it may hold is the caps' own: the file and what one chunk inflates to.
REFUSED_MIB = 80
SECONDS = 30

CHILD = """
import json, sys, time
from django.conf import settings
settings.configure(USE_I18N=False)
from biometrics.engine.errors import PhotoRefused
from biometrics.engine.photo import decode_photo
from benchmarks.machine import forget_peak, memory
data = sys.stdin.buffer.read()
before, started = forget_peak(), time.process_time()
try:
    photo = decode_photo(data)
    said = [photo.width, photo.height]
except PhotoRefused as refused:
    said = refused.code
print(json.dumps([said, memory("VmHWM") - before, time.process_time() - started]))
"""


def in_a_child(data: bytes) -> tuple[object, float, float]:
    """Decode in a new process; return what it said, the MiB that it took at most, and its processor seconds."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is read from /proc, which only Linux has")
    child = subprocess.run(
        [sys.executable, "-c", CHILD], input=data, capture_output=True, cwd=ROOT, timeout=120, check=True
    )
    said, mib, seconds = json.loads(child.stdout)
    return said, mib, seconds


def noise(side: int) -> Image.Image:
    random = np.random.default_rng(1)
    return Image.fromarray(random.integers(0, 255, (500, 500, 3), dtype=np.uint8)).resize((side, side))


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """Claim another size in a baseline JPEG's frame header (ITU-T T.81, B.2.2)."""
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[frame + 9 :]


def with_more_scans(jpeg: bytes, count: int) -> bytes:
    """Repeat the last scan of a progressive JPEG: each copy costs its decoder a pass over all pixels."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + b"\xff\xd9"


def refused_bombs() -> dict[str, tuple[bytes, str]]:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 400_000_000, 9))
    profile = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"\0" * 400_000_000, 9))
    progressive = encode(gradient(), "JPEG", progressive=True)
    return {
        "png of 2.5 gigapixels": (png_of(50_000, 50_000), "photo_too_many_pixels"),
        "png just over the cap": (png_of(4_001, 4_000), "photo_too_many_pixels"),
        "jpeg that claims 65,500 px squared": (
            with_size(encode(gradient(), "JPEG"), 65_500, 65_500),
            "photo_too_many_pixels",
        ),
        "webp that claims 16,383 px squared": (webp_header(16_383, 16_383), "photo_too_many_pixels"),
        "png whose text inflates to 400 MB": (png_of(8, 8, extra=text), "photo_not_an_image"),
        "png whose profile inflates to 400 MB": (png_of(8, 8, extra=profile), "photo_not_an_image"),
        "jpeg of 5,000 scans": (with_more_scans(progressive, 5_000), "photo_not_an_image"),
    }


REFUSED = refused_bombs()


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_by_its_name_before_it_takes_memory(name: str) -> None:
    data, code = REFUSED[name]
    said, mib, seconds = in_a_child(data)
    assert said == code
    assert mib < REFUSED_MIB
    assert seconds < SECONDS


def at_the_cap() -> dict[str, bytes]:
    largest, side = int(MAX_PIXELS**0.5), int(MAX_DECODED_PIXELS**0.5)
    turned = exif(6)
    return {
        "jpeg": encode(noise(largest), "JPEG", quality=70, exif=turned),
        "progressive jpeg without subsampling": encode(
            noise(largest), "JPEG", quality=30, progressive=True, subsampling=0
        ),
        "jpeg of one pixel less than is halved": encode(noise(side), "JPEG", quality=70, exif=turned),
        "cmyk jpeg": encode(noise(side).convert("CMYK"), "JPEG", quality=30, progressive=True, subsampling=0),
        "webp with alpha": encode(noise(side).convert("RGBA"), "WEBP", quality=20, method=0, exif=turned),
        "png with alpha": encode(Image.new("RGBA", (side, side), (9, 9, 9, 9)), "PNG", exif=turned),
        "png of 16 bits": encode(Image.new("I;16", (side, side)), "PNG", exif=turned),
        "png with a palette": encode(Image.new("P", (side, side)), "PNG", transparency=0, exif=turned),
    }


def test_the_largest_photos_that_are_taken_stay_under_the_bound() -> None:
    peaks: dict[str, float] = {}
    for name, data in at_the_cap().items():
        said, peaks[name], seconds = in_a_child(data)
        assert isinstance(said, list), (name, said)
        assert said[0] * said[1] <= MAX_DECODED_PIXELS
        assert seconds < SECONDS, name
    assert max(peaks.values()) < MOST_MIB, peaks


def test_a_huge_jpeg_is_read_at_half_its_width_and_kept_whole() -> None:
    sent = encode(noise(5000), "JPEG", quality=60)
    photo = decode_photo(sent)
    assert (photo.width, photo.height) == (2500, 2500)
    assert Image.open(io.BytesIO(photo.encoded)).size == (5000, 5000)
    assert np.array_equal(decode_photo(photo.encoded).rgb, photo.rgb)


def test_the_most_scans_that_are_taken_cost_bounded_time() -> None:
    progressive = encode(noise(int(MAX_PIXELS**0.5)), "JPEG", quality=10, progressive=True)
    last = progressive[progressive.rindex(b"\xff\xda") :]
    room = (14 * 2**20 - len(progressive)) // len(last)
    said, mib, seconds = in_a_child(with_more_scans(progressive, max(1, min(40, room))))
    assert isinstance(said, list) or said == "photo_truncated"
    assert mib < MOST_MIB
    assert seconds < SECONDS


def polyglots() -> dict[str, bytes]:
    jpeg, png, webp = (encode(gradient(), format, quality=90) for format in ("JPEG", "PNG", "WEBP"))
    php = b"<?php system($_GET['c']); ?>"
    comment = b"\xff\xfe" + (len(php) + 2).to_bytes(2, "big") + php
    return {
        "jpeg and zip": jpeg + b"PK\x03\x04<?php an archive",
        "jpeg with a php comment": jpeg[:2] + comment + jpeg[2:],
        "png with html behind": png + b"<script>alert('<?php')</script>",
        "png with php in a chunk": png[:33] + png_chunk(b"tEXt", b"Comment\0" + php) + png[33:],
        "webp with html behind": webp + b"<script><?php</script>",
        "jpeg and pdf": jpeg + b"%PDF-1.7 <?php",
    }


@pytest.mark.parametrize("name", polyglots())
def test_of_a_file_that_is_two_things_the_photo_alone_is_kept(name: str) -> None:
    sent = polyglots()[name]
    photo = decode_photo(sent)
    assert b"<?php" in sent
    assert not any(trace in photo.encoded for trace in (b"<?php", b"<script", b"PK\x03\x04", b"%PDF"))
    assert np.array_equal(decode_photo(photo.encoded).rgb, photo.rgb)


FTYP = b"\0\0\0\x18ftyp"
OTHER = {
    "heic": FTYP + b"heic\0\0\0\0mif1heic",
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "pdf": b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj",
    "zip": b"PK\x05\x06" + bytes(18),
    "html": b"<!doctype html><title>photo.jpg</title>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "jpeg behind a byte": b" " + encode(gradient(), "JPEG"),
    "zeros": bytes(4096),
    "gif": frames("GIF"),
    **{format.lower(): encode(gradient(), format) for format in ("TIFF", "BMP", "JPEG2000", "ICO")},
}


@pytest.mark.parametrize("name", OTHER)
def test_what_is_no_jpeg_png_or_webp_is_named_so(name: str) -> None:
    with pytest.raises(PhotoRefused) as refused:
        decode_photo(OTHER[name])
    assert refused.value.code == "photo_not_an_image"


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_avif_is_named_as_what_cannot_be_read() -> None:
    with pytest.raises(PhotoRefused) as refused:
        decode_photo(encode(gradient(), "AVIF"))
    assert refused.value.code == "photo_not_an_image"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_photo_cut_off_anywhere_is_named_so_or_lacks_no_pixel(format: str, photos: Path) -> None:
    whole = encode(Image.open(photos / "grace_hopper.jpg"), format)
    pixels = decode_photo(whole).rgb
    codes: Counter[str] = Counter()
    for cut in [*np.linspace(0, len(whole), 60, endpoint=False).astype(int).tolist(), len(whole) - 16]:
        try:
            photo = decode_photo(whole[:cut])
        except PhotoRefused as refused:
            codes[refused.code] += 1
            continue
        # A PNG without its last chunk, which holds nothing.
        codes["whole"] += 1
        assert np.array_equal(photo.rgb, pixels)
    assert set(codes) <= {"photo_empty", "photo_not_an_image", "photo_truncated", "whole"}
    assert codes["photo_empty"] == 1
    assert codes["whole"] <= 1


def mutated(whole: bytes, random: np.random.Generator) -> bytes:
    """Spoil a photo as a bad line or an enemy would: bytes turned, cut out, doubled, or another file's put in."""
    data = bytearray(whole)
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(0, len(data)))
        # Half of the damage in the headers, where it leads somewhere.
        at = at % 700 if random.random() < 0.5 else at
        length = int(random.integers(1, 40))
        match int(random.integers(0, 5)):
            case 0:
                data[at] = int(random.integers(0, 256))
            case 1:
                data[at : at + 2] = bytes([255, int(random.integers(0xC0, 0x100))])
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + 4] = random.integers(0, 256, 4, dtype=np.uint8).tobytes()
    return bytes(data)


def test_thousands_of_spoiled_photos_are_photos_or_refusals_and_nothing_else(photos: Path) -> None:
    random = np.random.default_rng(20260101)
    small = [
        Image.open(photos / name).convert("RGB").resize((200, 240))
        for name in ("obama.jpg", "biden.jpg", "grace_hopper.jpg", "astronaut.png")
    ]
    wholes = [
        encode(image, format, **about)
        for image in small
        for format, about in (
            ("JPEG", {"exif": exif(6)}),
            ("JPEG", {"progressive": True}),
            ("PNG", {"exif": exif(3)}),
            ("WEBP", {"exif": exif(8)}),
        )
    ]
    outcomes: Counter[str] = Counter()
    for number in range(MUTATIONS):
        data = mutated(wholes[number % len(wholes)], random)
        try:
            photo = decode_photo(data)
        except PhotoRefused as refused:
            outcomes[refused.code] += 1
            continue
        outcomes["a photo"] += 1
        assert photo.rgb.shape == (*photo.grey.shape, 3)
        # What is kept of it must be readable as long as the evidence is: whatever it took to read it once.
        assert decode_photo(photo.encoded).rgb.shape == photo.rgb.shape
    assert sum(outcomes.values()) == MUTATIONS
    assert {"a photo", "photo_truncated", "photo_not_an_image"} <= set(outcomes), outcomes
