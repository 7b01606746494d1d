"""
How to reach an MQTT broker, and which topic is which reader's. No Django: the simulated reader uses it as well.

An address is ``mqtt://host:port`` or, over TLS, ``mqtts://host:port``. Who this end is, it tells by a user name and
password or a client certificate. Secrets come from the environment or a file: a command line is everybody's to read.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

DEFAULT_URL = "mqtt://127.0.0.1:1883"
PATTERN = "custody/readers/{reader}/events"
KEEPALIVE_S = 30
PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerMisnamed(ValueError):
    """The address, the pattern or a mapping cannot be used; the message says why."""


@dataclass(frozen=True)
class Broker:
    """Where the broker listens and what this end shows it. ``ca_file`` left out: the system's authorities."""

    host: str
    port: int
    tls: bool = False
    username: str = ""
    password: str = ""
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


def read_broker(
    url: str,
    environment: Mapping[str, str],
    *,
    username: str = "",
    password_file: str = "",
    ca_file: str = "",
    cert_file: str = "",
    key_file: str = "",
) -> Broker:
    """
    Return the broker at ``url``; what the arguments leave out, the environment may hold.

    ``MQTT_USERNAME``, ``MQTT_PASSWORD``, ``MQTT_CA_FILE``, ``MQTT_CERT_FILE``, ``MQTT_KEY_FILE``; the first two also as
    ``MQTT_USERNAME_FILE`` and ``MQTT_PASSWORD_FILE``.

    :raises BrokerMisnamed: where the URL is no mqtt:// or mqtts:// address, or a file cannot be read
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise BrokerMisnamed(f"{url!r} is no address: {error}.") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise BrokerMisnamed(f"{_bare(url)!r} is no mqtt:// or mqtts:// address.")

    def kept(name: str) -> str:
        held = environment.get(f"{name}_FILE", "")
        return _read(held) if held else environment.get(name, "")

    return Broker(
        host=parts.hostname,
        port=port,
        tls=parts.scheme == "mqtts",
        username=username or unquote(parts.username or "") or kept("MQTT_USERNAME"),
        password=(_read(password_file) if password_file else unquote(parts.password or "")) or kept("MQTT_PASSWORD"),
        ca_file=_path(ca_file or environment.get("MQTT_CA_FILE", "")),
        cert_file=_path(cert_file or environment.get("MQTT_CERT_FILE", "")),
        key_file=_path(key_file or environment.get("MQTT_KEY_FILE", "")),
    )


def make_client(broker: Broker, *, client_id: str, keep_session: bool, manual_ack: bool = False) -> mqtt.Client:
    """Make a client of MQTT 3.1.1, which every broker speaks, for ``broker``; it is not connected yet."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=not keep_session,
        protocol=mqtt.MQTTv311,
        manual_ack=manual_ack,
    )
    if broker.username:
        client.username_pw_set(broker.username, broker.password or None)
    if broker.tls:
        context = ssl.create_default_context(cafile=broker.ca_file)
        if broker.cert_file:
            context.load_cert_chain(broker.cert_file, broker.key_file)
        client.tls_set_context(context)
    return client


class Topics:
    """
    Which topics are subscribed to, and whose each is.

    :param pattern: topics with ``{reader}`` as one whole level, where the reader's id stands
    :param fixed: topic (or filter with ``+`` and ``#``) to the name or id of a reader whose topic cannot be chosen
    :raises BrokerMisnamed: where the pattern has no such level, or a filter is none
    """

    def __init__(self, *, pattern: str = PATTERN, fixed: Mapping[str, str] | None = None) -> None:
        levels = pattern.split("/")
        if levels.count("{reader}") != 1 or set("+#") & set(pattern):
            raise BrokerMisnamed(f"The pattern {pattern!r} needs {{reader}} as one of its levels, and neither + nor #.")
        self.fixed = dict(fixed or {})
        for topic in self.fixed:
            if not _is_filter(topic):
                raise BrokerMisnamed(f"{topic!r} is no topic, and no filter of topics.")
        self.filters = ["/".join("+" if level == "{reader}" else level for level in levels), *self.fixed]
        self._pattern = re.compile("/".join("([^/]+)" if one == "{reader}" else re.escape(one) for one in levels))

    def reader_of(self, topic: str) -> str:
        """Return the id or name behind ``topic``, or an empty string. A mapping goes before the pattern."""
        if topic in self.fixed:
            return self.fixed[topic]
        for listed, reader in self.fixed.items():
            if mqtt.topic_matches_sub(listed, topic):
                return reader
        found = self._pattern.fullmatch(topic)
        return found.group(1) if found else ""


def topic_of(reader_id: object, pattern: str = PATTERN) -> str:
    return pattern.replace("{reader}", str(reader_id))


def _is_filter(topic: str) -> bool:
    levels = topic.split("/")
    sound = all(level in ("+", "#") or not set("+#\0") & set(level) for level in levels)
    return bool(topic) and sound and "#" not in levels[:-1] and not topic.startswith("$")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerMisnamed(f"{path} cannot be read: {error}.") from error


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _bare(url: str) -> str:
    """The address without what stands before an @: it may be a password."""
    scheme, _, rest = url.rpartition("@")
    return f"{scheme.partition('//')[0]}//…@{rest}" if scheme else url
