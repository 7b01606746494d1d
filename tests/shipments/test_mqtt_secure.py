"""A broker as docs/readers.md sets it up: TLS, a user for each reader, and an ACL that makes the topic a credential."""

import gc
import ipaddress
import shutil
import socket
import subprocess
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from shipments.models import Reader, TagRead
from shipments.mqtt_connection import Broker, Topics, read_broker, topic_of
from shipments.mqtt_ingest import MqttIngest, SubscriptionRefused
from shipments.simulated_reader import MqttTransport, SimulatedReader, Unacknowledged
from shipments.simulation import Sighting, pace
from tests.shipments.conftest import item_epc
from tests.shipments.test_mqtt_ingest import own_transaction, take, wait_for  # noqa: F401

INGEST = "custody-ingest"
FIRST_NS = 1795356300_000000000


@dataclass
class SecureBroker:
    url: str
    ca_file: str
    passwords: dict[str, str]

    def as_user(self, name: str, password: str = "") -> Broker:
        environment = {"MQTT_USERNAME": name, "MQTT_PASSWORD": password or self.passwords[name]}
        return read_broker(self.url, environment, ca_file=self.ca_file)


@pytest.fixture
def secure(tmp_path: Path, reader: Reader, other_reader: Reader) -> Iterator[SecureBroker]:
    if not shutil.which("mosquitto") or not shutil.which("mosquitto_passwd"):
        pytest.skip("mosquitto and mosquitto_passwd are not installed: apt-get install mosquitto")
    passwords = {name: uuid.uuid4().hex for name in (INGEST, str(reader.pk), str(other_reader.pk))}
    for place, (name, password) in enumerate(passwords.items()):
        subprocess.run(
            ["mosquitto_passwd", "-b", *(["-c"] if place == 0 else []), tmp_path / "passwords", name, password],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
    _certificate(tmp_path)
    (tmp_path / "acl").write_text(
        f"user {INGEST}\ntopic read custody/readers/+/events\n\npattern write custody/readers/%u/events\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "conf").write_text(
        f"listener {port} 127.0.0.1\ncafile {tmp_path}/cert.pem\ncertfile {tmp_path}/cert.pem\n"
        f"keyfile {tmp_path}/key.pem\nallow_anonymous false\npassword_file {tmp_path}/passwords\n"
        f"acl_file {tmp_path}/acl\nmessage_size_limit 16777216\nmax_queued_messages 1000000\nuser root\n"
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["mosquitto", "-c", str(tmp_path / "conf")], stdout=log, stderr=log)
    try:
        if not wait_for(lambda: _answers(port) or process.poll() is not None, 20) or process.poll() is not None:
            pytest.fail((tmp_path / "log").read_text())
        yield SecureBroker(f"mqtts://127.0.0.1:{port}", str(tmp_path / "cert.pem"), passwords)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def deliver(broker: Broker, topic: str, *serials: int) -> None:
    transport = MqttTransport(broker=broker, topic=topic)
    simulated = SimulatedReader(transport, dialect="custody", patience_s=0.5)
    simulated.see(pace([Sighting(item_epc(one), 1, -5000) for one in serials], first_ns=FIRST_NS, spacing_ns=10**6))
    try:
        simulated.deliver()
    finally:
        transport.close()


@pytest.mark.django_db
def test_a_reader_speaks_for_itself_and_for_nobody_else(secure, reader, other_reader) -> None:
    ingest = MqttIngest(broker=secure.as_user(INGEST), topics=Topics(), client_id="custody-ingest")
    mine = secure.as_user(str(reader.pk))

    def publish() -> None:
        # The broker takes what its ACL forbids and passes it to nobody: MQTT 3.1.1 has no other answer.
        deliver(mine, topic_of(other_reader.pk), 1)
        deliver(mine, topic_of(reader.pk), 2)
        deliver(secure.as_user(str(other_reader.pk)), topic_of(other_reader.pk), 3)

    take(ingest, publish, 2)
    assert {(read.reader_id, read.epc_hex) for read in TagRead.objects.all()} == {
        (reader.pk, item_epc(2)),
        (other_reader.pk, item_epc(3)),
    }


@pytest.mark.django_db
def test_who_has_no_password_or_a_wrong_one_does_not_get_in(secure, reader) -> None:
    with pytest.raises(Unacknowledged):
        deliver(secure.as_user(str(reader.pk), "wrong"), topic_of(reader.pk), 1)
    with pytest.raises(Unacknowledged):
        deliver(read_broker(secure.url, {}, ca_file=secure.ca_file), topic_of(reader.pk), 1)


@pytest.mark.django_db
def test_a_broker_whose_certificate_nobody_vouches_for_is_not_spoken_to(secure, reader) -> None:
    broker = read_broker(secure.url, {"MQTT_USERNAME": INGEST, "MQTT_PASSWORD": secure.passwords[INGEST]})
    with warnings.catch_warnings():
        # paho leaves a socket whose handshake failed to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(Unacknowledged, match="certificate"):
            deliver(broker, topic_of(reader.pk), 1)
        gc.collect()


def test_an_ingest_that_may_not_read_the_topics_says_so() -> None:
    """Mosquitto lets everybody subscribe and passes nothing on; others, which answer 0x80, end the ingest."""
    ingest = MqttIngest(broker=read_broker("mqtt://broker.example", {}), topics=Topics(), client_id="x")
    with pytest.raises(SubscriptionRefused, match=r"custody/readers/\+/events"):
        ingest._subscribed(ingest._client, None, 1, [ReasonCode(PacketTypes.SUBACK, identifier=0x80)], None)
