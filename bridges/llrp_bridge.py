#!/usr/bin/env python3
"""
Carry an LLRP reader's tag reports to Custody: records on standard input, reports in Custody's own form over HTTP.

What was read from standard input is on disk before it is sent, and leaves the disk when the server has acknowledged
it. The standard library alone; another program speaks LLRP (README.md says which, and how the two are joined).
"""

import argparse
import ast
import base64
import binascii
import email.utils
import http.client
import itertools
import json
import logging
import os
import queue
import re
import signal
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

BATCH = 500
BATCH_S = 1.0
IDLE_S = 30.0
TIMEOUT_S = 30
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
MAX_RECORD = 256 * 1024
RETRIED_4XX = frozenset({401, 403, 404, 408, 425, 429})  # a credential, an address or a pause: mended without a loss
LISTS = ("TagReportData", "tags", "reports")

log = logging.getLogger("llrp_bridge")


# 1. Text to records.


def records(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """
    Yield the tag records in a program's output: JSON, or Python's way of writing lists and dicts, over any lines.

    What stands around them (times, levels, "saw tag(s):") is passed over; what never closes is given up.
    """
    held: list[str] = []
    depth = size = 0
    for line in lines:
        if not held and not re.search(r"[\[{]", line):
            continue
        held.append(line)
        depth += _depth(line)
        size += len(line)
        if depth > 0 and size <= MAX_RECORD:
            continue
        if depth > 0:
            log.warning("gave up a record of more than %d characters", MAX_RECORD)
        else:
            yield from _tags(_literal_in("".join(held)))
        held, depth, size = [], 0, 0


def _depth(line: str) -> int:
    """How many brackets more open in ``line`` than close; those inside quotes do not count."""
    bare = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "", line)
    return sum(map(bare.count, "[{")) - sum(map(bare.count, "]}"))


def _literal_in(text: str) -> Any:
    """Return the first list or dict in ``text``; a bracket of the log's own, as in "[INFO]", is passed over."""
    for start in itertools.islice(re.finditer(r"[\[{]", text), 8):
        found = _literal(text[start.start() :])
        if found is not None:
            return found
    return None


