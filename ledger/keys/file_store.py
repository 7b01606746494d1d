"""
The default store: an encrypted PKCS #8 file of mode 0600, made on first run.

Whoever reads both that file and its passphrase holds the key. A passphrase that nobody gave is made in a file beside
the key: a copy of the key file alone is then worth nothing. Name a file elsewhere for more.
"""

import os
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from accounts.secret_files import place, read_or_make
from ledger.errors import SigningKeyMissing, SigningKeyUnreadable
from ledger.keys.durable_files import replace, sync_folder

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


class FileKeyStore:
    """The key in ``path``, the next one in ``<path>.next``, each retired one in ``<path>.retired-<key id>``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def place(self) -> str:
        return str(self.path)

    @property
    def _next(self) -> Path:
        return self.path.with_name(f"{self.path.name}.next")

    def load(self) -> Ed25519PrivateKey | None:
        return self._read(self.path)

    def create(self) -> Ed25519PrivateKey:
        return self._make(self.path)

    def next(self) -> Ed25519PrivateKey | None:
        return self._read(self._next)

    def begin_rotation(self) -> Ed25519PrivateKey:
        return self._make(self._next)

    def finish_rotation(self, *, retired: str) -> None:
        if not self._next.exists():
            return
        aside = self.path.with_name(f"{self.path.name}.retired-{retired}")
        if self.path.exists() and not aside.exists():
            os.link(self.path, aside)
            sync_folder(self.path)
        # Crash here: the old key under two names, and still the current one. There is a current key at every moment.
        self._next.replace(self.path)
        sync_folder(self.path)

    def encrypt(self) -> list[Path]:
        """
        Encrypt what lies here in plain: the current key, the next one and the retired ones. Return those files.

        :raises SigningKeyMissing: if there is no key at all
        :raises SigningKeyUnreadable: if a file is not a key, or the passphrase cannot be read
        """
        if not self.path.exists():
            raise SigningKeyMissing(path=self.place)
        written = []
        for path in (self.path, self._next, *sorted(self.path.parent.glob(f"{self.path.name}.retired-*"))):
            pem = self._bytes(path)
            if pem is None or pem.startswith(_ENCRYPTED):
                continue
            replace(path, _encode(_decode(path, pem, None), self._passphrase(path, may_make=True)), mode=0o600)
            written.append(path)
        return written

    def _make(self, path: Path) -> Ed25519PrivateKey:
        try:
            if not path.exists():
                place(path, _encode(Ed25519PrivateKey.generate(), self._passphrase(path, may_make=True)))
                sync_folder(path)
        except OSError as error:
            raise SigningKeyUnreadable(path=str(path), why=f"it cannot be made ({error})") from error
        key = self._read(path)
        if key is None:
            raise SigningKeyMissing(path=str(path))
        return key

    def _read(self, path: Path) -> Ed25519PrivateKey | None:
        pem = self._bytes(path)
        if pem is None:
            return None
        return _decode(path, pem, self._passphrase(path, may_make=False) if pem.startswith(_ENCRYPTED) else None)

    def _bytes(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SigningKeyUnreadable(path=str(path), why=error) from error

    def _passphrase(self, path: Path, *, may_make: bool) -> bytes:
        if settings.LEDGER_KEY_PASSPHRASE:
            return settings.LEDGER_KEY_PASSPHRASE.encode()
        named = settings.LEDGER_KEY_PASSPHRASE_FILE
        file = Path(named or f"{self.path}.passphrase")
        try:
            if may_make and not named:
                passphrase = read_or_make(file)
                sync_folder(file)
            else:
                passphrase = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise SigningKeyUnreadable(
                path=str(path), why=f"LEDGER_KEY_PASSPHRASE is not set, and its passphrase is not in {file} ({error})"
            ) from error
        if not passphrase:
            raise SigningKeyUnreadable(path=str(path), why=f"the passphrase file {file} is empty")
        return passphrase.encode()


def _encode(key: Ed25519PrivateKey, passphrase: bytes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


# By content: a file that was replaced is read again, and sealing does not pay for the key derivation each time.
@lru_cache(maxsize=4)
def _decode(path: Path, pem: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyUnreadable(path=str(path), why=error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyUnreadable(path=str(path), why="it is of another algorithm than Ed25519")
    return key
