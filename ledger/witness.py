"""
A witness of other people's logs, as in c2sp.org/tlog-witness: it cosigns a checkpoint once it is shown that everything
it cosigned before is a prefix of it. So a log that it watches cannot be rewritten unseen.

It needs no database and trusts nobody but its pinned log keys, its own key file and its own state folder. What it has
cosigned is durable before a cosignature leaves: killed at any moment, it never cosigns two histories.
"""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts.secret_files import place
from ledger.errors import SealingStopped
from ledger.last_signed import LastSignedStore
from ledger.tlog import base64_strict
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.errors import ProofNotVerified, SignatureNotVerified, TlogError
from ledger.tlog.merkle import EMPTY_ROOT, verify_consistency
from ledger.tlog.note import Note, Verifier, parse, verify_note

logger = logging.getLogger(__name__)

# A checkpoint with a hundred signatures and a proof of 63 hashes has about half of it.
MAX_REQUEST_BYTES = 64 * 1024
MAX_PROOF_LINES = 63
SIZE_TYPE = "text/x.tlog.size"
_TEXT_TYPE = "text/plain; charset=utf-8"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class WitnessCannotStart(Exception):
    """The key, the state folder or the pinned logs are not as a witness needs them."""


@dataclass(frozen=True)
class Answer:
    """What a request is answered, before it is HTTP."""

    status: int
    body: str
    content_type: str = _TEXT_TYPE


@dataclass(frozen=True)
class Request:
    """An add-checkpoint request, read and not yet believed."""

    old_size: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


class RequestMalformed(TlogError):
    """Bytes that are not an add-checkpoint request."""


def parse_request(body: bytes) -> Request:
    """
    Read the body of an add-checkpoint request.

    :raises TlogError: if it is not an old size, at most 63 hashes, an empty line and a checkpoint
    """
    head, _, signed = body.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise RequestMalformed("request", expected="ASCII before the checkpoint", found=error.reason) from None
    old = _OLD.fullmatch(first)
    if not old:
        raise RequestMalformed("old size line", expected="'old' and a decimal number", found=repr(first[:40]))
    if len(lines) > MAX_PROOF_LINES:
        raise RequestMalformed("proof", expected=f"at most {MAX_PROOF_LINES} lines", found=str(len(lines)))
    proof = tuple(base64_strict.decode(line) for line in lines)
    if wrong := [len(step) for step in proof if len(step) != hashlib.sha256().digest_size]:
        raise RequestMalformed("proof", expected="hashes of 32 bytes", found=f"{wrong[0]} bytes")
    note = parse(signed)
    return Request(int(old[1]), proof, note, parse_checkpoint(note.text))


