"""PostgreSQL's roles, on a real server: what each may do there, asked of the server itself."""

import json
import os
import re
import secrets
import subprocess
import sys
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg.errors import InsufficientPrivilege

from ledger.append_only import SEALED_TABLES

ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES = os.environ.get("TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test")

# Submit three statements and seal them as whichever roles the environment names; print what stands in the log.
SUBMIT_AND_SEAL = """
import json, os, sys, uuid
import django
django.setup()
from django.db import transaction
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.submission import submit
from ledger import attachments
from ledger.own_policy import own_policy
from ledger.verification import verify_log

if sys.argv[1] == "submit":
    with transaction.atomic():
        attachments.store(b"a photo of the seal", media_type="text/plain")
        for n in range(3):
            submit(kind="handoff", subject=uuid.uuid4().urn, body={"n": n}, key=f"roles:{uuid.uuid4()}")
if sys.argv[1] == "seal":
    seal_all()
print(json.dumps({
    "entries": Entry.objects.count(),
    "pending": Statement.objects.filter(entry__isnull=True).count(),
    "verdict": verify_log(policy=own_policy()).status if Entry.objects.exists() else "",
}))
"""


class Server:
    """A migrated database and roles of its own: both are of the whole server, and have random names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"roles_{secrets.token_hex(4)}"
        self.password = secrets.token_hex(8)

    def url(self, role: str = "") -> str:
        parts = urlsplit(POSTGRES)
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{self.prefix}_{role}:{self.password}@{host}" if role else parts.netloc
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{self.prefix}"))

    def connect(self, role: str = "") -> psycopg.Connection:
        return psycopg.connect(self.url(role), autocommit=True)

    def run(self, *arguments: str, role: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "CUSTODY_"))}
            | {
                "BROKER_URL": "",
                "DATABASE_URL": self.url(role),
                "CUSTODY_VAR": str(self.folder),
                "CUSTODY_DEMO": "0",
                "DJANGO_SETTINGS_MODULE": "custody.settings",
            }
            | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def log(self, verb: str, role: str, **environment: str) -> dict[str, object]:
        done = self.run("-c", SUBMIT_AND_SEAL, verb, role=role, **environment)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def apply(self, *arguments: str) -> None:
        call_command("database_roles", "--apply", self.url(), "--prefix", self.prefix, *arguments, stdout=StringIO())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    try:
        root = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        why = f"no PostgreSQL at {POSTGRES} (TEST_POSTGRES names another): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    server = Server(tmp_path_factory.mktemp("roles"))
    with root:
        root.execute(f"CREATE DATABASE {server.prefix}")
        try:
            migrated = server.run("manage.py", "migrate", "--verbosity", "0")
            assert migrated.returncode == 0, migrated.stderr
            server.apply()
            for role in ("owner", "app", "sealer", "auditor"):
                root.execute(f"ALTER ROLE {server.prefix}_{role} PASSWORD '{server.password}'")
            assert server.log("submit", "app")["entries"] == 4
            yield server
        finally:
            root.execute(f"DROP DATABASE {server.prefix} WITH (FORCE)")
            for role in ("owner", "app", "sealer", "auditor"):
                root.execute(f"DROP ROLE IF EXISTS {server.prefix}_{role}")


def refused(connection: psycopg.Connection, statement: str) -> str:
    """Return PostgreSQL's answer to a statement that it must refuse for want of a right, and for nothing else."""
    with pytest.raises(InsufficientPrivilege) as answer:
        connection.execute(statement)
    return str(answer.value)


@pytest.mark.parametrize("role", ["app", "sealer", "auditor"])
@pytest.mark.parametrize("table", [*SEALED_TABLES, "ledger_statement", "ledger_loghead"])
def test_none_but_the_owner_may_touch_what_was_sealed(server, role, table):
    with server.connect(role) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        for statement in (
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"DROP TABLE {table} CASCADE",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"ALTER TABLE {table} OWNER TO {server.prefix}_{role}",
            f"ALTER TABLE {table} ADD COLUMN more int",
            f"CREATE TRIGGER quiet BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()",
            f"CREATE RULE quiet AS ON INSERT TO {table} DO INSTEAD NOTHING",
        ):
            refused(connection, statement)
        if table in SEALED_TABLES:
            column = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s LIMIT 1", [table]
            ).fetchone()[0]
            refused(connection, f'UPDATE {table} SET "{column}" = "{column}"')


@pytest.mark.parametrize("role", ["app", "sealer", "auditor"])
def test_none_may_switch_the_triggers_off_or_slip_something_under_them(server, role):
    with server.connect(role) as connection:
        for statement in (
            "SET session_replication_role = replica",
            "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN NEW; END $$",
            "DROP FUNCTION ledger_refuse_change() CASCADE",
            "CREATE TABLE public.ledger_entry2 (id int)",
            "CREATE FUNCTION public.now2() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE TEMPORARY TABLE ledger_entry (id int)",
            f"SET ROLE {server.prefix}_owner",
            f"GRANT {server.prefix}_owner TO {server.prefix}_{role}",
        ):
            refused(connection, statement)


def test_a_statement_that_was_submitted_stays_as_it_was(server):
    for role in ("app", "sealer"):
        with server.connect(role) as connection:
            refused(connection, "UPDATE ledger_statement SET body = '{}'")
            refused(connection, "UPDATE ledger_statement SET kind = 'refusal'")


