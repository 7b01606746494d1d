"""Issue, find and revoke API tokens. The token itself is shown once and never stored."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from accounts.models import ApiToken, User

LIFETIME = timedelta(days=30)


def issue_token(*, user: User, purpose: str, lifetime: timedelta = LIFETIME) -> str:
    """Make a bearer token for ``user`` and return it; it cannot be shown again."""
    token = secrets.token_urlsafe(30)
    ApiToken.objects.create(user=user, purpose=purpose, digest=_digest(token), expires_at=timezone.now() + lifetime)
    return token


def find_user(token: str) -> User | None:
    """Return the active account behind ``token``, or None where it is unknown, expired or revoked."""
    found = (
        ApiToken.objects.select_related("user")
        .filter(digest=_digest(token), revoked_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )
    return found.user if found else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
