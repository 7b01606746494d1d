"""
What destroyed rows leave in the database's files, and how it is cleared.

SQLite overwrites what is deleted (``secure_delete``), but its write-ahead log keeps earlier pages until it is emptied.
PostgreSQL keeps rows until its tables are rewritten, and its own log and archives for as long as the operator does.
"""

import logging

from django.db import connection
from django.db.utils import DatabaseError

logger = logging.getLogger(__name__)

TABLES = ("biometrics_evidence", "biometrics_personkey", "biometrics_pin", "biometrics_badge")
# SQLite's user_version, which nothing else here uses: 1 once the file was rewritten under secure_delete.
_REWRITTEN = 1
_WAIT_MS = 2000


def clear_remains() -> bool:
    """
    Empty SQLite's write-ahead log, so that no page from before a destruction is left; call outside a transaction.

    The first time, the file is rewritten: pages that were moved before ``secure_delete`` was on may hold copies.

    :returns: False where a reader or PostgreSQL keeps something for now: the next call, :func:`rewrite_tables`, clears
        it
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return False
    with connection.cursor() as cursor:
        # A request waits for readers only so long: what they keep, the next purge clears.
        [before] = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        try:
            if cursor.execute("PRAGMA user_version").fetchone()[0] < _REWRITTEN:
                cursor.execute("VACUUM")
                cursor.execute(f"PRAGMA user_version = {_REWRITTEN}")
            [busy, _frames, _moved] = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except DatabaseError as error:
            # Somebody holds the file. What was destroyed opens for nobody; its bytes go with the next call.
            logger.warning("remains of destroyed evidence were not cleared yet: %s", error)
            return False
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {before}")
    return not busy


def rewrite_tables() -> None:
    """
    Rewrite the tables that held evidence and keys, on PostgreSQL under a lock that stops readers for as long.

    Call as the tables' owner, outside a transaction. The old files are unlinked with the next checkpoint.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
        clear_remains()
        return
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (FULL) {', '.join(TABLES)}")
