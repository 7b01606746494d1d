"""Writers and sealers in processes of their own, on one database: nothing lost, no fork, no gap, no error."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
WRITERS, EACH = 4, 20
ENTRIES = 2 + WRITERS * EACH  # with the genesis, and the statement that began the log

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path):
    """A database of its own, on the server that the tests use."""
    found = {**os.environ, "CUSTODY_VAR": str(tmp_path)}
    if connection.vendor == "sqlite":
        found.pop("DATABASE_URL", None)
        yield found
        return
    import psycopg

    server, name = os.environ["DATABASE_URL"].rsplit("/", 1)[0], f"custody_writers_{uuid.uuid4().hex}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        database.execute(f"CREATE DATABASE {name}")
    yield {**found, "DATABASE_URL": f"{server}/{name}"}
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def start(environment: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.write_many", *map(str, arguments)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(*processes: subprocess.Popen[str]) -> str:
    for process in processes:
        said, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        assert "Traceback" not in told, told
    return said


def check(environment: dict[str, str]) -> None:
    found = json.loads(finish(start(environment, "report")))
    assert found["intact"], found["verdict"]
    assert found["indexes"] == list(range(ENTRIES))
    assert found["pending"] == 0
    assert found["covered"] == ENTRIES
    written = [f"writer-{writer}:{number}" for writer in range(WRITERS) for number in range(EACH)]
    assert found["sealed"] == sorted(["maker:0", *written])


@pytest.mark.parametrize("verb", ["write", "write-and-seal"])
def test_four_writers_beside_a_sealer(environment, verb):
    finish(start(environment, "make"))
    writers = [start(environment, verb, f"writer-{writer}", EACH) for writer in range(WRITERS)]
    finish(start(environment, "seal", ENTRIES), *writers)
    check(environment)


def test_two_sealers_that_share_no_store_do_not_fork(environment, tmp_path):
    """As two machines would be: the same database and key, a last-signed store each."""
    finish(start(environment, "make"))
    shutil.copytree(tmp_path / "last-signed", tmp_path / "elsewhere")
    elsewhere = {**environment, "LEDGER_LAST_SIGNED_DIR": str(tmp_path / "elsewhere")}
    writers = [start(environment, "write", f"writer-{writer}", EACH) for writer in range(WRITERS)]
    sealers = [start(one, "seal", ENTRIES) for one in (environment, elsewhere)]
    finish(*writers, *sealers)
    check(environment)
