"""Print, or apply, the PostgreSQL roles under which nobody who serves can change what was sealed."""

import os
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError

from ledger.database_roles import role_statements

URL = "CUSTODY_SUPERUSER_URL"


class Command(BaseCommand):
    help = "Print the SQL for PostgreSQL's owner, app, sealer and auditor roles; --apply runs it as a superuser."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--prefix", default="custody", help="what the roles' names begin with")
        parser.add_argument(
            "--sealer-apart",
            action="store_true",
            help="another process seals (BROKER_URL): the app's role then writes no entries itself",
        )
        parser.add_argument(
            "--apply",
            nargs="?",
            const="",
            metavar="URL",
            help=f"run it at this postgres:// URL of a superuser; without one, at that of {URL}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            statements = role_statements(prefix=options["prefix"], sealer_apart=options["sealer_apart"])
        except ValueError as error:
            raise CommandError(f"--prefix: {error}") from error
        if options["apply"] is None:
            self.stdout.write(
                "-- For a superuser, after `manage.py migrate`, and again after each later one.\n"
                "-- Passwords: \\password <role> in psql. Then migrate as owner, serve as app, seal as sealer.\n"
                "BEGIN;"
            )
            for statement in [*statements, "COMMIT"]:
                self.stdout.write(f"{statement};")
            return
        url = options["apply"] or os.environ.get(URL, "")
        if not url.startswith(("postgres://", "postgresql://")):
            raise CommandError(f"--apply wants the postgres:// URL of a superuser, here or in {URL}.")
        try:
            # One transaction: all of the roles' rights change, or none do.
            with psycopg.connect(url) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
        except psycopg.Error as error:
            raise CommandError(f"Nothing was changed. PostgreSQL says: {error}".strip()) from error
        self.stdout.write(f"The roles {options['prefix']}_owner, _app, _sealer and _auditor are as they should be.")
