"""Submitting and sealing, singly and in batches: the product, the bare driver, and pymerkle take turns."""

import hashlib
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.ledger.own_world import BATCH, handoff_body, subject, use_own

ROUNDS = 5


class Custody:
    """The product: submit and seal, as the services do."""

    def __init__(self) -> None:
        from ledger import sealing, submission

        self._seal, self._draft, self._submit = sealing.seal_pending, submission.Draft, submission.submit_all
        # Sealing is called here, not after each commit.
        submission.hint_sealing = lambda: None
        self.number = 0

    def batch(self, count: int) -> None:
        from django.db import transaction

        with transaction.atomic():
            drafts = []
            for _ in range(count):
                self.number += 1
                drafts.append(
                    self._draft(
                        kind="handoff",
                        subject=subject(self.number),
                        body=handoff_body(self.number),
                        key=f"bench:{self.number}",
                    )
                )
            self._submit(drafts)
        if self._seal(limit=max(count, 1)) is None:
            raise SystemExit("nothing was sealed")


class Raw:
    """
    The bare driver doing the same durable, chained, signed writes under the same keys and indexes: no framework, no
    checks, no tiles, no last-signed store.

    The same statement rows in one transaction, then in a second one the entries, the statements' references, the head
    and the checkpoint; the same bytes are encoded, hashed and signed.
    """

    TABLES = (
        'CREATE TABLE entry ("index" BIGINT PRIMARY KEY, note {blob}, leaf_hash {blob} UNIQUE, kind VARCHAR(32),'
        " subject VARCHAR(45), subject_seq BIGINT, sealed_at VARCHAR(32), UNIQUE (subject, subject_seq))",
        "CREATE TABLE statement (id {serial}, key VARCHAR(120) UNIQUE, kind VARCHAR(32), subject VARCHAR(45),"
        " body {blob}, submitted_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
        ' entry BIGINT UNIQUE REFERENCES entry ("index"))',
        'CREATE INDEX newest_of_kind ON entry (kind, "index" DESC)',
        "CREATE INDEX pending ON statement (id) WHERE entry IS NULL",
        "CREATE TABLE head (size BIGINT, frontier {blob})",
        "CREATE TABLE checkpoint (size BIGINT PRIMARY KEY, note {blob})",
    )

    def __init__(self, folder: Path, database: str) -> None:
        self.number = 0
        self.postgres = bool(database)
        if database:
            import psycopg

            self.connection: Any = psycopg.connect(database, autocommit=True)
            types, self.mark = {"serial": "BIGSERIAL PRIMARY KEY", "blob": "BYTEA"}, "%s"
        else:
            import sqlite3  # the build that custody.sqlite put there

            self.connection = sqlite3.connect(folder / "raw.sqlite3", isolation_level=None)
            types, self.mark = {"serial": "INTEGER PRIMARY KEY", "blob": "BLOB"}, "?"
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self.connection.execute(f"PRAGMA {pragma}")
        for table in self.TABLES:
            self.connection.execute(table.format(**types))
        self.connection.execute(f"INSERT INTO head VALUES (0, {self.mark})", [b""])
        self.key = Ed25519PrivateKey.generate()
        self.prev, self.index, self.heads = "0" * 64, 0, {}  # type: ignore[var-annotated]
        self.tree: list[bytes] = []

    def batch(self, count: int) -> None:
        cursor, mark = self.connection.cursor(), self.mark
        encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
        cursor.execute("BEGIN")
        rows = []
        for _ in range(count):
            self.number += 1
            rows.append(
                (
                    f"bench:{self.number}",
                    "handoff",
                    subject(self.number),
                    encode(handoff_body(self.number)).encode(),
                )
            )
        cursor.executemany(
            f"INSERT INTO statement (key, kind, subject, body) VALUES ({mark}, {mark}, {mark}, {mark})", rows
        )
        cursor.execute("COMMIT")
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT id, kind, subject, body FROM statement WHERE entry IS NULL ORDER BY id LIMIT {count}")
        entries, sealed = [], []
        for statement, kind, about, body in cursor.fetchall():
            seq, before = self.heads.get(about, (0, "0" * 64))
            text = (
                f'{{"body":{bytes(body).decode()},"index":{self.index},"kind":"{kind}","origin":"bench","prev":"{self.prev}",'
                f'"sealed_at":"2026-11-22T14:05:09.123Z","subject":"{about}","subject_prev":"{before}",'
                f'"subject_seq":{seq},"v":1}}\n'
            ).encode()
            note = text + b"\n\xe2\x80\x94 bench " + self.key.sign(text).hex().encode() + b"\n"
            leaf = hashlib.sha256(b"\x00" + note).digest()
            self._grow(leaf)
            entries.append((self.index, note, leaf, kind, about, seq, "2026-11-22T14:05:09.123Z"))
            sealed.append((self.index, statement))
            self.prev = leaf.hex()
            self.heads[about] = (seq + 1, self.prev)
            self.index += 1
        cursor.executemany(f"INSERT INTO entry VALUES ({', '.join([mark] * 7)})", entries)
        cursor.executemany(f"UPDATE statement SET entry = {mark} WHERE id = {mark}", sealed)
        cursor.execute(f"UPDATE head SET size = {mark}, frontier = {mark}", [self.index, b"".join(self.tree)])
        cursor.execute("COMMIT")
        cursor.execute(
            f"INSERT INTO checkpoint VALUES ({mark}, {mark})",
            [self.index, self.key.sign(b"".join(self.tree)) + b"".join(self.tree)],
        )

    def _grow(self, leaf: bytes) -> None:
        size = self.index
        while size & 1:
            leaf = hashlib.sha256(b"\x01" + self.tree.pop() + leaf).digest()
            size >>= 1
        self.tree.append(leaf)


