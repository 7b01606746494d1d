"""Files that are replaced whole: after a crash there is the old content or the new one, and it is on disk."""

import os
import secrets
from pathlib import Path


def replace(path: Path, content: bytes, *, mode: int) -> None:
    """Put ``content`` into ``path`` with ``mode``, durably; a reader sees the old content or the new one."""
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)  # whatever the umask is
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
    sync_folder(path)


def sync_folder(path: Path) -> None:
    """Make the names in the folder of ``path`` last."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
