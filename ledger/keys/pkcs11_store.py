"""
The signing key in a hardware module, over PKCS #11: made in the token, never to leave it.

Trusts the module to keep the key, and checks each signature that it makes. Needs the extra ``pkcs11``. A private key is
found by its label, and its public key by the CKA_ID that the two share.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from ledger.errors import SigningKeyMissing, SigningKeyUnreadable
from ledger.keys.held import held

T = TypeVar("T")

_ED25519 = "1.3.101.112"
# EC_POINT: a DER octet string of 32 bytes (PKCS #11 v3.0, section 2.3.5); some modules leave the two bytes out.
_POINT = b"\x04\x20"

# Each login rewrites SoftHSM2's token file, and a process that starts meanwhile finds no token, no PIN or GeneralError.
# Ours log in one at a time; for anybody else's, that passes in moments.
_TRIES = 5
_PAUSE_SECONDS = 0.1

# One login per token and process: PKCS #11 counts logins by application. All three are owned by the lock's holder.
_lock = threading.RLock()
_sessions: dict[tuple[str, str], Any] = {}
# PINs that a token refused. A few wrong ones lock it, and the sealer would try again with each sweep.
_refused: set[tuple[str, str, str]] = set()


def _forget_all() -> None:
    """In a forked child: the parent's sessions are not ours, nor is its lock (PKCS #11 v3.0, section 5.2)."""
    global _lock
    _lock = threading.RLock()
    modules = {module for module, _ in _sessions}
    _sessions.clear()
    for module in modules:
        _reset(module)


os.register_at_fork(after_in_child=_forget_all)


@dataclass(frozen=True)
class TokenKey:
    """A private key in the token: what signs a note (:class:`ledger.tlog.note.SigningKey`)."""

    store: "Pkcs11KeyStore"
    key_id: bytes
    point: bytes

    def sign(self, data: bytes, /) -> bytes:
        """:raises SigningKeyUnreadable: if the token does not sign, or signs with another key than its public one"""
        signature = self.store.sign(self.key_id, data)
        try:
            self.public_key().verify(signature, data)
        except InvalidSignature as error:
            raise SigningKeyUnreadable(
                path=self.store.place, why="what it signed does not fit the public key beside it"
            ) from error
        return signature

    def public_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.point)


