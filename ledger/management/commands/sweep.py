"""Do what is due, once: for cron, or by hand while the server is down."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.sweeps import sweep


class Command(BaseCommand):
    help = "Seal what is pending, ask the witnesses, have the log timestamped where that is due."

    def handle(self, *args: Any, **options: Any) -> None:
        if failed := sweep():
            raise CommandError(f"Not done: {', '.join(failed)}. The lines above say why; the next sweep tries again.")