class Pymerkle:
    """pymerkle's own SQLite store: a Merkle tree of entries, without chain, signature or idempotency."""

    def __init__(self, folder: Path) -> None:
        from pymerkle import SqliteTree

        self.tree = SqliteTree(str(folder / "pymerkle.sqlite3"))
        self.number = 0

    def batch(self, count: int) -> None:
        entries = []
        for _ in range(count):
            self.number += 1
            entries.append(json.dumps(handoff_body(self.number)).encode())
        if count == 1:
            self.tree.append_entry(entries[0])
        else:
            self.tree.append_entries(entries, chunksize=count)


def append_rates(folder: Path, database: str) -> dict[str, dict[int, list[float]]]:
    """Let the lanes take turns, singly and in batches; runs in a process of its own."""
    use_own(folder, database)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    lanes: dict[str, Any] = {"custody": Custody(), "raw": Raw(folder, database and f"{database}_raw")}
    if not database:
        lanes["pymerkle"] = Pymerkle(folder)
    found: dict[str, dict[int, list[float]]] = {name: {1: [], BATCH: []} for name in lanes}
    for lane in lanes.values():
        lane.batch(BATCH)  # warms up; the first of Custody makes the key and the genesis
    for _ in range(ROUNDS):
        for count, times in ((1, 40), (BATCH, 4)):
            for name, lane in lanes.items():
                found[name][count].append(rate(lane, count, times))
    _require_intact()
    return found


def rate(lane: Any, count: int, times: int) -> float:
    """Return entries a second over ``times`` batches of ``count``."""
    started = time.perf_counter()
    for _ in range(times):
        lane.batch(count)
    return count * times / (time.perf_counter() - started)


def _require_intact() -> None:
    from ledger.own_policy import own_policy
    from ledger.verification import verify_log

    verdict = verify_log(policy=own_policy(), deep=False)
    if not verdict.intact:
        raise SystemExit(verdict.sentence())


def report_append(title: str, found: dict[str, dict[int, list[float]]]) -> None:
    print(f"\n{title}: submitted and sealed, entries a second (median of {ROUNDS} rounds in turn)")
    print(f"  {'':<12}{'singly':>10}{'by ' + str(BATCH):>10}{'of raw':>10}{'of raw':>8}")
    raw = {count: median(rates) for count, rates in found["raw"].items()}
    for name, rates in found.items():
        one, many = median(rates[1]), median(rates[BATCH])
        print(f"  {name:<12}{one:>10.0f}{many:>10.0f}{one / raw[1]:>10.0%}{many / raw[BATCH]:>8.0%}")
