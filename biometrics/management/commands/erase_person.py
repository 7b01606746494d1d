"""Erase a person: by the random identifier, so that no name stands in a shell's history."""

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from biometrics.erasure import Right, erase_person
from biometrics.models import Person
from biometrics.remains import clear_remains, rewrite_tables
from refusals import Refusal


class Command(BaseCommand):
    help = "Destroy a person's key and everything held about them, and append the erasure entry. Nothing undoes it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("person", type=uuid.UUID, help="as the ledger and the person's page name them")
        parser.add_argument("--right", required=True, choices=Right.values)
        parser.add_argument("--as", dest="username", required=True, metavar="USERNAME", help="the administrator")
        parser.add_argument(
            "--rewrite-tables",
            action="store_true",
            help="also rewrite the tables that held it: on PostgreSQL nothing else removes the bytes; it locks readers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person.objects.filter(pk=options["person"]).first()
        if person is None:
            raise CommandError(f"There is no person {options['person']}.")
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no account {options['username']}.")
        try:
            erase_person(person=person, erased_by=user, right=options["right"])
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write("Erased. The key, the values and the salts are destroyed; entries keep what opens nothing.")
        if options["rewrite_tables"]:
            rewrite_tables()
        elif not clear_remains():
            self.stdout.write(
                "Their bytes may still stand in the database's files: readers hold them, or it is PostgreSQL. Run "
                "purge_evidence --rewrite-tables."
            )
        self.stdout.write("Backups made before still hold the data: destroy them, or let them expire (threat model).")
