"""
The newest entry of each subject, however many subjects there are: a bounded dict that spills into SQLite.

The database is a temporary one, or the file from which a verification resumes. That file is the caller's own and is
trusted like the program itself; what is in it came from entries that were checked.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ledger.tlog.errors import StateNotUsable, excerpt
from ledger.tlog.index_epoch import SubjectHead, subject_hash

# How many subjects are held in memory: about 20 MB of them.
IN_MEMORY = 1 << 16
# Marks a state file, so that a file of another kind is never taken for one or written over.
_APPLICATION_ID = 0x43544456
_TABLES = """
CREATE TABLE IF NOT EXISTS head (subject BLOB PRIMARY KEY, count INTEGER NOT NULL, leaf BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (only INTEGER PRIMARY KEY CHECK (only = 1), told TEXT NOT NULL);
"""


class SubjectHeads:
    """
    Maps a subject to how many entries it has and the leaf hash of the newest, in hex.

    The caller writes to ``recent``, and calls :meth:`spill` where that holds more than ``limit``. A subject that is not
    in it may still be in the database: :meth:`get` looks there too.
    """

    def __init__(self, file: Path | None = None, *, in_memory: int = IN_MEMORY) -> None:
        """
        :param file: where progress is kept; None where nothing is to be kept
        :raises StateNotUsable: if something else than such a file stands there
        """
        self.recent: dict[str, tuple[int, str]] = {}
        self.limit = in_memory
        self.spilled = False
        self._file = file
        # An empty name is a temporary database, which SQLite itself removes.
        self._database = sqlite3.connect(str(file) if file else "", isolation_level=None)
        try:
            self._open()
        except sqlite3.Error as error:
            self._database.close()
            raise StateNotUsable(
                "state file", expected="what an earlier verification left", found=excerpt(f"{file}: {error}", 300)
            ) from None
        except StateNotUsable:
            self._database.close()
            raise

    def _open(self) -> None:
        database = self._database
        if self._file is None:
            database.execute("PRAGMA journal_mode=OFF")
            database.execute("PRAGMA synchronous=OFF")
        else:
            marked = database.execute("PRAGMA application_id").fetchone()[0]
            if marked != _APPLICATION_ID and database.execute("SELECT 1 FROM sqlite_schema").fetchone():
                raise StateNotUsable(
                    "state file", expected="what an earlier verification left", found=f"another database, {self._file}"
                )
            database.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        database.executescript(_TABLES)
        self.spilled = database.execute("SELECT 1 FROM head LIMIT 1").fetchone() is not None
        # One transaction from save to save: whatever spills meanwhile is undone with the entries that it came from.
        database.execute("BEGIN IMMEDIATE")

    @property
    def keeps(self) -> bool:
        """Tell whether there is a file to save to."""
        return self._file is not None

    def get(self, subject: str) -> tuple[int, str] | None:
        """Return the subject's count and newest leaf hash, or None where it has no entry yet."""
        found = self.recent.get(subject)
        if found is None and self.spilled:
            row = self._database.execute(
                "SELECT count, leaf FROM head WHERE subject = ?", [subject_hash(subject)]
            ).fetchone()
            found = (row[0], row[1].hex()) if row else None
        return found

    def spill(self) -> None:
        """Move what is in memory into the database."""
        self._write()
        self.recent.clear()
        self.spilled = True

    def _write(self) -> None:
        self._database.executemany(
            "INSERT INTO head VALUES (?, ?, ?) ON CONFLICT (subject) DO UPDATE"
            " SET count = excluded.count, leaf = excluded.leaf",
            ((subject_hash(subject), count, bytes.fromhex(leaf)) for subject, (count, leaf) in self.recent.items()),
        )

    def ascending(self) -> Iterator[SubjectHead]:
        """Yield every subject's head in the order of an epoch's tree."""
        if not self.spilled:
            yield from sorted(SubjectHead.of(subject, *_head(head)) for subject, head in self.recent.items())
            return
        self.spill()
        for row in self._database.execute("SELECT subject, count, leaf FROM head ORDER BY subject"):
            yield SubjectHead(*row)

    def save(self, told: str) -> None:
        """Keep the heads, and what the caller says of its progress, together or not at all; a crash leaves the last."""
        self.spill()
        self._database.execute("INSERT OR REPLACE INTO progress VALUES (1, ?)", [told])
        self._database.execute("COMMIT")
        self._database.execute("BEGIN IMMEDIATE")

    def saved(self) -> str | None:
        """Return what was last saved, or None."""
        row = self._database.execute("SELECT told FROM progress").fetchone()
        return row[0] if row else None

    def forget(self) -> None:
        """Begin anew: drop every head and the progress."""
        self.recent.clear()
        self._database.execute("DELETE FROM head")
        self._database.execute("DELETE FROM progress")
        self.spilled = False

    def close(self, *, done: bool = False) -> None:
        """Let go of the database, and remove the file where the verification is ``done``."""
        self._database.close()
        if done and self._file:
            self._file.unlink(missing_ok=True)


def _head(head: tuple[int, str]) -> tuple[int, bytes]:
    return head[0], bytes.fromhex(head[1])
