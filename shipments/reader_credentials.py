"""
What readers log in with: passwords, bearer tokens, signing secrets, and certificates that a trusted proxy has checked.

We make the secrets (160 random bits and more), so a keyed digest keeps passwords and tokens: a slow hash per request
would sink the ingest and add nothing. The digest binds the user name, so that no row's digest serves another row. A
signing secret is encrypted, bound to its name likewise. Each request asks the database, so that a revocation counts at
once.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.secret_files import read_or_make
from refusals import Refusal
from shipments.joined_lookup import JoinedLookup
from shipments.models import CredentialKind, Reader, ReaderCredential

MAX_LENGTH = 200
MOST_HOURS_TOGETHER = 7 * 24
# How exact the time of last use is: a write for each request would cost more than the rest of it.
USE_NOTED_EVERY = timedelta(minutes=1)
OUR_NAME = re.compile(r"reader-[0-9a-f]{12}", re.ASCII)

_NONCE_BYTES = 12
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_BY_NAME = JoinedLookup(ReaderCredential, "reader", by=("username", "kind"))


class CredentialNotRotated(Refusal):
    code = "reader_credential_not_rotated"
    message = _("%(username)s was not rotated: %(problem)s")
    status = 422


class CertificateRefused(Refusal):
    code = "reader_certificate_refused"
    message = _("The certificate was not saved: %(problem)s")
    status = 422


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential. ``secret`` is what the reader is to send or to sign with; it cannot be shown again."""

    credential: ReaderCredential
    secret: str


@dataclass(frozen=True, slots=True)
class Checked:
    """
    The outcome of a login.

    :param reader: whoever logged in, or None
    :param reason: the stable code of why nobody did; for our own eyes, never for whoever knocks
    :param credential: the one that was named, where it exists
    """

    reader: Reader | None
    reason: str = ""
    credential: ReaderCredential | None = None


def issue(*, reader: Reader, kind: str = CredentialKind.BASIC) -> Issued:
    """Make a credential of a kind that has a secret (``basic``, ``bearer`` or ``signature``)."""
    username = f"reader-{secrets.token_hex(6)}"
    credential = ReaderCredential(reader=reader, kind=CredentialKind(kind), username=username)
    if credential.kind == CredentialKind.CERTIFICATE:
        raise ValueError("a certificate is made elsewhere: register_certificate()")
    if credential.kind == CredentialKind.SIGNATURE:
        secret = secrets.token_urlsafe(32)
        credential.sealed = _seal(username, secret)
        credential.save()
        return Issued(credential, secret)
    secret = secrets.token_urlsafe(20)
    credential.digest = _digest(username, secret)
    credential.save()
    # A token carries its name, so that one row is asked for and the digest alone decides.
    return Issued(credential, f"{username}.{secret}" if credential.kind == CredentialKind.BEARER else secret)


def issue_credential(*, reader: Reader) -> tuple[str, str]:
    """Make a credential for ``reader`` and return its user name and password; the password cannot be shown again."""
    issued = issue(reader=reader)
    return issued.credential.username, issued.secret


def register_certificate(*, reader: Reader, certificate: str) -> ReaderCredential:
    """
    Let ``reader`` log in with a certificate, by its SHA-256 fingerprint or its subject as the proxy spells it.

    :raises CertificateRefused: where it is empty or too long, or another credential has it
    """
    folded = fold_certificate(certificate)
    if not folded or len(folded) > 400 or not folded.isprintable():
        raise CertificateRefused(problem=_("enter its SHA-256 fingerprint, or its subject as the proxy tells it."))
    try:
        with transaction.atomic():
            return ReaderCredential.objects.create(
                reader=reader,
                kind=CredentialKind.CERTIFICATE,
                username=f"reader-{secrets.token_hex(6)}",
                certificate=folded,
            )
    except IntegrityError as error:
        raise CertificateRefused(problem=_("a reader has it already. Revoke it there first.")) from error


def rotate(*, credential: ReaderCredential, hours: int = 24) -> Issued:
    """
    Issue another credential of the same kind, and let the old one work for ``hours`` more.

    :raises CredentialNotRotated: where it is revoked or expired, a certificate, or ``hours`` is not 1 to 168
    """
    username = credential.username
    if not 1 <= hours <= MOST_HOURS_TOGETHER:
        raise CredentialNotRotated(username=username, problem=_("the old one works on for 1 to 168 hours."))
    with transaction.atomic():
        old = ReaderCredential.objects.select_for_update(of=("self",)).get(pk=credential.pk)
        now = timezone.now()
        if old.kind == CredentialKind.CERTIFICATE:
            problem = _("a certificate is renewed by whoever issued it. Add the new one, then revoke this one.")
            raise CredentialNotRotated(username=username, problem=problem)
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise CredentialNotRotated(username=username, problem=_("it opens nothing any more. Issue another."))
        issued = issue(reader=old.reader, kind=old.kind)
        ends = now + timedelta(hours=hours)
        # A second rotation does not give the first one's old credential more time.
        old.expires_at = ends if old.expires_at is None else min(old.expires_at, ends)
        old.save(update_fields=["expires_at"])
    return issued


def revoke_credential(*, username: str) -> None:
    """Revoke the credential at once; the next request under it is refused."""
    ReaderCredential.objects.filter(username=username, revoked_at__isnull=True).update(revoked_at=timezone.now())


