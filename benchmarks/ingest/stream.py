"""What a portal sees, as a reader posts it and as a bulk load takes it: the same reads, each of them new."""

import base64
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.ingest.world import World, answer_counts
from shipments.readers.report import format_ns

TAGS = [f"3074257BF7194E40{serial:08X}" for serial in range(2_000)]
COLUMNS = "reader_id, report_id, epc_hex, antenna, read_at_ns, reader_time, rssi_cdbm, event_number, tid"

_place = itertools.count()
_BEGAN = time.time_ns() // 10**9 * 10**9

Row = tuple[str, int, int, str, int]


def next_rows(count: int) -> list[Row]:
    """EPC, antenna, nanoseconds, the reader's own time, strength: a millisecond apart, never the same again."""
    found = []
    for place in itertools.islice(_place, count):
        at = _BEGAN + place * 1_000_000
        found.append((TAGS[place % len(TAGS)], 1 + place % 4, at, format_ns(at), -4000 - place % 3000))
    return found


def own_form(rows: Sequence[Row]) -> bytes:
    reads = [{"epc": epc, "antenna": port, "read_at": told, "rssi_cdbm": rssi} for epc, port, _at, told, rssi in rows]
    return json.dumps({"reads": reads}, separators=(",", ":")).encode()


def impinj_form(rows: Sequence[Row]) -> bytes:
    events = [
        {
            "timestamp": told,
            "hostname": "impinj-14-2f-f4",
            "eventType": "tagInventory",
            "tagInventoryEvent": {
                "epc": base64.urlsafe_b64encode(bytes.fromhex(epc)).decode(),
                "epcHex": epc,
                "antennaPort": port,
                "peakRssiCdbm": rssi,
                "frequency": 921625,
                "lastSeenTime": told,
            },
        }
        for epc, port, _at, told, rssi in rows
    ]
    return json.dumps(events, separators=(",", ":")).encode()


def post(ports: Sequence[int], path: str, authorization: str, bodies: Sequence[bytes], connections: int) -> float:
    """Post all ``bodies`` over kept connections, each as soon as the one before is answered; return the seconds."""
    requests = [
        (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in bodies
    ]
    waiting = iter(requests)
    turn = threading.Lock()
    failures: list[Exception] = []

    def send(port: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=120) as line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while True:
                    with turn:
                        request = next(waiting, None)
                    if request is None:
                        return
                    line.sendall(request)
                    answer_counts(_read_answer(line))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(ports[n % len(ports)],)) for n in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failures:
        raise failures[0]
    return took


def _read_answer(line: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = line.recv(65536)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        answer += chunk
    head, _gap, body = answer.partition(b"\r\n\r\n")
    length = next(int(part[15:]) for part in head.split(b"\r\n") if part.lower().startswith(b"content-length:"))
    while len(body) < length:
        chunk = line.recv(65536)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        body += chunk
    return head + b"\r\n\r\n" + body


def load_in_bulk(world: World, batches: Sequence[Sequence[Row]], connections: int = 1) -> float:
    """Store ``batches`` by COPY or executemany, a transaction each; what is sent is written out before; the seconds."""
    if world.sqlite:
        return _executemany(world, batches)
    texts = [
        "".join(
            f"{world.reader}\t{world.report}\t{epc}\t{port}\t{at}\t{told}\t{rssi}\t-1\t\n"
            for epc, port, at, told, rssi in batch
        ).encode()
        for batch in batches
    ]
    waiting = iter(texts)
    turn = threading.Lock()
    lines = [world.connect() for _ in range(connections)]

    def copy(connection: Any) -> None:
        while True:
            with turn:
                text = next(waiting, None)
            if text is None:
                return
            with connection.cursor() as cursor, cursor.copy(f"COPY shipments_tagread ({COLUMNS}) FROM STDIN") as sink:
                sink.write(text)
            connection.commit()

    threads = [threading.Thread(target=copy, args=(line,)) for line in lines]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    for line in lines:
        line.close()
    return took


def _executemany(world: World, batches: Sequence[Sequence[Row]]) -> float:
    reader = world.reader.replace("-", "")
    prepared = [
        [(reader, world.report, epc, port, at, told, rssi, -1, "") for epc, port, at, told, rssi in batch]
        for batch in batches
    ]
    connection = world.connect()
    statement = f"INSERT INTO shipments_tagread ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    began = time.perf_counter()
    for rows in prepared:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows)
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return took


def in_batches(count: int, size: int) -> Iterator[list[Row]]:
    for _ in range(max(1, count // size)):
        yield next_rows(size)
