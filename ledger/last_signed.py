"""
The last-signed store: the size and root that were last signed, in a file beside the database and never in it.

It only goes forward. A database restored from an older backup is found out here, before a second history is signed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from ledger.errors import LastSignedMoved, LastSignedOfAnotherLog, LastSignedUnreadable
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.errors import CheckpointMalformed


@dataclass(frozen=True)
class LastSignedStore:
    """
    One file that holds an unsigned checkpoint text, and a lock file beside it.

    The lock's holder owns the file; whoever seals holds the lock from before it reads the database until after it has
    published, so that there is one sealer at a time on this machine.
    """

    folder: Path
    origin: str

    @property
    def _file(self) -> Path:
        return self.folder / "last-signed"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the store for one sealer. Each holder opens the lock file itself, so threads exclude each other too."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> Checkpoint | None:
        """
        Return what was last signed, or None where nothing ever was.

        :raises LastSignedUnreadable: if something stands there that is not what was written
        :raises LastSignedOfAnotherLog: if another log's store was put there
        """
        try:
            found = parse_checkpoint(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, CheckpointMalformed) as error:
            raise LastSignedUnreadable(path=str(self._file), why=error) from error
        if found.origin != self.origin:
            raise LastSignedOfAnotherLog(path=str(self._file), expected=self.origin, found=found.origin)
        return found

    def advance(self, *, expected: Checkpoint | None, new: Checkpoint) -> None:
        """
        Replace ``expected`` by ``new``, durably, before ``new`` is signed.

        :raises LastSignedMoved: if the store holds something else, or ``new`` would take it back
        """
        found = self.read()
        if found != expected or (found is not None and new.size < found.size):
            raise LastSignedMoved(expected=expected, found=found)
        made = self.folder / "last-signed.new"
        with made.open("w", encoding="utf-8") as file:
            file.write(new.text())
            file.flush()
            os.fsync(file.fileno())
        # Crash before the rename: the old state stands. After it: the new one; the directory's fsync makes it last.
        made.replace(self._file)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def open_store() -> LastSignedStore:
    """The store of this deployment's log."""
    return LastSignedStore(folder=Path(settings.LEDGER_LAST_SIGNED_DIR), origin=settings.LEDGER_ORIGIN)
