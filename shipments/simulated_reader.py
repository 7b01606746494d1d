"""
A reader in software that delivers as real ones do: it keeps what was not acknowledged, tries again later, and then in
other batches. No database and no settings: it plays against any server, from any process.
"""

import http.client
import random
import threading
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import paho.mqtt.client as mqtt

from shipments.mqtt_connection import KEEPALIVE_S, Broker, make_client
from shipments.simulation import READS_PER_REPORT, Loss, Seen, write_report

TIMEOUT_S = 30
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
BUFFER = 100_000
# A server that is busy, or a proxy in front of one that is gone, says so; the reader comes again.
LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


class Unreachable(Exception):
    """Nobody answered, or the connection broke: whether the report was taken is not known."""


class Rejected(Exception):
    """The server answered that it does not want this report: the same again will not help."""

    def __init__(self, status: int, told: str) -> None:
        self.status, self.told = status, told
        super().__init__(f"{status}: {told}")


class Unacknowledged(Exception):
    """Patience is over and so many reads are not acknowledged; ``why`` is the last answer, or what broke."""

    def __init__(self, reads: int, why: Exception) -> None:
        self.reads, self.why = reads, why
        super().__init__(f"{reads} reads are not acknowledged: {why}")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    retry_after_s: float = 0.0


class Transport(Protocol):
    def send(self, body: bytes) -> Answer:
        """Deliver one report. :raises Unreachable:"""

    def close(self) -> None: ...


class HttpTransport:
    """Posts to ``<url>/api/v1/readers/<reader>/events`` under HTTP Basic."""

    def __init__(self, *, url: str, reader_id: object, username: str, password: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no http:// or https:// address.")
        self.address = f"{url.rstrip('/')}/api/v1/readers/{reader_id}/events"
        self._credential = b64encode(f"{username}:{password}".encode()).decode()

    def send(self, body: bytes) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self.address,
            data=body,
            method="POST",
            headers={"Authorization": f"Basic {self._credential}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                return Answer(response.status, response.read(2_000).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            with error:
                told = error.read(2_000).decode("utf-8", "replace")
            return Answer(error.code, told, _seconds(error.headers.get("Retry-After")))
        except (OSError, http.client.HTTPException) as error:  # refused, reset, timed out, cut off
            raise Unreachable(f"{self.address}: {error}") from error

    def close(self) -> None:
        """Nothing is kept open between two reports."""


class MqttTransport:
    """Publishes to one topic with QoS 1; the broker's acknowledgement is the answer."""

    def __init__(self, *, broker: Broker, topic: str) -> None:
        self.broker, self.topic = broker, topic
        self.address = f"{broker} {topic}"
        self._client: mqtt.Client | None = None

    def send(self, body: bytes) -> Answer:
        try:
            client = self._client or self._connect()
            sent = client.publish(self.topic, body, qos=1)
            sent.wait_for_publish(timeout=TIMEOUT_S)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise Unreachable(f"{self.address}: {error}") from error
        if not sent.is_published():
            self.close()
            raise Unreachable(f"{self.address}: the broker acknowledged nothing within {TIMEOUT_S} s")
        return Answer(200, "acknowledged by the broker")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connect(self) -> mqtt.Client:
        client = make_client(self.broker, client_id=f"custody-simulated-{uuid.uuid4().hex[:12]}", keep_session=False)
        answered = threading.Event()
        client.on_connect = lambda *_: answered.set()
        client.connect(self.broker.host, self.broker.port, keepalive=KEEPALIVE_S)
        client.loop_start()
        self._client = client
        # A broker that does not want us says so here, and closes the connection.
        if not answered.wait(TIMEOUT_S) or not client.is_connected():
            raise ConnectionRefusedError("the broker refuses the connection")
        return client


class SimulatedReader:
    """
    Holds what it saw until the server acknowledges it.

    After a failure the next batch is cut anew, shorter or longer, with what came in meanwhile, as readers do.
    ``acknowledged`` holds what the server must not lose from then on.

    :param buffer: how many events it holds; above that the oldest are dropped, which it tells where its dialect can
    :param repeat: how many acknowledged events it puts into each batch once more
    :param patience_s: how long it tries after the last acknowledgement
    :param told: called with the size of the batch and the answer
    """

    def __init__(
        self,
        transport: Transport,
        *,
        dialect: str,
        hostname: str = "simulated",
        batch: int = READS_PER_REPORT,
        buffer: int = BUFFER,
        repeat: int = 0,
        patience_s: float = 30.0,
        seed: int = 1,
        told: Callable[[int, Answer], None] | None = None,
    ) -> None:
        self.transport, self.dialect, self.hostname = transport, dialect, hostname
        self.batch, self.buffer, self.repeat, self.patience_s = batch, buffer, repeat, patience_s
        self.acknowledged: list[Seen] = []
        self.retries = 0
        self._held: list[Seen] = []
        self._losses: list[Loss] = []
        self._dice = random.Random(seed)  # noqa: S311 - to repeat a run, not to keep a secret
        self._told = told or (lambda _size, _answer: None)

    @property
    def held(self) -> int:
        return len(self._held)

    def see(self, seen: Iterable[Seen], losses: Iterable[Loss] = ()) -> None:
        """Take in what the antennas saw, and what was lost before it got here."""
        self._held += seen
        self._losses += losses
        over = len(self._held) - self.buffer
        if over > 0:
            dropped, self._held = self._held[:over], self._held[over:]
            self._losses.append(Loss(min(one.at_ns for one in dropped), max(one.at_ns for one in dropped), over))

    def deliver(self) -> None:
        """
        Send what is held, batch by batch, until all of it is acknowledged.

        :raises Rejected: where the server does not want it
        :raises Unacknowledged: where patience is over; what is held stays held
        """
        size, delay, ends = self.batch, FIRST_DELAY_S, time.monotonic() + self.patience_s
        while self._held or self._losses:
            sending, losses = self._held[:size], list(self._losses)
            again = self._dice.sample(self.acknowledged, min(self.repeat, len(self.acknowledged)))
            body = write_report(self.dialect, [*sending, *again], losses=losses, hostname=self.hostname)
            problem: Exception
            pause = 0.0
            try:
                answer = self.transport.send(body)
            except Unreachable as error:
                problem = error
            else:
                if 200 <= answer.status < 300:
                    del self._held[: len(sending)]
                    del self._losses[: len(losses)]
                    self.acknowledged += sending
                    self._told(len(sending) + len(again), answer)
                    size, delay, ends = self.batch, FIRST_DELAY_S, time.monotonic() + self.patience_s
                    continue
                problem, pause = Rejected(answer.status, answer.text), answer.retry_after_s
                if answer.status not in LATER:
                    raise problem
            if time.monotonic() >= ends:
                raise Unacknowledged(len(self._held), problem)
            self.retries += 1
            time.sleep(min(max(pause, delay), max(0.0, ends - time.monotonic())))
            delay = min(delay * 2, LONGEST_DELAY_S)
            size = self._dice.randint(1, 2 * self.batch)


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After header asks for; one that gives a date (RFC 9110 10.2.3) is passed over."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0
