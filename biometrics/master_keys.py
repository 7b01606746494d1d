"""
The keys that wrap the persons' keys: one at hand, from the environment or a file, or a service that keeps it to itself.

Several may be known at once, so that a rotation re-wraps row by row while everybody works on. What a service answers is
taken for what it says: it can refuse, delay or return other bytes, and then nothing opens.
"""

import hashlib
import json
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from accounts.secret_files import place, read_or_make
from biometrics.errors import KeyServiceFailed, MasterKeyMalformed, MasterKeyMissing, MasterKeyWrong
from biometrics.models import PersonKey

NONCE_BYTES = 12
KEY_SERVICE_TIMEOUT_S = 10.0

_KEY_ID = b"custody/master-key-id/v1\0"
_KEY_ID_SHAPE = re.compile(r"[0-9a-f]{16}")
_SECRET = re.compile(r"[0-9a-fA-F]{64}")
# So many keys a call: its answer stays small, and a service with a limit of its own is not passed it at once.
_AT_ONCE = 500


class Wrapped(NamedTuple):
    """A person's key as its row keeps it."""

    wrapped: bytes
    nonce: bytes
    associated_data: bytes


class MasterKey(Protocol):
    """What wraps the persons' keys."""

    @property
    def key_id(self) -> str: ...

    def wrap(self, key: bytes, *, nonce: bytes, associated_data: bytes) -> bytes: ...

    def unwrap_all(self, rows: Sequence[Wrapped]) -> list[bytes | None]:
        """Return each key, None where it was not wrapped by this key for this purpose."""
        ...


