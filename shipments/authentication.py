"""
How a reader proves who it is. No session, no cookie, no CSRF token.

HTTP Basic (RFC 7617) is all that many readers can send; bearer tokens (RFC 6750), a signature over the report, and a
certificate that a trusted proxy has checked are for those that can. All but the signature are decided before the body
is read. Each request that is turned away is counted for an alert; the answer never says which part of it was wrong.
"""

import base64
import binascii
import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from refusals import Refusal
from shipments.models import Reader, ReaderCredential
from shipments.reader_alerts import note_claim, note_turned_away
from shipments.reader_credentials import (
    Checked,
    check_certificate,
    check_password,
    check_signature,
    check_token,
    find_signer,
)
from shipments.reader_limits import take_report
from shipments.report_body import read_posted

POSTED = "custody.posted"
"""Where the environ keeps the bytes of a body that was read to check its signature. No HTTP header can write there."""

_SIGNATURE = re.compile(r"k=([!-+\--~]{1,40}),\s?t=([0-9]{1,12}),\s?v1=([0-9a-f]{64})", re.ASCII)


class ReaderMismatch(Refusal):
    code = "reader_mismatch"
    message = _("This credential belongs to another reader. Use the credential of the reader that the address names.")
    status = 403


class ReaderTurnedAway(exceptions.AuthenticationFailed):
    """One answer for every wrong credential; ``reason`` and ``credential`` are for the alert alone."""

    default_code = "reader_credential_refused"
    default_detail = _("The reader's credential is wrong, revoked, expired, or of a reader that is switched off.")

    def __init__(self, reason: str, credential: ReaderCredential | None = None) -> None:
        super().__init__()
        self.reason = reason
        self.credential = credential


class ReaderHeaderMalformed(ReaderTurnedAway):
    default_code = "reader_credential_malformed"
    default_detail = _("The credential cannot be read: send HTTP Basic, a bearer token, or k=…,t=…,v1=… as signature.")


class ReaderTooFast(exceptions.Throttled):
    default_code = "reader_too_fast"
    default_detail = _("This reader sends more than it may.")
    # Taken as they are by a library that was not told of lazy texts.
    extra_detail_singular = cast(str, _("Send again in {wait} second."))
    extra_detail_plural = cast(str, _("Send again in {wait} seconds."))


class ReaderAuthentication(authentication.BaseAuthentication, ABC):
    """Puts the reader behind a credential into ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[None, Reader] | None:
        checked = self.check(request)
        if checked is None:
            return None
        if checked.reader is None:
            raise ReaderTurnedAway(checked.reason, checked.credential)
        return None, checked.reader

    @abstractmethod
    def check(self, request: Request) -> Checked | None:
        """Return the outcome of this way to log in, or None where the request does not try it."""

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="readers", charset="UTF-8"'


class ReaderBasicAuthentication(ReaderAuthentication):
    def check(self, request: Request) -> Checked | None:
        scheme, packed = _authorization(request)
        return check_password(*_unpack(packed)) if scheme == "basic" else None


class ReaderBearerAuthentication(ReaderAuthentication):
    def check(self, request: Request) -> Checked | None:
        scheme, token = _authorization(request)
        return check_token(token) if scheme == "bearer" else None


class ReaderSignatureAuthentication(ReaderAuthentication):
    """
    ``X-Custody-Signature: k=<name>,t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "t.body">``, the body as sent.

    It alone needs the body, at most 16 MiB of it, and reads none for a name that is unknown. Within the window a
    replay is possible, and is the delivery of a report that is known already.
    """

    def check(self, request: Request) -> Checked | None:
        header = request.headers.get("X-Custody-Signature")
        if header is None:
            return None
        found = _SIGNATURE.fullmatch(header.strip())
        if found is None:
            raise ReaderHeaderMalformed("header_malformed")
        username, at, signature = found.groups()
        signer = find_signer(username)
        if signer.credential is None:
            return signer
        body = read_posted(stream=request.stream, declared_length=request.META.get("CONTENT_LENGTH") or "")
        request.META[POSTED] = body
        return check_signature(signer.credential, at=at, signature=signature, body=body)


class ReaderCertificateAuthentication(ReaderAuthentication):
    """A certificate as ``READER_MTLS_HEADER`` tells it, believed of the addresses in ``READER_MTLS_PROXIES`` alone."""

    def check(self, request: Request) -> Checked | None:
        if not settings.READER_MTLS_HEADER or not _is_proxy(request.META.get("REMOTE_ADDR", "")):
            return None
        told = request.headers.get(settings.READER_MTLS_HEADER, "")
        return check_certificate(told) if told else None


class IsReaderOfAddress(permissions.BasePermission):
    """Admits the reader that the address names, and no other. :raises ReaderMismatch:"""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Reader):
            return False
        if request.auth.pk != view.kwargs["reader_id"]:
            note_claim(reader=request.auth, claim="address", claimed=view.kwargs["reader_id"])
            raise ReaderMismatch()
        return True


class ReaderThrottle(BaseThrottle):
    """Holds a reader to its rate, once it is known who it is."""

    def __init__(self) -> None:
        self._wait = 0

    def allow_request(self, request: Request, view: APIView) -> bool:
        if isinstance(request.auth, Reader):
            self._wait = take_report(reader=request.auth)
        return self._wait == 0

    def wait(self) -> float:
        return self._wait


class ReaderView(APIView):
    """What every address for readers has in common: who may come in, how often, and who was turned away."""

    authentication_classes: Sequence[type[authentication.BaseAuthentication]] = [
        ReaderBasicAuthentication,
        ReaderBearerAuthentication,
        ReaderSignatureAuthentication,
        ReaderCertificateAuthentication,
    ]
    permission_classes = [IsReaderOfAddress]
    throttle_classes = [ReaderThrottle]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            note_turned_away(
                reason=getattr(exc, "reason", "no_credential"),
                credential=getattr(exc, "credential", None),
                address=self.request.META.get("REMOTE_ADDR", ""),
                addressed=self.kwargs.get("reader_id"),
            )
        return super().handle_exception(exc)

    def throttled(self, request: Request, wait: float) -> Any:
        raise ReaderTooFast(wait)


def _authorization(request: Request) -> tuple[str, str]:
    scheme, _space, told = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), told.strip()


def _unpack(packed: str) -> tuple[str, str]:
    try:
        username, colon, password = base64.b64decode(packed, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as error:
        raise ReaderHeaderMalformed("header_malformed") from error
    if not colon:
        raise ReaderHeaderMalformed("header_malformed")
    return username, password


def _is_proxy(address: str) -> bool:
    try:
        came_from = ipaddress.ip_address(address)
        return any(came_from in ipaddress.ip_network(proxy) for proxy in settings.READER_MTLS_PROXIES)
    except ValueError:
        # An address that is none, or a setting that is none: believed of nobody.
        return False
