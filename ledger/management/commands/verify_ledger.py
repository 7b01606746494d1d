"""Verify the whole log and say the verdict; exit 1 where it is broken or incomplete."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ledger.errors import VerifierKeyMissing
from ledger.tlog.verify import Policy
from ledger.verification import own_policy, verify_log


class Command(BaseCommand):
    help = (
        "Verify every entry, the chains, the tree, the newest checkpoint, the last-signed store and the attachments. "
        "Names the first bad entry."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--vkey",
            action="append",
            default=[],
            help="verifier key that you pin; without it the server's own key is used, which convinces only the server",
        )
        parser.add_argument("--origin", default=settings.LEDGER_ORIGIN, help="the log's name that you pin")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            policy = Policy(origin=options["origin"], vkeys=tuple(options["vkey"])) if options["vkey"] else own_policy()
        except VerifierKeyMissing as error:
            raise CommandError(f"{error.sentence} To verify without it, pin the verifier key with --vkey.") from error
        verdict = verify_log(policy=policy, on_progress=self._progress if self.stderr.isatty() else None)
        self.stdout.write(verdict.sentence())
        if not verdict.intact:
            self.stdout.write(f"  check     {verdict.check}")
            self.stdout.write(f"  expected  {verdict.expected}")
            self.stdout.write(f"  found     {verdict.found}")
        else:
            self.stdout.write(f"  entries   {verdict.entries}")
            self.stdout.write(f"  root      {verdict.root}")
        self.stdout.write(f"  pinned    {', '.join(policy.vkeys)}")
        if not verdict.intact:
            raise SystemExit(1)

    def _progress(self, entries: int) -> None:
        self.stderr.write(f"\r{entries} entries", ending="")