def test_the_app_submits_and_seals_in_its_own_process(server):
    before = server.log("look", "app")
    after = server.log("submit", "app")
    assert after == {"entries": before["entries"] + 3, "pending": 0, "verdict": "intact_unwitnessed"}
    with server.connect("app") as connection:
        assert connection.execute(
            "INSERT INTO ledger_attachment (sha256, media_type, content) VALUES (%s, 'text/plain', 'x')",
            [secrets.token_hex(32)],
        ).rowcount == 1  # fmt: skip


def test_a_sealer_apart_seals_what_an_app_submits_that_cannot(server):
    server.apply("--sealer-apart")
    try:
        before = server.log("look", "auditor")
        # A broker that is not there: the hint to the worker is lost, the statement is not.
        waiting = server.log("submit", "app", BROKER_URL="memory://")
        assert waiting == before | {"pending": 3}
        with server.connect("app") as connection:
            refused(connection, "INSERT INTO ledger_entry SELECT * FROM ledger_entry")
            refused(connection, "INSERT INTO ledger_checkpoint SELECT * FROM ledger_checkpoint")
            refused(connection, "UPDATE ledger_statement SET entry_id = 1")
            refused(connection, "UPDATE ledger_loghead SET size = 0")
        sealed = server.log("seal", "sealer")
        assert sealed == {"entries": before["entries"] + 3, "pending": 0, "verdict": "intact_unwitnessed"}
        with server.connect("sealer") as connection:
            for table in ("accounts_user", "biometrics_person", "biometrics_template", "custody_handoff"):
                refused(connection, f"SELECT * FROM {table}")
    finally:
        server.apply()


def test_the_auditor_verifies_and_writes_nothing(server):
    assert server.log("look", "auditor")["verdict"] == "intact_unwitnessed"
    with server.connect("auditor") as connection:
        refused(connection, "INSERT INTO ledger_attachment (sha256, media_type, content) VALUES ('00', 'x', 'x')")
        refused(connection, "UPDATE ledger_witnessstate SET size = 1")
        for table in ("accounts_user", "accounts_apitoken", "biometrics_person", "django_session"):
            refused(connection, f"SELECT * FROM {table}")


def test_the_owner_migrates_and_a_new_table_is_not_the_apps_to_change(server):
    with server.connect("owner") as connection:
        connection.execute("CREATE TABLE ledger_later (id int GENERATED BY DEFAULT AS IDENTITY, note text)")
    try:
        with server.connect("app") as connection:
            connection.execute("INSERT INTO ledger_later (note) VALUES ('x')")
            refused(connection, "UPDATE ledger_later SET note = 'y'")
            refused(connection, "DELETE FROM ledger_later")
    finally:
        with server.connect("owner") as connection:
            connection.execute("DROP TABLE ledger_later")
    # Forward again in every app: what refers to the ledger went back with it.
    for arguments in (("ledger", "0003"), ()):
        migrated = server.run("manage.py", "migrate", *arguments, "--verbosity", "0", role="owner")
        assert migrated.returncode == 0, migrated.stderr


def test_what_was_granted_by_hand_is_taken_back(server):
    with server.connect() as connection:
        connection.execute(f"GRANT ALL ON ledger_entry TO {server.prefix}_app, PUBLIC")
        connection.execute(f"GRANT UPDATE (note) ON ledger_checkpoint TO {server.prefix}_app")
    server.apply()
    with server.connect("app") as connection:
        refused(connection, "DELETE FROM ledger_entry")
        refused(connection, "UPDATE ledger_checkpoint SET note = note")


def test_the_printed_script_is_what_is_applied(server):
    out = StringIO()
    call_command("database_roles", "--prefix", server.prefix, stdout=out)
    script = out.getvalue()
    assert "PASSWORD '" not in script
    assert re.search(r"^BEGIN;$", script, re.M) and script.endswith("COMMIT;\n")
    with server.connect() as connection:
        connection.execute(script.encode())
    assert server.log("look", "app")["verdict"] == "intact_unwitnessed"


def test_a_role_script_that_fails_changes_nothing(server):
    with server.connect() as connection:
        connection.execute("ALTER TABLE custody_refused RENAME TO elsewhere")
    try:
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("database_roles", "--apply", server.url(), "--prefix", f"{server.prefix}_x", stdout=StringIO())
        with server.connect() as connection:
            found = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE %s", [f"{server.prefix}_x%"])
            assert found.fetchone() == (0,)
    finally:
        with server.connect() as connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO custody_refused")


@pytest.mark.parametrize("prefix", ["", "Custody", "a;b", "1a", "a" * 42, 'a"b'])
def test_a_prefix_that_could_not_be_a_name_is_refused(prefix):
    with pytest.raises(CommandError, match="--prefix"):
        call_command("database_roles", "--prefix", prefix, stdout=StringIO())


@pytest.mark.parametrize("url", ["", "sqlite:///x", "mysql://x"])
def test_applying_wants_postgresql(url, monkeypatch):
    monkeypatch.delenv("CUSTODY_SUPERUSER_URL", raising=False)
    with pytest.raises(CommandError, match="CUSTODY_SUPERUSER_URL"):
        call_command("database_roles", "--apply", url, stdout=StringIO())
