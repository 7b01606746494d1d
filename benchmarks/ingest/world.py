"""A Custody of its own with one reader, its served processes, and what all processes at work have cost."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ledger.own_world import in_own_process, use_own

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class World:
    """One database and who posts to it."""

    folder: Path
    url: str
    reader: str
    report: int
    authorization: str
    served: list[int] = field(default_factory=list)

    @property
    def sqlite(self) -> bool:
        return not self.url

    def connect(self) -> Any:
        """Connect without Django, as the bulk loads do: the same durability, a transaction for each batch."""
        if not self.sqlite:
            import psycopg

            return psycopg.connect(self.url)
        from pysqlite3 import dbapi2

        connection = dbapi2.connect(str(self.folder / "custody.sqlite3"), isolation_level=None, timeout=60)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def processor_seconds(self) -> float:
        """What the served processes and the database's backends have taken; a bulk load's own process is not in it."""
        backends = []
        if not self.sqlite:
            with self.connect() as connection:
                backends = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchall()
        return sum(seconds_of(pid) for pid in [*self.served, *(row[0] for row in backends)])


def seconds_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def make_world(folder: Path, url: str) -> World:
    folder.mkdir(parents=True)
    return World(folder, url, *in_own_process(_fill, folder, url))


def _fill(folder: Path, url: str) -> tuple[str, int, str]:
    use_own(folder, url)
    from datetime import UTC, datetime

    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from shipments.ingest import record_report
    from shipments.models import RawReport
    from shipments.places import create_read_point, create_reader, create_site
    from shipments.reader_credentials import issue_credential

    site = create_site(code="LRD", name="Laredo yard", gln="0614141123452")
    door = create_read_point(site=site, name="Dock 1", direction="out", extension="dock1")
    reader = create_reader(read_point=door, name="portal")
    name, password = issue_credential(reader=reader)
    record_report(reader=reader, body=b"[]", content_type="", received_at=datetime.now(tz=UTC))
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return str(reader.pk), RawReport.objects.get().pk, f"Basic {pair}"


@contextmanager
def serving(world: World, *, plain: bool = False, processes: int = 1) -> Iterator[list[int]]:
    """Serve as the product does (``manage.py serve``) and yield the ports."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("CUSTODY_", "LEDGER_", "DATABASE_", "BROKER_"))}
    kept |= {"CUSTODY_VAR": str(world.folder), "CUSTODY_DEMO": "0", "PYTHONUNBUFFERED": "1"}
    kept |= {"BIOMETRICS_MODELS_DIR": str(world.folder / "models")}
    # What is measured is the storing, not the brake on one reader.
    kept |= {"READER_REPORTS_PER_S": "1000000", "READER_READS_PER_S": "1000000000"}
    kept["DJANGO_SETTINGS_MODULE"] = "benchmarks.ingest.plain_settings" if plain else "custody.settings"
    if plain:
        kept |= {"PLAIN_READER": world.reader, "PLAIN_REPORT": str(world.report)}
    if world.url:
        kept["DATABASE_URL"] = world.url
    servers = []
    try:
        ports = []
        for _ in range(processes):
            server = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", "0"],
                cwd=REPOSITORY, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            servers.append(server)
            ports.append(_port_of(server))
            world.served.append(server.pid)
        yield ports
    finally:
        for server in servers:
            if server.pid in world.served:
                world.served.remove(server.pid)
            server.terminate()
            server.communicate(timeout=60)


def _port_of(server: subprocess.Popen[str]) -> int:
    said = []
    assert server.stdout is not None
    for line in server.stdout:
        said.append(line)
        if found := re.search(r"Serving on http://127\.0\.0\.1:([0-9]+)", line):
            return int(found[1])
    raise RuntimeError("the server did not start:\n" + "".join(said))


def answer_counts(answer: bytes) -> dict[str, Any]:
    head, _gap, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:500].decode(errors="replace"))
    found = json.loads(body)
    assert isinstance(found, dict)
    return found
