"""
Cosignatures as in c2sp.org/tlog-cosignature@v1.0.1, Ed25519 (signature type 0x04) alone.

A cosignature says that, at its time, the checkpoint was the largest tree that the witness had seen of this log, and
that every tree it had seen before is a prefix of it.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.tlog.note import Signature, SigningKey, check_key_name, key_id_of, read_vkey, write_vkey

COSIGNATURE_V1 = b"\x04"
_MAX_TIMESTAMP = 2**63 - 1
# timestamped_signature: u64 timestamp, Ed25519 signature.
_BLOB = struct.Struct(">Q64s")


@dataclass(frozen=True)
class CosignatureVerifier:
    """A witness's named public key; serves :func:`ledger.tlog.note.verify_note` like a log's."""

    name: str
    public_key: Ed25519PublicKey

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @classmethod
    def from_vkey(cls, vkey: str) -> "CosignatureVerifier":
        """
        Read a witness's verifier key line.

        :raises VerifierKeyMalformed: if it has another form, another type than 0x04, or an id that is not this key's
        """
        return cls(*read_vkey(vkey, COSIGNATURE_V1))

    @cached_property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names this key."""
        return key_id_of(self.name, COSIGNATURE_V1, self.public_key)

    @property
    def vkey(self) -> str:
        """The verifier key line that others pin."""
        return write_vkey(self.name, COSIGNATURE_V1, self.public_key)

    def made(self, signature: Signature) -> bool:
        """Tell whether the signature line claims to be of this witness."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verifies(self, signature: Signature, text: str) -> bool:
        """Tell whether the signature is this witness's over the checkpoint's ``text``, at the time that it names."""
        if len(signature.signature) != _BLOB.size:
            return False
        timestamp, signed = _BLOB.unpack(signature.signature)
        if timestamp > _MAX_TIMESTAMP:
            return False
        try:
            self.public_key.verify(signed, _message(timestamp, text))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Cosigner:
    """A witness's named private key."""

    name: str
    private_key: SigningKey

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @cached_property
    def verifier(self) -> CosignatureVerifier:
        """The public side of this key, under the same name."""
        return CosignatureVerifier(self.name, self.private_key.public_key())

    @property
    def vkey(self) -> str:
        """The verifier key line that others pin."""
        return self.verifier.vkey

    def cosign(self, text: str, *, timestamp: int) -> Signature:
        """Cosign a checkpoint's note text, final newline included, at ``timestamp`` (POSIX seconds)."""
        signed = self.private_key.sign(_message(timestamp, text))
        return Signature(self.name, self.verifier.key_id, _BLOB.pack(timestamp, signed))


def timestamp_of(signature: Signature) -> int:
    """Return the POSIX time that a verified cosignature names."""
    return int.from_bytes(signature.signature[:8], "big")


def _message(timestamp: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()
