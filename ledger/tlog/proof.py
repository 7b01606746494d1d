"""
Proofs as in c2sp.org/tlog-proof@v1: one entry's audit path together with the checkpoint that it leads to.

The entry itself stands beside the proof. Extra data is not authenticated: it is kept, and never believed.
"""

import re
from dataclasses import dataclass

from ledger.tlog import base64_strict
from ledger.tlog.errors import Base64Malformed, TlogProofMalformed, excerpt
from ledger.tlog.merkle import HASH_BYTES

HEADER = "c2sp.org/tlog-proof@v1"

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
# A tree of 2^63 leaves is that high.
_MAX_HASHES = 63


@dataclass(frozen=True)
class TlogProof:
    """``path`` holds the audit path from the leaf's sibling up; ``checkpoint`` the signed note, verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Return the proof's text."""
        extra = "" if self.extra is None else f"extra {base64_strict.encode(self.extra)}\n"
        hashes = "".join(f"{base64_strict.encode(step)}\n" for step in self.path)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n".encode() + self.checkpoint


def parse_proof(data: bytes) -> TlogProof:
    """
    Read a tlog-proof, and verify nothing of it.

    :raises TlogProofMalformed: if it is not exactly what :meth:`TlogProof.encode` writes for its values
    """
    head, gap, checkpoint = data.partition(b"\n\n")
    if not gap:
        raise TlogProofMalformed("proof", expected="an empty line before the checkpoint", found="none")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise TlogProofMalformed("proof", expected="ASCII lines", found=f"another byte at {error.start}") from None
    if lines.pop(0) != HEADER:
        raise TlogProofMalformed("first line", expected=HEADER, found=excerpt(head.split(b"\n")[0]))
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = _decode("extra", lines.pop(0).removeprefix("extra "))
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if not match:
        raise TlogProofMalformed("index", expected="'index' and a decimal number", found=excerpt(head[-80:]))
    if len(lines) > _MAX_HASHES:
        raise TlogProofMalformed("path", expected=f"at most {_MAX_HASHES} hashes", found=str(len(lines)))
    path = tuple(_decode("hash", line) for line in lines)
    for step in path:
        if len(step) != HASH_BYTES:
            raise TlogProofMalformed("hash", expected=f"{HASH_BYTES} bytes", found=f"{len(step)} bytes")
    return TlogProof(int(match.group(1)), path, checkpoint, extra)


def _decode(what: str, text: str) -> bytes:
    try:
        return base64_strict.decode(text)
    except Base64Malformed as error:
        raise TlogProofMalformed(what, expected=error.expected, found=error.found) from None
