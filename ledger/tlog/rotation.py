"""
Key rotation: the ``key_rotated`` entry, sealed by the key that leaves, with a proof by the one that comes.

The entry itself is signed by the old key; its body carries the new key's signature over where it takes over. From the
next entry on, the new key signs and the old one no longer counts. A verifier that pinned the old key follows.
"""

from typing import Any

from cryptography.exceptions import InvalidSignature

from ledger.tlog.entry import Entry
from ledger.tlog.errors import RotationMalformed, VerifierKeyMalformed, excerpt
from ledger.tlog.note import Signer, Verifier

KIND = "key_rotated"
_FIELDS = frozenset({"old", "new", "proof"})


def rotation_body(*, old: Verifier, new: Signer, index: int, prev: str) -> dict[str, Any]:
    """Return the body of entry ``index``, by which ``new`` takes over from ``old``, behind the leaf hash ``prev``."""
    return {
        "old": old.vkey,
        "new": new.vkey,
        "proof": new.private_key.sign(_message(new.name, index, prev, old.vkey, new.vkey)).hex(),
    }


def read_rotation(entry: Entry, *, signed_by: Verifier) -> Verifier:
    """
    Return the key that takes over after ``entry``, which ``signed_by`` signed.

    :raises RotationMalformed: if the body is of another form, retires another key than the one that signed, or the new
        key did not agree
    """
    body = entry.body
    if body.keys() != _FIELDS or not all(isinstance(value, str) for value in body.values()):
        raise RotationMalformed("key_rotated", expected=", ".join(sorted(_FIELDS)), found=excerpt(sorted(body)))
    if body["old"] != signed_by.vkey:
        raise RotationMalformed("old key", expected=excerpt(signed_by.vkey, 200), found=excerpt(body["old"], 200))
    try:
        new = Verifier.from_vkey(body["new"])
    except VerifierKeyMalformed as error:
        raise RotationMalformed("new key", expected=error.expected, found=error.found) from None
    if new.name != entry.origin or new.vkey == signed_by.vkey:
        raise RotationMalformed(
            "new key", expected=f"another key of {excerpt(entry.origin)}", found=excerpt(body["new"], 200)
        )
    try:
        proof = bytes.fromhex(body["proof"])
        if proof.hex() != body["proof"]:
            raise ValueError
        new.public_key.verify(proof, _message(entry.origin, entry.index, entry.prev, body["old"], body["new"]))
    except (InvalidSignature, ValueError):
        raise RotationMalformed(
            "proof",
            expected="the new key's signature over this rotation, as lowercase hex",
            found=excerpt(body["proof"]),
        ) from None
    return new


def _message(origin: str, index: int, prev: str, old: str, new: str) -> bytes:
    return f"custody/key-rotation/v1\n{origin}\n{index}\n{prev}\n{old}\n{new}\n".encode()
