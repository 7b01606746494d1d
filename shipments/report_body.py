"""The bytes of a posted report, with caps on what is read and on what a compressed body may grow to."""

import zlib
from typing import Protocol

from django.utils.translation import gettext_lazy as _

from refusals import Refusal

MAX_BODY = 16 * 1024 * 1024
MAX_UNPACKED = 64 * 1024 * 1024
MAX_MEMBERS = 1_000
CHUNK = 64 * 1024


class ReportTooLarge(Refusal):
    code = "report_too_large"
    message = _("The report has more than %(limit_mib)s MiB. Set the reader to send smaller batches.")
    status = 413


class ReportEncodingUnknown(Refusal):
    code = "report_encoding_unknown"
    message = _("Content-Encoding %(encoding)s is not known here. Send the report plain or as gzip.")
    status = 415


class ReportEncodingBroken(Refusal):
    code = "report_encoding_broken"
    message = _("The report says that it is gzip, but it cannot be unpacked.")
    status = 400


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_report_body(*, stream: Readable | None, declared_length: str, encoding: str) -> bytes:
    """
    Read a report from ``stream`` and undo its Content-Encoding.

    :raises ReportTooLarge: over 16 MiB as sent, or 64 MiB unpacked
    :raises ReportEncodingUnknown:
    :raises ReportEncodingBroken:
    """
    check_encoding(encoding)
    return unpack(read_posted(stream=stream, declared_length=declared_length), encoding)


def read_posted(*, stream: Readable | None, declared_length: str) -> bytes:
    """
    Read a body as it was sent.

    :raises ReportTooLarge: over 16 MiB
    """
    if declared_length.isascii() and declared_length.isdigit() and int(declared_length[:20]) > MAX_BODY:
        raise ReportTooLarge(limit_mib=MAX_BODY >> 20)
    body = stream.read(MAX_BODY + 1) if stream is not None else b""
    if len(body) > MAX_BODY:
        raise ReportTooLarge(limit_mib=MAX_BODY >> 20)
    return body


def check_encoding(encoding: str) -> bool:
    """Tell whether a Content-Encoding is gzip. :raises ReportEncodingUnknown: where it is neither that nor nothing"""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise ReportEncodingUnknown(encoding=encoding[:40])
    return encoding.endswith("gzip")


def unpack(body: bytes, encoding: str) -> bytes:
    """
    Undo a body's Content-Encoding.

    :raises ReportEncodingUnknown:
    :raises ReportEncodingBroken:
    :raises ReportTooLarge: over 64 MiB unpacked
    """
    return unpack_gzip(body) if check_encoding(encoding) else body


def unpack_gzip(packed: bytes) -> bytes:
    """
    Unpack one or several gzip members (RFC 1952), never past the cap.

    :raises ReportTooLarge:
    :raises ReportEncodingBroken:
    """
    unpacked = bytearray()
    position = members = 0
    while position < len(packed):
        members += 1
        # Empty members cost twenty bytes each and a whole inflate state to read.
        if members > MAX_MEMBERS:
            raise ReportEncodingBroken()
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not member.eof:
            chunk = packed[position : position + CHUNK]
            if not chunk:
                raise ReportEncodingBroken()
            try:
                unpacked += member.decompress(chunk, MAX_UNPACKED + 1 - len(unpacked))
            except zlib.error as error:
                raise ReportEncodingBroken() from error
            if len(unpacked) > MAX_UNPACKED:
                raise ReportTooLarge(limit_mib=MAX_UNPACKED >> 20)
            position += len(chunk) - len(member.unused_data)
    return bytes(unpacked)
