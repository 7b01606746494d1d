"""Export a shipment's sealed entries as an EPCIS 2.0 document, or make the query's events of entries anew."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.epcis_events import export_shipment
from custody.epcis_projection import renew
from refusals import Refusal
from shipments.finding import find_shipment


class Command(BaseCommand):
    help = "Write a shipment's handoffs, packings, seals and inspections as an EPCISDocument; each names its entry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument("--shipment", metavar="CODE", help="by reference, UCR, SSCC or tag")
        scope.add_argument(
            "--renew", action="store_true", help="look at every entry again for events that could not be made before"
        )
        parser.add_argument("target", type=Path, nargs="?", metavar="OUT.json", help="where to write it; or stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["renew"]:
            self.stdout.write(f"Events made of entries: {renew()}.")
            return
        try:
            export = export_shipment(find_shipment(code=options["shipment"]))
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        target: Path | None = options["target"]
        if target is None:
            self.stdout.write(export.document.decode())
        else:
            try:
                target.write_bytes(export.document)
            except OSError as error:
                raise CommandError(f"{error.filename or target}: {error.strerror or error}") from error
            self.stdout.write(f"Wrote {target}: {export.events} events.")
        for left_out in export.left_out:
            self.stderr.write(self.style.WARNING(f"No event was made of {left_out}"))
