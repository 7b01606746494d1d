"""CUSTODY_HTTPS=1: what a browser behind an HTTPS proxy is told, and what Django itself says of the settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = (
    "SESSION_COOKIE_SECURE",
    "CSRF_COOKIE_SECURE",
    "SECURE_SSL_REDIRECT",
    "SECURE_HSTS_SECONDS",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "SECURE_HSTS_PRELOAD",
    "SECURE_PROXY_SSL_HEADER",
    "CSRF_TRUSTED_ORIGINS",
)


def python(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CUSTODY_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env=inherited | {"CUSTODY_VAR": str(var), "DJANGO_SETTINGS_MODULE": "custody.settings"} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def read_settings(var: Path, **environment: str) -> dict[str, object]:
    program = (
        "import json; from django.conf import settings; "
        f"print(json.dumps({{name: getattr(settings, name) for name in {NAMES!r}}}))"
    )
    read = python(var, "-c", program, **environment)
    assert read.returncode == 0, read.stderr
    return dict(json.loads(read.stdout))


def test_one_switch_sets_everything(tmp_path: Path) -> None:
    found = read_settings(tmp_path, CUSTODY_HTTPS="1", CUSTODY_HOSTS="custody.example,.yard.example,*")
    assert found == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": False,
        "SECURE_HSTS_PRELOAD": False,
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
        "CSRF_TRUSTED_ORIGINS": ["https://custody.example", "https://*.yard.example"],
    }


@pytest.mark.parametrize("environment", [{}, {"CUSTODY_HTTPS": "0"}])
def test_without_it_plain_http_on_this_machine_works(tmp_path: Path, environment: dict[str, str]) -> None:
    found = read_settings(tmp_path, **environment)
    assert not any(found.values())


def test_django_finds_no_error_and_only_what_is_left_off_on_purpose(tmp_path: Path) -> None:
    checked = python(
        tmp_path, "manage.py", "check", "--deploy", "--fail-level", "ERROR",
        CUSTODY_HTTPS="1", CUSTODY_HOSTS="custody.example",
    )  # fmt: skip
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    warned = {word.strip("?():") for word in said.split() if word.startswith("(security.")}
    # HSTS for subdomains and the preload list: they bind more names than this deployment's.
    assert warned == {"security.W005", "security.W021"}
