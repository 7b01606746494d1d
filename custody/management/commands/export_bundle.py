"""Export the log, a range of it or one shipment as a bundle that anybody can verify offline."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from biometrics.errors import EvidenceNotOpened, MasterKeyMalformed, MasterKeyMissing, MasterKeyWrong
from ledger.bundling import write_bundle
from ledger.disclosure import disclose
from ledger.errors import SealingStopped
from ledger.own_policy import own_policy
from ledger.sealing import seal_epoch
from ledger.tlog.bundle_file import BundleMalformed
from ledger.tlog.entry import SUBJECT
from ledger.witnessing import ask_witnesses
from refusals import Refusal
from shipments.finding import find_shipment


class Command(BaseCommand):
    help = (
        "Write a bundle: checkpoint, entries with what proves them, attachments, timestamps. Nothing that entries only "
        "commit to is opened unless --disclose names it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", type=Path, metavar="OUT.zip", help="where to write it; an older one is replaced")
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument("--log", action="store_true", help="the whole log")
        scope.add_argument(
            "--range", type=int, nargs=2, metavar=("FIRST", "STOP"), help="entries from FIRST on, STOP not included"
        )
        scope.add_argument("--subject", help="the entries about one urn:uuid:, and whether they are all")
        scope.add_argument("--shipment", metavar="CODE", help="the same, by reference, UCR, SSCC or tag")
        parser.add_argument(
            "--epoch", action="store_true", help="first seal an index epoch, so that the bundle is whole up to now"
        )
        parser.add_argument(
            "--disclose",
            metavar="COMMITMENT",
            action="append",
            default=[],
            help="open this commitment (64 hex digits, as an entry has it); repeatable. It is recorded as an entry",
        )
        parser.add_argument("--as", dest="username", metavar="USERNAME", help="the officer who discloses")
        parser.add_argument("--reason", default="", help="the case that the disclosure is for; no names")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["target"]
        if not target.parent.is_dir():
            raise CommandError(f"There is no folder {target.parent}.")
        if options["disclose"] and not options["username"]:
            raise CommandError("Say with --as which officer discloses, and with --reason for which case.")
        try:
            self._export(target, options)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        except BundleMalformed as error:
            raise CommandError(f"{error}. Nothing was written.") from error
        except SealingStopped as error:
            raise CommandError(f"The sealer stands still. {error}") from error
        except (EvidenceNotOpened, MasterKeyMissing, MasterKeyMalformed, MasterKeyWrong) as error:
            raise CommandError(f"Nothing was disclosed: {error}.") from error
        except OSError as error:
            raise CommandError(f"{error.filename or target}: {error.strerror or error}") from error

    def _export(self, target: Path, options: dict[str, Any]) -> None:
        subject = self._subject(options)
        span = tuple(options["range"]) if options["range"] else None
        openings = []
        if options["disclose"]:
            officer = User.objects.filter(username=options["username"]).first()
            if officer is None:
                raise CommandError(f"There is no account {options['username']}.")
            openings = disclose(options["disclose"], by=officer, reason=options["reason"], subject=subject, span=span)
        if options["epoch"]:
            seal_epoch()
        if (openings or options["epoch"]) and own_policy().wants_witnesses:
            # What was just sealed is published once the witnesses saw it; otherwise the bundle ends before it.
            ask_witnesses()
        written = write_bundle(target, subject=subject, span=span, openings=openings)
        self.stdout.write(f"Wrote {target}: {written.entries} entries, under a checkpoint of {written.size}.")
        for opening in openings:
            self.stdout.write(f"  disclosed  {opening.commitment} of entry {opening.entry} ({opening.label})")
        for digest in written.missing:
            self.stderr.write(self.style.WARNING(f"  The attachment {digest} is gone; the bundle is without it."))
        self.stdout.write("Its README.txt says how to verify it. Hand over the key by another way.")

    def _subject(self, options: dict[str, Any]) -> str | None:
        if options["shipment"]:
            return find_shipment(code=options["shipment"]).pk.urn
        subject: str | None = options["subject"]
        if subject is not None and not SUBJECT.fullmatch(subject):
            raise CommandError(f"{subject} is not a lowercase urn:uuid:.")
        return subject
