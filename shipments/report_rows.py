"""
The rows of reports and reads, written by the quickest way that each database has: the ORM's would cost more than all
the rest of a report.

What is there already stays as it is. Only the named conflict is passed over: ``OR IGNORE`` would drop a row that breaks
any other constraint without a word.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson
import psycopg
from django.db import connection
from django.db.models import Field

from shipments.models import NO_ANTENNA, NO_EVENT_NUMBER, RawReport, TagRead
from shipments.readers.report import Read

_READ_COLUMNS = {
    "read_at_ns": "bigint",
    "epc_hex": "text",
    "antenna": "int",
    "event_number": "bigint",
    "reader_time": "text",
    "rssi_cdbm": "int",
    "tid": "text",
}
_SAME_READ = "ON CONFLICT (reader_id, read_at_ns, epc_hex, antenna, event_number) DO NOTHING"


def insert_report(report: RawReport) -> bool:
    """Store ``report`` and give it its id; False where the reader has sent the same bytes before."""
    statement, fields = _report_statement()
    found = _execute(
        statement, [field.get_db_prep_save(getattr(report, field.attname), connection) for field in fields]
    )
    if found:
        report.pk = found[0][0]
    return bool(found)


@lru_cache(maxsize=1)
def _report_statement() -> tuple[str, list["Field[Any, Any]"]]:
    fields = [field for field in RawReport._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(str(field.column) for field in fields)
    statement = (
        f"INSERT INTO {RawReport._meta.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(fields))}) "  # noqa: S608
        "ON CONFLICT (reader_id, sha256) DO NOTHING RETURNING id"
    )
    return statement, fields


def insert_reads(report: RawReport, reads: Iterable[Read]) -> int:
    """Store those of ``reads`` that the reader has not reported before, and return how many they were."""
    rows = [
        (
            read_at_ns,
            epc_hex,
            NO_ANTENNA if antenna is None else antenna,
            NO_EVENT_NUMBER if event_number is None else event_number,
            reader_time,
            rssi_cdbm,
            tid,
        )
        for epc_hex, read_at_ns, reader_time, antenna, rssi_cdbm, event_number, tid in reads
    ]
    # In the order of the unique index: two batches with the same reads in another order would wait for each other.
    rows.sort(key=itemgetter(0, 1, 2, 3))
    insert, batch = (_insert_from_json, 5_000) if connection.vendor == "postgresql" else (_insert_values, 250)
    return sum(insert(report, rows[start : start + batch]) for start in range(0, len(rows), batch))


def _insert_from_json(report: RawReport, rows: Sequence[tuple[Any, ...]]) -> int:
    # One parameter for all rows, which costs less on both sides than an array for each column.
    columns = ", ".join(_READ_COLUMNS)
    typed = ", ".join(f"{name} {kind}" for name, kind in _READ_COLUMNS.items())
    with connection.wrap_database_errors, _server_side_cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TagRead._meta.db_table} (reader_id, report_id, {columns}) "  # noqa: S608
            f"SELECT %s, %s, {columns} FROM json_to_recordset(%s::json) AS read({typed}) {_SAME_READ}",
            [
                report.reader_id,
                report.pk,
                orjson.dumps([dict(zip(_READ_COLUMNS, row, strict=True)) for row in rows]).decode(),
            ],
        )
        return cursor.rowcount


def _insert_values(report: RawReport, rows: Sequence[tuple[Any, ...]]) -> int:
    # Not executemany: between its rows it gives way to any thread that computes, and holds SQLite's only write lock.
    reader = RawReport._meta.get_field("reader").get_db_prep_save(report.reader_id, connection)
    row = f"('{reader}', {int(report.pk)}, {', '.join('?' * len(_READ_COLUMNS))})"
    # The driver's own cursor: Django's would look for placeholders of its own in a statement this long.
    with connection.wrap_database_errors, closing(connection.connection.cursor()) as cursor:
        cursor.execute(
            f"INSERT INTO {TagRead._meta.db_table} (reader_id, report_id, {', '.join(_READ_COLUMNS)}) "  # noqa: S608
            f"VALUES {', '.join([row] * len(rows))} {_SAME_READ}",
            list(chain.from_iterable(rows)),
        )
        return int(cursor.rowcount)


def _execute(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, _server_side_cursor() as cursor:
            return cursor.execute(statement, values).fetchall()
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _server_side_cursor() -> psycopg.Cursor[tuple[Any, ...]]:
    # Django's own would write a report's bytes into the statement, as hex, for the server to parse.
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)
