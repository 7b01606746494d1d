"""
The log's keys. The signing key is an Ed25519 key in a PKCS #8 file of mode 0600, made on first run: only the sealer
reads it. The verifier key is one line in a file of mode 0644 beside it, and all that a verification needs.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from accounts.secret_files import place
from ledger.errors import (
    SealingStopped,
    SigningKeyMissing,
    SigningKeyUnreadable,
    VerifierKeyChanged,
    VerifierKeyMissing,
)
from ledger.tlog.note import Signer


def load_signer(*, may_create: bool = False) -> Signer:
    """
    Return the signer of this deployment's log, and see that its verifier key stands beside it.

    :param may_create: make the key where there is none; right for an empty log alone
    :raises SigningKeyMissing: if there is no key and none may be made
    :raises SigningKeyUnreadable: if there is a key, and this process cannot use it
    :raises VerifierKeyChanged: if the verifier key beside it is another one
    """
    path = Path(settings.LEDGER_KEY_FILE)
    if not path.exists():
        if not may_create:
            raise SigningKeyMissing(path=str(path))
        _make(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=_passphrase())
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyUnreadable(path=str(path), why=error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyUnreadable(path=str(path), why="it is of another algorithm than Ed25519")
    signer = Signer(settings.LEDGER_ORIGIN, key)
    _publish(signer.vkey)
    return signer


def load_vkey() -> str:
    """
    Return the verifier key line of this deployment's log, without touching the signing key.

    :raises VerifierKeyMissing: if it is not there, and the signing key that it could be made from is not either
    """
    path = _vkey_file()
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        # A log from before this file was kept: written once, by whichever process can read the signing key.
        try:
            return load_signer().vkey
        except (SealingStopped, OSError) as error:
            raise VerifierKeyMissing(path=str(path)) from error
    except (OSError, ValueError) as error:
        raise VerifierKeyMissing(path=f"{path} ({error})") from error


def _publish(vkey: str) -> None:
    path = _vkey_file()
    if not path.exists():
        place(path, f"{vkey}\n".encode())
        # Crash before this line: only the owner reads it, until somebody says chmod.
        path.chmod(0o644)
    found = path.read_text(encoding="utf-8", errors="replace").strip()
    if found != vkey:
        raise VerifierKeyChanged(path=str(path), expected=vkey, found=found)


def _vkey_file() -> Path:
    return Path(f"{settings.LEDGER_KEY_FILE}.vkey")


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
