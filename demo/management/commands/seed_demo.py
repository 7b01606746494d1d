"""Make the demo world once, and say who to log in as."""

import logging
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from demo.world import Login, make_logins, make_world, world_exists


class Command(BaseCommand):
    help = "Make the demo world in an empty database; --passwords only gives its accounts new passwords."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--photos", type=Path, default=settings.VAR_DIR / "photos")
        parser.add_argument("--passwords", action="store_true", help="new passwords for the demo's accounts")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["passwords"]:
            self._print(make_logins())
            return
        if world_exists():
            self.stdout.write("The demo world is there already. `make passwords` gives its accounts new passwords.")
            return
        if not (options["photos"] / "astronaut.png").exists():
            raise CommandError(f"There are no photos in {options['photos']}: python -m demo.photos {options['photos']}")
        # One line for each sealed entry would bury the passwords.
        logging.getLogger("ledger").setLevel(logging.WARNING)
        self.stdout.write("Making the demo world: three people enrolled, three handoffs with real faces, one refusal …")
        settings.DEMO_MARK.touch()
        world = make_world(options["photos"])
        self._print(world.logins)
        self.stdout.write("\nWho may take custody (PIN):")
        for custodian in world.custodians:
            self.stdout.write(f"  {custodian.name:<14} {custodian.pin}")
        self.stdout.write(
            "\nTry it: as operator hand LRD-1042 to Marco Ruiz at JRZ Dock 1; `make simulate` makes its tags arrive;\n"
            "in place of a camera upload var/photos/obama2.jpg (or another face, and be refused).\n"
            "Then as auditor verify the ledger, run `make tamper`, and verify again.\n"
        )

    def _print(self, logins: Sequence[Login]) -> None:
        self.stdout.write("\nLog in as (shown this once):")
        for login in logins:
            self.stdout.write(f"  {login.username:<14} {login.password:<14} {login.does}")
