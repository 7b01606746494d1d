"""
Readers' passwords. We make them (160 random bits), so a keyed digest keeps them: a slow hash per request would sink the
ingest and add nothing. The digest binds the user name, so that no row's digest serves another row.
"""

import hashlib
import hmac
import secrets
from functools import lru_cache

from django.conf import settings
from django.utils import timezone

from accounts.secret_files import read_or_make
from shipments.models import Reader, ReaderCredential

MAX_LENGTH = 200


def issue_credential(*, reader: Reader) -> tuple[str, str]:
    """Make a credential for ``reader`` and return its user name and password; the password cannot be shown again."""
    username = f"reader-{secrets.token_hex(6)}"
    password = secrets.token_urlsafe(20)
    ReaderCredential.objects.create(reader=reader, username=username, digest=_digest(username, password))
    return username, password


def revoke_credential(*, username: str) -> None:
    """Revoke the credential at once; the next request under it is refused."""
    ReaderCredential.objects.filter(username=username, revoked_at__isnull=True).update(revoked_at=timezone.now())


def authenticate(username: str, password: str) -> Reader | None:
    """Return the enabled reader behind a valid credential, or None. Takes the same time for every wrong guess."""
    if len(username) > MAX_LENGTH or len(password) > MAX_LENGTH:
        return None
    credential = _find(username)
    digest = _digest(username, password)
    # Compared in every case: an unknown name must not answer sooner than a wrong password.
    matches = hmac.compare_digest(digest, credential.digest if credential else "0" * len(digest))
    if credential is None or not matches or credential.revoked_at is not None or not credential.reader.enabled:
        return None
    return credential.reader


def _find(username: str) -> ReaderCredential | None:
    # PostgreSQL takes no NUL in text: such a name is nobody's.
    if not username.isascii() or not username.isprintable():
        return None
    return ReaderCredential.objects.select_related("reader").filter(username=username).first()


def _digest(username: str, password: str) -> str:
    message = b"custody/reader-credential/v1\0" + _bytes(username) + b"\0" + _bytes(password)
    return hmac.new(_key(), message, hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1)
def _key() -> bytes:
    return bytes.fromhex(read_or_make(settings.READER_CREDENTIAL_KEY_FILE))
