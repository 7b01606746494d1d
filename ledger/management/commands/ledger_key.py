"""Print the verifier key line that an auditor pins."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.errors import SigningKeyMissing
from ledger.keys import load_signer


class Command(BaseCommand):
    help = "Print the verifier key (vkey) of this log, to be handed to auditors and pinned by them."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(load_signer().vkey)
        except SigningKeyMissing as error:
            raise CommandError(str(error)) from error
