"""The vault: what was changed, exchanged or wrapped by another key does not open."""

import io
import re
import secrets
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts.models import User
from biometrics import vault
from biometrics.errors import (
    EvidenceDestroyed,
    EvidenceNotOpened,
    KeyServiceFailed,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeyWrong,
    PersonKeyMissing,
)
from biometrics.models import Evidence, EvidenceKind, Person, PersonKey
from biometrics.people import display_name, register_person
from biometrics.vault import (
    destroy_evidence,
    destroy_person_key,
    master_key,
    open_commitment,
    open_evidence,
    open_many,
    seal_evidence,
)
from ledger.tlog.commitment import opens
from tests.biometrics.conftest import CONSENT

SECRET = b"a probe's bytes " * 9
ROOT = Path(__file__).resolve().parent.parent.parent


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


# Destroying ---------------------------------------------------------------------------------------------------------


def test_what_was_destroyed_is_gone_from_its_row_and_says_why(sealed: Evidence) -> None:
    assert destroy_evidence(evidence=sealed, destroyed_for="unmatched_probes")
    for row in (sealed, Evidence.objects.get(pk=sealed.pk)):
        assert (bytes(row.ciphertext), bytes(row.nonce), row.destroyed_for) == (b"", b"", "unmatched_probes")
        with pytest.raises(EvidenceDestroyed, match="unmatched_probes"):
            open_evidence(row)
    assert not destroy_evidence(evidence=sealed, destroyed_for="another")
    assert Evidence.objects.get(pk=sealed.pk).destroyed_for == "unmatched_probes"


def test_the_database_takes_no_destroyed_row_that_still_has_its_bytes(sealed: Evidence) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Evidence.objects.filter(pk=sealed.pk).update(destroyed_at="2026-01-01T00:00Z", destroyed_for="x")


def test_a_destroyed_key_takes_everything_with_it(sealed: Evidence, ignacio: Person, lucia: Person) -> None:
    assert destroy_person_key(person=ignacio)
    with pytest.raises(PersonKeyMissing):
        open_evidence(sealed)
    assert display_name(lucia)
    assert not destroy_person_key(person=ignacio)


# Many at once -------------------------------------------------------------------------------------------------------


def test_many_open_with_one_query_and_what_does_not_open_hides_nothing(
    ignacio: Person, lucia: Person, django_assert_num_queries
) -> None:
    rows = [seal_evidence(person=who, kind=EvidenceKind.PROBE, value=SECRET) for who in (ignacio, lucia, ignacio)]
    changed = bytearray(rows[0].ciphertext)
    changed[40] ^= 1
    rows[0].ciphertext = bytes(changed)
    destroyed = seal_evidence(person=lucia, kind=EvidenceKind.PROBE, value=b"gone")
    destroy_evidence(evidence=destroyed, destroyed_for="x")
    with django_assert_num_queries(1):
        opened = open_many([*rows, destroyed])
    assert opened == {rows[1].pk: SECRET, rows[2].pk: SECRET}


def test_a_key_that_nobody_has_hides_only_what_it_wraps(ignacio: Person, lucia: Person) -> None:
    rows = [seal_evidence(person=who, kind=EvidenceKind.PROBE, value=SECRET) for who in (ignacio, lucia)]
    PersonKey.objects.filter(person=lucia).update(master_key_id="0" * 16)
    assert open_many(rows) == {rows[0].pk: SECRET}


# Several master keys ------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(settings, tmp_path: Path) -> Path:
    settings.BIOMETRICS_MASTER_KEY_FILE = tmp_path / "keys" / "master"
    return settings.BIOMETRICS_MASTER_KEY_FILE


def _rotate(*words: str) -> str:
    said = io.StringIO()
    call_command("rotate_master_key", *words, stdout=said)
    return said.getvalue()


