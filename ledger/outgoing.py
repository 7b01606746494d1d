"""
One POST to a service that the operator named: a witness or a timestamp authority. Nothing of the answer is believed.

Private addresses are allowed: a witness may stand on the same network. So the URL is the operator's alone, and never
one that a user, a reader or an answer gave: redirects are not followed, and proxies of the environment are not used.
"""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

_CHUNK = 16 * 1024


class PostFailed(Exception):
    """No whole answer came: the URL cannot be asked, nobody answers, or the answer is too slow, too long or no HTTP."""

    def __init__(self, url: str, why: object) -> None:
        super().__init__(f"{url} did not answer: {why}")
        self.url, self.why = url, why


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status: a redirect is an answer too."""

    status: int
    content_type: str
    body: bytes


def post(url: str, body: bytes, *, content_type: str, limit: int = 64 * 1024, within: float = 10.0) -> Answer:
    """
    POST ``body`` to ``url`` over HTTP or HTTPS, whose certificate must be one that this machine trusts.

    :param limit: how many bytes the answer may have
    :param within: seconds for the whole exchange, and for each attempt to connect
    :raises PostFailed: if no whole answer of at most ``limit`` bytes came in that time
    """
    try:
        connection, target = _connection(url, within)
    except ValueError as error:
        raise PostFailed(url, error) from error
    late = threading.Event()
    timer = None
    try:
        connection.connect()
        # Held here: http.client lets go of the socket once it has the headers.
        timer = threading.Timer(within, _cut, (connection.sock, late))
        timer.daemon = True
        timer.start()
        connection.request("POST", target, body, {"Content-Type": content_type, "Connection": "close"})
        with connection.getresponse() as response:
            read = _read(response, limit)
        if late.is_set():
            raise PostFailed(url, f"not within {within:g} seconds")
        return Answer(response.status, response.headers.get_content_type(), read)
    except (OSError, HTTPException, ValueError) as error:
        why = f"not within {within:g} seconds" if late.is_set() else error or type(error).__name__
        raise PostFailed(url, why) from error
    finally:
        if timer:
            timer.cancel()
        connection.close()


def _cut(connected: socket.socket, late: threading.Event) -> None:
    """End an exchange from outside. A socket's own timeout is for each read: one byte every second would never end."""
    late.set()
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _connection(url: str, within: float) -> tuple[HTTPConnection, str]:
    # urlsplit() drops some of these; what is asked is to be what the operator wrote.
    if not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise ValueError("expected a URL of printable ASCII")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL without a user name and password")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=within), target
    context = ssl.create_default_context()
    return HTTPSConnection(parts.hostname, parts.port, timeout=within, context=context), target


def _read(response: HTTPResponse, limit: int) -> bytes:
    """Read to the end, whatever length the answer claims to have."""
    read = bytearray()
    while chunk := response.read(min(_CHUNK, limit + 1 - len(read))):
        read += chunk
        if len(read) > limit:
            raise ValueError(f"expected at most {limit} bytes, found more")
    # http.client takes a connection that ends early for the end of an answer that claimed to be longer.
    if response.length:
        raise ValueError(f"the answer ended {response.length} bytes early")
    return bytes(read)
