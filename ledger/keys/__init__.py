"""
The log's keys: the one that signs, behind a small interface (:mod:`ledger.keys.key_store`), and the public ones.

Only the sealer needs a private key. Which key is the current one, the public ``.vkey`` file decides: a rotation is
done once it names the new key, and whatever a crash left undone in the store is made up for by the next load.
"""

from dataclasses import replace
from pathlib import Path

from django.conf import settings

from ledger.errors import (
    KeyStoreUnknown,
    RotationNotBegun,
    SealingStopped,
    SigningKeyMissing,
    VerifierKeyChanged,
    VerifierKeyMissing,
)
from ledger.keys import vkey_file
from ledger.keys.file_store import FileKeyStore
from ledger.keys.held import held
from ledger.keys.key_store import KeyStore
from ledger.keys.vkey_file import VkeyFileMalformed
from ledger.tlog.note import Signer
from ledger.tlog.policy import PinnedKey

__all__ = [
    "begin_rotation",
    "encrypt_key_files",
    "finish_rotation",
    "load_signer",
    "load_vkey",
    "load_vkeys",
    "next_signer",
]


def load_signer(*, may_create: bool = False) -> Signer:
    """
    Return the signer of this deployment's log, and see that its verifier key stands beside it.

    :param may_create: make the key where there is none; right for an empty log alone
    :raises SigningKeyMissing: if there is no key and none may be made
    :raises SigningKeyUnreadable: if there is a key, and this process cannot use it
    :raises VerifierKeyChanged: if the verifier key beside it is another one
    """
    store = _open_store()
    key = store.load()
    if key is not None:
        signer = Signer(settings.LEDGER_ORIGIN, key)
        if _is_current(signer):
            return signer
    elif not may_create and store.next() is None:
        raise SigningKeyMissing(path=store.place)
    with held(".lock"):
        return _settle(store, may_create=may_create)


def load_vkey() -> str:
    """
    Return the verifier key line of the key that signs now, without touching that key.

    :raises VerifierKeyMissing: if it is not there, and the signing key that it could be made from is not either
    """
    return load_vkeys()[-1].vkey


def load_vkeys() -> tuple[PinnedKey, ...]:
    """
    Return every key that this log ever had, oldest first, with the entries that each may sign.

    :raises VerifierKeyMissing: if they are not there, and the signing key that one could be made from is not either
    """
    path = _vkey_path()
    try:
        keys = vkey_file.read(path)
    except (OSError, VkeyFileMalformed) as error:
        raise VerifierKeyMissing(path=f"{path} ({error})") from error
    if keys:
        return keys
    # A log from before this file was kept: written once, by whichever process can read the signing key.
    try:
        return (PinnedKey(load_signer().vkey),)
    except (SealingStopped, OSError) as error:
        raise VerifierKeyMissing(path=str(path)) from error


def next_signer() -> Signer | None:
    """
    Return the signer that a rotation has begun with and that does not sign yet, or None.

    :raises SigningKeyUnreadable: if there is one, and this process cannot use it
    """
    key = _open_store().next()
    if key is None:
        return None
    signer = Signer(settings.LEDGER_ORIGIN, key)
    return None if _is_current(signer) else signer


def begin_rotation() -> Signer:
    """
    Return the next key, made durably beside the current one; the same again until the rotation is finished.

    :raises SigningKeyMissing: if there is no current key
    :raises SealingStopped: if either key cannot be used
    """
    store = _open_store()
    with held(".lock"):
        _settle(store, may_create=False)
        return Signer(settings.LEDGER_ORIGIN, store.begin_rotation())


def finish_rotation(first: int) -> None:
    """
    Let the next key be the current one from entry ``first`` on, and retire the old one; there is no way back.

    Finished already, it does nothing; cut short by a crash, it goes on where it was.

    :raises RotationNotBegun: if there is no next key, or the log's keys say that it took over at another entry
    :raises SealingStopped: if a key cannot be used
    """
    store = _open_store()
    with held(".lock"):
        _settle(store, may_create=False)
        keys, key = load_vkeys(), store.next()
        if key is None:
            if len(keys) > 1 and keys[-1].first == first:
                return
            raise RotationNotBegun(first=first, found=vkey_file.line(keys[-1]))
        if first <= keys[-1].first:
            raise RotationNotBegun(first=first, found=vkey_file.line(keys[-1]))
        new = Signer(settings.LEDGER_ORIGIN, key)
        vkey_file.write(_vkey_path(), (*keys[:-1], replace(keys[-1], last=first - 1), PinnedKey(new.vkey, first)))
        # Crash here: the file names the new key and the store still has it as the next. Whoever loads it settles that.
        _settle(store, may_create=False)


def encrypt_key_files() -> list[Path]:
    """
    Encrypt the key files that older versions wrote in plain, and return those that were.

    :raises KeyStoreUnknown: if the keys are not in files
    :raises SealingStopped: if there is no key, or one cannot be used
    """
    store = _open_store()
    if not isinstance(store, FileKeyStore):
        raise KeyStoreUnknown(expected="file", found=settings.LEDGER_KEY_STORE)
    if store.load() is None:
        raise SigningKeyMissing(path=store.place)
    with held(".lock"):
        return store.encrypt()


def _open_store() -> KeyStore:
    match settings.LEDGER_KEY_STORE:
        case "file":
            return FileKeyStore(Path(settings.LEDGER_KEY_FILE))
        case "pkcs11":
            # Its library is an extra that most deployments do not install.
            from ledger.keys.pkcs11_store import Pkcs11KeyStore

            return Pkcs11KeyStore(
                module=settings.LEDGER_PKCS11_MODULE,
                token=settings.LEDGER_PKCS11_TOKEN,
                label=settings.LEDGER_PKCS11_LABEL,
            )
        case other:
            raise KeyStoreUnknown(expected="file or pkcs11", found=other)


def _settle(store: KeyStore, *, may_create: bool) -> Signer:
    """Bring the store to what the ``.vkey`` file says, and return the current signer. The caller holds the lock."""
    key, coming = store.load(), store.next()
    if coming is not None and _is_current(Signer(settings.LEDGER_ORIGIN, coming)):
        store.finish_rotation(retired=Signer(settings.LEDGER_ORIGIN, key).verifier.key_id.hex() if key else "")
        key = store.load()
    if key is None:
        # Not where a verifier key stands: that log had a key, and a new one would not be its key.
        if not may_create or coming is not None or _vkey_path().exists():
            raise SigningKeyMissing(path=store.place)
        key = store.create()
    signer = Signer(settings.LEDGER_ORIGIN, key)
    if not _vkey_path().exists():
        # Crash before this line: a key without its public line, which the next load writes.
        vkey_file.write(_vkey_path(), [PinnedKey(signer.vkey)])
    if not _is_current(signer):
        try:
            found = vkey_file.read(_vkey_path())[-1].vkey
        except (OSError, VkeyFileMalformed) as error:
            found = f"not to be read ({error})"
        raise VerifierKeyChanged(path=str(_vkey_path()), expected=signer.vkey, found=found)
    return signer


def _is_current(signer: Signer) -> bool:
    try:
        keys = vkey_file.read(_vkey_path())
    except (OSError, VkeyFileMalformed):
        return False
    return bool(keys) and keys[-1].vkey == signer.vkey


def _vkey_path() -> Path:
    return Path(f"{settings.LEDGER_KEY_FILE}.vkey")