def live_credentials(reader: Reader, now: datetime) -> QuerySet[ReaderCredential]:
    """Those of a reader that open something, newest first."""
    return reader.credentials.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None).order_by(
        "-created_at", "username"
    )


def authenticate(username: str, password: str) -> Reader | None:
    """Return the enabled reader behind a user name and a password, or None."""
    return check_password(username, password).reader


def check_password(username: str, password: str, *, kind: str = CredentialKind.BASIC) -> Checked:
    """Check a user name with its password. Does the same work for every wrong guess."""
    if len(username) > MAX_LENGTH or len(password) > MAX_LENGTH:
        return Checked(None, "too_long")
    credential = _find(username, kind)
    digest = _digest(username, password)
    # Compared in every case: an unknown name must not answer sooner than a wrong password.
    matches = hmac.compare_digest(digest, credential.digest if credential else "0" * len(digest))
    if credential is None:
        return Checked(None, "unknown")
    return _admit(credential) if matches else Checked(None, "wrong_secret", credential)


def check_token(token: str) -> Checked:
    """Check a bearer token: the credential's name, a dot, and the secret."""
    username, _dot, secret = token.partition(".")
    return check_password(username, secret, kind=CredentialKind.BEARER)


def find_signer(username: str) -> Checked:
    """Find who says to have signed a report, before its body is read. Names are no secret: unknown ones end here."""
    credential = _find(username, CredentialKind.SIGNATURE)
    return Checked(None, "unknown") if credential is None else Checked(credential.reader, "", credential)


def check_signature(credential: ReaderCredential, *, at: str, signature: str, body: bytes) -> Checked:
    """
    Check the HMAC-SHA256 over ``at``, a full stop and the body as sent, before Content-Encoding is undone.

    :param at: seconds since 1970 in decimal digits, as sent
    """
    secret = _open(credential.username, bytes(credential.sealed))
    if secret is None:
        return Checked(None, "secret_not_opened", credential)
    expected = sign(secret, at, body)
    if not hmac.compare_digest(expected, signature if signature.isascii() else ""):
        return Checked(None, "wrong_signature", credential)
    # After the signature: an old report that nobody signed is no sign of a wrong clock.
    if abs(timezone.now().timestamp() - int(at)) > settings.READER_SIGNATURE_WINDOW:
        return Checked(None, "signature_too_old", credential)
    return _admit(credential)


def sign(secret: str, at: str, body: bytes) -> str:
    """Return the signature of a report as lowercase hex."""
    signing = hmac.new(secret.encode("ascii"), at.encode("ascii") + b".", hashlib.sha256)
    signing.update(body)
    return signing.hexdigest()


def check_certificate(told: str) -> Checked:
    """Check what a trusted proxy tells of a client's certificate; the caller knows that it was such a proxy."""
    folded = fold_certificate(told)
    if not folded or len(folded) > 400 or not folded.isprintable():
        return Checked(None, "certificate_malformed")
    credential = (
        ReaderCredential.objects.select_related("reader")
        .filter(kind=CredentialKind.CERTIFICATE, certificate=folded)
        .order_by(F("revoked_at").desc(nulls_first=True))  # the one in force, or else the last that was
        .first()
    )
    return Checked(None, "unknown") if credential is None else _admit(credential)


def fold_certificate(told: str) -> str:
    """Return a SHA-256 fingerprint as 64 lowercase hex digits, however it is grouped; a subject stays as it is."""
    text = told.strip()
    digits = text.lower().removeprefix("sha256:").removeprefix("sha256=").replace(":", "").replace(" ", "")
    return digits if len(digits) == 64 and _HEX.fullmatch(digits) else text


def _admit(credential: ReaderCredential) -> Checked:
    """Let in whoever has shown the secret, unless the credential or the reader is out of service."""
    now = timezone.now()
    if credential.revoked_at is not None:
        return Checked(None, "revoked", credential)
    if credential.expires_at is not None and credential.expires_at <= now:
        return Checked(None, "expired", credential)
    if not credential.reader.enabled:
        return Checked(None, "reader_off", credential)
    if credential.last_used_at is None or now - credential.last_used_at >= USE_NOTED_EVERY:
        ReaderCredential.objects.filter(pk=credential.pk).update(last_used_at=now)
    return Checked(credential.reader, "", credential)


def _find(username: str, kind: str) -> ReaderCredential | None:
    # PostgreSQL takes no NUL in text: such a name is nobody's.
    if not username.isascii() or not username.isprintable():
        return None
    return _BY_NAME.find(username, kind)


def _digest(username: str, password: str) -> str:
    message = b"custody/reader-credential/v1\0" + _bytes(username) + b"\0" + _bytes(password)
    return hmac.new(_key(), message, hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _seal(username: str, secret: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, secret.encode("ascii"), _associated(username))


def _open(username: str, sealed: bytes) -> str | None:
    """None where it was sealed under another key file, for another name, or was changed."""
    try:
        return _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _associated(username)).decode("ascii")
    except (InvalidTag, ValueError):
        return None


def _associated(username: str) -> bytes:
    return b"custody/reader-secret/v1\0" + _bytes(username)


@lru_cache(maxsize=1)
def _key() -> bytes:
    return bytes.fromhex(read_or_make(settings.READER_CREDENTIAL_KEY_FILE))


@lru_cache(maxsize=1)
def _cipher() -> AESGCM:
    return AESGCM(bytes.fromhex(read_or_make(settings.READER_SECRET_KEY_FILE)))
