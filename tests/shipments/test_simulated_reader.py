"""A simulated reader loses nothing to a server that is down, busy or killed, and cuts its batches anew."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from shipments.models import CoverageGap, RawReport, ReaderCredential, TagRead
from shipments.mqtt_connection import Topics, read_broker, topic_of
from shipments.mqtt_ingest import MqttIngest
from shipments.places import create_reader
from shipments.read_sessions import open_read_session
from shipments.readers.registry import parse_report
from shipments.readers.report import Gap
from shipments.simulated_reader import HttpTransport, MqttTransport, Rejected, SimulatedReader, Unacknowledged
from shipments.simulation import TELLS_LOSSES, WRITERS, Loss, Sighting, drop, pace, plan_sightings, write_report
from tests.shipments.conftest import item_epc
from tests.shipments.test_mqtt_ingest import broker_url, client_id, own_transaction, take  # noqa: F401

MANIFEST = [item_epc(serial) for serial in range(1, 21)]
FIRST_NS = 1795356300_000000000
SIGHTINGS = plan_sightings(MANIFEST, miss=0, stray=2, seed=1)


class FakeServer:
    """Answers as its script says, 200 when that is over, and keeps what it was sent."""

    def __init__(self, *script: int | str, port: int = 0) -> None:
        self.script = list(script)
        self.bodies: list[tuple[int | str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = outer.script.pop(0) if outer.script else 200
                outer.bodies.append((answer, body))
                if answer == "dies":  # after it took the report, before it said so
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(int(answer))
                if answer == 429:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def servers() -> Iterator[list[FakeServer]]:
    running: list[FakeServer] = []
    yield running
    for server in running:
        server.close()


def reader_at(url: str, **options: object) -> SimulatedReader:
    transport = HttpTransport(url=url, reader_id="r", username="u", password="p")
    return SimulatedReader(transport, **{"dialect": "impinj", "patience_s": 10.0, **options})


def test_what_was_not_acknowledged_comes_again_in_other_batches(servers) -> None:
    servers.append(FakeServer(200, 503, "dies", 500, 429, 200))
    reader = reader_at(servers[0].url)
    seen = pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000)
    began = time.monotonic()
    reader.see(seen)
    reader.deliver()
    assert time.monotonic() - began >= 1  # as Retry-After asked
    assert reader.acknowledged == seen
    assert (reader.held, reader.retries) == (0, 4)
    tried = [body for answer, body in servers[0].bodies[1:5]]
    assert len(set(tried)) > 1
    taken = [read for answer, body in servers[0].bodies if answer in (200, "dies") for read in parse_report(body).reads]
    assert {read.read_at_ns for read in taken} == {one.at_ns for one in seen}


def test_a_server_that_starts_late(servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader = reader_at(f"http://127.0.0.1:{port}")
    reader.see(pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000))
    starting = threading.Timer(0.5, lambda: servers.append(FakeServer(port=port)))
    starting.start()
    reader.deliver()
    starting.join()
    assert (reader.held, len(reader.acknowledged)) == (0, len(SIGHTINGS))


def test_patience_ends_and_nothing_is_forgotten(servers) -> None:
    servers.append(FakeServer(*[503] * 100))
    reader = reader_at(servers[0].url, patience_s=0.3)
    reader.see(pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000))
    with pytest.raises(Unacknowledged, match="66 reads"):
        reader.deliver()
    servers[0].script.clear()
    reader.deliver()
    assert len(reader.acknowledged) == 66


def test_a_report_that_is_not_wanted(servers) -> None:
    servers.append(FakeServer(401))
    reader = reader_at(servers[0].url)
    reader.see(pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000))
    with pytest.raises(Rejected, match="401"):
        reader.deliver()
    assert reader.held == 66


def test_reads_that_it_repeats(servers) -> None:
    servers.append(FakeServer())
    reader = reader_at(servers[0].url, repeat=5)
    reader.see(pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000))
    reader.deliver()
    reads = [(read.epc_hex, read.read_at_ns) for _, body in servers[0].bodies for read in parse_report(body).reads]
    assert (len(reads), len(set(reads))) == (66 + 3 * 5, 66)


def test_a_full_buffer_loses_the_oldest_and_says_so(servers) -> None:
    servers.append(FakeServer(503))
    reader = reader_at(servers[0].url, buffer=50)
    seen = pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000)
    reader.see(seen)
    reader.deliver()
    assert reader.acknowledged == seen[16:]
    told = [gap for answer, body in servers[0].bodies if answer == 200 for gap in parse_report(body).gaps]
    assert told == [Gap(first_ns=seen[0].at_ns, last_ns=seen[15].at_ns, purged=16)]


def test_bursts_and_a_clock_that_is_wrong() -> None:
    seen = pace(SIGHTINGS[:6], first_ns=FIRST_NS, spacing_ns=10_000_000, burst=3, skew_ns=-5_000_000_000)
    after = [one.at_ns - FIRST_NS + 5_000_000_000 for one in seen]
    assert after == [0, 100_000, 200_000, 30_000_000, 30_100_000, 30_200_000]
    assert [one.number for one in seen] == [1, 2, 3, 4, 5, 6]


def test_the_same_seed_loses_the_same() -> None:
    seen = pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000)
    kept, losses = drop(seen, events=10, seed=3)
    assert (kept, losses) == drop(seen, events=10, seed=3)
    assert (len(kept), losses[0].events) == (56, 10)
    assert losses[0].last_ns - losses[0].first_ns == 9_000_000
    assert drop(seen, events=99, seed=3)[0] == []
    assert drop(seen, events=0, seed=3) == (seen, [])


@pytest.mark.parametrize("dialect", WRITERS)
def test_each_dialect_writes_what_its_parser_reads(dialect: str) -> None:
    losses = [Loss(FIRST_NS, FIRST_NS + 10**9, 7)]
    sighting = Sighting(item_epc(1), antenna=2, rssi_cdbm=-5700)
    seen = pace([sighting] * 3, first_ns=FIRST_NS, spacing_ns=1_234_567_891)
    parsed = parse_report(write_report(dialect, seen, losses=losses, hostname="door-1"))
    assert (parsed.dialect, parsed.faults) == (dialect, [])
    assert {read.epc_hex for read in parsed.reads} == {item_epc(1)}
    assert {read.rssi_cdbm for read in parsed.reads} == {-5700}
    precision = {"zebra": 10**6, "zebra_handheld": 10**9, "speedway": 10**3}.get(dialect, 1)
    assert [read.read_at_ns for read in parsed.reads] == [one.at_ns // precision * precision for one in seen]
    assert parsed.gaps == ([Gap(FIRST_NS, FIRST_NS + 10**9, 7)] if dialect in TELLS_LOSSES else [])
    assert parsed.hostnames == (set() if dialect == "zebra_handheld" else {"door-1"})


def test_a_report_without_reads_is_a_heartbeat() -> None:
    for dialect in ("impinj", "zebra", "speedway", "custody"):
        assert parse_report(write_report(dialect, [])).heartbeat


@pytest.mark.urls("tests.shipments.urls")
def test_every_reader_of_the_door_at_once(live_server, door, reader, other_reader, shipment, beto) -> None:
    create_reader(read_point=door, name="zebra-door-2")
    open_read_session(read_point=door, opened_by=beto)
    told = StringIO()
    call_command(
        "simulate_readers", url=live_server.url, shipment="LRD-1042", rate=5_000.0, miss=1, stray=1, repeat=2,
        burst=5, skew=2.5, overflow=4, stdout=told,
    )  # fmt: skip
    by_reader = {
        name: TagRead.objects.filter(reader__name=name).count()
        for name in (reader.name, "zebra-door-2", other_reader.name)
    }
    assert by_reader == {reader.name: 11, "zebra-door-2": 11, other_reader.name: 0}
    assert [gap.purged for gap in CoverageGap.objects.all()] == [4, 4]
    assert ReaderCredential.objects.filter(revoked_at=None).count() == 0
    assert "zebra-door-2 reads LRD-1042: 15 reads" in told.getvalue()
    newest = TagRead.objects.order_by("-read_at_ns").first()
    assert newest.read_at_ns > newest.report.received_at.timestamp() * 1e9  # the clock that is ahead


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "ftp://x"}, "no http://"),
        ({"burst": 0}, "above zero"),
        ({"overflow": -1}, "not below zero"),
        ({"url": "mqtt://127.0.0.1:port", "reader": "impinj-14-2f-f4"}, "no address"),
    ],
)
def test_what_stops_it_is_said(shipment, reader, options, told) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("simulate_readers", shipment="LRD-1042", stdout=StringIO(), **options)


@pytest.mark.django_db
def test_over_mqtt_into_the_ingest(broker_url, client_id, reader) -> None:  # noqa: F811
    ingest = MqttIngest(broker=read_broker(broker_url, {}), topics=Topics(), client_id=client_id)
    transport = MqttTransport(broker=read_broker(broker_url, {}), topic=topic_of(reader.pk))
    simulated = SimulatedReader(transport, dialect="zebra")

    def publish() -> None:
        simulated.see(pace(SIGHTINGS, first_ns=FIRST_NS, spacing_ns=1_000_000))
        simulated.deliver()
        transport.close()

    take(ingest, publish, 4)
    assert (TagRead.objects.count(), RawReport.objects.count()) == (66, 4)
    assert len(simulated.acknowledged) == 66


@pytest.mark.django_db
def test_the_command_over_mqtt(broker_url, client_id, reader, shipment) -> None:  # noqa: F811
    told = StringIO()
    call_command("simulate_readers", url=broker_url, shipment="LRD-1042", reader=reader.name, rate=5_000.0, stdout=told)
    assert "acknowledged by the broker" in told.getvalue()
    assert ReaderCredential.objects.count() == 0
    assert json.loads(write_report("impinj", [])) == []
