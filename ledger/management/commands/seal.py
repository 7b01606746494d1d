"""Seal what is pending, once: what a crash left behind, or what a lost hint forgot. And an index epoch, on demand."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.errors import SealingStopped
from ledger.models import Statement
from ledger.sealing import seal_all, seal_epoch


class Command(BaseCommand):
    help = "Seal every pending statement and sign the checkpoint."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--epoch",
            action="store_true",
            help="seal an index epoch besides, so that a bundle of one subject is complete up to now",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        pending = Statement.objects.filter(entry__isnull=True).count()
        epoch = None
        try:
            seal_all()
            if options["epoch"]:
                epoch = seal_epoch()
        except SealingStopped as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{pending} statements were pending; all are sealed.")
        if epoch:
            self.stdout.write(f"Entry {epoch.size - 1} is an index epoch over all entries before it.")
        elif options["epoch"]:
            self.stdout.write("No entry has joined since the last index epoch.")
