"""The log's keys: how they are kept, how one takes over from another, and what the public ones alone are good for."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from accounts.tokens import issue_token
from ledger import append_only
from ledger.attachments import as_bytes
from ledger.errors import (
    KeyStoreUnknown,
    RotationNotBegun,
    SigningKeyMissing,
    SigningKeyUnreadable,
    VerifierKeyChanged,
    VerifierKeyMissing,
)
from ledger.keys import begin_rotation, finish_rotation, load_signer, load_vkey, load_vkeys, next_signer
from ledger.models import Entry, VerificationRun
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry, sign_entry
from ledger.tlog.policy import Policy, parse_policy
from ledger.verification import verify_log
from ledger.verification_runs import request_run, run


@pytest.fixture
def vkey_file(settings) -> Path:
    return Path(f"{settings.LEDGER_KEY_FILE}.vkey")


def test_the_verifier_key_is_written_for_all_to_read_when_the_key_is_made(settings, vkey_file):
    signer = load_signer(may_create=True)
    assert vkey_file.read_text() == f"{signer.vkey}\n"
    assert vkey_file.stat().st_mode & 0o777 == 0o644
    assert settings.LEDGER_KEY_FILE.stat().st_mode & 0o777 == 0o600


def test_a_log_from_before_gets_its_verifier_key_once(vkey_file):
    signer = load_signer(may_create=True)
    vkey_file.unlink()
    assert load_vkey() == signer.vkey
    assert vkey_file.read_text() == f"{signer.vkey}\n"


def test_asking_for_the_verifier_key_never_makes_a_key(settings, vkey_file):
    with pytest.raises(VerifierKeyMissing) as refused:
        load_vkey()
    assert str(vkey_file) in refused.value.sentence
    assert not settings.LEDGER_KEY_FILE.exists()
    with pytest.raises(SigningKeyMissing):
        load_signer()


@pytest.mark.parametrize("content", [b"garbage", b""])
def test_a_signing_key_that_cannot_be_used_is_named(settings, content):
    load_signer(may_create=True)
    settings.LEDGER_KEY_FILE.write_bytes(content)
    with pytest.raises(SigningKeyUnreadable, match=r"ledger\.pem"):
        load_signer()


def test_a_passphrase_that_is_missing_is_named(settings):
    settings.LEDGER_KEY_PASSPHRASE = "open sesame"
    signer = load_signer(may_create=True)
    settings.LEDGER_KEY_PASSPHRASE = ""
    with pytest.raises(SigningKeyUnreadable):
        load_signer()
    assert load_vkey() == signer.vkey


def test_a_log_that_was_given_another_name_is_not_signed(settings):
    load_signer(may_create=True)
    settings.LEDGER_ORIGIN = "example.org/renamed"
    with pytest.raises(VerifierKeyChanged, match=r"example\.org/renamed"):
        load_signer()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write_in_plain(path: Path) -> Ed25519PrivateKey:
    """A key file as older versions wrote it."""
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key


def in_brackets() -> list[tuple[str, int, int | None]]:
    return [(key.vkey, key.first, key.last) for key in load_vkeys()]


def test_a_key_that_nobody_gave_a_passphrase_for_is_encrypted_with_one_of_its_own(settings):
    signer = load_signer(may_create=True)
    pem = settings.LEDGER_KEY_FILE.read_bytes()
    passphrase = Path(f"{settings.LEDGER_KEY_FILE}.passphrase")
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert mode(passphrase) == 0o600
    assert len(passphrase.read_text().strip()) == 64
    opened = serialization.load_pem_private_key(pem, passphrase.read_text().strip().encode())
    assert opened.public_key() == signer.private_key.public_key()
    passphrase.unlink()
    with pytest.raises(SigningKeyUnreadable, match=r"ledger\.pem\.passphrase"):
        load_signer()
    assert not passphrase.exists()


def test_a_passphrase_file_elsewhere_is_used_and_never_made(settings, tmp_path):
    settings.LEDGER_KEY_PASSPHRASE_FILE = str(tmp_path / "mounted" / "passphrase")
    with pytest.raises(SigningKeyUnreadable, match="mounted"):
        load_signer(may_create=True)
    assert not settings.LEDGER_KEY_FILE.exists()
    (tmp_path / "mounted").mkdir()
    for content, refused in (("", True), ("\n", True), ("open sesame\n", False)):
        Path(settings.LEDGER_KEY_PASSPHRASE_FILE).write_text(content)
        if refused:
            with pytest.raises(SigningKeyUnreadable, match="empty"):
                load_signer(may_create=True)
    signer = load_signer(may_create=True)
    settings.LEDGER_KEY_PASSPHRASE = "open sesame"
    assert load_signer().vkey == signer.vkey
    settings.LEDGER_KEY_PASSPHRASE = "another"
    with pytest.raises(SigningKeyUnreadable):
        load_signer()


def test_a_plain_key_of_before_works_until_it_is_encrypted(settings):
    key = write_in_plain(settings.LEDGER_KEY_FILE)
    plain = settings.LEDGER_KEY_FILE.read_bytes()
    vkey = load_signer().vkey
    assert settings.LEDGER_KEY_FILE.read_bytes() == plain
    out = StringIO()
    call_command("ledger_key", "encrypt", stdout=out, stderr=StringIO())
    assert str(settings.LEDGER_KEY_FILE) in out.getvalue()
    assert settings.LEDGER_KEY_FILE.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert mode(settings.LEDGER_KEY_FILE) == 0o600
    assert load_signer().vkey == vkey
    assert load_signer().private_key.public_key() == key.public_key()
    call_command("ledger_key", "encrypt", stdout=out)
    assert "encrypted already" in out.getvalue()


def test_encrypting_reaches_the_next_key_and_the_retired_ones(settings):
    load_signer(may_create=True)
    waiting = settings.LEDGER_KEY_FILE.with_name("ledger.pem.next")
    retired = settings.LEDGER_KEY_FILE.with_name("ledger.pem.retired-0a0b0c0d")
    write_in_plain(waiting)
    write_in_plain(retired)
    call_command("ledger_key", "encrypt", stdout=StringIO(), stderr=StringIO())
    assert [path.read_bytes()[:20] for path in (waiting, retired)] == [b"-----BEGIN ENCRYPTED"] * 2


def test_there_is_nothing_to_encrypt_without_a_key():
    with pytest.raises(CommandError, match=r"not at .*ledger\.pem"):
        call_command("ledger_key", "encrypt")


def test_a_store_that_nobody_made_is_named(settings):
    settings.LEDGER_KEY_STORE = "vault"
    with pytest.raises(KeyStoreUnknown, match="file or pkcs11 and is 'vault'"):
        load_signer(may_create=True)


def test_no_key_is_made_where_a_verifier_key_says_that_there_was_one(settings, vkey_file):
    load_signer(may_create=True)
    settings.LEDGER_KEY_FILE.unlink()
    with pytest.raises(SigningKeyMissing):
        load_signer(may_create=True)
    assert not settings.LEDGER_KEY_FILE.exists()


def test_many_processes_that_start_at_once_make_one_key(settings, tmp_path):
    program = "import django; django.setup(); from ledger.keys import load_signer as l; print(l(may_create=True).vkey)"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "custody.settings",
        "CUSTODY_VAR": str(tmp_path / "var"),
        "LEDGER_KEY_FILE": str(settings.LEDGER_KEY_FILE),
        "CUSTODY_DEMO": "0",
    }
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert said == {f"{load_vkey()}\n"}


def test_a_rotation_swaps_the_keys_and_keeps_the_old_one_aside(settings, vkey_file):
    old, new = load_signer(may_create=True), begin_rotation()
    assert begin_rotation().vkey == new.vkey != old.vkey
    assert next_signer().vkey == new.vkey
    assert load_signer().vkey == load_vkey() == old.vkey
    finish_rotation(7)
    assert load_signer().vkey == load_vkey() == new.vkey
    assert next_signer() is None
    assert vkey_file.read_text() == f"{old.vkey} 0 6\n{new.vkey} 7\n"
    assert mode(vkey_file) == 0o644
    retired = settings.LEDGER_KEY_FILE.with_name(f"ledger.pem.retired-{old.verifier.key_id.hex()}")
    assert (mode(retired), mode(settings.LEDGER_KEY_FILE)) == (0o600, 0o600)
    third = begin_rotation()
    finish_rotation(9)
    assert in_brackets() == [(old.vkey, 0, 6), (new.vkey, 7, 8), (third.vkey, 9, None)]


def test_a_rotation_begins_with_a_key_and_ends_where_it_was_sealed(settings):
    with pytest.raises(SigningKeyMissing):
        begin_rotation()
    assert not settings.LEDGER_KEY_FILE.with_name("ledger.pem.next").exists()
    load_signer(may_create=True)
    with pytest.raises(RotationNotBegun):
        finish_rotation(7)
    new = begin_rotation()
    finish_rotation(7)
    finish_rotation(7)
    with pytest.raises(RotationNotBegun, match=r"entry 8"):
        finish_rotation(8)
    begin_rotation()
    with pytest.raises(RotationNotBegun):
        finish_rotation(7)
    assert load_vkey() == new.vkey


class Died(BaseException):
    """The process is gone: nothing catches it."""


# Everything that finish_rotation does to the disk, in its order.
STEPS = ["made", "vkey replaced", "vkey synced", "linked", "link synced", "swapped", "swap synced"]


@pytest.mark.parametrize("last", range(len(STEPS)), ids=STEPS)
def test_a_rotation_that_died_after_any_step_is_completed(settings, monkeypatch, vkey_file, last):
    old, new = load_signer(may_create=True), begin_rotation()
    steps = iter(range(len(STEPS)))

    def dying_after(function):
        def step(*args, **kwargs):
            result = function(*args, **kwargs)
            if next(steps) == last:
                raise Died
            return result

        return step

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", dying_after(Path.replace))
        dying.setattr(os, "link", dying_after(os.link))
        dying.setattr(os, "fsync", dying_after(os.fsync))
        with pytest.raises(Died):
            finish_rotation(7)
    rotated = last > 0
    assert load_vkey() == (new.vkey if rotated else old.vkey)
    assert load_signer().vkey == load_vkey()
    assert (next_signer() is None) == rotated
    finish_rotation(7)
    assert in_brackets() == [(old.vkey, 0, 6), (new.vkey, 7, None)]
    assert load_signer().vkey == new.vkey
    assert sorted(path.name for path in vkey_file.parent.iterdir()) == [
        "ledger.pem",
        "ledger.pem.lock",
        "ledger.pem.passphrase",
        f"ledger.pem.retired-{old.verifier.key_id.hex()}",
        "ledger.pem.vkey",
    ]


def test_the_public_file_of_before_and_one_with_ranges_are_read(vkey_file):
    old = load_signer(may_create=True).vkey
    begin_rotation()
    finish_rotation(3)
    new = load_vkey()
    vkey_file.write_text(f"{old}")
    assert in_brackets() == [(old, 0, None)]
    vkey_file.write_text(f"{old} 0 41\n{new} 42\n\n")
    assert in_brackets() == [(old, 0, 41), (new, 42, None)]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "nonsense\n",
        "{old} 5 4\n{new} 5\n",
        "{old} 0 4\n{new} 6\n",
        "{old}\n{new} 6\n",
        "{old} 0 4\n",
        "{old} 00 4\n{new} 5\n",
        "{old} -1\n",
        "{old} 0 4 9\n{new} 5\n",
        "\n{old}\n",
        b"\xff\xfe",
    ],
)
def test_a_public_file_that_does_not_add_up_is_named_and_nothing_is_signed(vkey_file, content):
    old = load_signer(may_create=True).vkey
    begin_rotation()
    finish_rotation(3)
    new = load_vkey()
    written = content if isinstance(content, bytes) else content.format(old=old, new=new).encode()
    vkey_file.write_bytes(written)
    with pytest.raises(VerifierKeyMissing, match=r"\.vkey \("):
        load_vkeys()
    with pytest.raises(VerifierKeyChanged, match="not to be read"):
        load_signer()
    assert vkey_file.read_bytes() == written


def ledger_key(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("ledger_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db
def test_the_log_is_followed_through_two_rotations_from_its_first_key_alone(submit_one, settings):
    submit_one()
    seal_all()
    first = load_vkey()
    for _ in range(2):
        told, advice = ledger_key("rotate")
        assert told.strip() == load_vkey()
        assert "witness" in advice and "auditors" in advice and "Destroy" in advice
        submit_one()
        seal_all()
    verdict = verify_log(policy=Policy.pin(settings.LEDGER_ORIGIN, first))
    assert (verdict.status, verdict.entries) == ("intact_unwitnessed", 6)
    assert verify_log(policy=own_policy()).intact
    shown, _ = ledger_key("--all")
    assert [line.split()[1:] for line in shown.splitlines()] == [["0", "2"], ["3", "4"], ["5"]]
    told, _ = ledger_key("policy")
    assert parse_policy(told.encode()) == own_policy()
    assert [(key.first, key.last) for key in parse_policy(told.encode()).keys] == [(0, 2), (3, 4), (5, None)]


@pytest.mark.django_db
@pytest.mark.parametrize("dies_in", ["seal_rotation", "finish_rotation"])
@pytest.mark.parametrize("next_is", ["the command again", "the sealer"])
def test_a_rotation_by_command_that_died_half_way_is_completed(submit_one, settings, monkeypatch, dies_in, next_is):
    submit_one()
    seal_all()
    first = load_vkey()

    def die(*_):
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(f"ledger.management.commands.ledger_key.{dies_in}", die)
        with pytest.raises(Died):
            ledger_key("rotate")
    coming = next_signer().vkey
    if next_is == "the sealer":
        submit_one()
        seal_all()
        assert load_vkey() == (coming if dies_in == "finish_rotation" else first)
    else:
        ledger_key("rotate")
        assert load_vkey() == coming
    submit_one()
    seal_all()
    for policy in (own_policy(), Policy.pin(settings.LEDGER_ORIGIN, first)):
        assert verify_log(policy=policy).intact


@pytest.mark.django_db
def test_what_a_retired_key_signs_afterwards_is_found(submit_one, settings):
    submit_one()
    seal_all()
    retired = load_signer()
    ledger_key("rotate")
    submit_one()
    seal_all()
    assert verify_log(policy=own_policy()).intact
    row = Entry.objects.get(index=3)
    forged = sign_entry(parse_entry(as_bytes(row.note)), retired)
    append_only.disarm(connection)
    Entry.objects.filter(index=3).update(note=forged)
    append_only.arm(connection)
    for policy in (own_policy(), Policy.pin(settings.LEDGER_ORIGIN, retired.vkey)):
        verdict = verify_log(policy=policy)
        assert (verdict.status, verdict.broken_at, verdict.check) == ("broken", 3, "signature")


@pytest.mark.django_db
def test_a_rotation_of_a_log_without_a_key_is_refused():
    with pytest.raises(CommandError, match=r"\.vkey"):
        ledger_key("rotate")


@pytest.mark.django_db
def test_a_process_without_the_signing_key_verifies(submit_one, settings, ana):
    submit_one()
    seal_all()
    settings.LEDGER_KEY_FILE.unlink()
    assert verify_log(policy=own_policy()).intact
    asked = request_run(requested_by=ana)
    run(asked.pk)
    asked.refresh_from_db()
    assert asked.verdict["status"] == "intact_unwitnessed"
    out = StringIO()
    call_command("ledger_key", stdout=out)
    assert out.getvalue().strip() == own_policy().vkeys[0]


@pytest.mark.django_db
def test_without_any_key_nothing_is_verified_and_no_run_is_left(submit_one, settings, vkey_file, ana):
    submit_one()
    seal_all()
    settings.LEDGER_KEY_FILE.unlink()
    vkey_file.unlink()
    with pytest.raises(VerifierKeyMissing) as refused:
        request_run(requested_by=ana)
    assert refused.value.code == "verifier_key_missing"
    assert not VerificationRun.objects.exists()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=ana, purpose='tests')}")
    answer = client.post("/api/v1/ledger/verifications")
    assert (answer.status_code, answer.data["code"]) == (409, "verifier_key_missing")
    with pytest.raises(CommandError, match="--vkey"):
        call_command("verify_ledger")
    with pytest.raises(CommandError, match=r"\.vkey"):
        call_command("ledger_key")