def _literal(text: str) -> Any:
    text = text.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _tags(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if any(name in value for name in ("EPC", "EPC-96", "EPCData")):
            yield value
            return
        for name in ("RO_ACCESS_REPORT", *LISTS):
            yield from _tags(value.get(name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tags(one)


# 2. A record to a read in Custody's own form.


def read_of(record: dict[str, Any], now_us: int) -> dict[str, Any] | None:
    """
    Return the read that a TagReportData says, or None where it names no tag.

    :param now_us: microseconds since 1970, for a reader that sends its uptime and no UTC time
    """
    epc = _epc(record)
    if not epc:
        return None
    at = _number(record.get("LastSeenTimestampUTC", record.get("FirstSeenTimestampUTC")))
    read: dict[str, Any] = {"epc": epc, "read_at": at if at is not None and at >= 10**15 else now_us}
    antenna, rssi = _number(record.get("AntennaID")), _number(record.get("PeakRSSI"))
    if antenna is not None:
        read["antenna"] = antenna
    precise = _number(record.get("ImpinjPeakRSSI"))  # hundredths of a dBm
    if precise is not None or rssi is not None:
        read["rssi_cdbm"] = precise if precise is not None else 100 * (rssi or 0)
    return read


def _epc(record: dict[str, Any]) -> str:
    value: Any = record.get("EPC-96", record.get("EPC"))
    if value is None and isinstance(record.get("EPCData"), dict):
        value = record["EPCData"].get("EPC")
    if isinstance(value, bytes):
        # Hex digits as ASCII, or the bits themselves.
        digits = value.decode("ascii", "replace")
        value = digits if re.fullmatch(r"[0-9A-Fa-f]+", digits) else value.hex()
    if not isinstance(value, str):
        return ""
    value = value.removeprefix("b'").removesuffix("'")  # a record that another program printed once already
    try:
        return binascii.unhexlify(value).hex().upper()
    except (ValueError, binascii.Error):
        return ""


def _number(value: Any) -> int | None:
    # Some decoders give a field as a tuple, or a parameter of one field as a dict.
    if isinstance(value, list | tuple) and value:
        value = value[0]
    elif isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if type(value) is int else None


# 3. Reports on disk until they are acknowledged.


class Spool:
    """
    Reports as files named by their order, each written whole or not at all.

    Above ``limit`` bytes the oldest go, and a gap is owed to the server: which times, how many reads.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.refused = folder / "refused"
        self.refused.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.new"):
            left.unlink()
        self._lock = threading.Lock()
        self._next = max((int(file.stem) for file in self.files()), default=0) + 1
        self._owed = folder / "owed-gaps"

    def files(self) -> list[Path]:
        return sorted(file for file in self.folder.glob("*.json") if file.stem.isdigit())

    def add(self, report: dict[str, Any]) -> None:
        """Write one report; after this a crash does not lose it."""
        with self._lock:
            self._make_room()
            gaps = self._take_owed()
            body = json.dumps({**report, **({"gaps": gaps} if gaps else {})}).encode()
            self._write(self.folder / f"{self._next:012d}.json", body)
            self._owed.unlink(missing_ok=True)
            self._next += 1

    def oldest(self) -> tuple[Path, bytes] | None:
        """Return the file that is sent next. It may have gone to make room: then the one after it."""
        for file in self.files():
            try:
                return file, file.read_bytes()
            except FileNotFoundError:
                continue
        return None

    def done(self, file: Path) -> None:
        with self._lock:
            file.unlink(missing_ok=True)

    def refuse(self, file: Path) -> None:
        """Keep what the server does not want, out of the way of what follows."""
        with self._lock:
            if file.exists():
                file.replace(self.refused / file.name)

    def _make_room(self) -> None:
        files = self.files()
        sizes = [file.stat().st_size for file in files]
        while files and sum(sizes) >= self.limit:
            file, sizes = files.pop(0), sizes[1:]
            report = json.loads(file.read_bytes())
            times = [read["read_at"] for read in report["reads"]]
            gaps = [*self._take_owed(), *report.get("gaps", [])]
            if times:
                gaps.append({"first": min(times), "last": max(times), "purged": len(times)})
            # Owed before the reads are gone: a crash between the two tells of a loss too many, never of one too few.
            self._write(self._owed, json.dumps(_merged(gaps)).encode())
            file.unlink()
            log.error("the spool is full: dropped %d reads", len(times))

    def _take_owed(self) -> list[dict[str, Any]]:
        return list(json.loads(self._owed.read_bytes())) if self._owed.exists() else []

    def _write(self, file: Path, body: bytes) -> None:
        new = file.with_suffix(".new")
        with new.open("wb") as writing:
            writing.write(body)
            writing.flush()
            os.fsync(writing.fileno())
        new.replace(file)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _merged(gaps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One gap for all: a server that was away for a day is not told of thousands."""
    if not gaps:
        return []
    return [
        {
            "first": min(gap["first"] for gap in gaps),
            "last": max(gap["last"] for gap in gaps),
            "purged": sum(gap["purged"] for gap in gaps),
        }
    ]


# 4. Disk to server.


class Sender(threading.Thread):
    """Posts the oldest report until it is acknowledged, then the next; a heartbeat where there is nothing to post."""

    def __init__(
        self, spool: Spool, *, address: str, username: str, password: str, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(daemon=True)
        self.spool, self.address, self.context = spool, address, context
        self.credential = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.wake = threading.Event()
        self.ending = threading.Event()

    def run(self) -> None:
        delay, last = FIRST_DELAY_S, 0.0
        while True:
            held = self.spool.oldest()
            if held is None:
                if self.ending.is_set():
                    return
                if time.monotonic() - last >= IDLE_S:
                    self._post(b'{"reads": []}')
                    last = time.monotonic()
                self.wake.wait(0.5)
                self.wake.clear()
                continue
            file, body = held
            status, pause = self._post(body)
            last = time.monotonic()
            if 200 <= status < 300:
                self.spool.done(file)
                delay = FIRST_DELAY_S
            elif 400 <= status < 500 and status not in RETRIED_4XX:
                log.error("the server does not want %s (%d): it lies in %s", file.name, status, self.spool.refused)
                self.spool.refuse(file)
            else:
                time.sleep(max(pause, delay))
                delay = min(delay * 2, LONGEST_DELAY_S)

    def _post(self, body: bytes) -> tuple[int, float]:
        """Return the status (0 where nobody answered) and the pause that the server asks for."""
        request = urllib.request.Request(  # noqa: S310 - main() lets http and https through
            self.address,
            data=body,
            method="POST",
            headers={"Authorization": f"Basic {self.credential}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self.context) as response:  # noqa: S310
                response.read()
                return response.status, 0.0
        except urllib.error.HTTPError as error:
            with error:
                log.warning("the server answered %d: %s", error.code, ascii(error.read(300)))
                return error.code, _retry_after(error.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException) as error:
            log.warning("nobody answers at %s: %s", self.address, error)
            return 0, 0.0


def _retry_after(text: str | None) -> float:
    """Seconds of a Retry-After header, a number or a date (RFC 9110 section 10.2.3), at most ten minutes."""
    if not text:
        return 0.0
    try:
        seconds = float(text) if text.isdigit() else email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), 600.0)


# 5. All of it.


def carry(
    source: TextIO, spool: Spool, sender: Sender, *, batch: int, hostname: str, stopping: threading.Event
) -> None:
    """Batch what ``source`` says until it ends or we are stopped; what came in is on disk when this returns."""
    incoming: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=10_000)

    def listen() -> None:
        for record in records(iter(source.readline, "")):
            read = read_of(record, time.time_ns() // 1000)
            if read is None:
                log.warning("passed over a record without an EPC: %s", ascii(record)[:200])
            else:
                incoming.put(read)
        incoming.put(None)

    threading.Thread(target=listen, daemon=True).start()
    reads: list[dict[str, Any]] = []
    ended = False
    due = 0.0
    while not ended:
        wait = 0.01 if stopping.is_set() else max(0.01, min(0.5, due - time.monotonic() if reads else 0.5))
        try:
            read = incoming.get(timeout=wait)
        except queue.Empty:
            ended = stopping.is_set()
        else:
            ended = read is None
            if read is not None:
                due = due if reads else time.monotonic() + BATCH_S
                reads.append(read)
        if reads and (ended or len(reads) >= batch or time.monotonic() >= due):
            spool.add({"reads": reads, **({"hostname": hostname} if hostname else {})})
            sender.wake.set()
            reads = []


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Carry an LLRP reader's tag reports from standard input to Custody.")
    parser.add_argument("--url", required=True, help="the reader's address: https://host/api/v1/readers/<id>/events")
    parser.add_argument("--user", default=os.environ.get("CUSTODY_READER_USER", ""), help="or CUSTODY_READER_USER")
    parser.add_argument("--password-file", type=Path, help="left out: CUSTODY_READER_PASSWORD")
    parser.add_argument("--ca-file", help="who signed the server's certificate; left out: the system's list")
    parser.add_argument("--spool", type=Path, required=True, help="a folder of this bridge alone, on a disk that lasts")
    parser.add_argument("--spool-limit", type=float, default=512, help="MiB; above it the oldest reports are dropped")
    parser.add_argument("--batch", type=int, default=BATCH, help="reads in one report at most")
    parser.add_argument("--hostname", default="", help="what the reader calls itself")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds to go on sending after the input has ended")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"--url {options.url!r} is no http:// or https:// address")
    if options.batch < 1 or options.spool_limit <= 0:
        parser.error("--batch and --spool-limit are above zero")
    password = os.environ.get("CUSTODY_READER_PASSWORD", "")
    try:
        if options.password_file:
            password = options.password_file.read_text().strip()
        context = ssl.create_default_context(cafile=options.ca_file) if options.url.startswith("https") else None
        spool = Spool(options.spool, limit=int(options.spool_limit * 1024 * 1024))
    except OSError as error:
        parser.error(str(error))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    sender = Sender(spool, address=options.url, username=options.user, password=password, context=context)
    sender.start()
    carry(sys.stdin, spool, sender, batch=options.batch, hostname=options.hostname, stopping=stopping)
    sender.ending.set()
    sender.wake.set()
    sender.join(options.drain)
    left = len(spool.files())
    log.info("ended; %d reports wait in the spool for the next start", left)
    return 0 if not left else 3


if __name__ == "__main__":
    sys.exit(main())
