"""
Seal, open and destroy evidence: AES-256-GCM under a random key of each person's own, itself wrapped by a master key.

Trusts the master key alone. Where the database loses, swaps or changes rows, nothing opens; nothing wrong ever does.
"""

import secrets
import uuid
from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection, transaction
from django.utils import timezone

from biometrics.errors import (
    EvidenceDestroyed,
    EvidenceNotOpened,
    KeyServiceFailed,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeyWrong,
    PersonKeyMissing,
)
from biometrics.master_keys import (
    NONCE_BYTES,
    LocalMasterKey,
    MasterKey,
    Wrapped,
    master_key,
    master_key_of,
)
from biometrics.models import Evidence, EvidenceKind, Person, PersonKey
from ledger.tlog.commitment import commit

__all__ = [
    "NOT_OPENED",
    "SALT_BYTES",
    "LocalMasterKey",
    "MasterKey",
    "Opened",
    "destroy_evidence",
    "destroy_person_key",
    "make_person_key",
    "master_key",
    "open_commitment",
    "open_evidence",
    "open_many",
    "rewrap_person_keys",
    "seal_evidence",
]

SALT_BYTES = 32
# What a screen that shows many values passes over, so that one altered row hides nothing else.
NOT_OPENED = (
    EvidenceDestroyed,
    EvidenceNotOpened,
    PersonKeyMissing,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeyWrong,
    KeyServiceFailed,
)

_WRAPPING = b"custody/person-key/v1\0"
_SEALING = b"custody/evidence/v1\0"
# SQLite takes 32,766 parameters a query.
_AT_ONCE = 10_000


def make_person_key(*, person: Person) -> PersonKey:
    """Make the person's own key; call where the person is registered, in the same transaction."""
    master, nonce = master_key(), secrets.token_bytes(NONCE_BYTES)
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
    evidence_id, salt, nonce = uuid.uuid4(), secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    with transaction.atomic(savepoint=False):
        _hold_off_erasure(person.pk)
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

    :raises EvidenceDestroyed: if it was destroyed, by retention or by a right
    :raises EvidenceNotOpened: if the row was changed, or belongs to another person, kind or id than was sealed
    :raises PersonKeyMissing, MasterKeyWrong, KeyServiceFailed:
    """
    return open_commitment(evidence).value


def open_commitment(evidence: Evidence) -> Opened:
    """Return value and salt: what a third party needs to check the commitment that an entry holds."""
    if evidence.destroyed_at is not None:
        raise EvidenceDestroyed(rule=evidence.destroyed_for, at=evidence.destroyed_at.date().isoformat())
    return _open(evidence, _person_cipher(evidence.person_id))


def open_many(evidence: Iterable[Evidence]) -> dict[uuid.UUID, bytes]:
    """
    Open many values with one query for the keys, by evidence id; what does not open or was destroyed is left out.

    :raises MasterKeyMalformed, MasterKeyMissing, KeyServiceFailed:
    """
    rows = [row for row in evidence if row.destroyed_at is None]
    ciphers = _person_ciphers({row.person_id for row in rows})
    opened: dict[uuid.UUID, bytes] = {}
    for row in rows:
        cipher = ciphers.get(row.person_id)
        if cipher is not None:
            try:
                opened[row.pk] = _open(row, cipher).value
            except EvidenceNotOpened:
                continue
    return opened


def destroy_evidence(*, evidence: Evidence, destroyed_for: str) -> bool:
    """
    Destroy value and salt; the row stays with its commitment, which nobody can open any more.

    Whether it may be destroyed is the caller's to know (:mod:`biometrics.holds`), and so is the ``erasure`` entry.

    :param destroyed_for: the code of the rule or right
    :returns: False if it was destroyed before
    """
    now = timezone.now()
    done = Evidence.objects.filter(pk=evidence.pk, destroyed_at=None).update(
        ciphertext=b"", nonce=b"", destroyed_at=now, destroyed_for=destroyed_for
    )
    if done:
        evidence.ciphertext, evidence.nonce = b"", b""
        evidence.destroyed_at, evidence.destroyed_for = now, destroyed_for
    return bool(done)


def destroy_person_key(*, person: Person) -> bool:
    """Destroy the person's key, and with it whatever is still sealed under it; False if there was none."""
    return bool(PersonKey.objects.filter(person=person).delete()[0])


