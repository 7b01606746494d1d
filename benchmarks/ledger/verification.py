"""Verifying entries, fast and deep, beside the bare signature libraries and a bare scan of the table."""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ledger.own_world import use_own


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
