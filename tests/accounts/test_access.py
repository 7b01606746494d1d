"""Roles, capabilities, tokens, and the secrets that the embedded profile makes for itself."""

import stat
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts import tokens
from accounts.models import User
from accounts.roles import CAPABILITIES, Capability, Role
from accounts.secret_files import read_or_make


def test_every_role_has_a_place_and_no_role_has_everything():
    assert set(CAPABILITIES) == set(Role.values)
    for capabilities in CAPABILITIES.values():
        assert capabilities
        assert capabilities < set(Capability)


def test_who_keeps_accounts_does_not_hand_over():
    assert Capability.HAND_OFF not in CAPABILITIES[Role.ADMINISTRATOR]
    assert Capability.MANAGE_PEOPLE not in CAPABILITIES[Role.OPERATOR]


def test_an_inactive_account_may_nothing(beto):
    assert beto.may(Capability.HAND_OFF)
    beto.is_active = False
    assert not beto.may(Capability.HAND_OFF)


@pytest.mark.django_db
def test_the_database_refuses_an_unknown_role():
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("x", role="king")


def test_a_token_finds_its_account_and_is_not_stored(beto):
    token = tokens.issue_token(user=beto, purpose="scanner")
    assert tokens.find_user(token) == beto
    assert tokens.find_user(token + "x") is None
    assert token not in str(list(beto.api_tokens.values()))
    beto.is_active = False
    beto.save()
    assert tokens.find_user(token) is None


def test_the_command_prints_a_token_that_works(beto):
    out = StringIO()
    call_command("issue_token", "beto", stdout=out)
    assert tokens.find_user(out.getvalue().strip()) == beto
    with pytest.raises(CommandError, match="nobody"):
        call_command("issue_token", "nobody")


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "secret"
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(read_or_make(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret"]


def test_every_capability_that_a_role_is_given_opens_some_door():
    root = Path(__file__).resolve().parent.parent.parent
    asked = "".join(
        file.read_text()
        for app in ("ledger", "shipments", "biometrics", "custody")
        for file in (root / app).rglob("*.py")
        if "migrations" not in file.parts
    )
    assert [capability.name for capability in Capability if f"Capability.{capability.name}" not in asked] == []
