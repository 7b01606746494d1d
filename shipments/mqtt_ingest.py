"""
Reports that come over MQTT, stored as those over HTTP are. A message is acknowledged after the commit, never before.

The broker authenticates who publishes, and says who may publish to which topic: the topic is the reader's credential
here. A kept session and QoS 1 make the broker hold what was not acknowledged and deliver it again, in this life of the
process or the next; the same bytes twice change nothing.
"""

import logging
import time
import uuid
from typing import Any

import paho.mqtt.client as mqtt
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from refusals import Refusal
from shipments.ingest import record_report
from shipments.models import Reader
from shipments.mqtt_connection import KEEPALIVE_S, Broker, Topics, make_client
from shipments.quarantine import keep_unreadable
from shipments.report_body import MAX_BODY, unpack_gzip

QOS = 1
CONTENT_TYPE = "mqtt"
GZIP = b"\x1f\x8b"  # RFC 1952; no JSON and no form begins so, and MQTT 3.1.1 has no Content-Encoding
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
SLICE_S = 0.2

log = logging.getLogger(__name__)


class SubscriptionRefused(Exception):
    """The broker does not let this client read one of the topics."""


class NotStored(Exception):
    """The database did not take a message: it stays unacknowledged, and the broker delivers it again."""


class MqttIngest:
    """One subscriber. ``run`` returns after ``stop``, which a signal's handler or another thread may call."""

    def __init__(self, *, broker: Broker, topics: Topics, client_id: str) -> None:
        self.broker, self.topics = broker, topics
        self.stored = self.refused = 0
        self.reading = False
        self._stopping = self._held_up = False
        self._delay = FIRST_DELAY_S
        self._client = make_client(broker, client_id=client_id, keep_session=True, manual_ack=True)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._take

    def stop(self) -> None:
        """End after the message in hand. Not an Event: its lock may be held by what the signal interrupted."""
        self._stopping = True

    def run(self) -> None:
        """
        Take messages until stopped, connecting again with a growing delay.

        :raises SubscriptionRefused:
        """
        while not self._stopping:
            try:
                self._client.connect(self.broker.host, self.broker.port, keepalive=KEEPALIVE_S)
                while not self._stopping and self._client.loop(timeout=1.0) == mqtt.MQTT_ERR_SUCCESS:
                    pass
            except NotStored as error:
                self._held_up = True
                log.error("not stored and not acknowledged, the broker delivers it again: %s", error)
            except OSError as error:
                log.warning("%s does not answer: %s", self.broker, error)
            self.reading = False
            # What is acknowledged still goes out in front of it; what is not comes back.
            self._client.disconnect()
            if not self._stopping:
                log.warning("connecting to %s again in %.0f s", self.broker, self._delay)
                self._wait()

    def _wait(self) -> None:
        ends = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, LONGEST_DELAY_S)
        while not self._stopping and time.monotonic() < ends:
            time.sleep(SLICE_S)

    def _connected(
        self, client: mqtt.Client, _userdata: Any, flags: mqtt.ConnectFlags, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            log.error("%s refuses the connection: %s", self.broker, reason)
            return
        if not flags.session_present:
            log.warning("%s holds no session for this client: what was published before now does not come", self.broker)
        client.subscribe([(topic, QOS) for topic in self.topics.filters])

    def _subscribed(
        self, _client: mqtt.Client, _userdata: Any, _mid: int, reasons: list[Any], _properties: Any
    ) -> None:
        for topic, reason in zip(self.topics.filters, reasons, strict=True):
            if reason.is_failure:
                raise SubscriptionRefused(f"{self.broker} does not let this client read {topic}: {reason}.")
        self.reading = True
        if not self._held_up:
            self._delay = FIRST_DELAY_S
        log.info("reading %s from %s", ", ".join(self.topics.filters), self.broker)

    def _take(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        close_old_connections()
        try:
            self._store(message.topic, bytes(message.payload))
        except (OperationalError, InterfaceError) as error:
            raise NotStored(f"{message.topic}: {error}") from error
        self._held_up, self._delay = False, FIRST_DELAY_S
        # Here the report is committed. A crash between the two delivers it again, as a re-delivery.
        client.ack(message.mid, message.qos)

    def _store(self, whole_topic: str, payload: bytes) -> None:
        name, topic = self.topics.reader_of(whole_topic), ascii(whole_topic[:120])
        reader = find_reader(name)
        if reader is None or not reader.enabled:
            self.refused += 1
            what = "is switched off" if reader else "is not known"
            log.error("%s: dropped %d bytes, for the reader %r %s", topic, len(payload), name[:80], what)
            return
        if len(payload) > MAX_BODY:
            self.refused += 1
            log.error("%s: dropped %d bytes, a report has at most %d", topic, len(payload), MAX_BODY)
            return
        received_at = timezone.now()
        try:
            body = unpack_gzip(payload) if payload.startswith(GZIP) else payload
            receipt = record_report(reader=reader, body=body, content_type=CONTENT_TYPE, received_at=received_at)
        except Refusal as refusal:
            reason, detail = str(refusal.facts.get("reason", refusal.code)), refusal.sentence
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # whatever a message brings about, it must not stop those behind it for ever
            log.exception("%s: a message that nobody foresaw", topic)
            reason, detail = "not_processed", repr(error)
        else:
            self.stored += 1
            log.debug("%s: %s", topic, receipt)
            return
        self.refused += 1
        log.error("%s: %d bytes to the quarantine of %s: %s", topic, len(payload), reader, detail)
        keep_unreadable(
            reader=reader,
            body=payload,
            content_type=CONTENT_TYPE,
            received_at=received_at,
            reason=reason,
            detail=detail,
        )


def find_reader(name: str) -> Reader | None:
    """Return the reader of this id or name."""
    try:
        return Reader.objects.filter(pk=uuid.UUID(name)).first()
    except ValueError:
        return Reader.objects.filter(name=name).first() if name and name.isprintable() else None
