"""The vault: what was changed, exchanged or wrapped by another key does not open."""

import secrets
import stat
from pathlib import Path

import pytest

from biometrics.errors import (
    EvidenceNotOpened,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeyWrong,
    PersonKeyMissing,
)
from biometrics.models import Evidence, EvidenceKind, Person, PersonKey
from biometrics.people import display_name
from biometrics.vault import master_key, open_commitment, open_evidence, seal_evidence
from ledger.tlog.commitment import opens

SECRET = b"a probe's bytes " * 9


@pytest.fixture
def sealed(ignacio: Person) -> Evidence:
    evidence = seal_evidence(person=ignacio, kind=EvidenceKind.PROBE, value=SECRET)
    return Evidence.objects.get(pk=evidence.pk)


def test_what_was_sealed_opens_and_so_does_its_commitment(sealed: Evidence) -> None:
    assert open_evidence(sealed) == SECRET
    opened = open_commitment(sealed)
    assert opens(sealed.commitment, salt=opened.salt, value=opened.value)
    assert SECRET not in bytes(sealed.ciphertext)


def test_the_same_value_twice_shares_nothing(ignacio: Person) -> None:
    one, other = (seal_evidence(person=ignacio, kind=EvidenceKind.PROBE, value=SECRET) for _ in range(2))
    assert one.commitment != other.commitment
    assert one.nonce != other.nonce
    assert bytes(one.ciphertext)[:16] != bytes(other.ciphertext)[:16]


@pytest.mark.parametrize("field", ["ciphertext", "nonce"])
@pytest.mark.parametrize("at", [0, -1])
def test_changed_bytes_do_not_open(sealed: Evidence, field: str, at: int) -> None:
    changed = bytearray(getattr(sealed, field))
    changed[at] ^= 1
    setattr(sealed, field, bytes(changed))
    with pytest.raises(EvidenceNotOpened):
        open_evidence(sealed)


@pytest.mark.parametrize("ciphertext", [b"", b"short"])
def test_cut_off_bytes_do_not_open(sealed: Evidence, ciphertext: bytes) -> None:
    sealed.ciphertext = ciphertext
    with pytest.raises(EvidenceNotOpened):
        open_evidence(sealed)


def test_evidence_moved_to_another_person_kind_or_row_does_not_open(sealed: Evidence, lucia: Person) -> None:
    for changed in (
        {"person_id": lucia.pk},
        {"kind": EvidenceKind.PHOTO},
        {"id": seal_evidence(person=lucia, kind=EvidenceKind.PROBE, value=b"x").pk},
        {"commitment": "0" * 64},
    ):
        moved = Evidence.objects.get(pk=sealed.pk)
        for name, value in changed.items():
            setattr(moved, name, value)
        with pytest.raises(EvidenceNotOpened):
            open_evidence(moved)


def test_a_key_moved_to_another_person_does_not_unwrap(ignacio: Person, lucia: Person) -> None:
    key = PersonKey.objects.get(person=ignacio)
    PersonKey.objects.filter(person=lucia).update(nonce=bytes(key.nonce), wrapped=bytes(key.wrapped))
    with pytest.raises(EvidenceNotOpened):
        display_name(lucia)
    assert display_name(ignacio).startswith("Ignacio")


def test_another_master_key_opens_nothing_and_says_why(sealed: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOMETRICS_MASTER_KEY", secrets.token_hex(32))
    with pytest.raises(MasterKeyWrong, match="wrapped by master key"):
        open_evidence(sealed)


def test_without_the_persons_key_nothing_opens(sealed: Evidence) -> None:
    PersonKey.objects.all().delete()
    with pytest.raises(PersonKeyMissing):
        open_evidence(sealed)


def test_the_master_key_file_is_made_once_for_its_owner_alone(settings, db, tmp_path: Path) -> None:
    settings.BIOMETRICS_MASTER_KEY_FILE = tmp_path / "keys" / "master"
    first = master_key().key_id
    assert master_key().key_id == first
    assert stat.S_IMODE((tmp_path / "keys" / "master").stat().st_mode) == 0o600


def test_a_lost_master_key_is_named_and_no_new_one_is_made(sealed: Evidence, settings, tmp_path: Path) -> None:
    settings.BIOMETRICS_MASTER_KEY_FILE = tmp_path / "elsewhere"
    with pytest.raises(MasterKeyMissing):
        open_evidence(sealed)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("text", ["short", "g" * 64, "ab" * 31, "ab" * 33])
def test_a_malformed_master_key_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BIOMETRICS_MASTER_KEY", text)
    with pytest.raises(MasterKeyMalformed, match="environment"):
        master_key()
