"""
What a key store does: it keeps the key that signs, and during a rotation the next one beside it.

A store knows nothing of the log's name or of who signed what; the caller holds the lock for whatever changes it.
"""

from typing import Protocol

from ledger.tlog.note import SigningKey


class KeyStore(Protocol):
    """One place that holds the private keys. Its errors are subclasses of :class:`ledger.errors.SealingStopped`."""

    @property
    def place(self) -> str:
        """Where the current key is, for a sentence."""
        ...

    def load(self) -> SigningKey | None:
        """
        Return the current key, or None where there is none.

        :raises SigningKeyUnreadable: if there is one, and this process cannot use it
        """
        ...

    def create(self) -> SigningKey:
        """Make the current key, durably; one that is there already stays and is returned."""
        ...

    def next(self) -> SigningKey | None:
        """Return the key that a rotation has begun with, or None."""
        ...

    def begin_rotation(self) -> SigningKey:
        """Make the next key, durably; one that is there already stays and is returned."""
        ...

    def finish_rotation(self, *, retired: str) -> None:
        """
        Put the next key into the current one's place, and the current one aside under the key id ``retired``.

        May be called again after a crash at any step of it.
        """
        ...
