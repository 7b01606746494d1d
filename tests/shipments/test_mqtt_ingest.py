"""Reports over MQTT, through the real Mosquitto: what is acknowledged is stored, once."""

import gzip
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError
from django.utils import timezone

from accounts.roles import Role
from shipments import mqtt_ingest
from shipments.models import QuarantinedEvent, RawReport, Reader, TagRead
from shipments.mqtt_connection import BrokerMisnamed, Topics, make_client, read_broker, topic_of
from shipments.mqtt_ingest import MqttIngest
from shipments.quarantine import keep_unreadable
from tests.shipments.conftest import item_epc
from tests.shipments.vendor_events import EVENTS

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("MQTT_KILLS", "1"))
URL = os.environ.get("MQTT_URL", "mqtt://127.0.0.1:1883")


@pytest.fixture
def broker_url() -> str:
    address = urlsplit(URL)
    try:
        socket.create_connection((address.hostname or "", address.port or 1883), timeout=2).close()
    except OSError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no MQTT broker at {URL}: {error}")
        pytest.skip(f"no MQTT broker at {URL}: set MQTT_URL")
    return URL


@pytest.fixture
def client_id(broker_url: str) -> Iterator[str]:
    """A client id of this test alone, whose session the broker forgets at the end."""
    name = f"custody-test-{uuid.uuid4().hex[:12]}"
    yield name
    forgetting = make_client(read_broker(broker_url, {}), client_id=name, keep_session=False)
    forgetting.connect(*_address(broker_url))
    for _ in range(20):
        forgetting.loop(0.1)
        if forgetting.is_connected():
            break
    forgetting.disconnect()


def _address(url: str) -> tuple[str, int]:
    broker = read_broker(url, {})
    return broker.host, broker.port


class Publisher:
    """A reader's side: publishes and waits for the broker to acknowledge."""

    def __init__(self, url: str) -> None:
        self.client = make_client(read_broker(url, {}), client_id=uuid.uuid4().hex, keep_session=False)
        self.client.max_inflight_messages_set(100)
        self.client.connect(*_address(url))
        self.client.loop_start()

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def publish(self, topic: str, *bodies: bytes) -> None:
        sent = [self.client.publish(topic, body, qos=1) for body in bodies]
        for one in sent:
            one.wait_for_publish(timeout=20)
            assert one.is_published()


def wait_for(what: Callable[[], bool], seconds: float = 30) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if what():
            return True
        time.sleep(0.05)
    return what()


def take(ingest: MqttIngest, publish: Callable[[], None], expected: int) -> None:
    """Run ``ingest`` in this thread, whose database it is, while another publishes and ends it."""
    problems: list[str] = []

    def play() -> None:
        try:
            if not wait_for(lambda: ingest.reading):
                problems.append("never subscribed")
            publish()
            if not wait_for(lambda: ingest.stored + ingest.refused >= expected):
                problems.append(f"{ingest.stored} stored, {ingest.refused} refused, expected {expected}")
        except Exception as error:
            problems.append(repr(error))
        finally:
            ingest.stop()

    player = threading.Thread(target=play)
    player.start()
    ingest.run()
    player.join()
    assert problems == []


def report(*serials: int) -> bytes:
    reads = [{"epc": item_epc(serial), "read_at": 1795356300000 + serial} for serial in serials]
    return json.dumps({"reads": reads}).encode()


@pytest.fixture(autouse=True)
def own_transaction(monkeypatch) -> None:
    """As Django's test client does: the connection with the test's transaction in it stays open."""
    monkeypatch.setattr(mqtt_ingest, "close_old_connections", lambda: None)


@pytest.fixture
def ingest(broker_url: str, client_id: str) -> MqttIngest:
    return MqttIngest(broker=read_broker(broker_url, {}), topics=Topics(), client_id=client_id)


