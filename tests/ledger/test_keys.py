"""The log's keys: what stands beside the signing key, and what a process may do that has the public one alone."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts.tokens import issue_token
from ledger.errors import SigningKeyMissing, SigningKeyUnreadable, VerifierKeyChanged, VerifierKeyMissing
from ledger.keys import load_signer, load_vkey
from ledger.models import VerificationRun
from ledger.sealing import seal_all
from ledger.verification import own_policy, run_verification, verify_log


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


@pytest.mark.django_db
def test_a_process_without_the_signing_key_verifies(submit_one, settings, ana):
    submit_one()
    seal_all()
    settings.LEDGER_KEY_FILE.unlink()
    assert verify_log(policy=own_policy()).intact
    assert run_verification(requested_by=ana).verdict["status"] == "intact_unwitnessed"
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
        run_verification(requested_by=ana)
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
