"""
How fast one reader may send: a bucket of reports and a bucket of reads each, refilled by the second.

The buckets are this process's own memory: a restart fills them, and of several processes each gives the whole rate. No
reader draws from another's. What a report holds is known once it was read, so reads are paid for afterwards: a reader
that has overdrawn waits until the bucket is above zero again.
"""

import math
import threading
import time
import uuid
from dataclasses import dataclass

from django.conf import settings

from shipments.models import Reader

# Buckets that are full again say nothing any more; they are dropped when so many readers were heard.
MOST_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    """``reports`` and ``reads`` are what is left of each; ``at`` is when they were refilled, in monotonic seconds."""

    reports: float
    reads: float
    at: float

    def refill(self, rates: tuple[float, float], now: float) -> None:
        passed = now - self.at
        self.reports = min(self.reports + passed * rates[0], rates[0] * settings.READER_BURST_S)
        self.reads = min(self.reads + passed * rates[1], rates[1] * settings.READER_BURST_S)
        self.at = now


_buckets: dict[uuid.UUID, _Bucket] = {}
_lock = threading.Lock()


def take_report(*, reader: Reader, now: float | None = None) -> int:
    """
    Take one report from the reader's bucket.

    :param now: monotonic seconds
    :returns: 0, or the whole seconds after which there is room again; nothing was taken then
    """
    now = time.monotonic() if now is None else now
    rates = _rates(reader)
    with _lock:
        bucket = _bucket(reader, rates, now)
        missing = max((1 - bucket.reports) / rates[0], -bucket.reads / rates[1])
        if missing > 0:
            return math.ceil(missing)
        bucket.reports -= 1
    return 0


def charge_reads(*, reader: Reader, reads: int, now: float | None = None) -> None:
    """Take what a report turned out to hold, be it more than there is."""
    now = time.monotonic() if now is None else now
    with _lock:
        _bucket(reader, _rates(reader), now).reads -= reads


def forget_all() -> None:
    """Fill every bucket."""
    with _lock:
        _buckets.clear()


def _rates(reader: Reader) -> tuple[float, float]:
    return reader.reports_per_s or settings.READER_REPORTS_PER_S, reader.reads_per_s or settings.READER_READS_PER_S


def _bucket(reader: Reader, rates: tuple[float, float], now: float) -> _Bucket:
    bucket = _buckets.get(reader.pk)
    if bucket is None:
        if len(_buckets) >= MOST_BUCKETS:
            stale = now - settings.READER_BURST_S
            for pk in [pk for pk, known in _buckets.items() if known.at < stale and known.reads >= 0]:
                del _buckets[pk]
        full = (rates[0] * settings.READER_BURST_S, rates[1] * settings.READER_BURST_S)
        bucket = _buckets[reader.pk] = _Bucket(*full, now)
    bucket.refill(rates, now)
    return bucket
