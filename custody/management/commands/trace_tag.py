"""Trace one tag: between which entries it was lost, who held custody meanwhile, and how much that shows."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.tracing.reader import reader_named
from custody.tracing.tags import trace_tag
from custody.tracing.telling import Naming, tag_as_data, tell_tag
from custody.tracing.whole_log import shipments_that_name
from refusals import Refusal
from shipments.finding import find_shipment


class Command(BaseCommand):
    help = (
        "Trace a tag by its EPC (hex or URI): the window in which it was lost, who held custody during it, what is "
        "known of that time, and the grade of the finding."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tag", help="EPC in hex, or as a URI")
        parser.add_argument("--shipment", metavar="CODE", help="in this shipment; default: the one that holds it now")
        parser.add_argument(
            "--whole-log", action="store_true", help="find the shipment in every sealed handoff, believing no manifest"
        )
        parser.add_argument("--json", action="store_true", help="as data")
        parser.add_argument(
            "--as", dest="username", metavar="USERNAME", help="show the names that this account may see"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            shipment = find_shipment(code=options["shipment"]) if options["shipment"] else None
            if options["whole_log"] and shipment is None:
                found = shipments_that_name(options["tag"])
                if not found:
                    raise CommandError("No sealed handoff names this tag.")
                shipment = found[-1]
            trace = trace_tag(tag=options["tag"], shipment=shipment)
            naming = Naming(reader_named(options["username"]))
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(tag_as_data(trace, naming), indent=2, ensure_ascii=False))
            return
        self.stdout.write(f"{trace.uri} ({trace.chain.shipment.reference})")
        for sentence in tell_tag(trace, naming):
            self.stdout.write(f"  {sentence}")
