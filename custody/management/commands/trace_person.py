"""Trace a person: of what they held custody, what was lost meanwhile, what else names them. The look is recorded."""

import json
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from biometrics.models import Person
from custody.models import PersonTraced
from custody.tracing.persons import SHIPMENTS, trace_person
from custody.tracing.reader import reader_named
from custody.tracing.telling import Naming
from custody.tracing.telling_persons import tell_person, trace_of_person_as_data
from refusals import Refusal


class Command(BaseCommand):
    help = "Trace a person through the shipments that name them. Who looks is recorded."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("person", help="their identifier, as entries have it")
        parser.add_argument("--as", dest="username", metavar="USERNAME", required=True, help="the account that looks")
        parser.add_argument("--most", type=int, default=SHIPMENTS, help="so many of the newest shipments (%(default)s)")
        parser.add_argument("--json", action="store_true", help="as data")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            pk = uuid.UUID(options["person"].removeprefix("urn:uuid:"))
        except ValueError as error:
            raise CommandError(f"{options['person']} is not a UUID.") from error
        person = Person.objects.filter(pk=pk).first()
        if person is None:
            raise CommandError(f"There is no person {pk}.")
        try:
            reader = reader_named(options["username"])
            assert reader is not None
            trace = trace_person(
                person=person, asked_by=reader, way=PersonTraced.Way.COMMAND, most=max(1, options["most"])
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        naming = Naming(reader)
        if options["json"]:
            self.stdout.write(json.dumps(trace_of_person_as_data(trace, naming), indent=2, ensure_ascii=False))
            return
        for sentence in tell_person(trace, naming):
            self.stdout.write(sentence)
