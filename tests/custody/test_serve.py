"""`manage.py serve` behind a proxy that speaks HTTPS: the real server, and two addresses that a request comes from."""

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
PATH = "/login/"


@pytest.fixture(scope="module")
def var(tmp_path_factory) -> Path:
    """A migrated database for every server of this file."""
    folder = tmp_path_factory.mktemp("serve")
    migrated = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert migrated.returncode == 0, migrated.stderr
    return folder


def environment(var: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CUSTODY_", "LEDGER_", "DJANGO_", "DATABASE_", "BROKER_"))
    }
    return kept | {"CUSTODY_VAR": str(var), "CUSTODY_DEMO": "0", "PYTHONUNBUFFERED": "1"} | more


Ask = Callable[..., tuple[int, str]]


@contextmanager
def serving(var: Path, **more: str) -> Iterator[Ask]:
    """Serve on a port that the system chose; what is yielded asks for the login page from an address, with headers."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", "0"],
        cwd=ROOT, env=environment(var, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        port, said = 0, []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"Serving on http://127\.0\.0\.1:([0-9]+)", line):
                port = int(found.group(1))
                break
        assert port, "".join(said)

        def ask(source: str, **headers: str) -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
            try:
                connection.request("GET", PATH, headers={n.replace("_", "-"): v for n, v in headers.items()})
                answer = connection.getresponse()
                answer.read()
                return answer.status, answer.headers.get("Location", "")
            finally:
                connection.close()

        yield ask
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def behind_https(var) -> Iterator[Ask]:
    with serving(var, CUSTODY_HTTPS="1") as ask:
        yield ask


def test_a_request_that_the_proxy_took_over_https_is_answered(behind_https):
    assert behind_https(PROXY, X_Forwarded_Proto="https") == (200, "")


@pytest.mark.parametrize("headers", [{}, {"X_Forwarded_Proto": "http"}])
def test_a_request_that_the_proxy_took_over_http_is_sent_to_https(behind_https, headers):
    status, location = behind_https(PROXY, **headers)
    assert status == 301
    assert re.fullmatch(r"https://127\.0\.0\.1(:[0-9]+)?/login/", location)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_Proto": "https"},
        {"Forwarded": "proto=https"},
        {"X_Forwarded_Proto": "https", "X_Forwarded_For": PROXY},
        {"X_Forwarded_Proto": "https", "Forwarded": f"for={PROXY};proto=https"},
    ],
)
def test_whoever_reaches_the_server_past_the_proxy_cannot_claim_https(behind_https, headers):
    status, location = behind_https(STRANGER, **headers)
    assert status == 301
    assert location.startswith("https://")


def test_a_host_that_a_header_claims_is_not_where_the_redirect_leads(behind_https):
    for source in (PROXY, STRANGER):
        status, location = behind_https(source, X_Forwarded_Host="evil.example")
        assert status == 301
        assert "evil" not in location


def test_a_scheme_that_is_none_is_refused(behind_https):
    assert behind_https(PROXY, X_Forwarded_Proto="gopher")[0] == 400
    assert behind_https(PROXY, X_Forwarded_Proto="https,http")[0] == 400


def test_another_proxy_is_named_by_its_address(var):
    with serving(var, CUSTODY_HTTPS="1", CUSTODY_TRUSTED_PROXY=STRANGER) as ask:
        assert ask(STRANGER, X_Forwarded_Proto="https") == (200, "")
        assert ask(PROXY, X_Forwarded_Proto="https")[0] == 301


def test_without_the_switch_plain_http_is_answered_whatever_is_claimed(var):
    with serving(var) as ask:
        assert ask(PROXY) == (200, "")
        assert ask(PROXY, X_Forwarded_Proto="https") == (200, "")
