"""Print the verifier key line that an auditor pins."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.errors import VerifierKeyMissing
from ledger.keys import load_vkey


class Command(BaseCommand):
    help = "Print the verifier key (vkey) of this log, to be handed to auditors and pinned by them."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(load_vkey())
        except VerifierKeyMissing as error:
            raise CommandError(error.sentence) from error
