"""
Triggers that refuse UPDATE, DELETE and (PostgreSQL) TRUNCATE on sealed rows.

They catch accidents and the casual insider, and leave a trace of intent where somebody removes them. The control is the
chain, the signature and the last-signed store: whoever drops a trigger and edits a row is caught by any verification.
"""

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

SEALED_TABLES = (
    "ledger_entry",
    "ledger_checkpoint",
    "ledger_attachment",
    "ledger_tile",
    "ledger_cosignature",
    "ledger_timestamp",
)


def arm(connection: BaseDatabaseWrapper, tables: Sequence[str] = SEALED_TABLES) -> None:
    """Create the triggers on ``tables``."""
    _settle(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
            )
        for statement in _statements(connection.vendor, tables, arming=True):
            cursor.execute(statement)


def disarm(connection: BaseDatabaseWrapper, tables: Sequence[str] = SEALED_TABLES) -> None:
    """Drop the triggers on ``tables``. Serves the reverse migration, and tampering on purpose in tests and the demo."""
    _settle(connection)
    with connection.cursor() as cursor:
        for statement in _statements(connection.vendor, tables, arming=False):
            cursor.execute(statement)


def _settle(connection: BaseDatabaseWrapper) -> None:
    # PostgreSQL alters no table whose foreign keys this transaction has yet to check.
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        connection.check_constraints()


def _statements(vendor: str, tables: Sequence[str], *, arming: bool) -> list[str]:
    found = []
    for table in tables:
        if vendor == "sqlite":
            for verb in ("UPDATE", "DELETE"):
                name = f"{table}_no_{verb.lower()}"
                found.append(
                    f"CREATE TRIGGER {name} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                    if arming
                    else f"DROP TRIGGER {name}"
                )
        else:
            for verb, level in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
                name = f"{table}_append_only_{level.lower()}"
                if arming:
                    found.append(
                        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH {level} "
                        "EXECUTE FUNCTION ledger_refuse_change()"
                    )
                    found.append(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
                else:
                    found.append(f"DROP TRIGGER {name} ON {table}")
    return found