class Witness:
    """
    Cosigns checkpoints of the pinned logs, one history for each.

    :param logs: the logs' keys; a log's origin is its key's name, and one log may have several keys (rotation)
    :param state: one folder for each origin is kept in it, which this witness owns; other processes may share it
    :param clock: POSIX seconds
    """

    def __init__(
        self, *, cosigner: Cosigner, logs: Iterable[Verifier], state: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self.cosigner = cosigner
        self._clock = clock
        self._state = state
        self._logs: dict[str, tuple[Verifier, ...]] = {}
        for log in logs:
            self._logs[log.name] = (*self._logs.get(log.name, ()), log)

    @property
    def origins(self) -> Sequence[str]:
        return tuple(self._logs)

    def store_of(self, origin: str) -> LastSignedStore:
        """What was last cosigned of a log. The folder's name is a hash: an origin may hold any character."""
        return LastSignedStore(self._state / hashlib.sha256(origin.encode()).hexdigest(), origin)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer an add-checkpoint request; each refusal has the status that the standard gives it."""
        try:
            request = parse_request(body)
        except TlogError as error:
            return _refusal(400, error)
        new = request.checkpoint
        if new.origin not in self._logs:
            return _refusal(404, "this log is not watched here")
        try:
            verify_note(request.note, *self._logs[new.origin])
        except SignatureNotVerified as error:
            return _refusal(403, error)
        if request.old_size > new.size:
            return _refusal(400, f"old size: expected at most {new.size}, found {request.old_size}")
        store = self.store_of(new.origin)
        try:
            # Held from the comparison to the cosignature: two requests at once would both fit the old size.
            with store.exclusive():
                return self._cosign(request, store)
        except (SealingStopped, OSError):
            logger.exception("nothing of %s is cosigned: its state cannot be used", new.origin)
            return _refusal(503, "this witness's own state cannot be used")

    def _cosign(self, request: Request, store: LastSignedStore) -> Answer:
        new, last = request.checkpoint, store.read()
        size, root = (last.size, last.root) if last else (0, EMPTY_ROOT)
        if request.old_size != size:
            return _conflict(size)
        try:
            if size != new.size:
                verify_consistency(old_size=size, old_root=root, size=new.size, root=new.root, proof=request.proof)
            elif request.proof:
                raise ProofNotVerified("consistency", expected="an empty proof", found=f"{len(request.proof)} hashes")
        except ProofNotVerified as error:
            # Signed by the log and perhaps not a continuation of it: worth keeping as evidence.
            logger.error("%s does not show that it continues what was cosigned: %r", new.origin, request.note.text)
            return _refusal(422, error)
        if size == new.size and root != new.root:
            logger.error("%s shows another tree of the size that was cosigned: %r", new.origin, request.note.text)
            return _conflict(size)
        if new != last:
            store.advance(expected=last, new=new)
        # Crash here: recorded and not cosigned. The next request is told the size and is cosigned from there.
        return Answer(200, self.cosigner.cosign(request.note.text, timestamp=int(self._clock())).line())


def open_cosigner(*, name: str, key_file: Path, state: Path) -> Cosigner:
    """
    Return the witness's key, made on first run (PKCS #8, mode 0600), once its state folder is the one it began with.

    :raises VerifierKeyMalformed: if the name cannot stand in a signature line
    :raises WitnessCannotStart: if the key cannot be read, or its state is gone
    """
    mark = state / "witness"
    if not key_file.exists():
        made = Ed25519PrivateKey.generate()
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Before the key: a crash between the two leaves a mark that the next key replaces.
        mark.unlink(missing_ok=True)
        place(mark, f"{Cosigner(name, made).vkey}\n".encode())
        place(
            key_file,
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise WitnessCannotStart(f"The witness's key at {key_file} cannot be used: {error}.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WitnessCannotStart(f"The witness's key at {key_file} is of another algorithm than Ed25519.")
    cosigner = Cosigner(name, key)
    found = mark.read_text(encoding="utf-8", errors="replace").strip() if mark.is_file() else "nothing"
    if found != cosigner.vkey:
        raise WitnessCannotStart(
            f"The state in {state} should be that of {cosigner.vkey}, and is that of {found}. Without what it cosigned "
            "before, this key could cosign a second history: bring its state back, or begin anew with another key."
        )
    return cosigner


class Application:
    """The witness over HTTP (WSGI): add-checkpoint, who this is, and the key to pin. Nobody is authenticated."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        answer = self._answer(environ)
        body = answer.body.encode()
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(body))),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(f"{answer.status} {_REASONS[answer.status]}", headers)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        cosigner = self.witness.cosigner
        match environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/":
            case "POST", "/add-checkpoint":
                length = environ.get("CONTENT_LENGTH") or "0"
                if not (length.isascii() and length.isdigit()):
                    return _refusal(400, "the length of the request is not a number")
                if int(length) > MAX_REQUEST_BYTES:
                    return _refusal(413, f"expected at most {MAX_REQUEST_BYTES} bytes, found {length}")
                return self.witness.add_checkpoint(environ["wsgi.input"].read(int(length)))
            case "GET", "/":
                return Answer(200, f"{cosigner.name}: witness of {', '.join(self.witness.origins)}\n")
            case "GET", "/vkey":
                return Answer(200, f"{cosigner.vkey}\n")
            case _, "/" | "/vkey" | "/add-checkpoint":
                return _refusal(405, "ask / and /vkey by GET, and /add-checkpoint by POST")
            case _:
                return _refusal(404, "there are /, /vkey and /add-checkpoint here")


_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Entity",
    503: "Service Unavailable",
}


def _refusal(status: int, why: object) -> Answer:
    return Answer(status, f"{why}\n")


def _conflict(size: int) -> Answer:
    return Answer(409, f"{size}\n", SIZE_TYPE)
