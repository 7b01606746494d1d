"""
Time the ledger beside its peers: sealing beside the bare database, verifying beside the bare signature library, and how
both grow with the log.

Everything runs through the services that the product uses, in folders and databases that are made for the run and
removed after it. Peers and product take turns in one run; only the ratios are worth comparing between machines.
"""

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import django
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.machine import Bystanders, cpu_model, file_system, forget_peak, memory

REPOSITORY = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("BENCH_POSTGRES", "postgres://root@127.0.0.1:5432/test")
BATCH = 256
ROUNDS = 5
SUBJECTS = 500
PROOFS = 300


def use_own(folder: Path, database: str) -> None:
    """Point Custody at ``folder`` and ``database`` (empty: SQLite in the folder) and at nothing else; start Django."""
    for name in [name for name in os.environ if name.startswith(("LEDGER_", "CUSTODY_", "DATABASE_", "BROKER_"))]:
        os.environ.pop(name)
    os.environ |= {"CUSTODY_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "custody.settings"}
    # An epoch within a batch would be another thing than what is timed; it is timed by itself.
    os.environ["LEDGER_EPOCH_EVERY"] = os.environ["LEDGER_EPOCH_ENTRIES"] = "1000000000"
    if database:
        os.environ["DATABASE_URL"] = database
    django.setup()
    logging.getLogger().setLevel(logging.WARNING)


def handoff_body(number: int) -> dict[str, Any]:
    """A body of the size that handoffs have, about 1.3 kB."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "handoff": uuid.UUID(int=number).urn,
        "attempt": uuid.UUID(int=number + 1).urn,
        "operator": uuid.UUID(int=7).urn,
        "goods": {"reference": f"LRD-{number}", "sscc": ["306141411234567908"], "units": 1, "ucr": "6MX4711"},
        "from": {"person": uuid.UUID(int=1).urn, "role": "warehouse"},
        "to": {"person": uuid.UUID(int=2).urn, "role": "driver"},
        "where": {"site": "0614141000012", "read_point": "urn:epc:id:sgln:0614141.00001.dock-4"},
        "reads": {
            "session": uuid.UUID(int=number + 2).urn,
            "earlier_roots": [digest, digest],
            "reports_root": digest,
            "expected": 24,
            "seen": 24,
            "inferred": 0,
            "not_seen": [],
            "unexpected": [],
            "grade": "direct",
        },
        "face": {
            "verification": uuid.UUID(int=number + 3).urn,
            "outcome": "match",
            "distance_e4": 3127,
            "threshold_e4": 4900,
            "metric": "euclidean",
            "dataset": "LFW",
            "calibration": digest,
            "probe": digest,
            "template": digest,
            "device": "webcam",
        },
        "second_factor": "badge",
    }


def subject(number: int) -> str:
    return uuid.UUID(int=(1 << 100) + number % SUBJECTS).urn


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


def rate(lane: Any, count: int, times: int) -> float:
    """Return entries a second over ``times`` batches of ``count``."""
    started = time.perf_counter()
    for _ in range(times):
        lane.batch(count)
    return count * times / (time.perf_counter() - started)


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


def _require_intact() -> None:
    from ledger.own_policy import own_policy
    from ledger.verification import verify_log

    verdict = verify_log(policy=own_policy(), deep=False)
    if not verdict.intact:
        raise SystemExit(verdict.sentence())


@dataclass
class Mark:
    """What one size of the log costs: microseconds for each entry or proof, rates, bytes."""

    size: int
    append_us: float = 0.0
    inclusion_us: float = 0.0
    consistency_us: float = 0.0
    fast: float = 0.0
    deep: float = 0.0
    fast_mib: float = 0.0
    deep_mib: float = 0.0


def grow(folder: Path, sizes: list[int], deep_up_to: int) -> Iterator[Mark]:
    """Grow one SQLite log through the product, and stop at each size to measure."""
    use_own(folder, "")
    from django.core.management import call_command
    from django.db import connection

    from ledger import tiles

    call_command("migrate", verbosity=0)
    lane = Custody()
    size = 0
    for wanted in sizes:
        while size < wanted:
            count = min(BATCH, wanted - size)
            lane.batch(count - (size == 0))  # the genesis is an entry too
            size += count
        mark = Mark(size)
        chooser = random.Random(size)
        started = time.perf_counter()
        for _ in range(PROOFS):
            tiles.tree(size).inclusion_proof(chooser.randrange(size))
        mark.inclusion_us = (time.perf_counter() - started) / PROOFS * 1e6
        started = time.perf_counter()
        for _ in range(PROOFS):
            tiles.tree(size).consistency_proof(chooser.randrange(1, size))
        mark.consistency_us = (time.perf_counter() - started) / PROOFS * 1e6
        connection.close()
        mark.fast, mark.fast_mib = in_own_process(verify_stored, folder, False)
        if size <= deep_up_to:
            mark.deep, mark.deep_mib = in_own_process(verify_stored, folder, True)
        laps = []
        for _ in range(8):
            started = time.perf_counter()
            lane.batch(BATCH)
            laps.append((time.perf_counter() - started) / BATCH * 1e6)
            size += BATCH
        mark.append_us = median(laps)
        yield mark


def verify_stored(folder: Path, deep: bool) -> tuple[float, float]:
    """Verify the stored log on one core; return entries a second, and the peak resident memory in MiB."""
    use_own(folder, "")
    from ledger.own_policy import own_policy
    from ledger.verification import verify_log

    policy = own_policy()
    before = forget_peak()
    started = time.perf_counter()
    verdict = verify_log(policy=policy, deep=deep, workers=1)
    taken = time.perf_counter() - started
    if not verdict.intact:
        raise SystemExit(verdict.sentence())
    return verdict.entries / taken, memory("VmHWM") - before


@dataclass
class VerifyRates:
    """Entries or signatures a second, one core unless it says otherwise."""

    scan: float
    fast_listed: float
    fast_stored: float
    deep: float
    deep_all_cores: float
    cryptography: float
    pynacl: float


def verify_rates(folder: Path, limit: int) -> VerifyRates:
    """Verify beside the bare library and the bare scan, on a log that :func:`grow` left."""
    use_own(folder, "")
    import sqlite3

    import nacl.signing
    from django.db import connection

    from ledger.models import Checkpoint, Entry
    from ledger.own_policy import own_policy
    from ledger.tlog import note as tlog_note
    from ledger.tlog.verify import verify_entries, verify_source
    from ledger.verification import verify_log

    policy, checkpoint = own_policy(), bytes(Checkpoint.objects.order_by("-size").first().note)  # type: ignore[union-attr]
    notes = [bytes(note) for note in Entry.objects.order_by("index").values_list("note", flat=True)[:limit]]
    parsed = [tlog_note.parse(note) for note in notes[:20_000]]
    signed = [(one.text.encode(), one.signatures[0].signature) for one in parsed]
    verifier = tlog_note.Verifier.from_vkey(policy.vkeys[0])
    sodium = nacl.signing.VerifyKey(verifier.public_key.public_bytes_raw())
    path = connection.settings_dict["NAME"]
    whole = Entry.objects.count()
    connection.close()

    def scan() -> int:
        cursor, count = sqlite3.connect(path).execute('SELECT note FROM ledger_entry ORDER BY "index"'), 0
        for (note,) in cursor:
            hashlib.sha256(note).digest()
            count += 1
        return count

    def listed(deep: bool) -> int:
        # The checkpoint covers more than was listed: "incomplete" is the right verdict, after the same work.
        return verify_entries(notes, checkpoint=checkpoint, policy=policy, deep=deep).entries

    def stored(deep: bool, workers: int) -> int:
        return verify_log(policy=policy, deep=deep, workers=workers).entries

    def all_cores() -> int:
        cores = len(os.sched_getaffinity(0))
        read: Callable[[int], Any] = lambda first: iter(notes[first:])  # noqa: E731
        return verify_source(read, checkpoint=checkpoint, policy=policy, deep=True, workers=cores).entries

    def with_cryptography() -> int:
        for text, signature in signed:
            verifier.public_key.verify(signature, text)
        return len(signed)

    def with_pynacl() -> int:
        for text, signature in signed:
            sodium.verify(text, signature)
        return len(signed)

    assert whole >= len(notes)
    return VerifyRates(
        scan=_best(scan),
        fast_listed=_best(lambda: listed(False)),
        fast_stored=_best(lambda: stored(False, 1)),
        deep=_best(lambda: listed(True), 2),
        deep_all_cores=_best(all_cores, 2),
        cryptography=_best(with_cryptography, 2),
        pynacl=_best(with_pynacl, 2),
    )


def _best(work: Callable[[], int], times: int = 3) -> float:
    """The best of some runs: what the code can do where the machine lets it."""
    best = 0.0
    for _ in range(times):
        started = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - started))
    return best


def in_own_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``work`` in a fresh process: its memory, its Django, its connection are its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


@contextmanager
def postgres_databases() -> Iterator[str]:
    """Make two databases for the run and drop them after it; yields the URL of the first, the other ends in _raw."""
    import psycopg

    name = f"custody_bench_{os.getpid()}"
    base = POSTGRES.rpartition("/")[0]
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        for database in (name, f"{name}_raw"):
            connection.execute(f'CREATE DATABASE "{database}"')
        try:
            yield f"{base}/{name}"
        finally:
            for database in (name, f"{name}_raw"):
                connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def report_append(title: str, found: dict[str, dict[int, list[float]]]) -> None:
    print(f"\n{title}: submitted and sealed, entries a second (median of {ROUNDS} rounds in turn)")
    print(f"  {'':<12}{'singly':>10}{'by ' + str(BATCH):>10}{'of raw':>10}{'of raw':>8}")
    raw = {count: median(rates) for count, rates in found["raw"].items()}
    for name, rates in found.items():
        one, many = median(rates[1]), median(rates[BATCH])
        print(f"  {name:<12}{one:>10.0f}{many:>10.0f}{one / raw[1]:>10.0%}{many / raw[BATCH]:>8.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000", help="log sizes to stop at (1000000 takes a while)")
    parser.add_argument("--deep-up-to", type=int, default=100_000, help="deep verification up to this size")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "var", help="where the databases are made")
    parser.add_argument("--no-postgres", action="store_true")
    parser.add_argument("--only", choices=["append"], help="sealing beside the bare database, and nothing that grows")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-ledger-", dir=options.folder))
    try:
        _run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> None:
    print(f"CPU      {cpu_model()}, {len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.2f}")
    print(f"System   {platform.system()} {platform.release()}, Python {platform.python_version()}")
    packages = ("django", "cryptography", "pynacl", "pymerkle", "psycopg")
    print(f"Packages {', '.join(f'{name} {version(name)}' for name in packages)}; on {file_system(folder)}")
    bystanders = Bystanders()
    usage = _own_seconds()
    (folder / "append").mkdir()
    report_append("SQLite, synchronous=FULL", in_own_process(append_rates, folder / "append", ""))
    if not options.no_postgres:
        (folder / "postgres").mkdir()
        with postgres_databases() as url:
            report_append("PostgreSQL", in_own_process(append_rates, folder / "postgres", url))
    if options.only != "append":
        _run_growing(options, folder)
    others = bystanders.cores(own_seconds=_own_seconds() - usage)
    print(f"\nOther programs took {others:.1f} cores meanwhile.")


def _run_growing(options: argparse.Namespace, folder: Path) -> None:
    (folder / "grow").mkdir()
    sizes = [int(size) for size in options.sizes.split(",")]
    print("\nAs the log grows (SQLite; µs for each entry or proof; entries a second on one core; MiB on top of what was resident)")
    print(f"  {'entries':>9}{'append':>9}{'incl.':>9}{'consist.':>9}{'fast/s':>10}{'MiB':>7}{'deep/s':>10}{'MiB':>7}")
    for mark in grow(folder / "grow", sizes, options.deep_up_to):
        print(
            f"  {mark.size:>9}{mark.append_us:>9.0f}{mark.inclusion_us:>9.0f}{mark.consistency_us:>9.0f}"
            f"{mark.fast:>10.0f}{mark.fast_mib:>7.1f}{mark.deep:>10.0f}{mark.deep_mib:>7.1f}",
            flush=True,
        )
    rates = in_own_process(verify_rates, folder / "grow", min(sizes[-1], 100_000))
    cores = len(os.sched_getaffinity(0))
    print(f"\nVerification, a second (best of some runs; {cores} cores)")
    for name, value, beside in (
        ("bare scan and one SHA-256 each", rates.scan, None),
        ("fast, entries in memory", rates.fast_listed, None),
        ("fast, from SQLite", rates.fast_stored, rates.scan),
        ("bare cryptography verify", rates.cryptography, None),
        ("bare PyNaCl verify", rates.pynacl, None),
        ("deep, one core", rates.deep, rates.pynacl),
        ("deep, all cores", rates.deep_all_cores, rates.pynacl * cores),
    ):
        print(f"  {name:<34}{value:>10.0f}" + (f"{value / beside:>8.0%}" if beside else ""))
    print(f"  deep, all cores, of cryptography x cores: {rates.deep_all_cores / (rates.cryptography * cores):.0%}")


def _own_seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
