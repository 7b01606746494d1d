"""Secrets that the embedded profile makes for itself: one file each, readable by its owner alone."""

import os
import secrets
from pathlib import Path


def read_or_make(path: Path) -> str:
    """Return the secret kept in ``path``; make it (256 bits, hex) where there is none. Two makers agree on one."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        place(path, f"{secrets.token_hex(32)}\n".encode())
    return path.read_text().strip()


def place(path: Path, content: bytes) -> None:
    """Put ``content`` into ``path``, whole and durable, with mode 0600; a file that is there already stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        # link() fails where somebody else was first: theirs stands. And nobody ever reads half a file.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