class LocalMasterKey:
    """A master key at hand, from the environment or a file."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)
        self.key_id = hashlib.sha256(_KEY_ID + secret).hexdigest()[:16]

    def wrap(self, key: bytes, *, nonce: bytes, associated_data: bytes) -> bytes:
        return self._cipher.encrypt(nonce, key, associated_data)

    def unwrap_all(self, rows: Sequence[Wrapped]) -> list[bytes | None]:
        return [self._unwrap(row) for row in rows]

    def _unwrap(self, row: Wrapped) -> bytes | None:
        try:
            return self._cipher.decrypt(row.nonce, row.wrapped, row.associated_data)
        except (InvalidTag, ValueError):
            return None


class KeyService:
    """
    A master key that never comes here: a command wraps and unwraps, one JSON object on its standard input and output.

    ===================================================================  =====================
    asked                                                                answered
    ===================================================================  =====================
    ``{"operation": "key_id"}``                                          ``{"key_id": …}``
    ``{"operation": "wrap", "key_id": …, "items": [{"key": …,            ``{"items": [hex]}``
    "nonce": …, "associated_data": …}]}``
    ``{"operation": "unwrap", "key_id": …, "items": [{"wrapped": …,      ``{"items": [hex or
    "nonce": …, "associated_data": …}]}``                                null]}``
    ===================================================================  =====================

    Bytes are hexadecimal; a key id is 16 hexadecimal digits that name one master key for good. Null says that this item
    does not unwrap; any other trouble is an exit code other than 0.
    """

    def __init__(self, command: str, *, key_id: str = "") -> None:
        self._command = shlex.split(command)
        self._key_id = key_id

    @property
    def key_id(self) -> str:
        if not self._key_id:
            named = self._ask({"operation": "key_id"}).get("key_id")
            if not isinstance(named, str) or not _KEY_ID_SHAPE.fullmatch(named):
                raise KeyServiceFailed(reason="it named its key by something else than 16 hexadecimal digits")
            self._key_id = named
        return self._key_id

    def wrap(self, key: bytes, *, nonce: bytes, associated_data: bytes) -> bytes:
        item = {"key": key.hex(), "nonce": nonce.hex(), "associated_data": associated_data.hex()}
        [wrapped] = self._ask_about("wrap", [item])
        if wrapped is None:
            raise KeyServiceFailed(reason="it did not wrap a key")
        return wrapped

    def unwrap_all(self, rows: Sequence[Wrapped]) -> list[bytes | None]:
        items = [
            {"wrapped": row.wrapped.hex(), "nonce": row.nonce.hex(), "associated_data": row.associated_data.hex()}
            for row in rows
        ]
        found: list[bytes | None] = []
        for at in range(0, len(items), _AT_ONCE):
            found += self._ask_about("unwrap", items[at : at + _AT_ONCE])
        return [key if key is not None and len(key) == 32 else None for key in found]

    def _ask_about(self, operation: str, items: list[dict[str, str]]) -> list[bytes | None]:
        answered = self._ask({"operation": operation, "key_id": self.key_id, "items": items}).get("items")
        if not isinstance(answered, list) or len(answered) != len(items):
            raise KeyServiceFailed(reason=f"it was asked about {len(items)} keys and answered about others")
        try:
            return [None if item is None else bytes.fromhex(item) for item in answered]
        except (TypeError, ValueError):
            raise KeyServiceFailed(reason="its answer is not hexadecimal") from None

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command, no shell, nothing of a request in it
                self._command,
                input=json.dumps(question).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=float(os.environ.get("BIOMETRICS_KMS_TIMEOUT") or KEY_SERVICE_TIMEOUT_S),
                check=True,
            )
            answer = json.loads(done.stdout)
        except subprocess.TimeoutExpired as error:
            raise KeyServiceFailed(reason=f"no answer within {error.timeout:g} seconds") from None
        except subprocess.CalledProcessError as error:
            # Neither its output nor the question: both may hold a key.
            raise KeyServiceFailed(reason=f"it ended with code {error.returncode}") from None
        except OSError as error:
            raise KeyServiceFailed(reason=f"it cannot be started ({error.strerror})") from None
        except ValueError:
            raise KeyServiceFailed(reason="its answer is not JSON") from None
        if not isinstance(answer, dict):
            raise KeyServiceFailed(reason="its answer is not an object")
        return answer


def master_key() -> MasterKey:
    """
    Return the master key that wraps new keys.

    It is the service of ``BIOMETRICS_KMS_COMMAND``, else ``BIOMETRICS_MASTER_KEY`` (64 hexadecimal digits), else the
    file that settings name, which is made on first use, and only while nobody is on file.

    :raises MasterKeyMissing, MasterKeyMalformed:
    """
    command = os.environ.get("BIOMETRICS_KMS_COMMAND", "")
    if command:
        return KeyService(command)
    text = os.environ.get("BIOMETRICS_MASTER_KEY", "")
    if text:
        return _local(text, "the environment")
    path = _file()
    if not path.exists() and PersonKey.objects.exists():
        raise MasterKeyMissing(path=path)
    return _local(read_or_make(path), str(path))


def master_key_of(key_id: str) -> MasterKey:
    """
    Return the master key of that id: the current one, or one kept for what was wrapped before a rotation.

    Those before are ``BIOMETRICS_MASTER_KEYS_BEFORE`` (64 hexadecimal digits each, joined by commas) and the files
    beside the current key's, named after it with a dot and their id. A service is asked for its own earlier keys.

    :raises MasterKeyWrong: if none of them has that id
    :raises MasterKeyMissing, MasterKeyMalformed, KeyServiceFailed:
    """
    command = os.environ.get("BIOMETRICS_KMS_COMMAND", "")
    current = None if command else master_key()
    if current is not None and current.key_id == key_id:
        return current
    for earlier in _keys_before(key_id):
        if earlier.key_id == key_id:
            return earlier
    if command:
        return KeyService(command, key_id=key_id)
    raise MasterKeyWrong(expected=key_id, found=current.key_id if current else "none")


def _keys_before(key_id: str) -> Iterator[LocalMasterKey]:
    for text in filter(None, os.environ.get("BIOMETRICS_MASTER_KEYS_BEFORE", "").split(",")):
        yield _local(text.strip(), "the environment")
    if _KEY_ID_SHAPE.fullmatch(key_id):
        path = _kept_as(key_id)
        if path.exists():
            yield _local(path.read_text().strip(), str(path))


def make_new_master_key_file() -> tuple[str, str]:
    """
    Put a new master key in the file, and keep the one before beside it under its id; return both ids, old and new.

    A crash between the two leaves the old key in both places, and the next call goes on from there.

    :raises MasterKeyMissing: if there is no key yet to replace
    """
    path = _file()
    if not path.exists():
        raise MasterKeyMissing(path=path)
    text = path.read_text().strip()
    before, secret = _local(text, str(path)), secrets.token_hex(32)
    place(_kept_as(before.key_id), f"{text}\n".encode())
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    place(made, f"{secret}\n".encode())
    made.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return before.key_id, LocalMasterKey(bytes.fromhex(secret)).key_id


def destroy_key_file(key_id: str) -> bool:
    """Overwrite and remove the file of a key that wraps nothing any more; tell whether there was one."""
    path = _kept_as(key_id)
    if not path.exists():
        return False
    with path.open("r+b") as file:
        file.write(b"0" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    return True


def _file() -> Path:
    return Path(settings.BIOMETRICS_MASTER_KEY_FILE)


def _kept_as(key_id: str) -> Path:
    path = _file()
    return path.with_name(f"{path.name}.{key_id}")


def _local(text: str, source: str) -> LocalMasterKey:
    if not _SECRET.fullmatch(text):
        raise MasterKeyMalformed(source=source)
    return LocalMasterKey(bytes.fromhex(text))