@pytest.mark.django_db
def test_every_dialect_comes_over_its_readers_topic(ingest, reader, other_reader, broker_url) -> None:
    bodies = [json.dumps(events).encode() for events in EVENTS.values()]

    def publish() -> None:
        with Publisher(broker_url) as publisher:
            publisher.publish(topic_of(reader.pk), *bodies, gzip.compress(report(1)))
            publisher.publish(topic_of(other_reader.pk), report(2), report(2))

    take(ingest, publish, len(bodies) + 3)
    kept = RawReport.objects.filter(reader=reader).order_by("pk")
    assert [report.dialect for report in kept] == [*EVENTS, "custody"]
    assert {report.content_type for report in kept} == {"mqtt"}
    assert bytes(kept.last().body) == report(1)
    assert TagRead.objects.filter(reader=other_reader).count() == 1
    assert RawReport.objects.get(reader=other_reader).deliveries == 2
    assert QuarantinedEvent.objects.count() == 0
    reader.refresh_from_db()
    assert reader.last_seen_at is not None


@pytest.mark.django_db
def test_what_cannot_be_read_is_kept_and_holds_nothing_up(ingest, reader, broker_url, caplog) -> None:
    def publish() -> None:
        with Publisher(broker_url) as publisher:
            topic = topic_of(reader.pk)
            publisher.publish(
                topic, b"\x00not json", b"\x1f\x8brubbish", b"", "México".encode("latin-1"), b"\x00not json"
            )
            publisher.publish(topic_of(uuid.uuid4()), report(1))
            publisher.publish(topic_of("x" * 5_000), report(2))
            publisher.publish(topic, report(3))

    with caplog.at_level(logging.ERROR):
        take(ingest, publish, 8)
    assert (ingest.stored, ingest.refused) == (2, 6)  # the same rubbish again is a re-delivery
    assert [read.epc_hex for read in TagRead.objects.all()] == [item_epc(3)]
    kept = QuarantinedEvent.objects.order_by("report_id")
    assert [event.reason for event in kept] == ["not_json", "report_encoding_broken", "empty", "not_utf8"]
    assert bytes(kept[0].report.body) == b"\x00not json"
    assert kept[0].report.deliveries == 2
    assert "is not known" in caplog.text


@pytest.mark.django_db
def test_a_report_over_the_cap_and_a_reader_switched_off(ingest, reader, other_reader, broker_url, monkeypatch) -> None:
    monkeypatch.setattr(mqtt_ingest, "MAX_BODY", 200)
    Reader.objects.filter(pk=other_reader.pk).update(enabled=False)

    def publish() -> None:
        with Publisher(broker_url) as publisher:
            publisher.publish(topic_of(reader.pk), report(*range(100)))
            publisher.publish(topic_of(other_reader.pk), report(1))
            publisher.publish(topic_of(reader.pk), report(1))

    take(ingest, publish, 3)
    assert (RawReport.objects.count(), TagRead.objects.get().reader) == (1, reader)


@pytest.mark.django_db
def test_a_topic_that_a_reader_cannot_change(broker_url, client_id, reader, other_reader) -> None:
    base = f"zebra/{uuid.uuid4().hex}"
    topics = Topics(fixed={f"{base}/dock/+": reader.name, f"{base}/lane/data": str(other_reader.pk)})
    ingest = MqttIngest(broker=read_broker(broker_url, {}), topics=topics, client_id=client_id)

    def publish() -> None:
        with Publisher(broker_url) as publisher:
            publisher.publish(f"{base}/dock/data", report(1))
            publisher.publish(f"{base}/lane/data", report(2))

    take(ingest, publish, 2)
    assert TagRead.objects.get(epc_hex=item_epc(1)).reader == reader
    assert TagRead.objects.get(epc_hex=item_epc(2)).reader == other_reader


