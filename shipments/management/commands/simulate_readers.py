"""Play the readers of a dock door: deliver a shipment's tags to a running server, as real readers would."""

import os
import threading
import time
import uuid
from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from refusals import Refusal
from shipments.finding import find_shipment
from shipments.models import Reader, ReadSession
from shipments.mqtt_connection import BrokerMisnamed, read_broker, topic_of
from shipments.reader_credentials import issue_credential, revoke_credential
from shipments.simulated_reader import (
    Answer,
    HttpTransport,
    MqttTransport,
    Rejected,
    SimulatedReader,
    Unacknowledged,
    Unreachable,
)
from shipments.simulation import WRITERS, Loss, Seen, batches, drop, pace, plan_sightings


class Command(BaseCommand):
    help = (
        "Deliver the tags of a shipment to a running server, as readers would. With --shipment alone it plays every "
        "reader at the read point that reads now, under credentials made for the run."
    )
    all_readers: ClassVar[bool] = True
    patience: ClassVar[float] = 30.0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url", default="http://127.0.0.1:8000", help="where the server listens, or an mqtt:// or mqtts:// broker"
        )
        parser.add_argument("--reader", action="append", help="name or id of a reader to play; may be repeated")
        parser.add_argument("--user", default="", help="the reader's user name; made for the run where it is left out")
        parser.add_argument("--password", default="", help="the reader's password")
        parser.add_argument("--shipment", required=True, help="reference, SSCC or any other code of the shipment")
        parser.add_argument("--miss", type=int, default=0, help="how many of its tags each reader misses")
        parser.add_argument("--stray", type=int, default=0, help="how many foreign tags it picks up")
        parser.add_argument(
            "--repeat", type=int, default=0, help="how many reads each report repeats from earlier ones"
        )
        parser.add_argument("--burst", type=int, default=1, help="how many reads come at once")
        parser.add_argument("--skew", type=float, default=0.0, help="seconds that the reader's clock is ahead")
        parser.add_argument("--overflow", type=int, default=0, help="how many reads it drops when its buffer is full")
        parser.add_argument("--dialect", choices=[*WRITERS], default="impinj")
        parser.add_argument("--rate", type=float, default=60.0, help="reads per second")
        parser.add_argument("--seed", type=int, default=1, help="the same seed sees the same tags in the same order")
        parser.add_argument(
            "--patience", type=float, default=self.patience, help="seconds to try what is not acknowledged"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        try:
            shipment = find_shipment(code=options["shipment"])
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        names = options["reader"] or []
        readers = [_find_reader(name) for name in ([names] if isinstance(names, str) else names)]
        readers = readers or _readers_that_read_now(everyone=self.all_readers)
        if options["user"] and len(readers) > 1:
            raise CommandError("--user is one reader's. Name that one with --reader.")
        manifest = list(shipment.manifest.values_list("epc_hex", flat=True))
        runs = []
        for place, reader in enumerate(readers):
            seed = options["seed"] + place
            sightings = plan_sightings(manifest, miss=options["miss"], stray=options["stray"], seed=seed)
            if not sightings:
                raise CommandError("There is nothing to read: the reader misses every tag and picks up no other.")
            self.stdout.write(f"{reader.name} reads {shipment.reference}: {len(sightings)} reads to {options['url']}")
            runs.append((reader, sightings, seed))
        made: list[str] = []
        problems: list[CommandError] = []
        try:
            # Whatever touches the database comes first: the threads have no connection to it.
            plays = [(self._reader(reader, seed, options, made), *rest, seed) for reader, *rest, seed in runs]
            threads = [threading.Thread(target=self._play, args=(*play, options, problems)) for play in plays]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for username in made:
                revoke_credential(username=username)
        if problems:
            raise problems[0]

    def _reader(self, reader: Reader, seed: int, options: dict[str, Any], made: list[str]) -> SimulatedReader:
        def told(size: int, answer: Answer) -> None:
            self.stdout.write(f"  {reader.name}: {size} reads: {answer.text}")

        return SimulatedReader(
            _transport(reader, options, made),
            dialect=options["dialect"],
            hostname=reader.name,
            repeat=options["repeat"],
            patience_s=options["patience"],
            seed=seed,
            told=told,
        )

    def _play(
        self,
        simulated: SimulatedReader,
        sightings: list[Any],
        seed: int,
        options: dict[str, Any],
        problems: list[CommandError],
    ) -> None:
        spacing_ns = int(1_000_000_000 / options["rate"])
        skew_ns = int(options["skew"] * 1_000_000_000)
        seen = pace(sightings, first_ns=time.time_ns(), spacing_ns=spacing_ns, burst=options["burst"], skew_ns=skew_ns)
        kept, losses = drop(seen, events=options["overflow"], seed=seed)
        try:
            self._deliver(simulated, kept, losses, skew_ns)
        except Rejected as error:
            problems.append(CommandError(f"The server answered {error.status}: {error.told}"))
        except Unacknowledged as error:
            if isinstance(error.why, Unreachable):
                problems.append(CommandError(f"No server answers at {error.why}. Start it with make run."))
            else:
                problems.append(CommandError(f"The server answered {error.why}; {error.reads} reads are left."))
        finally:
            simulated.transport.close()

    def _deliver(self, simulated: SimulatedReader, seen: list[Seen], losses: list[Loss], skew_ns: int) -> None:
        for batch in batches(seen) if seen else [[]]:
            if batch:
                # A reader sends what it has seen: the last of the batch lies behind us.
                time.sleep(max(0, batch[-1].at_ns - skew_ns - time.time_ns()) / 1_000_000_000)
            simulated.see(batch, losses)
            losses = []
            simulated.deliver()


def _check(options: dict[str, Any]) -> None:
    if not options["url"].startswith(("http://", "https://", "mqtt://", "mqtts://")):
        raise CommandError(f"--url {options['url']!r} is no http://, https://, mqtt:// or mqtts:// address.")
    if options["rate"] <= 0 or options["burst"] < 1:
        raise CommandError("--rate and --burst are above zero.")
    if min(options[name] for name in ("miss", "stray", "repeat", "overflow", "patience")) < 0:
        raise CommandError("--miss, --stray, --repeat, --overflow and --patience are not below zero.")
    if bool(options["user"]) != bool(options["password"]):
        raise CommandError("Give --user and --password together, or neither.")


def _transport(reader: Reader, options: dict[str, Any], made: list[str]) -> HttpTransport | MqttTransport:
    url = options["url"]
    if url.startswith("mqtt"):
        try:
            return MqttTransport(broker=read_broker(url, os.environ), topic=topic_of(reader.pk))
        except BrokerMisnamed as error:
            raise CommandError(str(error)) from error
    username, password = options["user"], options["password"]
    if not username:
        username, password = issue_credential(reader=reader)
        made.append(username)
    return HttpTransport(url=url, reader_id=reader.pk, username=username, password=password)


def _find_reader(name: str) -> Reader:
    found = Reader.objects.filter(name=name).first()
    if found is None:
        try:
            found = Reader.objects.filter(pk=uuid.UUID(name)).first()
        except ValueError:
            found = None
    if found is None:
        raise CommandError(f"There is no reader {name!r}. Known: {', '.join(_names()) or 'none'}.")
    return found


def _readers_that_read_now(*, everyone: bool) -> list[Reader]:
    session = ReadSession.objects.filter(frozen_at__isnull=True).order_by("-opened_at").first()
    if session is None:
        raise CommandError("No handoff is reading tags now. Open one first, or name a reader with --reader.")
    readers = list(Reader.objects.filter(read_point_id=session.read_point_id, enabled=True))
    if not readers:
        raise CommandError(f"{session.read_point} has no reader that is switched on.")
    return readers if everyone else readers[:1]


def _names() -> list[str]:
    return list(Reader.objects.values_list("name", flat=True)[:20])
