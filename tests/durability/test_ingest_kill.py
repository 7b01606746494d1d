"""
kill -9 of the served process while a reader streams: what it acknowledged is stored once, whatever the reader repeats.

``DURABILITY_READS`` and ``DURABILITY_INGEST_KILLS`` ask for more than the short form that runs here.
"""

import http.client
import json
import random
import threading
import time

import pytest

from tests.durability.conftest import Deployment
from tests.durability.serving import Served, many

READS = many("DURABILITY_READS", 4_000)
KILLS = many("DURABILITY_INGEST_KILLS", 3)
CONNECTIONS = 3
FIRST_MS = 1795356300000

Key = tuple[str, int]


class RetryingReader:
    """
    Reads come in at a pace, lie in a buffer, and leave it once a report with them was acknowledged.

    What was not acknowledged goes into the next report, together with others and in another order, as readers do.
    """

    def __init__(self, served: Served, seed: int) -> None:
        self.served = served
        self.chance = random.Random(seed)
        self.buffer = [(f"3074257BF7194E40{n % 97:08X}", FIRST_MS + n) for n in range(READS)]
        self.taken: list[Key] = []
        self.acknowledged: set[Key] = set()
        self.lost_answers = 0
        self.faults: list[str] = []
        self._turn = threading.Lock()
        self._ended = False

    def start(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._stream) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        return threads

    def give_up(self) -> None:
        self._ended = True

    def _stream(self) -> None:
        line = self.served.connect()
        while not self._ended:
            with self._turn:
                batch = self._next_batch()
            if not batch:
                break
            body = json.dumps({"reads": [{"epc": epc, "read_at": at, "antenna": 1} for epc, at in batch]})
            try:
                status, answer = self.served.post(line, body)
            except (OSError, http.client.HTTPException):
                line.close()
                with self._turn:
                    self.lost_answers += 1
                    self.buffer += batch
                time.sleep(0.1)
                continue
            with self._turn:
                if status != 200 or answer["reads_new"] + answer["reads_known"] != len(batch):
                    self.faults.append(f"{status} {answer}")
                self.acknowledged |= set(batch)
        line.close()

    def _next_batch(self) -> list[Key]:
        size = self.chance.randint(1, 40)
        start = self.chance.randrange(max(1, len(self.buffer) - size))
        batch, self.buffer[start : start + size] = self.buffer[start : start + size], []
        # Some of what was acknowledged before, for a reader that missed the answer sends it once more.
        again = self.chance.sample(sorted(self.acknowledged), min(len(self.acknowledged), size // 4)) if batch else []
        both = list(set(batch + again))
        self.chance.shuffle(both)
        return both


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(deployment: Deployment):
    served = Served(deployment)
    served.start()
    reader = RetryingReader(served, seed=20261130)
    threads = reader.start()
    chance = random.Random(7)
    try:
        for kills in range(1, KILLS + 1):
            # In the middle of the stream, wherever that is: after a share of it, and a moment that nobody chose.
            deadline = time.monotonic() + 120
            while len(reader.acknowledged) < READS * kills // (KILLS + 1):
                assert time.monotonic() < deadline, served.log()
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.05))
            served.kill()
            served.start()
        for thread in threads:
            thread.join(timeout=240)
    finally:
        reader.give_up()
        for thread in threads:
            thread.join(timeout=90)
    assert reader.faults == []
    assert reader.lost_answers >= KILLS
    served.stop()

    found = json.loads(deployment.run("inspect_reads"))
    stored = [(epc, at) for epc, at in found["reads"]]
    sent = {(f"3074257BF7194E40{n % 97:08X}", (FIRST_MS + n) * 1_000_000) for n in range(READS)}
    assert {(epc, at * 1_000_000) for epc, at in reader.acknowledged} == sent
    assert len(stored) == len(set(stored)) == READS
    assert set(stored) == sent == {(epc, at) for epc, at in found["said_by_the_bytes"]}
    assert found["reads_new"] == READS
    assert (found["digests_wrong"], found["miscounted"]) == (0, 0)
    assert "Traceback" not in served.log()


@pytest.mark.slow
def test_overlapping_batches_on_several_connections_at_once(deployment: Deployment):
    """Each connection sends the whole stream in an order of its own, gaps as well: locks would be taken crosswise."""
    served = Served(deployment)
    served.start()
    stream = [(f"3074257BF7194E40{n % 97:08X}", f"2026-11-02T07:24:{n % 60:02}.{n:06}Z") for n in range(1_500)]
    events = [
        {"eventType": "tagInventory", "tagInventoryEvent": {"epcHex": epc, "antennaPort": 1, "lastSeenTime": at}}
        for epc, at in stream
    ] + [
        {
            "eventType": "overflow",
            "overflowEvent": {
                "firstEventTimestamp": "2026-11-02T07:24:00Z",
                "lastEventTimestamp": f"2026-11-02T07:25:{second:02}Z",
                "eventsPurged": 7,
            },
        }
        for second in range(60)
    ]
    counted: list[int] = []
    faults: list[object] = []

    def send(seed: int) -> None:
        mixed = random.Random(seed).sample(events, len(events))
        line = served.connect()
        for start in range(0, len(mixed), 300):
            status, answer = served.post(line, json.dumps(mixed[start : start + 300]))
            if status != 200:
                faults.append((status, answer))
            counted.append(answer.get("reads_new", 0))
        line.close()

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=240)
    served.stop()
    assert faults == []
    found = json.loads(deployment.run("inspect_reads"))
    assert len(counted) == 6 * 6
    assert sum(counted) == found["reads_new"] == len(found["reads"]) == len(stream)
    assert found["gaps"] == 60
    assert "deadlock" not in served.log() and "Traceback" not in served.log()