def test_a_rotation_wraps_every_key_anew_and_touches_no_evidence(key_file: Path, sealed: Evidence, lucia: Person):
    old = master_key().key_id
    before = {row.pk: bytes(row.ciphertext) for row in Evidence.objects.all()}
    assert "2 keys wrapped anew" in _rotate("--new-file")
    new = master_key().key_id
    assert new != old
    assert set(PersonKey.objects.values_list("master_key_id", flat=True)) == {new}
    assert {row.pk: bytes(row.ciphertext) for row in Evidence.objects.all()} == before
    assert open_evidence(sealed) == SECRET
    kept = key_file.with_name(f"master.{old}")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert "is destroyed" in _rotate("--destroy-old", old)
    assert not kept.exists()
    assert open_evidence(sealed) == SECRET


def test_while_a_rotation_is_half_done_both_keys_open(key_file: Path, ignacio: Person, lucia: Person, monkeypatch):
    old = key_file.read_text().strip()
    old_id = master_key().key_id
    monkeypatch.setenv("BIOMETRICS_MASTER_KEY", secrets.token_hex(32))
    monkeypatch.setenv("BIOMETRICS_MASTER_KEYS_BEFORE", f"{secrets.token_hex(32)},{old}")

    class Killed(Exception):
        pass

    wrap, calls = vault.LocalMasterKey.wrap, []

    def once(self, key, **bound):
        if calls:
            raise Killed
        calls.append(key)
        return wrap(self, key, **bound)

    monkeypatch.setattr(vault.LocalMasterKey, "wrap", once)
    with pytest.raises(Killed):
        _rotate()
    assert PersonKey.objects.filter(master_key_id=old_id).count() == 1
    assert [display_name(ignacio), display_name(lucia)] == ["Ignacio Peralta Quintanilla", "Lucía Ibáñez"]
    monkeypatch.setattr(vault.LocalMasterKey, "wrap", wrap)
    assert "1 keys wrapped anew" in _rotate()
    monkeypatch.delenv("BIOMETRICS_MASTER_KEYS_BEFORE")
    assert display_name(ignacio).startswith("Ignacio")


def test_whoever_is_erased_while_keys_are_wrapped_is_not_brought_back(key_file: Path, ignacio: Person, monkeypatch):
    unwrap = vault.LocalMasterKey.unwrap_all

    def erased_in_between(self, rows):
        keys = unwrap(self, rows)
        PersonKey.objects.filter(person=ignacio).delete()
        return keys

    monkeypatch.setattr(vault.LocalMasterKey, "unwrap_all", erased_in_between)
    assert "0 keys wrapped anew" in _rotate("--new-file")
    assert not PersonKey.objects.exists()


def test_whoever_is_registered_under_the_old_key_meanwhile_is_wrapped_next(
    key_file: Path, ignacio: Person, beto: User, monkeypatch
):
    old = key_file.read_text().strip()
    monkeypatch.setenv("BIOMETRICS_MASTER_KEY", secrets.token_hex(32))
    monkeypatch.setenv("BIOMETRICS_MASTER_KEYS_BEFORE", old)
    new = master_key().key_id
    with monkeypatch.context() as of_another_process:
        of_another_process.setenv("BIOMETRICS_MASTER_KEY", old)
        irma = register_person(name="Irma Sada", kind="driver", registered_by=beto, consent=CONSENT)
    assert "2 keys wrapped anew" in _rotate()
    assert (PersonKey.objects.get(person=irma).master_key_id, display_name(irma)) == (new, "Irma Sada")


def test_a_key_that_still_wraps_something_is_not_destroyed(key_file: Path, sealed: Evidence) -> None:
    with pytest.raises(CommandError, match="still wraps"):
        _rotate("--destroy-old", master_key().key_id)


def test_a_row_that_was_changed_holds_up_no_rotation(key_file: Path, ignacio: Person, lucia: Person) -> None:
    PersonKey.objects.filter(person=ignacio).update(wrapped=b"x" * 48)
    with pytest.raises(CommandError, match="do not unwrap"):
        _rotate("--new-file", "--batch", "1")
    assert display_name(lucia)
    assert PersonKey.objects.get(person=lucia).master_key_id == master_key().key_id


# A key service ------------------------------------------------------------------------------------------------------

