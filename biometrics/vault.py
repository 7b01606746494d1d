"""
Seal and open evidence: AES-256-GCM under a random key of each person's own, itself wrapped by the master key.

Trusts the master key alone. Where the database loses, swaps or changes rows, nothing opens; nothing wrong ever does.
"""

import hashlib
import os
import re
import secrets
import uuid
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from accounts.secret_files import read_or_make
from biometrics.errors import (
    EvidenceNotOpened,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeyWrong,
    PersonKeyMissing,
)
from biometrics.models import Evidence, EvidenceKind, Person, PersonKey
from ledger.tlog.commitment import commit

SALT_BYTES = 32
_NONCE_BYTES = 12
_WRAPPING = b"custody/person-key/v1\0"
_SEALING = b"custody/evidence/v1\0"
_KEY_ID = b"custody/master-key-id/v1\0"


class MasterKey(Protocol):
    """What wraps the persons' keys: a secret at hand, or a service that keeps it to itself."""

    key_id: str

    def wrap(self, key: bytes, *, nonce: bytes, associated_data: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, *, nonce: bytes, associated_data: bytes) -> bytes:
        """:raises cryptography.exceptions.InvalidTag: if it was not wrapped by this key for this purpose"""
        ...


class LocalMasterKey:
    """A master key at hand, from the environment or a file."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)
        self.key_id = hashlib.sha256(_KEY_ID + secret).hexdigest()[:16]

    def wrap(self, key: bytes, *, nonce: bytes, associated_data: bytes) -> bytes:
        return self._cipher.encrypt(nonce, key, associated_data)

    def unwrap(self, wrapped: bytes, *, nonce: bytes, associated_data: bytes) -> bytes:
        return self._cipher.decrypt(nonce, wrapped, associated_data)


def master_key() -> MasterKey:
    """
    Return the master key of ``BIOMETRICS_MASTER_KEY`` (64 hexadecimal digits), else of the file that settings name.

    The file is made on first use, and only while nobody is on file.

    :raises MasterKeyMissing, MasterKeyMalformed:
    """
    text = os.environ.get("BIOMETRICS_MASTER_KEY", "")
    source = "the environment"
    if not text:
        path = Path(settings.BIOMETRICS_MASTER_KEY_FILE)
        if not path.exists() and PersonKey.objects.exists():
            raise MasterKeyMissing(path=path)
        text, source = read_or_make(path), str(path)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise MasterKeyMalformed(source=source)
    return LocalMasterKey(bytes.fromhex(text))


def make_person_key(*, person: Person) -> PersonKey:
    """Make the person's own key; call where the person is registered, in the same transaction."""
    master, nonce = master_key(), secrets.token_bytes(_NONCE_BYTES)
    wrapped = master.wrap(secrets.token_bytes(32), nonce=nonce, associated_data=_WRAPPING + person.pk.bytes)
    return PersonKey.objects.create(person=person, master_key_id=master.key_id, nonce=nonce, wrapped=wrapped)


class Opened(NamedTuple):
    value: bytes
    salt: bytes


def seal_evidence(*, person: Person, kind: EvidenceKind, value: bytes) -> Evidence:
    """
    Seal ``value`` under the person's key and store it with its commitment.

    :raises PersonKeyMissing: if the person has no key, or no longer one
    """
    evidence_id, salt, nonce = uuid.uuid4(), secrets.token_bytes(SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    cipher = _person_cipher(person.pk)
    return Evidence.objects.create(
        id=evidence_id,
        person=person,
        kind=kind,
        nonce=nonce,
        ciphertext=cipher.encrypt(nonce, salt + value, _bound_to(person.pk, kind, evidence_id)),
        commitment=commit(salt=salt, value=value),
    )


def open_evidence(evidence: Evidence) -> bytes:
    """
    Return the value that was sealed.

    :raises EvidenceNotOpened: if the row was changed, or belongs to another person, kind or id than was sealed
    :raises PersonKeyMissing, MasterKeyWrong:
    """
    return open_commitment(evidence).value


def open_commitment(evidence: Evidence) -> Opened:
    """Return value and salt: what a third party needs to check the commitment that an entry holds."""
    cipher = _person_cipher(evidence.person_id)
    bound_to = _bound_to(evidence.person_id, evidence.kind, evidence.pk)
    try:
        opened = cipher.decrypt(bytes(evidence.nonce), bytes(evidence.ciphertext), bound_to)
    except (InvalidTag, ValueError) as error:
        raise EvidenceNotOpened(evidence=evidence.pk) from error
    salt, value = opened[:SALT_BYTES], opened[SALT_BYTES:]
    if commit(salt=salt, value=value) != evidence.commitment:
        raise EvidenceNotOpened(evidence=evidence.pk)
    return Opened(value, salt)


def _person_cipher(person_id: uuid.UUID) -> AESGCM:
    row = PersonKey.objects.filter(person_id=person_id).first()
    if row is None:
        raise PersonKeyMissing(person=person_id)
    master = master_key()
    if master.key_id != row.master_key_id:
        raise MasterKeyWrong(expected=row.master_key_id, found=master.key_id)
    try:
        key = master.unwrap(bytes(row.wrapped), nonce=bytes(row.nonce), associated_data=_WRAPPING + person_id.bytes)
    except (InvalidTag, ValueError) as error:
        raise EvidenceNotOpened(evidence=f"key of {person_id}") from error
    return AESGCM(key)


def _bound_to(person_id: uuid.UUID, kind: str, evidence_id: uuid.UUID) -> bytes:
    return _SEALING + person_id.bytes + evidence_id.bytes + kind.encode("ascii")
