"""What an append, a proof and a verification cost as one log grows."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.ledger.own_world import BATCH, in_own_process, use_own
from benchmarks.ledger.sealing import Custody
from benchmarks.machine import forget_peak, memory

PROOFS = 300


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
