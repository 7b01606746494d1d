"""Show the log's verifier keys, rotate the signing key, encrypt its file. What auditors pin is printed here."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.errors import SealingStopped
from ledger.keys import begin_rotation, encrypt_key_files, finish_rotation, load_vkey, load_vkeys, vkey_file
from ledger.own_policy import own_policy
from ledger.sealing import seal_rotation
from ledger.tlog.errors import TlogError
from refusals import Refusal


class Command(BaseCommand):
    help = "Print the verifier key (vkey) of this log, to be handed to auditors and pinned by them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action",
            nargs="?",
            default="show",
            choices=["show", "rotate", "policy", "encrypt"],
            help="show the key (default); rotate: let a new key take over; policy: print what an auditor pins, as a "
            "policy file; encrypt: encrypt key files that an older version wrote in plain",
        )
        parser.add_argument("--all", action="store_true", help="show each key with the entries that it may sign")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["all"] and options["action"] != "show":
            raise CommandError(f"--all belongs to show, not to {options['action']}.")
        try:
            match options["action"]:
                case "rotate":
                    self._rotate()
                case "policy":
                    self.stdout.write(own_policy().encode(), ending="")
                case "encrypt":
                    self._encrypt()
                case _ if options["all"]:
                    for key in load_vkeys():
                        self.stdout.write(vkey_file.line(key))
                case _:
                    self.stdout.write(load_vkey())
        except Refusal as error:
            raise CommandError(error.sentence) from error
        except (SealingStopped, TlogError, OSError) as error:
            raise CommandError(str(error)) from error

    def _rotate(self) -> None:
        old = load_vkey()
        # Crash between any of these three: the same command goes on with the same next key, and so does the sealer once
        # the hand-over is sealed.
        checkpoint = seal_rotation(begin_rotation())
        finish_rotation(checkpoint.size)
        self.stdout.write(load_vkey())
        self.stderr.write(
            f"This key signs from entry {checkpoint.size} on; entry {checkpoint.size - 1} hands over to it.\n"
            f"A verifier that pinned {old} alone follows that entry. Tell auditors all the same, and whoever else has "
            "the log in a policy (manage.py ledger_key policy), and each witness before it is asked again: it knows "
            "the old key alone, and refuses checkpoints of the new one.\n"
            "Destroy the retired private key: whoever holds it can write another history for those who pin it alone."
        )

    def _encrypt(self) -> None:
        written = encrypt_key_files()
        for path in written:
            self.stdout.write(f"encrypted {path}")
        if not written:
            self.stdout.write("Every key file is encrypted already.")
        else:
            self.stderr.write("Backups of these files from before hold the keys in plain: destroy those.")