@pytest.mark.django_db
def test_a_message_that_the_database_did_not_take_comes_again(ingest, reader, broker_url, monkeypatch) -> None:
    monkeypatch.setattr(mqtt_ingest, "FIRST_DELAY_S", 0.1)
    ingest._delay = 0.1
    record, failures = mqtt_ingest.record_report, []

    def fail_thrice(**given: object) -> object:
        if len(failures) < 3:
            failures.append(given["body"])
            raise OperationalError("database is locked")
        return record(**given)

    monkeypatch.setattr(mqtt_ingest, "record_report", fail_thrice)

    def publish() -> None:
        with Publisher(broker_url) as publisher:
            publisher.publish(topic_of(reader.pk), report(1), report(2))

    take(ingest, publish, 2)
    assert failures == [report(1)] * 3
    assert (TagRead.objects.count(), RawReport.objects.count()) == (2, 2)


@pytest.mark.django_db
def test_an_error_that_nobody_foresaw_is_quarantined(ingest, reader, broker_url, monkeypatch) -> None:
    record = mqtt_ingest.record_report

    def stumble(**given: object) -> object:
        if given["body"] == report(1):
            raise ZeroDivisionError("by this report")
        return record(**given)

    monkeypatch.setattr(mqtt_ingest, "record_report", stumble)

    def publish() -> None:
        with Publisher(broker_url) as publisher:
            publisher.publish(topic_of(reader.pk), report(1), report(2))

    take(ingest, publish, 2)
    assert QuarantinedEvent.objects.get().reason == "not_processed"
    assert TagRead.objects.get().epc_hex == item_epc(2)


@pytest.mark.django_db
def test_what_is_published_while_nobody_listens_waits(broker_url, client_id, reader) -> None:
    def listener() -> MqttIngest:
        return MqttIngest(broker=read_broker(broker_url, {}), topics=Topics(), client_id=client_id)

    take(listener(), lambda: None, 0)
    with Publisher(broker_url) as publisher:
        publisher.publish(topic_of(reader.pk), report(1), report(2))
    take(listener(), lambda: None, 2)
    assert TagRead.objects.count() == 2


def test_whose_a_topic_is() -> None:
    topics = Topics(pattern="site/{reader}/tags", fixed={"zebra/+/data": "dock", "#": "rest"})
    assert topics.filters == ["site/+/tags", "zebra/+/data", "#"]
    assert topics.reader_of("zebra/FX9600/data") == "dock"
    assert topics.reader_of("site/x/tags") == "rest"  # a mapping goes before the pattern
    assert Topics().reader_of("custody/readers/7/events") == "7"
    for other in ("custody/readers/7/8/events", "custody/readers//events", "x/custody/readers/7/events", ""):
        assert Topics().reader_of(other) == ""


@pytest.mark.parametrize("pattern", ["", "a/b", "a/{reader}/{reader}", "a/+/{reader}", "a/x{reader}/b", "#"])
def test_a_pattern_names_the_reader_once(pattern: str) -> None:
    with pytest.raises(BrokerMisnamed):
        Topics(pattern=pattern)


