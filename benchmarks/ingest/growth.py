"""Older reads in the table, made by the database itself: as many as were asked for, of one reader, before today's."""

from benchmarks.ingest.stream import COLUMNS
from benchmarks.ingest.world import World

STEP = 500_000

_UNGUARDED = ("SET synchronous_commit = off", "SET session_replication_role = replica")
_POSTGRESQL = f"""
INSERT INTO shipments_tagread ({COLUMNS})
SELECT '{{reader}}', {{report}}, '3074257BF7194E40' || lpad(upper(to_hex(n % 2000)), 8, '0'), 1 + n % 4,
    1600000000000000000 + n::bigint * 1000000, '2020-09-13T12:26:40.000000000Z', -4000 - n % 3000, -1, ''
FROM generate_series({{first}}, {{last}}) AS n
"""
_SQLITE = f"""
WITH RECURSIVE counted(n) AS (SELECT {{first}} UNION ALL SELECT n + 1 FROM counted WHERE n < {{last}})
INSERT INTO shipments_tagread ({COLUMNS})
SELECT '{{reader}}', {{report}}, '3074257BF7194E40' || printf('%08X', n % 2000), 1 + n % 4,
    1600000000000000000 + n * 1000000, '2020-09-13T12:26:40.000000000Z', -4000 - n % 3000, -1, ''
FROM counted
"""


def grow_to(world: World, size: int) -> None:
    """Add older reads until ``size`` are stored."""
    connection = world.connect()
    stored = connection.execute("SELECT count(*) FROM shipments_tagread").fetchone()[0]
    older = connection.execute(
        "SELECT count(*) FROM shipments_tagread WHERE read_at_ns < 1700000000000000000"
    ).fetchone()[0]
    # Nobody waits for these to be safe, and every one of them names the same report.
    for setting in ("PRAGMA synchronous=OFF", "PRAGMA foreign_keys=OFF") if world.sqlite else _UNGUARDED:
        connection.execute(setting)
    for first in range(older, older + max(0, size - stored), STEP):
        last = min(first + STEP, older + size - stored) - 1
        statement = _SQLITE if world.sqlite else _POSTGRESQL
        reader = world.reader.replace("-", "") if world.sqlite else world.reader
        connection.execute(statement.format(reader=reader, report=world.report, first=first, last=last))
        if not world.sqlite:
            connection.commit()
    if not world.sqlite:
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE shipments_tagread")
        connection.execute("CHECKPOINT")
    else:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
