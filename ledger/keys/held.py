"""One process of this machine at a time, by a lock file beside the keys."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from ledger.errors import SigningKeyUnreadable


@contextmanager
def held(suffix: str) -> Iterator[None]:
    """
    Hold the lock file that ends so; each holder opens it itself, so that threads exclude each other too.

    :raises SigningKeyUnreadable: if there can be no such file
    """
    path = Path(f"{settings.LEDGER_KEY_FILE}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = path.open("w")
    except OSError as error:
        raise SigningKeyUnreadable(path=str(path), why=error) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Said, not left to closing: a child forked meanwhile has the file open still.
            fcntl.flock(lock, fcntl.LOCK_UN)
