"""
Stored entries that new ones chain to, read from their notes alone.

A column is a look-up: what was written into one must not be signed for good. So each note is hashed, its signature
checked against the log's keys, and every column beside it held against what the note says.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import connection

from ledger.attachments import as_bytes
from ledger.errors import EntryChanged
from ledger.tlog import entry as tlog_entry
from ledger.tlog import index_epoch, note, rotation
from ledger.tlog.errors import TlogError
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Verifier
from ledger.tlog.policy import PinnedKey
from ledger.tlog.times import parse_time

# How many of a subject's newest entries are counted before its chain is continued: all, but for the longest chains.
COUNTED = 256
# How many subjects a sealer remembers, so that a busy one's newest entry is not read and checked again each time.
REMEMBERED = 50_000

# By subject: its next subject_seq, and its newest entry's leaf hash in hex.
Heads = dict[str, tuple[int, str]]

COLUMNS = ("index", "kind", "subject", "subject_seq", "sealed_at")
_LANDMARKS = """
    SELECT {row} FROM ledger_entry e
    WHERE e."index" IN (
        0,
        (SELECT MAX("index") FROM ledger_entry),
        (SELECT MAX("index") FROM ledger_entry WHERE kind = %s),
        (SELECT MAX("index") FROM ledger_entry WHERE kind = %s)
    )
    ORDER BY e."index" DESC
"""
# By the index on (subject, subject_seq) alone: no chain is read from its beginning.
_HEADS = """
    WITH asked(subject) AS (VALUES {subjects})
    SELECT {row},
        (SELECT COUNT(*) FROM ledger_entry c WHERE c.subject = e.subject AND c.subject_seq > e.subject_seq - %s)
    FROM asked JOIN ledger_entry e ON e.subject = asked.subject
        AND e.subject_seq = (SELECT MAX(n.subject_seq) FROM ledger_entry n WHERE n.subject = asked.subject)
"""


@dataclass(slots=True)
class Sealed:
    """What a checked note says; ``columns`` is what must stand beside it. Of the sealer's own kinds the body too."""

    columns: tuple[object, ...]
    leaf: bytes
    subject: str
    subject_seq: int
    index: int
    sealed_at: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Landmarks:
    """What the sealer looks back to: the first and the last entry, the newest epoch and the newest rotation."""

    genesis: Sealed | None = None
    last: Sealed | None = None
    epoch: Sealed | None = None
    rotation: Sealed | None = None


class StoredEntries:
    """
    The stored entries of a log that was signed by ``keys``.

    Remembers the subjects' heads that this process sealed itself, for as long as nobody else seals: the last stored
    entry is then still the one that it left. And remembers by their hashes the notes that it checked, which stay true
    whatever happens to the database: other bytes have another hash.
    """

    def __init__(self, keys: Collection[PinnedKey]) -> None:
        self.keys = tuple(keys)
        self._verifiers = [(key, Verifier.from_vkey(key.vkey)) for key in self.keys]
        self._checked: dict[bytes, Sealed] = {}
        self._heads: Heads = {}
        self._last = ""

    def remember(self, heads: Heads, *, last: str) -> None:
        """Take heads as known, once the transaction that sealed them is committed and ``last`` is the log's end."""
        self._heads.update(heads)
        self._last = last
        for subject in list(islice(self._heads, max(0, len(self._heads) - REMEMBERED))):
            del self._heads[subject]

    def landmarks(self) -> Landmarks:
        """
        Return the entries that the sealer looks back to, with one query.

        :raises EntryChanged: if one of them is not what was sealed
        """
        with connection.cursor() as cursor:
            cursor.execute(_LANDMARKS.format(row=_row()), [index_epoch.KIND, rotation.KIND])
            found = [self._open(row) for row in cursor.fetchall()]
        # Newest first, so that of each kind the newest is the one that stays.
        newest = {entry.columns[1]: entry for entry in reversed(found)}
        return Landmarks(
            genesis=newest.get(tlog_entry.GENESIS),
            last=found[0] if found else None,
            epoch=newest.get(index_epoch.KIND),
            rotation=newest.get(rotation.KIND),
        )

    def subject_heads(self, subjects: Collection[str], *, last: Sealed) -> Heads:
        """
        Return the heads of those subjects that have entries, in a log that ends in ``last``.

        :raises EntryChanged: if an entry that is looked up is not what was sealed, or one of its subject's
            :data:`COUNTED` newest is not there
        """
        if last.leaf.hex() != self._last:
            self._heads.clear()
        heads = {subject: self._heads[subject] for subject in subjects if subject in self._heads}
        if unknown := [subject for subject in subjects if subject not in heads]:
            with connection.cursor() as cursor:
                cursor.execute(
                    _HEADS.format(row=_row(), subjects=", ".join(["(%s)"] * len(unknown))), [*unknown, COUNTED]
                )
                found = cursor.fetchall()
            for *row, counted in found:
                entry = self._open(row)
                expected = min(COUNTED, entry.subject_seq + 1)
                if counted != expected:
                    raise EntryChanged(
                        index=entry.index, what=f"entries about {entry.subject}", expected=expected, found=counted
                    )
                heads[entry.subject] = (entry.subject_seq + 1, entry.leaf.hex())
        return heads

    def _open(self, row: Sequence[Any]) -> Sealed:
        """
        Return what the note of a row says.

        :raises EntryChanged: if the note is not this log's, or a column says something else than the note
        """
        *columns, stored_leaf, stored_note = row
        data = as_bytes(stored_note)
        leaf = leaf_hash(data)
        sealed = self._checked.get(leaf)
        if sealed is None:
            sealed = self._check(columns[0], data, leaf)
            if len(self._checked) >= REMEMBERED:
                self._checked.clear()
            self._checked[leaf] = sealed
        expected = (*sealed.columns, leaf)
        found = (*columns, as_bytes(stored_leaf))
        if expected == found:
            return sealed
        for what, one, other in zip((*COLUMNS, "leaf_hash"), expected, found, strict=True):
            if one != other:
                raise EntryChanged(index=columns[0], what=what, expected=_shown(one), found=_shown(other))
        return sealed

    def _check(self, index: int, data: bytes, leaf: bytes) -> Sealed:
        try:
            entry, parsed = tlog_entry.read_entry(data)
            note.verify_note(parsed, *(verifier for key, verifier in self._verifiers if key.covers(entry.index)))
        except TlogError as error:
            raise EntryChanged(index=index, what=error.what, expected=error.expected, found=error.found) from error
        return Sealed(
            columns=(entry.index, entry.kind, entry.subject, entry.subject_seq, stored_time(entry.sealed_at)),
            leaf=leaf,
            subject=entry.subject,
            subject_seq=entry.subject_seq,
            index=entry.index,
            sealed_at=entry.sealed_at,
            body=entry.body if entry.kind in (index_epoch.KIND, rotation.KIND) else None,
        )


def stored_time(sealed_at: str) -> object:
    """Return the moment as this database takes it, and as :func:`_row` reads it."""
    return connection.ops.adapt_datetimefield_value(parse_time(sealed_at))


def _row() -> str:
    # As text where it is stored as text: to make a datetime of each would cost more than to hash the note.
    moment = 'CAST(e."sealed_at" AS text)' if connection.vendor == "sqlite" else 'e."sealed_at"'
    return f'e."index", e."kind", e."subject", e."subject_seq", {moment}, e."leaf_hash", e."note"'


def _shown(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
