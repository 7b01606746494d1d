"""The POST client: what it refuses to ask, to follow and to read."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ledger.outgoing import PostFailed, post


@contextmanager
def answering(answer: bytes, *, then_hang: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one raw answer to every connection; yields the URL and what was asked so far."""
    asked: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(_read_request(connection))
                    connection.sendall(answer)
                    if then_hang:
                        done.wait()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", asked
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _read_request(connection: socket.socket) -> bytes:
    """Read to the body's end: a connection that is closed with something unread is reset, and the answer is lost."""
    request = b""
    while not request.endswith(b"\r\n\r\nbody") and (more := connection.recv(65536)):
        request += more
    return request


def ask(url: str, **options) -> object:
    return post(url, b"body", content_type="text/plain", **options)


def test_an_answer_has_its_status_its_type_and_its_body():
    with answering(b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\n\r\n12\n") as (url, asked):
        answer = ask(url)
    assert (answer.status, answer.content_type, answer.body) == (409, "text/x.tlog.size", b"12\n")
    assert asked[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"Content-Type: text/plain\r\n" in asked[0]


def test_a_redirect_is_an_answer_and_is_not_followed():
    with answering(b"HTTP/1.1 200 OK\r\n\r\nthere") as (there, asked_there):
        moved = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(moved) as (url, _):
            assert ask(url).status == 307
    assert asked_there == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    with (
        answering(b"HTTP/1.1 200 OK\r\n\r\nproxy") as (proxy, asked_proxy),
        answering(b"HTTP/1.1 200 OK\r\n\r\nitself") as (url, _),
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        assert ask(url).body == b"itself"
    assert asked_proxy == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "//127.0.0.1/x",
        "http://",
        "http://ana:secret@127.0.0.1/x",
        "http://127.0.0.1:port/x",
        "http://127.0.0.1/x\r\nX-Other: y",
        "http://127.0.0.1/a b",
        "http://[::1/x",
        "http://puerto.example/andén",
        "",
    ],
)
def test_a_url_that_is_not_plain_http_is_not_asked(url):
    with pytest.raises(PostFailed) as caught:
        ask(url)
    assert caught.value.url == url
    assert isinstance(caught.value.why, ValueError), "refused before anything was opened"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
    ],
    ids=["no length", "a length", "chunks"],
)
def test_an_answer_that_is_too_long_is_none(answer):
    with answering(answer) as (url, _), pytest.raises(PostFailed, match="expected at most 1000 bytes, found more"):
        ask(url, limit=1000)


def test_an_answer_of_exactly_the_limit_is_read():
    with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000) as (url, _):
        assert len(ask(url, limit=1000).body) == 1000


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01\x02 not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "not HTTP", "cut", "bad chunk", "endless header"],
)
def test_an_answer_that_is_no_http_or_ends_early_is_none(answer):
    with answering(answer) as (url, _), pytest.raises(PostFailed) as caught:
        ask(url)
    assert caught.value.url == url


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\npart"])
def test_an_answer_that_never_ends_is_cut_off(start):
    with (
        answering(start, then_hang=True) as (url, _),
        pytest.raises(PostFailed, match=r"not within 0\.2 seconds|timed"),
    ):
        ask(url, within=0.2)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\npart"], ids=["header", "body"])
def test_an_answer_of_a_byte_now_and_then_is_cut_off_as_a_whole(start):
    """No single read takes as long as it may; all of them together do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(start)
                while True:
                    time.sleep(0.05)
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(PostFailed, match=r"not within 0\.3 seconds"):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}/", within=0.3)
        thread.join()


def test_nobody_there_is_told_with_the_url():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(PostFailed, match=f"{url} did not answer: .*refused"):
        ask(url)


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path):
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *files]
    whom = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, *whom], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                asked.append(secured.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(PostFailed, match="certificate verify failed"):
            ask(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert b"body" not in b"".join(asked)
