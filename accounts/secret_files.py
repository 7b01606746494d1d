"""Secrets that the embedded profile makes for itself: one file each, readable by its owner alone."""

import os
import secrets
from pathlib import Path


def read_or_make(path: Path) -> str:
    """Return the secret kept in ``path``; make it (256 bits, hex) where there is none. Two makers agree on one."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # link() fails where another process was first: its secret stands, and no reader ever sees half a file.
        os.link(made, path)
    except FileExistsError:
        return path.read_text().strip()
    finally:
        made.unlink()
    return path.read_text().strip()
