"""Make the demo world once, and say who to log in as."""

import logging
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from demo import mark
from demo.world import Login, NewPin, database_is_empty, make_logins, make_world, renew_pins, require_empty_database


class Command(BaseCommand):
    help = "Make the demo world in an empty database; --passwords only renews its passwords and PINs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--photos", type=Path, default=settings.VAR_DIR / "photos")
        parser.add_argument("--passwords", action="store_true", help="new passwords and PINs for the demo's people")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["passwords"]:
            mark.require_demo_database()
            self._tell(make_logins(), renew_pins())
        elif mark.is_unfinished() and not database_is_empty():
            raise CommandError(
                f"The demo world in {settings.VAR_DIR} is half made: its making was interrupted. "
                "`make clean` removes it, `make run` makes it anew."
            )
        elif mark.is_demo_database():
            self.stdout.write("The demo world is there already. `make passwords` renews its passwords and PINs.")
        else:
            self._make(options["photos"])

    def _make(self, photos: Path) -> None:
        require_empty_database()
        if not (photos / "astronaut.png").exists():
            raise CommandError(f"There are no photos in {photos}: python -m demo.photos {photos}")
        # One line for each sealed entry would bury the passwords.
        logging.getLogger("ledger").setLevel(logging.WARNING)
        self.stdout.write(
            "Making the demo world: three people enrolled, three handoffs by real faces, two refusals, three passages …"
        )
        mark.mark_unfinished()
        world = make_world(photos)
        self._tell(world.logins, [*world.custodians, world.officer])
        self.stdout.write(
            "\nTry it: as operator hand LRD-1042 to Marco Ruiz at JRZ Dock 1; `make simulate` makes its tags arrive;\n"
            f"in place of a camera upload {photos / 'obama2.jpg'} (or another face, and be refused).\n"
            "A photo counts once: the same one again is refused as shown before.\n"
            "Then as auditor verify the ledger, run `make tamper`, and verify again.\n"
        )
        # Last: a demo whose passwords nobody read is not made.
        mark.mark_made()

    def _tell(self, logins: Sequence[Login], custodians: Sequence[NewPin]) -> None:
        self.stdout.write("\nLog in as (shown this once):")
        for login in logins:
            self.stdout.write(f"  {login.username:<14} {login.password:<14} {login.does}")
        self.stdout.write("\nWho may take custody, and the officer who decides and stands in (PIN):")
        for custodian in custodians:
            self.stdout.write(f"  {custodian.name:<14} {custodian.pin}")
