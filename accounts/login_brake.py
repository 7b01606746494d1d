"""
A brake on guessing passwords: ten tries for a user name from an address, then fifteen minutes of nothing.

The counters live in this process's memory: a restart forgets them, each worker process counts for itself, and behind a
proxy the address is the proxy's unless the server restores it.
"""

import hashlib
from datetime import timedelta
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.cache import caches
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from refusals import Refusal

MAX_TRIES = 10
LOCKED_FOR = timedelta(minutes=15)


class LoginLocked(Refusal):
    code = "login_locked"
    message = _("%(tries)s wrong passwords were given for %(username)s. Wait %(minutes)s minutes, then log in.")
    status = 429


class BrakedBackend(ModelBackend):
    """Django's own check of user name and password, for the login page and for the admin's, behind the brake."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """:raises LoginLocked: after :data:`MAX_TRIES`, whether the password is right or not"""
        if username is None or password is None:
            return None
        counter = _counter(username, request.META.get("REMOTE_ADDR", "") if request else "")
        _take_try(counter, username)
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if not isinstance(user, User):
            return None
        caches["logins"].delete(counter)
        return user


def _take_try(counter: str, username: str) -> None:
    """Count the try before the password is looked at, so that guesses sent at once cannot share one."""
    cache, seconds = caches["logins"], LOCKED_FOR.total_seconds()
    cache.add(counter, 0, seconds)
    try:
        tries = cache.incr(counter)
    except ValueError:  # it expired since the line above
        cache.set(counter, 1, seconds)
        return
    if tries > MAX_TRIES:
        raise LoginLocked(tries=MAX_TRIES, username=username, minutes=LOCKED_FOR // timedelta(minutes=1))
    if tries == MAX_TRIES:
        cache.touch(counter, seconds)  # the lock lasts from the last try on; tries under it do not prolong it


def _counter(username: str, address: str) -> str:
    return hashlib.sha256(f"{address} {username.casefold()}".encode()).hexdigest()
