"""
Signed notes as in c2sp.org/signed-note@v1.0.0, with Ed25519 (signature type 0x01) alone.

:func:`parse` trusts nothing and proves nothing; :func:`verify_note` does, given keys that the caller holds already.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.tlog import base64_strict
from ledger.tlog.errors import Base64Malformed, NoteMalformed, SignatureNotVerified, VerifierKeyMalformed, excerpt

MAX_NOTE_BYTES = 1_000_000
# The standard asks for at least 16.
MAX_SIGNATURES = 100

_ED25519 = b"\x01"
KEY_ID_BYTES = 4
_MARK = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class Signature:
    """One signature line: who it claims to be from, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, newline included."""
        return f"{_MARK}{self.name} {base64_strict.encode(self.key_id + self.signature)}\n"


@dataclass(frozen=True)
class Note:
    """A note's text (final newline included), all its signatures, and those of them that were verified."""

    text: str
    signatures: tuple[Signature, ...]
    verified: tuple[Signature, ...] = ()


class SigningKey(Protocol):
    """An Ed25519 private key, wherever it lives: in this process, or in a hardware module."""

    def sign(self, data: bytes, /) -> bytes: ...

    def public_key(self) -> Ed25519PublicKey: ...


class NoteVerifier(Protocol):
    """A key that :func:`verify_note` can look for among a note's signatures, of whatever signature type."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def made(self, signature: Signature) -> bool: ...

    def verifies(self, signature: Signature, text: str) -> bool: ...


@dataclass(frozen=True)
class Verifier:
    """A named public key. Two verifiers are the same key where name and key id are the same."""

    name: str
    public_key: Ed25519PublicKey

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @classmethod
    def from_vkey(cls, vkey: str) -> "Verifier":
        """
        Read a verifier key line, ``name+<8 hex of the key id>+<base64 of type and key>``.

        :raises VerifierKeyMalformed: if it has another form, another type than Ed25519, or an id that is not this key's
        """
        return cls(*read_vkey(vkey, _ED25519))

    @cached_property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names this key."""
        return key_id_of(self.name, _ED25519, self.public_key)

    @property
    def vkey(self) -> str:
        """The verifier key line that others pin."""
        return write_vkey(self.name, _ED25519, self.public_key)

    def made(self, signature: Signature) -> bool:
        """Tell whether the signature line claims to be of this key."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verifies(self, signature: Signature, text: str) -> bool:
        """Tell whether the signature is this key's over ``text`` (RFC 8032)."""
        try:
            self.public_key.verify(signature.signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A named private key."""

    name: str
    private_key: SigningKey

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @cached_property
    def verifier(self) -> Verifier:
        """The public side of this key, under the same name."""
        return Verifier(self.name, self.private_key.public_key())

    @property
    def vkey(self) -> str:
        """The verifier key line that others pin."""
        return self.verifier.vkey

    def sign(self, text: str) -> Signature:
        """Sign a note's text, final newline included."""
        return Signature(self.name, self.verifier.key_id, self.private_key.sign(text.encode()))


def read_vkey(vkey: str, signature_type: bytes) -> tuple[str, Ed25519PublicKey]:
    """
    Read a verifier key line of one signature type: the name, and the Ed25519 key.

    :raises VerifierKeyMalformed: if it has another form, another type, or an id that is not this key's
    """
    name, first, rest = vkey.partition("+")
    key_id, second, encoded = rest.partition("+")
    if not (first and second):
        raise VerifierKeyMalformed("verifier key", expected="name+id+key", found=excerpt(vkey))
    check_key_name(name)
    try:
        key = base64_strict.decode(encoded)
    except Base64Malformed as error:
        raise VerifierKeyMalformed("verifier key", expected=error.expected, found=error.found) from None
    if key[:1] != signature_type or len(key) != 33:
        raise VerifierKeyMalformed(
            "verifier key",
            expected=f"type {signature_type.hex()} and 32 bytes",
            found=f"type {key[:1].hex()} and {len(key[1:])} bytes",
        )
    public_key = Ed25519PublicKey.from_public_bytes(key[1:])
    own = key_id_of(name, signature_type, public_key).hex()
    if own != key_id:
        raise VerifierKeyMalformed("verifier key id", expected=own, found=excerpt(key_id))
    return name, public_key


def write_vkey(name: str, signature_type: bytes, public_key: Ed25519PublicKey) -> str:
    """Return the verifier key line, ``name+<8 hex of the key id>+<base64 of type and key>``."""
    encoded = base64_strict.encode(signature_type + public_key.public_bytes_raw())
    return f"{name}+{key_id_of(name, signature_type, public_key).hex()}+{encoded}"


def key_id_of(name: str, signature_type: bytes, public_key: Ed25519PublicKey) -> bytes:
    """Return the key id: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key)."""
    return hashlib.sha256(name.encode() + b"\n" + signature_type + public_key.public_bytes_raw()).digest()[
        :KEY_ID_BYTES
    ]


def check_key_name(name: str) -> None:
    """
    Refuse a name that could not stand in a signature line.

    :raises VerifierKeyMalformed: if it is empty or holds a Unicode space, control character, plus or lone surrogate
    """
    if not name or "+" in name or any(c.isspace() or c < " " or "\ud800" <= c <= "\udfff" for c in name):
        raise VerifierKeyMalformed(
            "key name", expected="text without spaces, control characters or +", found=excerpt(name)
        )


def sign(text: str, *signers: Signer) -> bytes:
    """
    Return the note of ``text`` signed by each signer in turn.

    :raises NoteMalformed: if the text could not be read back: no final newline, a control character, too many bytes
    """
    if not signers:
        raise NoteMalformed("signatures", expected="at least one signer", found="none")
    _check_text(text)
    note = text + "\n" + "".join(signer.sign(text).line() for signer in signers)
    data = note.encode()
    _check_size(data)
    return data


def parse(data: bytes) -> Note:
    """
    Split a note into its text and its signatures, and verify none of them.

    :raises NoteMalformed: if the bytes are not a signed note
    """
    _check_size(data)
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteMalformed("encoding", expected="UTF-8", found=f"{error.reason} at byte {error.start}") from None
    # The text may hold empty lines of its own: the last one parts it from the signatures.
    split = whole.rfind("\n\n")
    if split < 0:
        raise NoteMalformed("note", expected="a text, an empty line and signatures", found="no empty line")
    text, tail = whole[: split + 1], whole[split + 2 :]
    _check_text(text)
    if not tail.endswith("\n"):
        raise NoteMalformed("signatures", expected="lines that end in a newline", found=excerpt(tail))
    # Not splitlines(): it would break at U+0085, U+2028 and other marks that are not newlines here.
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed("signatures", expected=f"at most {MAX_SIGNATURES}", found=str(len(lines)))
    return Note(text, tuple(_parse_line(line) for line in lines))


def open_note(data: bytes, *verifiers: NoteVerifier) -> Note:
    """
    Return a note that at least one of ``verifiers`` signed.

    :raises NoteMalformed: if the bytes are not a signed note
    :raises SignatureNotVerified: if no known key signed it, or a known key's signature does not fit the text
    """
    return verify_note(parse(data), *verifiers)


def verify_note(note: Note, *verifiers: NoteVerifier) -> Note:
    """
    Check the signatures of a parsed note, and return it with those that were verified.

    Signatures of other keys are ignored, as the standard asks, also where they share a name or an id with a known one.

    :raises SignatureNotVerified: if no known key signed it, or a known key's signature does not fit the text
    """
    verified = []
    for signature in note.signatures:
        claimed = [verifier for verifier in verifiers if verifier.made(signature)]
        if not claimed:
            continue
        if not any(verifier.verifies(signature, note.text) for verifier in claimed):
            raise SignatureNotVerified(
                "signature",
                expected=f"a signature of this text by {_called(claimed[0].name, claimed[0].key_id)}",
                found="one that does not fit: the text or the signature was changed",
            )
        verified.append(signature)
    if not verified:
        raise SignatureNotVerified(
            "signature",
            expected="one of " + (", ".join(_called(v.name, v.key_id) for v in verifiers) or "no key at all"),
            found=", ".join(_called(s.name, s.key_id) for s in note.signatures[:4]),
        )
    return Note(note.text, note.signatures, tuple(verified))


def _called(name: str, key_id: bytes) -> str:
    return f"{excerpt(name)} (key {key_id.hex()})"


def _check_size(data: bytes) -> None:
    if len(data) > MAX_NOTE_BYTES:
        raise NoteMalformed("note", expected=f"at most {MAX_NOTE_BYTES} bytes", found=f"{len(data)} bytes")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteMalformed("text", expected="a final newline", found=excerpt(text[-20:]))
    if control := _CONTROL.search(text):
        found = f"U+{ord(control.group()):04X}"
        raise NoteMalformed("text", expected="no control character but the newline", found=found)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NoteMalformed("text", expected="Unicode text", found=f"U+{ord(text[error.start]):04X}") from None


def _parse_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space:
        raise NoteMalformed("signature line", expected="'— name base64'", found=excerpt(line))
    try:
        check_key_name(name)
        decoded = base64_strict.decode(encoded)
    except (VerifierKeyMalformed, Base64Malformed) as error:
        raise NoteMalformed("signature line", expected=error.expected, found=error.found) from None
    if len(decoded) <= KEY_ID_BYTES:
        raise NoteMalformed("signature line", expected="a key id and a signature", found=f"{len(decoded)} bytes")
    return Signature(name, decoded[:KEY_ID_BYTES], decoded[KEY_ID_BYTES:])
