"""The log's signing key: an Ed25519 key in a PKCS #8 file of mode 0600, made on first run. Only the sealer reads it."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from accounts.secret_files import place
from ledger.errors import SigningKeyMissing
from ledger.tlog.note import Signer


def load_signer(*, may_create: bool = False) -> Signer:
    """
    Return the signer of this deployment's log.

    :param may_create: make the key where there is none; right for an empty log alone
    :raises SigningKeyMissing: if there is no key and none may be made
    """
    path = Path(settings.LEDGER_KEY_FILE)
    if not path.exists():
        if not may_create:
            raise SigningKeyMissing(path=str(path))
        _make(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=_passphrase())
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyMissing(path=f"{path} (found a key of another algorithm than Ed25519)")
    return Signer(settings.LEDGER_ORIGIN, key)


def _make(path: Path) -> None:
    passphrase = _passphrase()
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption(),
    )
    place(path, pem)


def _passphrase() -> bytes | None:
    return settings.LEDGER_KEY_PASSPHRASE.encode() or None
