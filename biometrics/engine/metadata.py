"""
Take the metadata out of a photo without touching its pixels, so that what is kept proves the decision and nothing else.

Works on bytes that a decoder has accepted. Of EXIF only the orientation stays; whatever follows the picture goes.
"""

import struct
import zlib
from collections.abc import Iterator

_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_WEBP_KEPT = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH"}
# VP8X flags (RFC 9649, section 2.7): alpha stays; ICC profile, EXIF, XMP and animation go.
_WEBP_ALPHA, _WEBP_EXIF = 0x10, 0x08


def strip_jpeg(data: bytes, orientation: int) -> bytes:
    """Keep what decoding needs (ITU-T T.81, annex B): tables, frame, scans, and the JFIF and Adobe colour markers."""
    kept = [b"\xff\xd8"]
    if orientation != 1:
        exif = b"Exif\0\0" + _exif(orientation)
        kept.append(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    for marker, segment in _jpeg_segments(data):
        about_colour = (marker == 0xE0 and segment[4:9] == b"JFIF\0") or (marker == 0xEE and segment[4:9] == b"Adobe")
        if about_colour or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(segment)
    return b"".join(kept)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker with its segment, a scan with its entropy-coded data; ends with the first picture's EOI."""
    at = 2
    while at + 1 < len(data):
        if data[at] != 0xFF or data[at + 1] == 0xFF:
            at += 1  # fill bytes, and what decoders skip between segments
            continue
        marker = data[at + 1]
        if marker == 0xD9:
            break
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            end = _end_of_scan(data, end)
        yield marker, data[at:end]
        at = end
    yield 0xD9, b"\xff\xd9"


def _end_of_scan(data: bytes, at: int) -> int:
    while (at := data.find(b"\xff", at)) >= 0:
        following = data[at + 1] if at + 1 < len(data) else 0xD9
        # A stuffed zero, a restart marker or a fill byte belongs to the scan; any other marker ends it.
        if following not in (0x00, 0xFF) and not 0xD0 <= following <= 0xD7:
            return at
        at += 1 if following == 0xFF else 2
    return len(data)


def strip_png(data: bytes, orientation: int) -> bytes:
    """Keep the critical chunks and the transparency (PNG, third edition, section 11)."""
    kept = [data[:8]]
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if name in _PNG_KEPT:
            kept.append(data[at:end])
        if name == b"IHDR" and orientation != 1:
            body = b"eXIf" + _exif(orientation)
            kept.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
        at = end
        if name == b"IEND":
            break
    return b"".join(kept)


def strip_webp(data: bytes, orientation: int) -> bytes:
    """Keep the picture and its alpha channel (RFC 9649); the simple form gains a header where EXIF must be written."""
    chunks = []
    at = 12
    end_of_file = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= end_of_file:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] in _WEBP_KEPT:
            chunks.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    # Orientation can only have come from an EXIF chunk, so an extended header is there to carry the flag.
    exif = orientation != 1
    kept = []
    for name, body in chunks:
        if name == b"VP8X":
            body = bytes([body[0] & _WEBP_ALPHA | (_WEBP_EXIF if exif else 0)]) + body[1:]
        kept.append(_riff_chunk(name, body))
    if exif:
        kept.append(_riff_chunk(b"EXIF", _exif(orientation)))
    content = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _riff_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _exif(orientation: int) -> bytes:
    """Make the smallest TIFF that holds an orientation: one directory with one SHORT."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
