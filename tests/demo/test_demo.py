"""The demo as a stranger meets it on the console: seed, verify, tamper, verify."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def var(tmp_path_factory, photos) -> Path:
    folder = tmp_path_factory.mktemp("var")
    (folder / "photos").symlink_to(photos)
    return folder


def manage(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=inherited | {"CUSTODY_VAR": str(var)} | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_seed_verify_tamper_verify(var):
    assert manage(var, "migrate", "--verbosity", "0").returncode == 0
    seeded = manage(var, "seed_demo", CUSTODY_DEMO="1")
    assert seeded.returncode == 0, seeded.stderr
    for role in ("operator", "auditor", "officer"):
        assert f"\n  {role}" in seeded.stdout

    # From here on without the variable: the database knows that it is the demo's.
    again = manage(var, "seed_demo")
    assert "there already" in again.stdout

    intact = manage(var, "verify_ledger")
    assert intact.returncode == 0
    assert "Intact" in intact.stdout

    tampered = manage(var, "tamper")
    entry = tampered.stdout.split(":")[0]
    assert entry.startswith("Entry ")

    broken = manage(var, "verify_ledger")
    assert broken.returncode == 1
    assert f"Broken at {entry.lower()}:" in broken.stdout
    assert "expected" in broken.stdout
    assert "found" in broken.stdout

    manage(var, "tamper")
    assert manage(var, "verify_ledger").returncode == 0

    other = manage(var, "tamper", "--entry", "2")
    assert other.stdout.startswith("Entry 2:")
    assert "Broken at entry 2:" in manage(var, "verify_ledger").stdout


def test_no_photo_lies_in_the_clear(var, photos):
    database = b"".join(file.read_bytes() for file in var.glob("custody.sqlite3*"))
    for photo in photos.iterdir():
        middle = photo.read_bytes()[20_000:20_064]
        assert middle not in database
    assert b"Marco Ruiz" not in database


def test_no_tampering_outside_the_demo(tmp_path):
    refused = manage(tmp_path, "tamper", CUSTODY_DEMO="0")
    assert refused.returncode != 0
    assert "Unknown command" in refused.stderr
