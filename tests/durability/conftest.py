"""
A log of its own on SQLite and on PostgreSQL, with writers and a sealer as real processes that can be killed.

The processes say what was acknowledged by a line in a file of their own, written after the commit.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES = os.environ.get("TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test")


@dataclass
class Deployment:
    """One log: its folder, its environment, and the processes that work on it."""

    folder: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``tests.durability.<module>``; what it complains of lands in ``complaints``."""
        with (self.folder / "complaints").open("ab") as complaints:
            process = subprocess.Popen(
                [sys.executable, "-m", f"tests.durability.{module}", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=complaints,
                stderr=complaints,
            )
        self.processes.append(process)
        return process

    def start_writer(self, *, count: int = 0) -> subprocess.Popen[bytes]:
        """Start a writer that submits ``count`` statements, one a transaction; without a count, until it is killed."""
        return self.start("writer", str(self.folder / "acknowledged"), str(count))

    def run(self, module: str, *arguments: str) -> str:
        """Run a module to its end and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", f"tests.durability.{module}", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def acknowledged(self) -> list[str]:
        """Every key whose submission was acknowledged; a line that a kill cut short was not."""
        found = []
        for file in (self.folder / "acknowledged").iterdir():
            whole, _, _cut = file.read_text().rpartition("\n")
            found += whole.split()
        return found

    def complaints(self) -> str:
        return (self.folder / "complaints").read_text()


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process as a power cut would: nothing of it runs any more."""
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """Make an empty log on the database that the parameter names, and leave nothing behind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "CUSTODY_"))}
    for name in ("DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE"):
        kept.pop(name, None)
    environment = kept | {"CUSTODY_VAR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    (tmp_path / "acknowledged").mkdir()
    database = f"custody_durability_{uuid.uuid4().hex[:12]}"
    if request.param == "postgresql":
        _create(database)
        environment["DATABASE_URL"] = f"{POSTGRES.rpartition('/')[0]}/{database}"
    made = Deployment(tmp_path, environment)
    try:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT, env=environment, check=True, timeout=120,
        )  # fmt: skip
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                kill(process)
        if request.param == "postgresql":
            with psycopg.connect(POSTGRES, autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def _create(database: str) -> None:
    try:
        with psycopg.connect(POSTGRES, autocommit=True, connect_timeout=5) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
    except psycopg.OperationalError as error:
        why = f"no PostgreSQL at {POSTGRES} (TEST_POSTGRES names another): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
