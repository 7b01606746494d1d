"""The bridge as a process: what went into its pipe arrives, whatever the server did meanwhile."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shipments.readers.registry import parse_report
from shipments.readers.report import Gap

SCRIPT = Path(__file__).resolve().parents[2] / "bridges" / "llrp_bridge.py"
US = 1795356300_000000


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llrp_bridge", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bridge = _load()


def epc(number: int) -> str:
    return f"3074257BF7194E40{number:08X}"


def inventory(*numbers: int) -> str:
    """As ``sllurp inventory`` logs a report: Python's pretty-printed list behind the log's own words."""
    tags = ",\n ".join(
        f"{{'AntennaID': 2,\n  'EPC': {epc(one).lower().encode()!r},\n  'LastSeenTimestampUTC': {US + one},\n"
        f"  'PeakRSSI': -57,\n  'TagSeenCount': 1}}"
        for one in numbers
    )
    return f"2026-11-22 14:05:00,123 sllurp.verb.inventory: INFO: saw tag(s): [{tags}]\n"


class Server:
    """Custody's side: answers as told, and keeps what it was sent."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int] = []
        self.taken: list[bytes] = []
        self.requests = 0
        self.authorization = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests += 1
                outer.authorization = self.headers["Authorization"]
                answer = outer.answers.pop(0) if outer.answers else 200
                if answer == 200:
                    outer.taken.append(body)
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                if answer == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def reads(self) -> list[str]:
        return [read.epc_hex for body in self.taken for read in parse_report(body).reads]

    def gaps(self) -> list[Gap]:
        return [gap for body in self.taken for gap in parse_report(body).gaps]


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(port: int = 0) -> Server:
        running.append(Server(port))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def start_bridge(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(port: int, *options: str) -> subprocess.Popen[str]:
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                [
                    sys.executable, str(SCRIPT), "--url", f"http://127.0.0.1:{port}/api/v1/readers/x/events",
                    "--user", "reader-x", "--spool", str(tmp_path / "spool"), "--hostname", "dock-1", *options,
                ],
                stdin=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "CUSTODY_READER_PASSWORD": "secret"},
            )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(timeout=30)
        if not process.stdin.closed:
            process.stdin.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not what():
        time.sleep(0.05)
    return what()


def spooled(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "spool").glob("*.json"))


def test_reads_arrive_in_our_own_form(start_server, start_bridge, tmp_path) -> None:
    server = start_server()
    process = start_bridge(server.port)
    process.communicate(inventory(1, 2) + "some other line\n" + inventory(3), timeout=30)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    (body,) = [body for body in server.taken if parse_report(body).reads]
    parsed = parse_report(body)
    assert (parsed.dialect, parsed.faults, parsed.hostnames) == ("custody", [], {"dock-1"})
    assert [(read.epc_hex, read.antenna, read.rssi_cdbm, read.read_at_ns) for read in parsed.reads] == [
        (epc(one), 2, -5700, (US + one) * 1000) for one in (1, 2, 3)
    ]
    assert server.authorization == "Basic cmVhZGVyLXg6c2VjcmV0"
    assert spooled(tmp_path) == []


def test_the_server_is_down_busy_and_back(start_server, start_bridge, tmp_path) -> None:
    port = free_port()
    process = start_bridge(port, "--batch", "2")
    process.stdin.write(inventory(1, 2) + inventory(3, 4))
    process.stdin.flush()
    assert wait_for(lambda: len(spooled(tmp_path)) == 2)
    server = start_server(port)
    server.answers = [401, 429]
    assert wait_for(lambda: len(server.reads()) == 4, 60)
    process.stdin.write(inventory(5))
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    assert server.reads() == [epc(one) for one in (1, 2, 3, 4, 5)]


def test_killed_and_started_again(start_server, start_bridge, tmp_path) -> None:
    port = free_port()
    process = start_bridge(port, "--batch", "1")
    process.stdin.write("".join(inventory(one) for one in range(20)))
    process.stdin.flush()
    assert wait_for(lambda: len(spooled(tmp_path)) == 20)
    process.kill()
    process.wait(timeout=30)
    server = start_server(port)
    again = start_bridge(port)
    again.stdin.close()
    assert again.wait(timeout=30) == 0
    assert sorted(server.reads()) == [epc(one) for one in range(20)]


def test_a_stop_brings_what_came_in_to_disk(start_bridge, tmp_path) -> None:
    process = start_bridge(free_port(), "--drain", "0.2")
    process.stdin.write(inventory(1, 2))
    process.stdin.flush()
    assert wait_for(lambda: len(spooled(tmp_path)) == 1)
    process.stdin.write(inventory(3))
    process.stdin.flush()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 3
    reads = [read["epc"] for file in spooled(tmp_path) for read in json.loads(file.read_bytes())["reads"]]
    assert reads == [epc(one) for one in (1, 2, 3)]


