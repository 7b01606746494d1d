"""
Time a capture of 5,000 EPCIS events, what of it holds the database's write lock, and queries among what it stored.

Own process, own folder, SQLite as the embedded profile has it. CPU seconds stand beside wall clock: others at work on
the machine stretch the latter alone. The stock validator is the peer: the same schema, jsonschema as it comes.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.ledger.own_world import use_own
from benchmarks.machine import cpu_model, file_system, forget_peak, memory

EVENTS = 5_000
EPCS = 3
ASKED = 20
BEGAN = datetime(2026, 11, 30, tzinfo=UTC)


def event(number: int) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:5c2d1f2e-0000-4000-8000-{number:012d}",
        "eventTime": (BEGAN + timedelta(seconds=number)).isoformat(),
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "receiving",
        "disposition": "in_progress",
        "epcList": [f"urn:epc:id:sgtin:0614141.812345.{number * EPCS + place}" for place in range(EPCS)],
        "readPoint": {"id": "urn:epc:id:sgln:0614141.12345.dock1"},
        "bizTransactionList": [{"type": "po", "bizTransaction": f"https://example.com/po/{number}"}],
    }


@contextmanager
def timed(what: str) -> Iterator[None]:
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    print(f"{what:<58} {time.process_time() - cpu:7.2f} s CPU {time.perf_counter() - wall:7.2f} s")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        use_own(Path(folder), "")
        print(f"{cpu_model()}, {file_system(Path(folder))}; {EVENTS} events of {EPCS} EPCs")
        _run()


def _run() -> None:
    from django.core.management import call_command
    from jsonschema import Draft7Validator

    from accounts.models import User
    from shipments.epcis import capture
    from shipments.epcis.query import find_events
    from shipments.epcis.schema import SCHEMA_FILE, check_event

    call_command("migrate", verbosity=0)
    events = [event(number) for number in range(EVENTS)]
    body = json.dumps(
        {
            "@context": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-11-30T00:00:00Z",
            "epcisBody": {"eventList": events},
        }
    ).encode()
    stock = Draft7Validator(json.loads(SCHEMA_FILE.read_bytes()), format_checker=Draft7Validator.FORMAT_CHECKER)
    part = stock.evolve(schema=stock.schema["definitions"]["ObjectEvent"])
    few = events[: EVENTS // 10]
    with timed(f"jsonschema as it comes, a tenth ({len(few)} events)"):
        assert all(part.is_valid(one) for one in few)
    with timed("checked here, all"):
        assert not any(check_event(one) for one in events)

    user = User.objects.create_user("partner", role="supervisor")
    capture._hint = lambda: None
    store = capture.store_events

    def storing(rows: Any) -> None:
        with timed(f"  of that under the write lock ({len(rows)} events)"):
            store(rows)

    capture.store_events = storing
    resident = forget_peak()
    with timed(f"taken and answered 202 ({len(body) / 1e6:.1f} MB)"):
        job = capture.capture_document(body=body, by=user)
    with timed("worked: read, checked, indexed, stored, all or nothing"):
        capture.work_job(job.pk)
    job.refresh_from_db()
    assert job.success, job.errors
    print(f"memory: {memory('VmHWM') - resident:.0f} MiB above the {resident:.0f} MiB before")

    def ask(what: str, parameters: Callable[[int], dict[str, str]]) -> None:
        began = time.perf_counter()
        for number in range(ASKED):
            find_events(parameters(number * 37))
        print(f"{what:<58} {(time.perf_counter() - began) / ASKED * 1000:7.1f} ms")

    ask("query: one EPC", lambda n: {"MATCH_anyEPC": f"urn:epc:id:sgtin:0614141.812345.{n}"})
    ask("query: one purchase order", lambda n: {"EQ_bizTransaction_po": f"https://example.com/po/{n}"})
    ask("query: the newest 30", lambda n: {})
    ask("query: the newest 1,000", lambda n: {"perPage": "1000"})


if __name__ == "__main__":
    main()
