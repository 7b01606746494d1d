"""Play a reader at a dock door: post a shipment's tags over HTTP to a running server, as a real reader would."""

import time
import urllib.error
import urllib.request
import uuid
from argparse import ArgumentParser
from base64 import b64encode
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from refusals import Refusal
from shipments.consignments import find_shipment
from shipments.models import Reader, ReadSession
from shipments.reader_credentials import issue_credential, revoke_credential
from shipments.simulation import Sighting, batches, plan_sightings, report_body

TIMEOUT_S = 30


class Command(BaseCommand):
    help = (
        "Post the tags of a shipment to a running server, as a reader would. With --shipment alone it plays the reader "
        "at the read point that reads now, under a credential made for the run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the server listens")
        parser.add_argument("--reader", default="", help="name or id of the reader to play")
        parser.add_argument("--user", default="", help="the reader's user name; made for the run where it is left out")
        parser.add_argument("--password", default="", help="the reader's password")
        parser.add_argument("--shipment", required=True, help="reference, SSCC or any other code of the shipment")
        parser.add_argument("--miss", type=int, default=0, help="how many of its tags the reader misses")
        parser.add_argument("--stray", type=int, default=0, help="how many foreign tags it picks up")
        parser.add_argument("--dialect", choices=["impinj", "custody"], default="impinj")
        parser.add_argument("--rate", type=float, default=60.0, help="reads per second")
        parser.add_argument("--seed", type=int, default=1, help="the same seed sees the same tags in the same order")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["url"].startswith(("http://", "https://")):
            raise CommandError(f"--url {options['url']!r} is no http:// or https:// address.")
        if options["rate"] <= 0 or options["miss"] < 0 or options["stray"] < 0:
            raise CommandError("--rate is above zero, --miss and --stray are not below it.")
        if bool(options["user"]) != bool(options["password"]):
            raise CommandError("Give --user and --password together, or neither.")
        try:
            shipment = find_shipment(code=options["shipment"])
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        reader = _find_reader(options["reader"]) if options["reader"] else _reader_that_reads_now()
        manifest = list(shipment.manifest.values_list("epc_hex", flat=True))
        sightings = plan_sightings(manifest, miss=options["miss"], stray=options["stray"], seed=options["seed"])
        if not sightings:
            raise CommandError("There is nothing to read: the reader misses every tag and picks up no other.")
        self.stdout.write(f"{reader.name} reads {shipment.reference}: {len(sightings)} reads to {options['url']}")
        address = f"{options['url'].rstrip('/')}/api/v1/readers/{reader.pk}/events"
        if options["user"]:
            self._post_all(address, options["user"], options["password"], sightings, options)
            return
        username, password = issue_credential(reader=reader)
        try:
            self._post_all(address, username, password, sightings, options)
        finally:
            revoke_credential(username=username)

    def _post_all(
        self, address: str, username: str, password: str, sightings: list[Sighting], options: dict[str, Any]
    ) -> None:
        spacing_s = 1 / options["rate"]
        for batch in batches(sightings):
            began = time.monotonic()
            spacing_ns = int(spacing_s * 1_000_000_000)
            # A reader posts what it has seen: the first read lies a batch's length back.
            first_ns = time.time_ns() - len(batch) * spacing_ns
            body = report_body(options["dialect"], batch, first_ns=first_ns, spacing_ns=spacing_ns)
            answer = _post(address, username, password, body)
            self.stdout.write(f"  {len(batch)} reads: {answer}")
            time.sleep(max(0.0, spacing_s * len(batch) - (time.monotonic() - began)))


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


def _reader_that_reads_now() -> Reader:
    session = ReadSession.objects.filter(frozen_at__isnull=True).order_by("-opened_at").first()
    if session is None:
        raise CommandError("No handoff is reading tags now. Open one first, or name a reader with --reader.")
    reader = Reader.objects.filter(read_point_id=session.read_point_id, enabled=True).first()
    if reader is None:
        raise CommandError(f"{session.read_point} has no reader that is switched on.")
    return reader


def _names() -> list[str]:
    return list(Reader.objects.values_list("name", flat=True)[:20])


def _post(address: str, username: str, password: str, body: bytes) -> str:
    credential = b64encode(f"{username}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked in handle()
        address,
        data=body,
        method="POST",
        headers={"Authorization": f"Basic {credential}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            return str(response.read(2_000).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            told = error.read(2_000).decode("utf-8", "replace")
        raise CommandError(f"The server answered {error.code}: {told}") from error
    except (urllib.error.URLError, TimeoutError) as error:
        raise CommandError(f"No server answers at {address}: {error}. Start it with make run.") from error
