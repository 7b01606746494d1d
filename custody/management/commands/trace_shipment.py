"""Trace a shipment: what it lost and in which windows, what travelled with it undeclared, and its declarations."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.tracing.reader import reader_named
from custody.tracing.shipments import trace_shipment
from custody.tracing.telling import Naming
from custody.tracing.telling_shipments import shipment_as_data, tell_shipment
from refusals import Refusal
from shipments.finding import find_shipment


class Command(BaseCommand):
    help = "Trace a shipment by its sealed entries: losses with who held custody, undeclared tags, declarations."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shipment", help="reference, UCR, SSCC or a tag of it")
        parser.add_argument("--json", action="store_true", help="as data")
        parser.add_argument(
            "--as", dest="username", metavar="USERNAME", help="show the names that this account may see"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            naming = Naming(reader_named(options["username"]))
            trace = trace_shipment(shipment=find_shipment(code=options["shipment"]))
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(shipment_as_data(trace, naming), indent=2, ensure_ascii=False))
            return
        self.stdout.write(trace.chain.shipment.reference)
        for sentence in tell_shipment(trace, naming):
            self.stdout.write(f"  {sentence}")
