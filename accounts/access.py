"""The three doors: pages ask for a capability by session, the API by session or bearer token."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from accounts import tokens
from accounts.models import User
from accounts.roles import Capability


def capability_required(*capabilities: Capability) -> Callable[..., Callable[..., HttpResponse]]:
    """Let a page be seen by accounts that hold any of ``capabilities``; ask the others to log in, or answer 403."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            user = request.user
            if not isinstance(user, User) or not any(user.may(capability) for capability in capabilities):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return login_required(guarded)

    return decorate


def requires(capability: Capability) -> type[permissions.BasePermission]:
    """Build the API permission that admits accounts holding ``capability``."""

    class HoldsCapability(permissions.BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            return isinstance(request.user, User) and request.user.may(capability)

    return HoldsCapability


class BearerTokenAuthentication(authentication.BaseAuthentication):
    """RFC 6750 bearer tokens issued by :mod:`accounts.tokens`."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        user = tokens.find_user(token.strip())
        if user is None:
            raise exceptions.AuthenticationFailed("The token is unknown, expired or revoked.")
        return user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
