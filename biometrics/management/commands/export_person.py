"""Write what is held about a person, for that person. Each value in it is recorded as looked at."""

import os
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from biometrics.models import Person
from biometrics.subject_access import export_person
from refusals import Refusal


class Command(BaseCommand):
    help = "Write an archive of everything held about a person. Hand it to that person, and destroy your copy."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("person", type=uuid.UUID, help="as the ledger and the person's page name them")
        parser.add_argument("target", type=Path, metavar="OUT.zip", help="where to write it; it must not be there yet")
        parser.add_argument("--as", dest="username", required=True, metavar="USERNAME", help="the officer who looks")

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person.objects.filter(pk=options["person"]).first()
        if person is None:
            raise CommandError(f"There is no person {options['person']}.")
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no account {options['username']}.")
        try:
            # Before anything is opened: a look that nobody could save would stand recorded. For its owner alone.
            file = os.open(options["target"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{options['target']} cannot be written: {error.strerror}.") from error
        try:
            with os.fdopen(file, "wb") as target:
                target.write(export_person(person=person, asked_by=user))
        except BaseException as error:
            options["target"].unlink()
            if isinstance(error, Refusal):
                raise CommandError(error.sentence) from error
            raise
        self.stdout.write(f"Written: {options['target']}. Each value in it is recorded as looked at.")