def test_what_the_server_does_not_want_is_kept_and_holds_nothing_up(start_server, start_bridge, tmp_path) -> None:
    server = start_server()
    server.answers = [200, 400]  # the first is the heartbeat of an idle start
    process = start_bridge(server.port, "--batch", "1")
    assert wait_for(lambda: server.requests == 1)
    process.stdin.write(inventory(1) + inventory(2))
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    assert server.reads() == [epc(2)]
    (kept,) = (tmp_path / "spool" / "refused").iterdir()
    assert json.loads(kept.read_bytes())["reads"][0]["epc"] == epc(1)


def test_an_idle_reader_is_heard(start_server, start_bridge) -> None:
    server = start_server()
    process = start_bridge(server.port)
    assert wait_for(lambda: server.taken)
    assert parse_report(server.taken[0]).heartbeat
    process.stdin.close()
    assert process.wait(timeout=30) == 0


def test_a_full_spool_drops_the_oldest_and_owes_the_gap(tmp_path) -> None:
    spool = bridge.Spool(tmp_path / "spool", limit=400)
    for number in range(30):
        spool.add({"reads": [{"epc": epc(number), "read_at": US + number}]})
    kept = [json.loads(file.read_bytes()) for file in spool.files()]
    assert sum(file.stat().st_size for file in spool.files()) < 800
    reads = [read for report in kept for read in report["reads"]]
    gaps = [gap for report in kept for gap in report.get("gaps", [])]
    assert len(reads) + sum(gap["purged"] for gap in gaps) == 30
    assert min(gap["first"] for gap in gaps) == US
    assert reads[-1]["epc"] == epc(29)
    parsed = parse_report(json.dumps(kept[-1]).encode())
    assert (len(parsed.gaps), parsed.faults) == (1, [])


def test_a_spool_goes_on_where_the_last_one_ended(tmp_path) -> None:
    first = bridge.Spool(tmp_path / "spool", limit=1 << 20)
    first.add({"reads": []})
    (tmp_path / "spool" / "000000000007.new").write_text('{"re')
    second = bridge.Spool(tmp_path / "spool", limit=1 << 20)
    second.add({"reads": []})
    assert [file.name for file in second.files()] == ["000000000001.json", "000000000002.json"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"EPC": "3074", "PeakRSSI": -57}\n', ["3074"]),
        (
            '{"RO_ACCESS_REPORT": {"TagReportData": [{"EPC-96": "3074"}, {"EPCData": {"EPC": "3075"}}]}}\n',
            ["3074", "3075"],
        ),
        ("[INFO] saw tag(s): [{'EPC': b'3074'}]\n", ["3074"]),
        ("[INFO] saw tag(s): [{'EPC':\n b'3074'}]\n", ["3074"]),
        ("saw [{'EPC': b'0tW'}]\n", ["307457"]),
        ("a { that never\n" + "closes\n" * 60_000 + "}\n{'EPC': '3074'}\n", ["3074"]),
        ("{'EPC': 'a } in quotes'}\n{'EPC': '3074'}\n", ["", "3074"]),
        ("[" * 5_000 + "]" * 5_000 + "\n{'EPC': '3074'}\n", ["3074"]),
        ("__import__('os').system('false')\n[].clear()\n{'EPC': '3074'}\n", ["3074"]),
        ("no tags seen\n", []),
    ],
    ids=range(10),
)
def test_records_in_a_programs_output(text: str, expected: list[str]) -> None:
    found = list(bridge.records(iter(text.splitlines(keepends=True))))
    assert [(bridge.read_of(record, US) or {"epc": ""})["epc"] for record in found] == expected


def test_a_record_to_a_read() -> None:
    record = {"EPC": "3074", "LastSeenTimestampUTC": (US + 5,), "AntennaID": (3,), "PeakRSSI": (-60,)}
    assert bridge.read_of(record, US) == {"epc": "3074", "read_at": US + 5, "antenna": 3, "rssi_cdbm": -6000}
    record = {"EPC": "3074", "LastSeenTimestampUptime": 12345, "PeakRSSI": -60, "ImpinjPeakRSSI": {"RSSI": -5987}}
    assert bridge.read_of(record, US) == {"epc": "3074", "read_at": US, "rssi_cdbm": -5987}
    for nothing in ({"EPC": None}, {"EPC": "xyz"}, {"EPC": 3074}, {"EPC": ""}):
        assert bridge.read_of(nothing, US) is None


def test_it_imports_the_standard_library_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sllurp" not in SCRIPT.read_text()
