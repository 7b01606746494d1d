"""The triggers on sealed rows: which changes they refuse, and that nobody turns them off by the way."""

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, transaction

from ledger import append_only, attachments
from ledger.models import Checkpoint, Cosignature, Entry, Tile, Timestamp
from ledger.sealing import seal_pending

pytestmark = pytest.mark.django_db

A_COLUMN = {
    "ledger_entry": "note",
    "ledger_checkpoint": "note",
    "ledger_attachment": "content",
    "ledger_tile": "hashes",
    "ledger_cosignature": "line",
    "ledger_timestamp": "response",
}


@pytest.fixture
def a_row_in_each(submit_one) -> None:
    submit_one()
    checkpoint = seal_pending()
    attachments.store(b"{}", media_type="application/json")
    now = datetime.now(UTC)
    Tile.objects.create(level=0, index=0, hashes=b"h" * 8192, root=b"r" * 32)
    Cosignature.objects.create(
        checkpoint=checkpoint, witness="example.org/witness", key_id="01020304", line="line", witnessed_at=now
    )
    Timestamp.objects.create(checkpoint=checkpoint, authority="http://tsa.invalid", response=b"r", stamped_at=now)
    # PostgreSQL truncates no table whose foreign keys this transaction has yet to check, triggers or not.
    connection.check_constraints()


def refuse(statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_each_sealed_table_is_tried_here():
    assert set(A_COLUMN) == set(append_only.SEALED_TABLES)


@pytest.mark.parametrize("table", append_only.SEALED_TABLES)
@pytest.mark.usefixtures("a_row_in_each")
class TestASealedRow:
    def test_refuses_update(self, table):
        refuse(f"UPDATE {table} SET {A_COLUMN[table]} = {A_COLUMN[table]}")

    def test_refuses_delete(self, table):
        refuse(f"DELETE FROM {table}")

    @pytest.mark.skipif(connection.vendor != "sqlite", reason="INSERT OR REPLACE is SQLite's alone")
    def test_refuses_to_be_replaced(self, table):
        refuse(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="TRUNCATE is PostgreSQL's alone")
    def test_refuses_truncate(self, table):
        refuse(f"TRUNCATE {table} CASCADE")

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="replication roles are PostgreSQL's alone")
    def test_refuses_also_where_a_session_calls_itself_a_replica(self, table):
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            try:
                refuse(f"UPDATE {table} SET {A_COLUMN[table]} = {A_COLUMN[table]}")
                refuse(f"DELETE FROM {table}")
                refuse(f"TRUNCATE {table} CASCADE")
            finally:
                cursor.execute("SET session_replication_role = DEFAULT")


@pytest.mark.usefixtures("a_row_in_each")
def test_what_was_refused_left_all_as_it_was():
    before = [bytes(note) for note in Entry.objects.values_list("note", flat=True)]
    refuse("DELETE FROM ledger_entry")
    assert [bytes(note) for note in Entry.objects.values_list("note", flat=True)] == before
    assert Checkpoint.objects.count() == Tile.objects.count() == 1
