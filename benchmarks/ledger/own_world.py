"""What each part of the benchmark starts from: an own Custody, process and databases, and bodies of the usual size."""

import hashlib
import logging
import multiprocessing
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

POSTGRES = os.environ.get("BENCH_POSTGRES", "postgres://root@127.0.0.1:5432/test")
BATCH = 256
SUBJECTS = 500


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