@dataclass(frozen=True)
class Pkcs11KeyStore:
    """The keys labelled ``label`` (current), ``label.next`` and ``label.retired-<key id>`` in the token ``token``."""

    module: str
    token: str
    label: str

    @property
    def place(self) -> str:
        return f"pkcs11:token={self.token};object={self.label}"

    def load(self) -> TokenKey | None:
        return self._run(lambda session: self._find(session, self.label))

    def create(self) -> TokenKey:
        return self._run(lambda session: self._make(session, self.label))

    def next(self) -> TokenKey | None:
        return self._run(lambda session: self._find(session, f"{self.label}.next"))

    def begin_rotation(self) -> TokenKey:
        return self._run(lambda session: self._make(session, f"{self.label}.next"))

    def finish_rotation(self, *, retired: str) -> None:
        def swap(session: Any) -> None:
            # Crash between any two of these: the next key keeps its label until the last step, so that it all is done
            # again. Without a current key: the next one is then told from a lost one by the .vkey file.
            if self._find(session, f"{self.label}.next") is None:
                return
            if retired:
                self._label(session, self.label, f"{self.label}.retired-{retired}")
            self._label(session, f"{self.label}.next", self.label)

        self._run(swap)

    def sign(self, key_id: bytes, data: bytes) -> bytes:
        """Sign with Ed25519 (RFC 8032) by the private key of this CKA_ID."""

        def sign(session: Any) -> bytes:
            from pkcs11 import Attribute, Mechanism, ObjectClass

            # A list: a search that is not at its end keeps the session from signing.
            found = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: key_id}))
            if len(found) != 1:
                raise SigningKeyMissing(path=self.place)
            return bytes(found[0].sign(data, mechanism=Mechanism.EDDSA))

        return self._run(sign)

    def _find(self, session: Any, label: str) -> TokenKey | None:
        from pkcs11 import Attribute, ObjectClass

        found = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}))
        if not found:
            return None
        if len(found) > 1:
            raise SigningKeyUnreadable(path=self.place, why=f"{len(found)} private keys are labelled {label}")
        key_id = bytes(found[0][Attribute.ID])
        points = [
            bytes(public[Attribute.EC_POINT]).removeprefix(_POINT)
            for public in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: key_id})
        ]
        if len(points) != 1 or len(points[0]) != 32:
            raise SigningKeyUnreadable(
                path=self.place, why=f"expected one Ed25519 public key of id {key_id.hex()}, found {len(points)}"
            )
        return TokenKey(self, key_id, points[0])

    def _make(self, session: Any, label: str) -> TokenKey:
        from pkcs11 import Attribute, KeyType, Mechanism
        from pkcs11.util.ec import encode_named_curve_parameters

        # Looked for first: the call is made again where the session was lost, and it may have been lost after the key.
        if found := self._find(session, label):
            return found
        parameters = session.create_domain_parameters(
            KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: encode_named_curve_parameters(_ED25519)}, local=True
        )
        parameters.generate_keypair(
            mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            store=True,
            label=label,
            id=secrets.token_bytes(16),
            private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )
        if found := self._find(session, label):
            return found
        raise SigningKeyMissing(path=self.place)

    def _label(self, session: Any, old: str, new: str) -> None:
        """Relabel a key pair: first the public key, which nothing is found by the label of."""
        from pkcs11 import Attribute, ObjectClass

        key = self._find(session, old)
        if key is None:
            return
        for kind in (ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY):
            for found in list(session.get_objects({Attribute.CLASS: kind, Attribute.ID: key.key_id})):
                _relabel(found, new)

    def _run(self, work: Callable[[Any], T]) -> T:
        """Do ``work`` in this process's session; again in a new one, where the first was lost or the token is busy."""
        if not (self.module and self.token):
            raise SigningKeyUnreadable(path=self.place, why="LEDGER_PKCS11_MODULE and LEDGER_PKCS11_TOKEN are not set")
        try:
            from pkcs11.exceptions import PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked, PKCS11Error
        except ImportError as error:
            raise SigningKeyUnreadable(
                path=self.place, why="python-pkcs11 is not installed: pip install 'custody[pkcs11]'"
            ) from error
        with _lock:
            tries = 1
            while True:
                kept = (self.module, self.token) in _sessions
                try:
                    return work(self._session())
                except PKCS11Error as error:
                    # Never for a refused PIN: a few of those lock the token.
                    refused = isinstance(error, PinExpired | PinIncorrect | PinInvalid | PinLenRange | PinLocked)
                    if tries == _TRIES or refused:
                        raise SigningKeyUnreadable(path=self.place, why=_told(error)) from error
                _sessions.clear()
                _reset(self.module)
                if not kept:
                    time.sleep(_PAUSE_SECONDS)
                tries += 1

    def _session(self) -> Any:
        import pkcs11
        from pkcs11.exceptions import PinIncorrect, PinInvalid, PinLenRange

        if session := _sessions.get((self.module, self.token)):
            return session
        tried = (self.module, self.token, settings.LEDGER_PKCS11_PIN)
        if tried in _refused:
            raise SigningKeyUnreadable(
                path=self.place,
                why="the token refused LEDGER_PKCS11_PIN; it is not tried again in this process, since that locks it",
            )
        # Not the lock of who makes or swaps keys: its holder logs in too.
        with held(".token.lock"):
            token = pkcs11.lib(self.module).get_token(token_label=self.token)
            try:
                session = token.open(rw=True, user_pin=settings.LEDGER_PKCS11_PIN)
            except (PinIncorrect, PinInvalid, PinLenRange):
                _refused.add(tried)
                raise
        _sessions[self.module, self.token] = session
        return session


def _relabel(found: Any, label: str) -> None:
    from pkcs11 import Attribute

    found[Attribute.LABEL] = label


def _reset(module: str) -> None:
    """Let the module begin anew: after a fork it is not initialised in the child, whatever its wrapper believes."""
    import pkcs11
    from pkcs11.exceptions import PKCS11Error

    with suppress(PKCS11Error):
        pkcs11.lib(module).finalize()


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
