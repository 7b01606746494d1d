"""Photos made from the real ones: side by side, turned, spoiled."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def side_by_side(first: Path, second: Path) -> bytes:
    """The upper parts of two photos, at the same width."""
    both = Image.new("RGB", (1000, 600))
    for left, path in ((0, first), (500, second)):
        whole = Image.open(path).convert("RGB")
        both.paste(whole.resize((500, whole.height * 500 // whole.width)), (left, 0))
    return encode(both, "JPEG", quality=95)


def with_bystander(photos: Path) -> bytes:
    """A face, and behind its shoulder another one of about a fifth of its area."""
    near = Image.open(photos / "obama.jpg").crop((265, 40, 745, 640))
    far = Image.open(photos / "biden.jpg").crop((336, 140, 820, 700))
    far = far.resize((far.width * 35 // 100, far.height * 35 // 100))
    both = Image.new("RGB", (near.width + far.width, near.height))
    both.paste(near, (0, 0))
    both.paste(far, (near.width, 100))
    return encode(both, "PNG")


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, *, extra: bytes = b"") -> bytes:
    """A PNG of black and white pixels whose rows are all zero: small in the file whatever its size."""
    rows = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    pixels = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    )


def webp_header(width: int, height: int) -> bytes:
    """A WebP file that is a header alone and claims this canvas."""
    body = b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    content = b"WEBPVP8X" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(content)) + content
