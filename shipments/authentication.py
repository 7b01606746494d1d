"""HTTP Basic for readers (RFC 7617): it is all that many readers can send. No session, no cookie, no CSRF token."""

import base64
import binascii

from django.utils.translation import gettext_lazy as _
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request
from rest_framework.views import APIView

from refusals import Refusal
from shipments.models import Reader
from shipments.reader_credentials import authenticate


class ReaderMismatch(Refusal):
    code = "reader_mismatch"
    message = _("This credential belongs to another reader. Use the credential of the reader that the address names.")
    status = 403


class ReaderBasicAuthentication(authentication.BaseAuthentication):
    """Puts the reader behind the credential into ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[None, Reader] | None:
        scheme, _space, packed = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        reader = authenticate(*_unpack(packed.strip()))
        if reader is None:
            raise exceptions.AuthenticationFailed(
                _("The reader's user name or password is wrong, revoked, or of a reader that is switched off."),
                code="reader_credential_refused",
            )
        return None, reader

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="readers", charset="UTF-8"'


class IsReaderOfAddress(permissions.BasePermission):
    """Admits the reader that the address names, and no other. :raises ReaderMismatch:"""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Reader):
            return False
        if request.auth.pk != view.kwargs["reader_id"]:
            raise ReaderMismatch()
        return True


def _unpack(packed: str) -> tuple[str, str]:
    try:
        username, colon, password = base64.b64decode(packed, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as error:
        raise exceptions.AuthenticationFailed(
            _("The Authorization header cannot be read as HTTP Basic."), code="reader_credential_malformed"
        ) from error
    if not colon:
        raise exceptions.AuthenticationFailed(
            _("The Authorization header cannot be read as HTTP Basic."), code="reader_credential_malformed"
        )
    return username, password
