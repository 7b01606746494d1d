"""
Checkpoints as in c2sp.org/tlog-checkpoint@v1.0.0: the signed statement of how many entries a log has and of their root.

The origin comes from the caller, never from the checkpoint.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ledger.tlog import base64_strict, note
from ledger.tlog.errors import Base64Malformed, CheckpointMalformed, OriginNotPinned, excerpt
from ledger.tlog.merkle import HASH_BYTES
from ledger.tlog.note import Signer, Verifier

MAX_SIZE = 2**63 - 1

# [0-9] and not \d or isdigit(): those and int() accept the digits of other scripts.
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: whose log, how many entries, their root; and extension lines, which this log never writes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or any(c < " " for c in line):
                raise CheckpointMalformed("line", expected="text without control characters", found=excerpt(line))
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointMalformed("size", expected="0 to 2^63 - 1", found=str(self.size))
        if len(self.root) != HASH_BYTES:
            raise CheckpointMalformed("root", expected=f"{HASH_BYTES} bytes", found=f"{len(self.root)} bytes")

    def text(self) -> str:
        """Return the note text: origin, size, root, one line each."""
        lines = (self.origin, str(self.size), base64_strict.encode(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """
    Read a checkpoint's note text.

    :raises CheckpointMalformed: if it is not exactly what :meth:`Checkpoint.text` writes for its values
    """
    if not text.endswith("\n"):
        raise CheckpointMalformed("checkpoint", expected="a final newline", found=excerpt(text[-20:]))
    lines = text[:-1].split("\n")
    if len(lines) < 3:
        raise CheckpointMalformed("checkpoint", expected="origin, size and root", found=f"{len(lines)} lines")
    origin, size, encoded_root, *extensions = lines
    if not _SIZE.fullmatch(size):
        raise CheckpointMalformed("size", expected="a decimal number without leading zeros", found=excerpt(size))
    try:
        root = base64_strict.decode(encoded_root)
    except Base64Malformed as error:
        raise CheckpointMalformed("root", expected=error.expected, found=error.found) from None
    return Checkpoint(origin, int(size), root, tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> bytes:
    """
    Return the checkpoint as a note signed by the log: by one key, or by both where one hands over to another.

    :raises CheckpointMalformed: if a signer's name is not the checkpoint's origin
    """
    for signer in signers:
        if signer.name != checkpoint.origin:
            raise CheckpointMalformed("signer's name", expected=excerpt(checkpoint.origin), found=excerpt(signer.name))
    return note.sign(checkpoint.text(), *signers)


def open_checkpoint(data: bytes, *, origin: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """
    Return the checkpoint of a note, once its signature and origin are checked.

    :raises NoteMalformed: if the bytes are not a signed note
    :raises SignatureNotVerified: if none of ``verifiers`` signed it
    :raises CheckpointMalformed: if the signed text is not a checkpoint
    :raises OriginNotPinned: if it is a checkpoint of another log than ``origin``
    """
    checkpoint = parse_checkpoint(note.open_note(data, *verifiers).text)
    if checkpoint.origin != origin:
        raise OriginNotPinned("origin", expected=excerpt(origin), found=excerpt(checkpoint.origin))
    return checkpoint
