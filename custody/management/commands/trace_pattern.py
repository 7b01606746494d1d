"""What the windows of several shipments with losses have in common, each candidate beside its base rate."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.tracing.patterns import trace_pattern
from custody.tracing.reader import reader_named
from custody.tracing.telling import Naming
from custody.tracing.telling_persons import pattern_as_data, tell_candidate, tell_pattern
from refusals import Refusal
from shipments.finding import find_shipment


class Command(BaseCommand):
    help = (
        "Which persons, read points and sites are common to the windows of shipments with losses, and how often chance "
        "alone would do that."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shipments", nargs="+", metavar="SHIPMENT", help="two or more, by reference, UCR or SSCC")
        parser.add_argument("--json", action="store_true", help="as data")
        parser.add_argument(
            "--as", dest="username", metavar="USERNAME", help="show the names that this account may see"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            naming = Naming(reader_named(options["username"]))
            pattern = trace_pattern(shipments=[find_shipment(code=code) for code in options["shipments"]])
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(pattern_as_data(pattern, naming), indent=2, ensure_ascii=False))
            return
        for sentence in tell_pattern(pattern, naming):
            self.stdout.write(sentence)
        self.stdout.write("All candidates:")
        for one in pattern.candidates:
            self.stdout.write(f"  {tell_candidate(one, pattern, naming)}")