def test_who_it_is_comes_from_the_address_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    broker = read_broker(
        "mqtts://broker.example", {"MQTT_USERNAME": "custody", "MQTT_PASSWORD_FILE": f"{tmp_path}/password"}
    )
    assert (broker.port, broker.tls, broker.username, broker.password) == (8883, True, "custody", "from a file")
    assert "file" not in str(broker)
    broker = read_broker("mqtt://us%40er:se%2Fcret@[::1]:1884", {"MQTT_PASSWORD": "other"})
    assert (broker.host, broker.port, broker.username, broker.password) == ("::1", 1884, "us@er", "se/cret")
    for url in ("http://broker.example", "broker.example:1883", "mqtt://", "mqtt://x:port"):
        with pytest.raises(BrokerMisnamed):
            read_broker(url, {})
    with pytest.raises(BrokerMisnamed) as told:
        read_broker("ftp://user:secret@broker.example", {})
    assert "secret" not in str(told.value)
    with pytest.raises(BrokerMisnamed):
        read_broker("mqtt://broker.example", {"MQTT_USERNAME_FILE": str(tmp_path / "missing")})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"broker": "http://127.0.0.1"}, "no mqtt://"),
        ({"pattern": "readers/+/events"}, "needs {reader}"),
        ({"map": ["zebra/dock"]}, "no TOPIC=READER"),
        ({"map": ["zebra/x#=dock"]}, "no topic"),
        ({"map": ["zebra/dock=nobody"]}, "no reader 'nobody'"),
        ({"broker": "mqtts://127.0.0.1", "ca_file": "/nowhere"}, "No such file"),
    ],
)
def test_the_command_says_what_stops_it(options: dict[str, object], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("mqtt_ingest", **options)


WORLD = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "custody.settings"
import django
django.setup()
from django.core.management import call_command
from shipments.models import Reader
from shipments.places import create_read_point, create_site
call_command("migrate", verbosity=0)
site = create_site(code="LRD", name="Yard", gln="0614141123452")
door = create_read_point(site=site, name="Dock", direction="out", extension="1")
Reader.objects.create(pk=sys.argv[1], read_point=door, name="dock")
"""


class Deployment:
    """A database, a reader and the ingest as a process that can be killed."""

    def __init__(self, folder: Path, url: str, client_id: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CUSTODY_", "LEDGER_"))}
        for name in ("DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE"):
            kept.pop(name, None)
        self.environment = {**kept, "CUSTODY_VAR": str(folder), "MQTT_URL": url, "MQTT_CLIENT_ID": client_id}
        self.database, self.log = folder / "custody.sqlite3", folder / "log"
        self.reader = uuid.uuid4()
        made = subprocess.run(
            [sys.executable, "-c", WORLD, str(self.reader)],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "mqtt_ingest"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def reads(self) -> list[str]:
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10) as database:
            found = [row[0] for row in database.execute("SELECT epc_hex FROM shipments_tagread")]
        database.close()
        return found


@pytest.mark.slow
def test_killed_in_mid_stream_nothing_acknowledged_is_missing_and_nothing_is_twice(
    tmp_path: Path, broker_url: str, client_id: str
) -> None:
    deployment = Deployment(tmp_path, broker_url, client_id)
    serials = range(int(os.environ.get("MQTT_MESSAGES", "200")))
    process = deployment.start()
    try:
        assert wait_for(lambda: b" reading " in deployment.log.read_bytes(), 60), deployment.log.read_text()
        with Publisher(broker_url) as publisher:
            publisher.publish(topic_of(deployment.reader), *(report(2 * one, 2 * one + 1) for one in serials))
        for kill in range(KILLS):
            share = len(serials) * (kill + 0.3) / (KILLS + 1)
            assert wait_for(lambda share=share: len(deployment.reads()) > share, 60)
            process.kill()
            process.wait(timeout=30)
            stopped_at = len(deployment.reads())
            assert stopped_at < 2 * len(serials), "killed too late to show anything"
            process = deployment.start()
        assert wait_for(lambda: len(deployment.reads()) >= 2 * len(serials), 120), deployment.log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)
    assert sorted(deployment.reads()) == sorted(item_epc(serial) for serial in range(2 * len(serials)))
    assert "Ended: " in deployment.log.read_text()
    # Nothing is left for the next: the session is empty.
    listening = make_client(read_broker(broker_url, {}), client_id=client_id, keep_session=True)
    left: list[mqtt.MQTTMessage] = []
    listening.on_message = lambda _client, _userdata, message: left.append(message)
    listening.connect(*_address(broker_url))
    for _ in range(10):
        listening.loop(0.1)
    listening.disconnect()
    assert left == []


@pytest.mark.django_db
def test_the_readers_page_names_its_topic_and_what_was_not_readable(client, reader, django_user_model) -> None:
    keep_unreadable(
        reader=reader, body=b"\x00rubbish", content_type="mqtt", received_at=timezone.now(), reason="not_json"
    )
    client.force_login(django_user_model.objects.create_user("sofia", role=Role.SUPERVISOR))
    page = client.get(f"/readers/{reader.pk}/").content.decode()
    assert topic_of(reader.pk) in page
    assert "Zebra IoT Connector" in page
    assert "Not JSON" in page
    assert "\\u0000rubbish" in page
