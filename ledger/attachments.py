"""Content-addressed attachments: an entry holds the SHA-256, this table the bytes."""

import hashlib

from ledger.errors import AttachmentChanged
from ledger.models import Attachment


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
    content = bytes(Attachment.objects.get(pk=sha256).content)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise AttachmentChanged(expected=sha256, found=found)
    return content
