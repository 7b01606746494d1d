"""
Do what is due: seal what a crash or a lost hint left, ask the witnesses, have the log timestamped.

The rows say what is due, so that a sweep too many or too few does no harm. What waits for others on the network is done
by one process at a time, outside any transaction and without the sealer's lock.
"""

import fcntl
import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.utils.module_loading import import_string

from ledger.models import Checkpoint
from ledger.sealing import seal_all
from ledger.timestamping import timestamp_due
from ledger.verification_runs import run_waiting
from ledger.witnessing import ask_witnesses

logger = logging.getLogger(__name__)

# Two numbers: no other part of the product takes an advisory lock of this pair form.
_ADVISORY_LOCK = 0x6C656467
_LEASES = {"witnesses": 1, "timestamps": 2}
# What settings add has a number by its name: 1,000 and more, below PostgreSQL's 2^31.
_FIRST_ADDED, _ADDED = 1000, 2_000_000_000
_SHOWN_TO: dict[str, Callable[[], object]] = {"witnesses": ask_witnesses, "timestamps": timestamp_due}

_woken = threading.Event()
# When this process last did a part that settings add, by a clock that nobody sets.
_done_at: dict[str, float] = {}


def sweep() -> tuple[str, ...]:
    """
    Seal what is pending, ask the witnesses, timestamp what is due, and do what other apps have done in a sweep.

    :returns: the parts that failed; each was logged in one line, and stopped no other
    """
    parts: list[tuple[str, Callable[[], object]]] = [("sealing", seal_all)]
    # In a log that has not begun there is no key either, and nothing to show to anybody.
    parts += [(name, partial(_show, name, to)) for name, to in _SHOWN_TO.items()]
    # Named in settings, so that the ledger knows none of the apps above it.
    parts += [(name, partial(_do_added, name, path, every)) for name, path, every in settings.LEDGER_SWEEP_PARTS]
    return tuple(name for name, part in parts if not _attempt(name, part))


def wake() -> None:
    """Let this process's sweeper begin its next sweep now: call it after something was sealed here."""
    _woken.set()


class Sweeper:
    """
    Two daemon threads: one sweeps every ``every`` seconds and when woken, the other does the verifications that wait.

    They stand apart because a verification of a long log takes minutes. Each has its own connection to the database,
    and closes it. Killed at any point, the next process's sweeper goes on from the rows.
    """

    def __init__(self, *, every: float) -> None:
        self._every = every
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._sweep, name="sweeper", daemon=True),
            threading.Thread(target=self._verify, name="verifications", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, within: float = 5.0) -> None:
        """End the threads, waiting at most ``within`` seconds for each; what still runs then dies with the process."""
        self._ending.set()
        _woken.set()
        for thread in self._threads:
            thread.join(within)

    def _sweep(self) -> None:
        with _own_connection():
            while not self._ending.is_set():
                # Cleared before the sweep: what is sealed while it runs wakes the next one.
                _woken.clear()
                close_old_connections()
                sweep()
                # stop() sets both, in this order: a wake that was cleared above is no reason to wait now.
                if not self._ending.is_set():
                    _woken.wait(self._every)

    def _verify(self) -> None:
        with _own_connection():
            while not self._ending.wait(self._every):
                close_old_connections()
                _attempt("verifications", run_waiting)


def _attempt(name: str, part: Callable[[], object]) -> bool:
    try:
        part()
    except Exception as error:
        logger.error("sweep: %s failed: %s: %s", name, type(error).__name__, " ".join(str(error).split()))
        return False
    return True


def _show(name: str, to: Callable[[], object]) -> None:
    """Show the log, unless another process, or another thread here, is at it: its next sweep does what is left."""
    if Checkpoint.objects.exists():
        with _lease(name) as ours:
            if ours:
                to()


def _do_added(name: str, path: str, every: float) -> None:
    """Do a part that settings add, at most every so many seconds here, and one process or thread at a time."""
    last = _done_at.get(name)
    if last is not None and time.monotonic() - last < every:
        return
    with _lease(name) as ours:
        if ours:
            _done_at[name] = time.monotonic()
            import_string(path)()


@contextmanager
def _lease(name: str) -> Iterator[bool]:
    """Hold the right to do a part, without a transaction; it ends with the process that dies, so nothing runs out."""
    if connection.vendor == "postgresql":
        added = _FIRST_ADDED + zlib.crc32(name.encode()) % _ADDED
        key = [_ADVISORY_LOCK, _LEASES.get(name, added)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
            ours = bool(cursor.fetchone()[0])
        try:
            yield ours
        finally:
            if ours:
                _unlock(key)
        return
    # One file, one machine: a database in a file has no other clients.
    folder = Path(settings.LEDGER_LAST_SIGNED_DIR)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _unlock(key: list[int]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)
    except Error:
        # The session is gone or cannot be used any more. Closing it ends the lock in any case.
        connection.close()


@contextmanager
def _own_connection() -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()
