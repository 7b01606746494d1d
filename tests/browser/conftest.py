"""
A real server and a real browser: the demo world behind the embedded server, and Debian's Chromium whose camera plays a
file of real faces.
"""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")


@dataclass(frozen=True)
class Server:
    """The running demo: its address, its folder, and who may log in or take custody."""

    url: str
    var: Path
    passwords: dict[str, str]
    pins: dict[str, str]

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command on the server's own database, as a person at its console would."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=_environment(self.var), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> str:
    if Path(CHROMIUM).exists():
        return CHROMIUM
    if os.environ.get("CI") == "true":
        pytest.fail("Chromium is missing: apt-get install chromium")
    pytest.skip("Chromium is missing: apt-get install chromium")


@pytest.fixture(scope="module")
def server(chromium: str, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Make the demo world in a folder of its own and serve it, exactly as `make run` does."""
    var = tmp_path_factory.mktemp("var")
    made = [
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=_environment(var), capture_output=True, text=True, check=False, timeout=240,
        )
        for command in (["migrate", "--verbosity", "0"], ["seed_demo", "--photos", str(photos)])
    ]  # fmt: skip
    assert all(step.returncode == 0 for step in made), made
    passwords, pins = _read_seed(made[1].stdout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (var / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT, env=_environment(var), stdout=log, stderr=log,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, process, var / "server.log")
            yield Server(url, var, passwords, pins)
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@dataclass
class Person:
    """Somebody at a browser, and what the browser said that it should not have said."""

    page: Page
    server: Server
    complaints: list[str]

    def log_in(self, username: str) -> None:
        self.page.goto(self.server.url + "/login/")
        self.page.get_by_label("User name").or_(self.page.get_by_label("Username")).fill(username)
        self.page.get_by_label("Password", exact=True).fill(self.server.passwords[username])
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(lambda url: "/login/" not in url)

    def shoot(self, name: str) -> None:
        """Keep a picture of the page where SCREENSHOTS names a folder."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def at_browser(
    playwright: Playwright, chromium: str, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., "AbstractContextManager[Person]"]:
    """Open a browser whose camera sees ``face``; every request must stay on this machine, every page within its CSP."""

    @contextmanager
    def at_browser(*, face: Path | None = None, width: int = 1280, height: int = 900) -> Iterator[Person]:
        arguments = [
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync",
        ]  # fmt: skip
        if face is not None:
            film = tmp_path_factory.mktemp("film") / f"{face.stem}.mjpeg"
            film.write_bytes(_film(face))
            arguments += [
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ]
        browser: Browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
        if face is not None:
            context.grant_permissions(["camera"], origin=server.url)
        page = context.new_page()
        page.set_default_timeout(20_000)
        person = Person(page, server, [])
        page.on("request", lambda request: _stays_here(request.url, server.url, person.complaints))
        page.on("pageerror", lambda error: person.complaints.append(f"script: {error}"))
        page.on(
            "console",
            lambda message: (
                person.complaints.append(f"{page.url} console: {message.text} {message.location}")
                if "Content Security Policy" in message.text
                else None
            ),
        )
        try:
            yield person
            assert person.complaints == []
        finally:
            context.close()
            browser.close()

    return at_browser


def _stays_here(requested: str, own: str, complaints: list[str]) -> None:
    if not requested.startswith((own, "data:", "blob:", "about:")):
        complaints.append(f"outside request: {requested}")


def _film(face: Path) -> bytes:
    """Thirty identical frames of 640 x 480 around the upper middle of a portrait, as concatenated JPEGs."""
    picture = Image.open(face).convert("RGB")
    height = round(picture.width * 3 / 4)
    top = max(0, min(picture.height - height, round(picture.height * 0.08)))
    frame = picture.crop((0, top, picture.width, top + height)).resize((640, 480), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    frame.save(encoded, "JPEG", quality=95)
    return encoded.getvalue() * 30


def _environment(var: Path) -> dict[str, str]:
    environment = os.environ | {"CUSTODY_VAR": str(var), "CUSTODY_DEMO": "1"}
    return {name: value for name, value in environment.items() if name != "DJANGO_SETTINGS_MODULE"}


def _read_seed(said: str) -> tuple[dict[str, str], dict[str, str]]:
    """Read the logins and PINs as a person reads them off the terminal."""
    logins, _, custodians = said.partition("Who may take custody")
    passwords = {line.split()[0]: line.split()[1] for line in logins.splitlines() if line.startswith("  ")}
    pins = {
        line.strip().rsplit(None, 1)[0]: line.split()[-1]
        for line in custodians.splitlines()
        if line.startswith("  ") and line.split()[-1].isdigit()
    }
    return passwords, pins


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(120):
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        try:
            with urllib.request.urlopen(url + "/login/", timeout=5) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"no answer from {url}: {log.read_text()}")
