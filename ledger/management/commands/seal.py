"""Seal what is pending, once: what a crash left behind, or what a lost hint forgot."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.errors import SealingStopped
from ledger.models import Statement
from ledger.sealing import seal_all


class Command(BaseCommand):
    help = "Seal every pending statement and sign the checkpoint."

    def handle(self, *args: Any, **options: Any) -> None:
        pending = Statement.objects.filter(entry__isnull=True).count()
        try:
            seal_all()
        except SealingStopped as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{pending} statements were pending; all are sealed.")
