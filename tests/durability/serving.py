"""The product's own server as a process that can be killed, and a reader in front of it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.durability.conftest import ROOT, Deployment, kill


class Served:
    """``manage.py serve`` on one port, whose reader posts to it. ``start`` again after a kill: the port stays."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        # A converted network, so that each start does not make it anew.
        deployment.environment["BIOMETRICS_MODELS_DIR"] = str(deployment.folder / "models")
        deployment.environment["DJANGO_SETTINGS_MODULE"] = "custody.settings"
        world = json.loads(deployment.run("reader_world"))
        self.path = f"/api/v1/readers/{world['reader']}/events"
        self.authorization = world["authorization"]
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.deployment.folder / "served"
        place = log.stat().st_size if log.exists() else 0
        with log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(self.port)],
                cwd=ROOT, env=self.deployment.environment, stdout=said, stderr=said,
            )  # fmt: skip
        self.deployment.processes.append(self.process)
        deadline = time.monotonic() + 90
        while not (found := re.search(rb"Serving on http://127\.0\.0\.1:([0-9]+)", log.read_bytes()[place:])):
            assert self.process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.port = int(found[1])

    def kill(self) -> None:
        assert self.process is not None
        kill(self.process)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def log(self) -> str:
        return (self.deployment.folder / "served").read_text()

    def resident_mib(self) -> float:
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def post(self, line: http.client.HTTPConnection, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        told = {"Authorization": self.authorization, "Content-Type": "application/json"}
        line.request("POST", self.path, body, told | {name.replace("_", "-"): value for name, value in headers.items()})
        answer = line.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content.startswith(b"{") else {}


def many(name: str, default: int) -> int:
    """How many the environment asks for."""
    return int(os.environ.get(name, default))
