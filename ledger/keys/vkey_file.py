"""
The public side: one verifier key line for each key that this log ever had, oldest first, in a file for all to read.

``<vkey>``, ``<vkey> <first>`` or ``<vkey> <first> <last>``: the entries that the key may sign. The last line is the key
that signs now. It proves nothing to anybody who does not trust this machine: auditors pin what they were handed.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ledger.keys.durable_files import replace
from ledger.tlog.errors import TlogError, excerpt
from ledger.tlog.note import Verifier
from ledger.tlog.policy import PinnedKey

_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")


class VkeyFileMalformed(Exception):
    """A line of the file is not a key, or the keys' ranges do not follow each other."""


def read(path: Path) -> tuple[PinnedKey, ...]:
    """
    Return all keys of the file, oldest first; none where there is no file.

    :raises VkeyFileMalformed: if a line is of another form, or does not begin where the one before it ends
    :raises OSError: if the file cannot be read
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise VkeyFileMalformed(f"expected text, found {error.reason} at byte {error.start}") from None
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise VkeyFileMalformed("expected a verifier key line, found an empty file")
    keys: list[PinnedKey] = []
    for number, line in enumerate(lines, 1):
        try:
            keys.append(_read_line(line, keys[-1] if keys else None))
        except (TlogError, VkeyFileMalformed) as error:
            raise VkeyFileMalformed(f"line {number}: {error}") from None
    if keys[-1].last is not None:
        raise VkeyFileMalformed(f"expected a key that signs now in the last line, found {excerpt(lines[-1], 200)}")
    return tuple(keys)


def write(path: Path, keys: Sequence[PinnedKey]) -> None:
    """Put ``keys`` into the file, durably, with mode 0644."""
    replace(path, "".join(f"{line(key)}\n" for key in keys).encode(), mode=0o644)


def line(key: PinnedKey) -> str:
    """Return the line of one key; a key of all entries has no numbers."""
    if key.last is not None:
        return f"{key.vkey} {key.first} {key.last}"
    return f"{key.vkey} {key.first}" if key.first else key.vkey


def _read_line(text: str, before: PinnedKey | None) -> PinnedKey:
    vkey, *numbers = text.split() or [""]
    Verifier.from_vkey(vkey)
    if len(numbers) > 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise VkeyFileMalformed(f"expected a key with its first and last entry, found {excerpt(text, 200)}")
    bounds = [int(number) for number in numbers]
    key = PinnedKey(vkey, bounds[0] if bounds else 0, bounds[1] if len(bounds) == 2 else None)
    if before is not None and (before.last is None or key.first != before.last + 1):
        raise VkeyFileMalformed(f"expected a key that begins where the one before it ends, found {excerpt(text, 200)}")
    if key.last is not None and key.last < key.first:
        raise VkeyFileMalformed(f"expected a last entry of {key.first} or more, found {key.last}")
    return key
