"""
PostgreSQL roles by which the database itself refuses what the triggers refuse, and dropping the triggers too.

One role owns the tables and migrates, one serves, one seals, one reads the ledger; only the owner could change a sealed
row. A tripwire, as the triggers are: a superuser, or whoever has the owner's password, is caught by verification alone.
"""

import re
from collections.abc import Iterator

from django.apps import apps

from ledger.append_only import SEALED_TABLES

PREFIX = re.compile(r"[a-z][a-z0-9_]{0,40}")

_STATEMENT, _HEAD, _WITNESS, _RUN = (
    "ledger_statement",
    "ledger_loghead",
    "ledger_witnessstate",
    "ledger_verificationrun",
)
_LEDGER = (*SEALED_TABLES, _STATEMENT, _HEAD, _WITNESS, _RUN)


def role_statements(*, prefix: str = "custody", sealer_apart: bool = False) -> list[str]:
    """
    Return the SQL that makes the roles and sets what each may do, for a superuser, after every migration.

    May be run again: what was granted before and is not listed is taken back. Sets no passwords.

    :param prefix: what the four names begin with: ``_owner``, ``_app``, ``_sealer``, ``_auditor``
    :param sealer_apart: another process seals; the app's role then writes no entries, only statements and attachments
    :raises ValueError: if the prefix could not be a name
    """
    if not PREFIX.fullmatch(prefix):
        raise ValueError(f"expected lowercase letters, digits and _, at most 41, found {prefix!r}")
    owner, app, sealer, auditor = (f"{prefix}_{role}" for role in ("owner", "app", "sealer", "auditor"))
    tables = sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)})
    return [
        *_make(owner, app, sealer, auditor),
        *_hand_over(owner, tables),
        *_take_back(owner, app, sealer, auditor),
        f"GRANT USAGE ON SCHEMA public TO {app}, {sealer}, {auditor}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {app}, {sealer}",
        *_may_serve(app, tables),
        *([] if sealer_apart else _may_seal(app)),
        *_may_seal(sealer),
        _grant("SELECT, INSERT, UPDATE", [_RUN], sealer),
        _grant("SELECT", [*_LEDGER, "django_migrations"], sealer),
        _grant("SELECT", [*_LEDGER, "django_migrations"], auditor),
        # Of a table that a later migration makes: what no table is harmed by, until this is run again.
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO {app}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {app}, {sealer}",
    ]


def _make(*roles: str) -> Iterator[str]:
    for role in roles:
        yield (
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; "
            "END IF; END $$"
        )
        yield f"ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
        yield _on_database(f"GRANT CONNECT ON DATABASE %I TO {role}")


def _hand_over(owner: str, tables: list[str]) -> Iterator[str]:
    # Whoever owns a table may drop its triggers. Identity sequences and indexes go with their table.
    for table in [*tables, "django_migrations"]:
        yield f'ALTER TABLE "{table}" OWNER TO {owner}'
    yield f"ALTER FUNCTION ledger_refuse_change() OWNER TO {owner}"
    yield f"GRANT USAGE, CREATE ON SCHEMA public TO {owner}"


def _take_back(owner: str, *roles: str) -> Iterator[str]:
    named = ", ".join(roles)
    # Before PostgreSQL 15 everybody may make tables here, and functions that the product's queries would then find.
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    yield _on_database("REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC")
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {named}"
    yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {named}"
    yield f"REVOKE ALL ON SCHEMA public FROM {named}"
    for kind in ("TABLES", "SEQUENCES"):
        yield f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public REVOKE ALL ON {kind} FROM {named}"


def _may_serve(app: str, tables: list[str]) -> Iterator[str]:
    yield _grant("SELECT, INSERT, UPDATE, DELETE", [table for table in tables if table not in _LEDGER], app)
    yield _grant("SELECT", [*_LEDGER, "django_migrations"], app)
    # Submitting: the statement, and what it names. Neither is ever changed or removed by whoever submitted it.
    yield _grant("INSERT", [_STATEMENT, "ledger_attachment"], app)
    yield _grant("INSERT, UPDATE", [_RUN], app)


def _may_seal(role: str) -> Iterator[str]:
    yield _grant("SELECT, INSERT", SEALED_TABLES, role)
    yield f"GRANT SELECT, UPDATE (entry_id) ON {_STATEMENT} TO {role}"
    yield _grant("SELECT, INSERT, UPDATE", [_HEAD, _WITNESS], role)


def _grant(what: str, tables: "list[str] | tuple[str, ...]", role: str) -> str:
    return f"GRANT {what} ON {', '.join(tables)} TO {role}"


def _on_database(statement: str) -> str:
    return f"DO $$ BEGIN EXECUTE format('{statement}', current_database()); END $$"
