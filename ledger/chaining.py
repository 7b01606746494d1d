"""
The making of entries: each gets its index, its places in the log's and in its subject's chain, and the signature.

Trusts the end of the chain that it is given. What is appended becomes rows in :meth:`Chain.store`, inside the sealer's
transaction.
"""

import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django.db import connection

from ledger.attachments import as_bytes
from ledger.errors import EntryChanged, StatementChanged
from ledger.stored_entries import Heads, Landmarks, stored_time
from ledger.tiles import full_tiles, insert_tiles
from ledger.tlog import canonical, index_epoch, rotation
from ledger.tlog import entry as tlog_entry
from ledger.tlog.errors import EntryTooLarge, TlogError
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Signer
from ledger.tlog.times import format_time, parse_time

# The sealer alone says these: a pending statement of such a kind was written past submit(). A forged key_rotated that
# it sealed would hand the log to whoever wrote it.
OWN_KINDS = frozenset({tlog_entry.GENESIS, index_epoch.KIND, rotation.KIND})

# The line that tlog.entry.Entry.text() writes, with the body as it was submitted.
_TEXT = (
    '{"body":%s,"index":%d,"kind":"%s","origin":%s,"prev":"%s","sealed_at":"%s",'
    '"subject":"%s","subject_prev":"%s","subject_seq":%d,"v":1}\n'
)


# Digests of the bodies that this process made canonical itself and has yet to seal: that is known of those bytes, and
# reading them again would cost half as much as signing them. All others are read, since they may have been changed.
_made_here: set[bytes] = set()
_MADE_HERE = 10_000


def encode_body(body: dict[str, Any]) -> bytes:
    """
    Return a statement's body as it is stored and sealed.

    :raises NotCanonical: if it has no restricted canonical form
    """
    encoded = canonical.encode(body)
    if len(_made_here) >= _MADE_HERE:
        _made_here.clear()
    _made_here.add(sha256(encoded).digest())
    return encoded


class Chain:
    """The end of the log while one transaction adds to it; a log that has no entry yet begins with its genesis."""

    def __init__(self, *, signer: Signer, frontier: Frontier, marks: Landmarks) -> None:
        self.frontier = frontier
        self.prev, now = tlog_entry.ZERO_HASH, datetime.now(UTC)
        if marks.last:
            self.prev = marks.last.leaf.hex()
            # Never before the previous entry's time, even where the machine's clock was set back.
            now = max(now, parse_time(marks.last.sealed_at))
        self.heads: Heads = {}
        self._sealed_at = format_time(now)
        self._moment = stored_time(self._sealed_at)
        self._sign = signer.private_key.sign
        self._key_id = signer.verifier.key_id
        self._line = f"\n\u2014 {signer.name} ".encode()
        self._origin = canonical.encode(signer.name).decode()
        self._rows: list[tuple[Any, ...]] = []
        self._before = Frontier.from_bytes(frontier.size, frontier.to_bytes())
        if frontier.size == 0:
            self.log = uuid.uuid4().urn
            self.append(tlog_entry.GENESIS, self.log, {"format": "custody-ledger/v1", "vkey": signer.vkey})
        elif marks.genesis:
            self.log = marks.genesis.subject
        else:
            raise EntryChanged(index=0, what="entry", expected="the log's genesis", found="none")

    def append_statement(self, *, key: str, kind: str, subject: str, body: bytes | memoryview | str) -> int:
        """
        Append what was submitted, and return its index. Its subject's newest entry was given before.

        :raises StatementChanged: if submit() would not have taken it
        """
        if kind not in tlog_entry.KINDS or kind in OWN_KINDS:
            raise StatementChanged(key=key, why=f"kind: {kind!r} is not one that can be submitted")
        if not tlog_entry.SUBJECT.fullmatch(subject):
            raise StatementChanged(key=key, why=f"subject: {subject!r} is not a urn:uuid:")
        try:
            data = as_bytes(body)
            if (digest := sha256(data).digest()) in _made_here:
                _made_here.discard(digest)
            else:
                canonical.decode_object(data)
            return self._append(kind, subject, data.decode())
        except TlogError as error:
            raise StatementChanged(key=key, why=error) from error

    def append(self, kind: str, subject: str, body: dict[str, Any]) -> int:
        """Append what the sealer itself has to say, and return its index."""
        return self._append(kind, subject, canonical.encode(body).decode())

    def _append(self, kind: str, subject: str, body: str) -> int:
        index = self.frontier.size
        seq, subject_prev = self.heads.get(subject, (0, tlog_entry.ZERO_HASH))
        text = _TEXT % (
            body, index, kind, self._origin, self.prev, self._sealed_at, subject, subject_prev, seq
        )  # fmt: skip
        signed = text.encode()
        # The note of c2sp.org/signed-note: a text without control characters, which canonical JSON is, and one line.
        data = signed + self._line + b64encode(self._key_id + self._sign(signed)) + b"\n"
        if len(data) > tlog_entry.MAX_LEAF_BYTES:
            limit = tlog_entry.MAX_LEAF_BYTES
            raise EntryTooLarge("entry", expected=f"at most {limit} bytes", found=f"{len(data)} bytes")
        leaf = leaf_hash(data)
        self._rows.append((data, leaf, index, kind, subject, seq, self._moment))
        self.frontier.append(leaf)
        self.prev = leaf.hex()
        self.heads[subject] = (seq + 1, self.prev)
        return index

    def store(self) -> None:
        """
        Insert what was appended since the last call, and the tiles that it filled.

        :raises TilesChanged: if the rows of a tile's beginning are not what was sealed
        """
        if self._rows:
            _insert_entries(self._rows)
            insert_tiles(full_tiles(self._before, [row[1] for row in self._rows]))
            self._before = Frontier.from_bytes(self.frontier.size, self.frontier.to_bytes())
            self._rows.clear()


def _insert_entries(rows: Sequence[Sequence[Any]]) -> None:
    # By the quickest way that each database has: the ORM's would cost as much as all the rest of sealing.
    columns = '"note", "leaf_hash", "index", "kind", "subject", "subject_seq", "sealed_at"'
    with connection.wrap_database_errors, connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY ledger_entry ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["bytea", "bytea", "int8", "varchar", "varchar", "int8", "timestamptz"])
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(
                f"INSERT INTO ledger_entry ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)",  # noqa: S608
                rows,
            )


def mark_sealed(indexes: Mapping[int, int]) -> None:
    """Give pending statements, by their ids, the indexes of their entries."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "UPDATE ledger_statement s SET entry_id = sealed.entry "
                "FROM unnest(%s::bigint[], %s::bigint[]) AS sealed(id, entry) WHERE s.id = sealed.id",
                [list(indexes), list(indexes.values())],
            )
        else:
            cursor.executemany(
                "UPDATE ledger_statement SET entry_id = %s WHERE id = %s",
                [(index, id) for id, index in indexes.items()],
            )
