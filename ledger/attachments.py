"""
Content-addressed attachments: an entry holds the SHA-256, this table the bytes.

The ledger does not look into bodies; :mod:`ledger.tlog.attachment_names` alone tells it where a body names one.
"""

import hashlib

from ledger.errors import AttachmentChanged
from ledger.models import Attachment
from ledger.tlog.entry_facts import Fault

# What is checked here, by its stable code, as the verdict's sentence has it.
CHECKS = {
    "attachment_missing": "an attachment that it names is gone",
    "attachment_changed": "an attachment that it names is not what it was",
}

# How many attachments are looked up with one query.
BATCH = 512


def store(content: bytes, *, media_type: str) -> str:
    """Keep ``content`` and return its SHA-256 as lowercase hex; the same content again is kept once."""
    sha256 = hashlib.sha256(content).hexdigest()
    Attachment.objects.bulk_create(
        [Attachment(sha256=sha256, media_type=media_type, content=content)], ignore_conflicts=True
    )
    return sha256


def load(sha256: str) -> bytes:
    """
    Return the attachment's bytes, checked against its name.

    :raises Attachment.DoesNotExist: if there is none
    :raises AttachmentChanged: if the bytes are not those that were stored
    """
    content = as_bytes(Attachment.objects.get(pk=sha256).content)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise AttachmentChanged(expected=sha256, found=found)
    return content


class NamedAttachments:
    """
    Checks the attachments that the sound entries of a log name, as the verifier tells of them in order.

    Memory: one batch of digests, and a few attachments at a time. After the first fault nothing more is looked up.
    """

    def __init__(self) -> None:
        self.fault: tuple[int, Fault] | None = None
        self._waiting: list[tuple[int, str]] = []

    def take(self, index: int, digests: tuple[str, ...]) -> None:
        """Have what entry ``index`` names checked, now or with others."""
        if self.fault is None:
            self._waiting += ((index, digest) for digest in digests)
            if len(self._waiting) >= BATCH:
                self.settle()

    def settle(self) -> tuple[int, Fault] | None:
        """Check what was taken, and return the first fault of all."""
        digests = {digest for _, digest in self._waiting}
        if self.fault is None and digests:
            found = _found(digests)
            faults = ((index, _compare(digest, found.get(digest))) for index, digest in self._waiting)
            self.fault = next(((index, fault) for index, fault in faults if fault), None)
        self._waiting.clear()
        return self.fault


def _found(digests: set[str]) -> dict[str, str]:
    """Map each attachment that exists to what it hashes to now."""
    rows = Attachment.objects.filter(pk__in=digests).values_list("sha256", "content").iterator(chunk_size=16)
    return {sha256: hashlib.sha256(as_bytes(content)).hexdigest() for sha256, content in rows}


def _compare(expected: str, found: str | None) -> Fault | None:
    if found is None:
        return Fault("attachment_missing", expected, "no attachment of that name", CHECKS["attachment_missing"])
    if found != expected:
        return Fault("attachment_changed", expected, found, CHECKS["attachment_changed"])
    return None


def as_bytes(stored: bytes | memoryview | str) -> bytes:
    """What a column of bytes holds; SQLite lets an insider write text there."""
    return stored.encode() if isinstance(stored, str) else bytes(stored)