def rewrap_person_keys(*, batch: int = 500) -> tuple[int, int]:
    """
    Wrap each key anew that another master key than the current one wraps; no evidence is touched.

    Each row changes at once from one wrapping to the other, and only if nobody changed or destroyed it meanwhile. So it
    may stop anywhere, run twice, and run beside registrations: what is left is what still names another key. A row that
    does not unwrap, because it or its key was changed, is left as it is.

    :returns: how many were wrapped anew, and how many are left
    :raises MasterKeyWrong: if the key that wraps one of them is not known here
    """
    master, done, last = master_key(), 0, uuid.UUID(int=0)
    others = PersonKey.objects.exclude(master_key_id=master.key_id)
    while rows := list(others.filter(pk__gt=last).order_by("pk")[:batch]):
        last = rows[-1].pk
        for row, key in _unwrap_all(rows):
            if key is not None:
                nonce = secrets.token_bytes(NONCE_BYTES)
                wrapped = master.wrap(key, nonce=nonce, associated_data=_WRAPPING + row.person_id.bytes)
                unchanged = PersonKey.objects.filter(pk=row.pk, nonce=bytes(row.nonce), wrapped=bytes(row.wrapped))
                done += unchanged.update(master_key_id=master.key_id, nonce=nonce, wrapped=wrapped)
    return done, others.count()


def _open(evidence: Evidence, cipher: AESGCM) -> Opened:
    bound_to = _bound_to(evidence.person_id, evidence.kind, evidence.pk)
    try:
        opened = cipher.decrypt(bytes(evidence.nonce), bytes(evidence.ciphertext), bound_to)
    except (InvalidTag, ValueError) as error:
        raise EvidenceNotOpened(evidence=evidence.pk) from error
    salt, value = opened[:SALT_BYTES], opened[SALT_BYTES:]
    if commit(salt=salt, value=value) != evidence.commitment:
        raise EvidenceNotOpened(evidence=evidence.pk)
    return Opened(value, salt)


def _hold_off_erasure(person_id: uuid.UUID) -> None:
    """
    Let no erasure of the person begin before this transaction ends; where one is under way, wait for it.

    Otherwise a value that is sealed meanwhile would be stored after the erasure looked for values. It is the lock that
    the foreign key takes with the INSERT anyway, only before the key is read. SQLite has one writer: this one.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM biometrics_person WHERE id = %s FOR KEY SHARE", [person_id])


def _person_cipher(person_id: uuid.UUID) -> AESGCM:
    row = PersonKey.objects.filter(person_id=person_id).first()
    if row is None:
        raise PersonKeyMissing(person=person_id)
    [key] = master_key_of(row.master_key_id).unwrap_all([_wrapped(row)])
    if key is None:
        raise EvidenceNotOpened(evidence=f"key of {person_id}")
    return AESGCM(key)


def _person_ciphers(people: set[uuid.UUID]) -> dict[uuid.UUID, AESGCM]:
    wanted, rows = list(people), []
    for at in range(0, len(wanted), _AT_ONCE):
        rows += list(PersonKey.objects.filter(person_id__in=wanted[at : at + _AT_ONCE]))
    try:
        return {row.person_id: AESGCM(key) for row, key in _unwrap_all(rows) if key is not None}
    except MasterKeyWrong:
        # One row that names a key nobody has must not hide the others.
        return {row.person_id: AESGCM(key) for row in rows if (key := _unwrap_known(row)) is not None}


def _unwrap_all(rows: list[PersonKey]) -> list[tuple[PersonKey, bytes | None]]:
    found: list[tuple[PersonKey, bytes | None]] = []
    for key_id in dict.fromkeys(row.master_key_id for row in rows):
        of_key = [row for row in rows if row.master_key_id == key_id]
        found += zip(of_key, master_key_of(key_id).unwrap_all([_wrapped(row) for row in of_key]), strict=True)
    return found


def _unwrap_known(row: PersonKey) -> bytes | None:
    try:
        return _unwrap_all([row])[0][1]
    except MasterKeyWrong:
        return None


def _wrapped(row: PersonKey) -> Wrapped:
    return Wrapped(bytes(row.wrapped), bytes(row.nonce), _WRAPPING + row.person_id.bytes)


def _bound_to(person_id: uuid.UUID, kind: str, evidence_id: uuid.UUID) -> bytes:
    return _SEALING + person_id.bytes + evidence_id.bytes + kind.encode("ascii")
