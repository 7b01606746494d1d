"""
Content-addressed attachments: an entry holds the SHA-256, this table the bytes.

The ledger does not look into bodies; :data:`ATTACHMENT_FIELDS` alone tells it where a body names an attachment.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ledger.errors import AttachmentChanged
from ledger.models import Attachment

# By kind, the paths of the body's fields that hold an attachment's digest; "*" is every element of a list
# (docs/ledger-format.md).
ATTACHMENT_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "handoff": (("reads", "document"), ("reads", "reconciliation"), ("reads", "earlier", "*", "document")),
    "handoff_refused": (("reads", "document"),),
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


def named_in(kind: str, body: dict[str, Any]) -> Iterator[str]:
    """Yield the digests of the attachments that a body names; a field that is absent or no text names none."""
    for path in ATTACHMENT_FIELDS.get(kind, ()):
        for value in _at(body, path):
            if isinstance(value, str):
                yield value


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for element in value:
            yield from _at(element, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


@dataclass(frozen=True)
class AttachmentFault:
    """The first entry whose attachment is not what the entry says; ``check`` is the stable code of what is wrong."""

    index: int
    check: str
    expected: str
    found: str


class NamedAttachments:
    """
    Checks the attachments that the entries of a log name, while the entries stream past a verifier.

    Memory: one batch of digests, and a few attachments at a time. After the first fault nothing more is looked up.
    """

    def __init__(self) -> None:
        self.fault: AttachmentFault | None = None
        self._waiting: list[tuple[int, str]] = []

    def watch(self, notes: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on each note; whoever takes the next one says by it that the one before is sound."""
        for index, note in enumerate(notes):
            yield note
            self._take(index, note)
            if len(self._waiting) >= BATCH:
                self.check()

    def check(self) -> AttachmentFault | None:
        """Check what the sound entries so far name, and return the first fault of all."""
        digests = {digest for _, digest in self._waiting}
        if self.fault is None and digests:
            found = _found(digests)
            faults = (_compare(index, digest, found.get(digest)) for index, digest in self._waiting)
            self.fault = next((fault for fault in faults if fault), None)
        self._waiting.clear()
        return self.fault

    def _take(self, index: int, note: bytes) -> None:
        if self.fault is None:
            # The verifier has read this entry strictly: one line of JSON, and nothing is left to be strict about.
            entry = json.loads(note.partition(b"\n")[0])
            self._waiting += ((index, digest) for digest in named_in(entry["kind"], entry["body"]))


def _found(digests: set[str]) -> dict[str, str]:
    """Map each attachment that exists to what it hashes to now."""
    rows = Attachment.objects.filter(pk__in=digests).values_list("sha256", "content").iterator(chunk_size=16)
    return {sha256: hashlib.sha256(as_bytes(content)).hexdigest() for sha256, content in rows}


def _compare(index: int, expected: str, found: str | None) -> AttachmentFault | None:
    if found is None:
        return AttachmentFault(index, "attachment_missing", expected, "no attachment of that name")
    return None if found == expected else AttachmentFault(index, "attachment_changed", expected, found)


def as_bytes(stored: bytes | memoryview | str) -> bytes:
    """What a column of bytes holds; SQLite lets an insider write text there."""
    return stored.encode() if isinstance(stored, str) else bytes(stored)
