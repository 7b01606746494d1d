"""The demo's commands on a database that is not the demo's, and on one whose making was interrupted."""

import os
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from accounts.models import User
from accounts.roles import Role
from biometrics.consent import ConsentGiven
from biometrics.people import register_person
from biometrics.second_factor import check_second_factor
from demo.management.commands import seed_demo, tamper
from demo.mark import is_unfinished
from demo.world import make_world
from ledger.models import Entry
from ledger.sealing import seal_pending
from ledger.submission import submit

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = "urn:uuid:00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def own_mark(settings, tmp_path: Path) -> Path:
    settings.DEMO_MARK = tmp_path / "demo"
    return settings.DEMO_MARK


@pytest.fixture
def photos_are_there(tmp_path: Path) -> Path:
    (tmp_path / "astronaut.png").touch()
    return tmp_path


def seal_something() -> Entry:
    """A handoff's entry (and the genesis before it) in the log that LEDGER_ORIGIN names."""
    with transaction.atomic():
        submit(kind="handoff", subject=NOBODY, body={"number": 1042}, key="one")
    seal_pending()
    return Entry.objects.get(kind="handoff")


def run(command: object, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def test_no_world_is_made_where_somebody_has_an_account(carla: User, photos_are_there: Path, own_mark: Path) -> None:
    for make in (
        lambda: make_world(photos_are_there),
        lambda: run(seed_demo.Command(), "--photos", str(photos_are_there)),
    ):
        with pytest.raises(CommandError, match=r"not the demo's\. Nothing was changed"):
            make()
    assert list(User.objects.all()) == [carla]
    # Otherwise `make clean` would take the folder for the demo's.
    assert not own_mark.exists()


@pytest.mark.django_db
def test_no_world_is_made_where_something_was_recorded(photos_are_there: Path, own_mark: Path) -> None:
    seal_something()
    with pytest.raises(CommandError, match=r"not the demo's\. Nothing was changed"):
        run(seed_demo.Command(), "--photos", str(photos_are_there))
    assert not User.objects.exists()
    assert not own_mark.exists()


@pytest.mark.parametrize(("origin", "marked"), [("ledger.example/custody", True), ("demo.invalid/custody", False)])
def test_a_real_database_keeps_its_passwords_and_its_bytes(
    db, settings, own_mark: Path, origin: str, marked: bool
) -> None:
    settings.LEDGER_ORIGIN = origin
    if marked:
        own_mark.write_text("made\n")
    User.objects.create_user("administrator", password="hers alone", role=Role.AUDITOR)
    before = bytes(seal_something().note)

    for command in ((seed_demo.Command(), "--passwords"), (tamper.Command(),), (tamper.Command(), "--entry", "1")):
        with pytest.raises(CommandError, match="This is not the demo's database, and nothing was changed") as refused:
            run(*command)
        assert origin in str(refused.value)

    her = User.objects.get()
    assert her.check_password("hers alone")
    assert not her.is_superuser
    assert bytes(Entry.objects.get(kind="handoff").note) == before


def test_an_interrupted_seed_says_so_and_a_finished_one_is_left_alone(
    db, settings, own_mark: Path, photos_are_there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LEDGER_ORIGIN = "demo.invalid/custody"

    def interrupted(photos: Path) -> None:
        User.objects.create_user("operator")
        seal_something()
        raise KeyboardInterrupt

    monkeypatch.setattr(seed_demo, "make_world", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(seed_demo.Command(), "--photos", str(photos_are_there))
    assert is_unfinished()
    with pytest.raises(CommandError, match=r"half made.*`make clean` removes it"):
        run(seed_demo.Command(), "--photos", str(photos_are_there))

    own_mark.write_text("made\n")
    assert "there already" in run(seed_demo.Command(), "--photos", str(photos_are_there))


def test_passwords_and_pins_are_renewed_together(db, settings, own_mark: Path, beto: User) -> None:
    settings.LEDGER_ORIGIN = "demo.invalid/custody"
    own_mark.write_text("made\n")
    seal_something()
    people = {
        name: register_person(name=name, kind="driver", registered_by=beto, consent=ConsentGiven(language="es"))
        for name in ("Elena Cortés", "Víctor Salas", "Marco Ruiz", "Lucía Herrera", "Ignacio Peralta")
    }

    said = run(seed_demo.Command(), "--passwords")

    _, _, told = said.partition("Who may take custody, and the officer who decides and stands in (PIN):\n")
    pins = dict(line.strip().rsplit(None, 1) for line in told.splitlines())
    assert set(pins) == {"Elena Cortés", "Víctor Salas", "Marco Ruiz", "Lucía Herrera"}
    for name, pin in pins.items():
        assert check_second_factor(person=people[name], pin=pin) == "pin"
    password = next(line.split()[1] for line in said.splitlines() if line.startswith("  auditor "))
    assert User.objects.get(username="auditor").check_password(password)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing: apt-get install make")
def test_make_clean_takes_the_demo_and_leaves_what_may_be_real(tmp_path: Path) -> None:
    var = tmp_path / "elsewhere"
    (var / "keys").mkdir(parents=True)

    def clean() -> str:
        # From a folder of its own: what is removed by a relative name is not the developer's.
        environment = {name: os.environ[name] for name in ("PATH",)} | {"CUSTODY_VAR": "elsewhere"}
        return subprocess.run(
            ["make", "-f", str(ROOT / "Makefile"), "clean"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    assert "Left elsewhere: it holds no demo" in clean()
    assert (var / "keys").exists()
    (var / "demo").touch()
    assert "Removed the demo world" in clean()
    assert not var.exists()
    assert "elsewhere" not in clean().replace("rm -rf", "")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing: apt-get install make")
@pytest.mark.parametrize(("custody_var", "folder"), [("", "var"), ("elsewhere", "elsewhere")])
def test_the_photos_are_fetched_to_where_the_seed_looks(custody_var: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / "requirements-photos.txt").touch()
    (tmp_path / "requirements.txt").touch()
    planned = subprocess.run(
        ["make", "-n", "-f", str(ROOT / "Makefile"), "run"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "CUSTODY_VAR": custody_var}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert f'-m demo.photos "{folder}/photos"' in planned
