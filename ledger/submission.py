"""
The one way into the ledger: a service submits a statement inside its own transaction.

The statement and the rows that it speaks of are committed together or not at all; the sealer does the rest.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ledger.chaining import OWN_KINDS, encode_body
from ledger.errors import KeyReused, StatementRefused
from ledger.models import Statement
from ledger.sealing import hint_sealing
from ledger.sweeps import wake
from ledger.tlog.entry import KINDS, MAX_LEAF_BYTES, SUBJECT
from ledger.tlog.errors import NotCanonical

# What the sealer adds around a body: fixed fields, hashes and the signature line, with room to spare.
MAX_BODY_BYTES = MAX_LEAF_BYTES - 2048
MAX_KEY_CHARACTERS = 120

# So many rows an INSERT: 4 parameters each, and SQLite takes 32,766.
_AT_ONCE = 256

# Key, kind, subject, body.
_Row = tuple[str, str, str, bytes]


class Draft(NamedTuple):
    """A statement as a service words it; :func:`submit` says what the fields mean."""

    kind: str
    subject: str
    body: dict[str, Any]
    key: str


def submit(*, kind: str, subject: str, body: dict[str, Any], key: str) -> Statement:
    """
    Submit a statement to be sealed; call inside the transaction that writes what it speaks of.

    :param subject: the ``urn:uuid:`` whose chain the entry joins
    :param body: restricted canonical JSON (docs/ledger-format.md): no floats, no nulls where a field does not apply
    :param key: the idempotency key: the same key with the same content returns the first statement
    :raises StatementRefused: if no entry could be made of it
    :raises KeyReused: if the key was used with another content
    """
    encoded = _encode(Draft(kind, subject, body, key))
    inserted, found = _submit([(key, kind, subject, encoded)])
    if key in found:
        return found[key]
    fields = ["id", "key", "kind", "subject", "body", "entry_id"]
    return Statement.from_db(DEFAULT_DB_ALIAS, fields, [inserted[key], key, kind, subject, encoded, None])


def submit_all(drafts: Sequence[Draft]) -> list[int]:
    """
    Submit several statements as :func:`submit` does each, to be sealed in this order, with one query for many.

    :returns: the primary keys of the statements
    :raises StatementRefused: if no entry could be made of one of them; nothing was written then
    :raises KeyReused: if a key was used with another content, by one of these or before; the others are pending then,
        unless the transaction is rolled back
    """
    inserted, found = _submit([(draft.key, draft.kind, draft.subject, _encode(draft)) for draft in drafts])
    return [found[draft.key].pk if draft.key in found else inserted[draft.key] for draft in drafts]


def _submit(rows: Sequence[_Row]) -> tuple[dict[str, int], dict[str, Statement]]:
    """Return the ids of the statements that were inserted, and those that were there already, by their keys."""
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise RuntimeError("submit() belongs inside the transaction that writes what the statement speaks of")
    inserted: dict[str, int] = {}
    for at in range(0, len(rows), _AT_ONCE):
        inserted |= _insert(connection, rows[at : at + _AT_ONCE])
    found: dict[str, Statement] = {}
    if len(inserted) < len(rows):
        # Whoever has the key is committed: until then PostgreSQL lets the insert wait, and SQLite has one writer.
        stored = Statement.objects.select_related("entry").filter(key__in=[row[0] for row in rows])
        found = {statement.key: statement for statement in stored}
        for key, kind, subject, body in rows:
            first = found[key]
            if (first.kind, first.subject, bytes(first.body)) != (kind, subject, body):
                raise KeyReused(key=key)
    if rows:
        _hint_once_committed(connection)
    return inserted, found


def _insert(connection: BaseDatabaseWrapper, rows: Sequence[_Row]) -> dict[str, int]:
    # The ORM's get_or_create would ask first, and set and release a savepoint around each insert.
    values = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO ledger_statement ("key", kind, subject, body) VALUES {values}'  # noqa: S608
            ' ON CONFLICT ("key") DO NOTHING RETURNING "key", id',
            [value for row in rows for value in row],
        )
        return dict(cursor.fetchall())


def _hint_once_committed(connection: BaseDatabaseWrapper) -> None:
    """
    Have the sealer and the sweeper told after the commit: once, however many statements the transaction submits.

    A savepoint that is rolled back takes with it the hints that were given inside it. One that still stands was given
    outside every savepoint that could be rolled back without this statement, or inside one that holds both.
    """
    if not any(waiting[1] is hint_sealing for waiting in connection.run_on_commit):
        # Robust: the statement is safe once committed. A sealer that cannot seal now must not fail the submitter.
        for hint in (hint_sealing, wake):
            transaction.on_commit(hint, robust=True)


def _encode(draft: Draft) -> bytes:
    kind, subject, body = draft.kind, draft.subject, draft.body
    if len(draft.key) > MAX_KEY_CHARACTERS:
        raise StatementRefused(reason=f"the key has {len(draft.key)} characters and at most {MAX_KEY_CHARACTERS} fit")
    if kind not in KINDS or kind in OWN_KINDS:
        raise StatementRefused(reason=f"{kind!r} is not a kind of entry that can be submitted")
    if not SUBJECT.fullmatch(subject):
        raise StatementRefused(reason=f"{subject!r} is not a urn:uuid:")
    if not isinstance(body, dict):
        raise StatementRefused(reason="the body is not an object")
    try:
        encoded = encode_body(body)
    except NotCanonical as error:
        raise StatementRefused(reason=str(error)) from error
    if len(encoded) > MAX_BODY_BYTES:
        raise StatementRefused(reason=f"the body has {len(encoded)} bytes and at most {MAX_BODY_BYTES} fit")
    return encoded