SERVICE = """
import json, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
asked = json.load(sys.stdin)
cipher = AESGCM(bytes.fromhex(sys.argv[1]))
def one(item):
    nonce, bound = bytes.fromhex(item["nonce"]), bytes.fromhex(item["associated_data"])
    try:
        if asked["operation"] == "wrap":
            return "ff" * 16 + cipher.encrypt(nonce, bytes.fromhex(item["key"]), bound).hex()
        return cipher.decrypt(nonce, bytes.fromhex(item["wrapped"])[16:], bound).hex()
    except InvalidTag:
        return None
if asked["operation"] == "key_id":
    print(json.dumps({"key_id": sys.argv[1][:16]}))
else:
    assert asked["key_id"] == sys.argv[1][:16]
    print(json.dumps({"items": [one(item) for item in asked["items"]]}))
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key service as a script: a test's stand-in for a cloud's or a module's command."""
    script = tmp_path / "key_service.py"
    script.write_text(SERVICE)
    secret = secrets.token_hex(32)
    monkeypatch.setenv("BIOMETRICS_KMS_COMMAND", f"{sys.executable} {script} {secret}")
    return secret


def test_a_key_service_wraps_and_unwraps_and_its_key_is_never_here(service: str, ignacio: Person, lucia: Person):
    row = PersonKey.objects.get(person=ignacio)
    assert (row.master_key_id, len(bytes(row.wrapped))) == (service[:16], 64)
    assert display_name(ignacio) == "Ignacio Peralta Quintanilla"
    PersonKey.objects.filter(person=lucia).update(nonce=bytes(row.nonce), wrapped=bytes(row.wrapped))
    with pytest.raises(EvidenceNotOpened):
        display_name(lucia)


def test_keys_move_from_a_file_to_a_key_service(key_file: Path, sealed: Evidence, request: pytest.FixtureRequest):
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("BIOMETRICS_MASTER_KEYS_BEFORE", key_file.read_text().strip())
    service = request.getfixturevalue("service")
    assert open_evidence(sealed) == SECRET
    assert "1 keys wrapped anew" in _rotate()
    monkeypatch.delenv("BIOMETRICS_MASTER_KEYS_BEFORE")
    key_file.unlink()
    assert open_evidence(sealed) == SECRET
    assert PersonKey.objects.get().master_key_id == service[:16]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit(3)", "ended with code 3"),
        ("print('nonsense')", "not JSON"),
        ("print('[]')", "not an object"),
        ("print('{}')", "16 hexadecimal"),
        ("import json; print(json.dumps({'key_id': 'a' * 16, 'items': []}))", "about others"),
        ("import time; time.sleep(30)", "no answer within 0.5"),
    ],
)
def test_a_key_service_that_fails_is_named_and_nothing_is_stored(
    db, beto: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
):
    (tmp_path / "service.py").write_text(program)
    monkeypatch.setenv("BIOMETRICS_KMS_COMMAND", f"{sys.executable} {tmp_path / 'service.py'}")
    monkeypatch.setenv("BIOMETRICS_KMS_TIMEOUT", "0.5" if "sleep" in program else "10")
    with pytest.raises(KeyServiceFailed, match=reason):
        register_person(name="Irma Sada", kind="driver", registered_by=beto, consent=CONSENT)
    assert not Person.objects.exists()


# No pickle ----------------------------------------------------------------------------------------------------------


def test_nothing_in_the_product_unpickles() -> None:
    """Neither by name nor through numpy or pandas: what comes out of the vault is bytes of a known shape."""
    asked = ["git", "ls-files", "-co", "--exclude-standard", "*.py"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.splitlines() if not name.startswith("tests/")]
    assert len(files) > 100
    modules = r"^\s*(?:import|from)\s+(?:c?pickle|_pickle|dill|shelve|joblib|marshal)\b"
    loads = re.compile(modules + r"|allow_pickle\s*=\s*True|read_pickle|np\.load\(", re.MULTILINE)
    assert loads.search("import pickle")
    assert [file.name for file in files if file.exists() and loads.search(file.read_text())] == []
