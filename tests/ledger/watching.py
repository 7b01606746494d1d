"""Witnesses over real HTTP, and the policy file that names them, for the tests that need some."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

from ledger.witness import Application, Witness


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(witness: Witness) -> Iterator[str]:
    """Serve a witness; WSGI's rules are checked on the way."""
    with answering(validator(Application(witness))) as url:
        yield url


@contextmanager
def answering(application) -> Iterator[str]:
    """Serve any WSGI application, so also a witness that misbehaves."""
    with make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def write_policy(path: Path, *lines: str, quorum: str = "none") -> None:
    """Write the operator's policy file: the lines, and behind them the quorum."""
    path.write_text("".join(f"{line}\n" for line in (*lines, f"quorum {quorum}")))
