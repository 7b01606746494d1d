"""
What every test shares: a log of its own, the three accounts, and real photos.

The cast: Ana audits, Beto works the dock, Carla may not do either, Olga is a customs officer.
"""

import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import TransactionTestCase

from accounts.models import User
from accounts.roles import Role
from ledger import append_only


@pytest.fixture(autouse=True)
def own_log(settings, tmp_path: Path) -> Path:
    """Give each test its own signing key and last-signed store: both outlive the test's database."""
    settings.LEDGER_KEY_FILE = tmp_path / "keys" / "ledger.pem"
    settings.LEDGER_LAST_SIGNED_DIR = tmp_path / "last-signed"
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"
    return tmp_path


def _flush_past_the_triggers() -> None:
    """Let Django empty the tables after a transactional test: the append-only triggers would refuse it."""
    teardown = TransactionTestCase._fixture_teardown

    def unguarded(case: TransactionTestCase) -> None:
        append_only.disarm(connection)
        try:
            teardown(case)
        finally:
            append_only.arm(connection)

    TransactionTestCase._fixture_teardown = unguarded


_flush_past_the_triggers()


@pytest.fixture
def ana(db) -> User:
    return User.objects.create_user("ana", password="ana's password", role=Role.AUDITOR)


@pytest.fixture
def beto(db) -> User:
    return User.objects.create_user("beto", password="beto's password", role=Role.OPERATOR)


@pytest.fixture
def carla(db) -> User:
    """Carla has an account and no way to this page: an administrator for custody, an inactive account elsewhere."""
    return User.objects.create_user("carla", password="carla's password", role=Role.ADMINISTRATOR)


@pytest.fixture
def olga(db) -> User:
    return User.objects.create_user("olga", password="olga's password", role=Role.OFFICER)


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photos that `make test` takes from published packages."""
    folder = Path(os.environ.get("CUSTODY_PHOTOS", Path(__file__).resolve().parent.parent / "var" / "photos"))
    if (folder / "astronaut.png").exists():
        return folder
    if os.environ.get("CI") == "true":
        pytest.fail(f"no photos in {folder}: run `python -m demo.photos {folder}`")
    pytest.skip(f"no photos in {folder}: `make test` fetches them")
