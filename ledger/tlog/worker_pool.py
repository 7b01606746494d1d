"""
Entries examined in several processes, and given back in their order.

The processes see bytes and verifier keys, and answer with plain facts; what counts is decided by the caller. They are
spawned, so that none inherits a database connection, and they need nothing but this package.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from multiprocessing.connection import wait

from ledger.tlog.entry_facts import Examiner, Facts, Fault, Survey
from ledger.tlog.note import Verifier

# A chunk ends at so many entries or bytes: enough work to be worth sending, and little enough to hold a few of them.
CHUNK_ENTRIES = 4096
CHUNK_BYTES = 4 << 20

# What was found in a run of entries, or in one.
Found = Survey | Facts | Fault


@dataclass(frozen=True)
class Task:
    """
    What is asked of a chunk.

    ``vkeys`` are the keys that are candidates by now; ``deep`` tells whether signatures and bodies are looked at.
    """

    origin: str
    vkeys: tuple[str, ...]
    deep: bool


def examined(
    chunks: Iterable[list[bytes]], *, task: Callable[[list[bytes]], Task], workers: int
) -> Iterator[tuple[list[bytes], Found]]:
    """
    Yield the entries of each chunk in runs, each run with what an :class:`Examiner` says of it, up to the first fault.

    Where processes cannot be had, or one dies, this process does the work.

    :param task: what is asked of a chunk; called when it is sent, ahead of what is yielded
    """
    chunks = iter(chunks)
    # A daemon may have no children; and one chunk is not worth the start of a process.
    alone = workers < 2 or multiprocessing.current_process().daemon
    beginning = [] if alone else list(islice(chunks, 2))
    chunks = chain(beginning, chunks)
    if len(beginning) < 2:
        for chunk in chunks:
            yield from _runs(chunk, _examiner(task(chunk)).examine(chunk))
        return
    pool: ProcessPoolExecutor | None = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_become_worker
    )
    waiting: deque[tuple[list[bytes], Task, Future[list[Found]] | None]] = deque()
    try:
        for chunk in chunks:
            asked, future = task(chunk), None
            if pool:
                try:
                    future = pool.submit(examine, asked, chunk)
                except (BrokenProcessPool, OSError, RuntimeError):
                    pool.shutdown(wait=False)
                    pool = None
            waiting.append((chunk, asked, future))
            if len(waiting) > 2 * workers:
                yield from _merge(*waiting.popleft())
        while waiting:
            yield from _merge(*waiting.popleft())
    finally:
        if pool:
            pool.shutdown(wait=True, cancel_futures=True)


def examine(task: Task, chunk: list[bytes]) -> list[Found]:
    """Examine a chunk, in whatever process, and stop at the first fault."""
    return list(_examiner(task).examine(chunk))


@lru_cache(maxsize=4)
def _examiner(task: Task) -> Examiner:
    return Examiner(task.origin, map(Verifier.from_vkey, task.vkeys), deep=task.deep)


def _merge(chunk: list[bytes], task: Task, future: "Future[list[Found]] | None") -> Iterator[tuple[list[bytes], Found]]:
    try:
        done = future.result() if future else None
    except (BrokenProcessPool, OSError):
        done = None
    yield from _runs(chunk, done or examine(task, chunk))


def _runs(chunk: list[bytes], found: Iterable[Found]) -> Iterator[tuple[list[bytes], Found]]:
    at = 0
    for one in found:
        count = len(one.leaves) if type(one) is Survey else 1
        yield chunk[at : at + count], one
        at += count


def cut(notes: Iterable[bytes], first: int, *, limit: int, edge: int | None) -> Iterator[list[bytes]]:
    """
    Cut entries, the first of which is ``first``, into chunks of at most ``limit``, and before entry ``edge``.

    A chunk ends at a multiple of ``limit``, sooner only where it grows too large to be sent.
    """
    chunk: list[bytes] = []
    size, at = 0, first
    for data in notes:
        chunk.append(data)
        size += len(data)
        at += 1
        if at % limit == 0 or at == edge or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _become_worker() -> None:
    # What a worker makes refers to nothing that refers back; looking for such circles costs a tenth of its time.
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent alone decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that is killed tells nobody, and its workers would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)
