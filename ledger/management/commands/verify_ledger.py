"""Verify the whole log and say the verdict; exit 1 where it is broken or incomplete."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm  # type: ignore[import-untyped]

from ledger.errors import VerifierKeyMissing
from ledger.models import LogHead
from ledger.own_policy import own_policy
from ledger.tlog.errors import PolicyMalformed, StateNotUsable
from ledger.tlog.policy import Policy, parse_policy
from ledger.tlog.verdict import Verdict
from ledger.verification import verify_log


class Command(BaseCommand):
    help = (
        "Verify every entry, the chains, the tree, the newest checkpoint with its cosignatures, the timestamps, the "
        "last-signed store and the attachments. Names the first bad entry."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--vkey",
            action="append",
            default=[],
            help="verifier key that you pin; without it the server's own key is used, which convinces only the server",
        )
        parser.add_argument("--origin", default=settings.LEDGER_ORIGIN, help="the log's name that you pin")
        parser.add_argument("--policy", type=Path, help="file with the keys, witnesses and timestamp roots you pin")
        parser.add_argument(
            "--fast",
            action="store_true",
            help="hashes, chains, tree and checkpoint alone; without the entries' signatures, bodies and attachments",
        )
        parser.add_argument(
            "--workers", type=_count, default=os.cpu_count() or 1, help="processes to use (default: one for each core)"
        )
        parser.add_argument(
            "--resume",
            type=Path,
            metavar="FILE",
            help="keep in FILE how far it came, and go on from there where an earlier verification was stopped",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        policy = self._policy(options["origin"], options["vkey"], options["policy"])
        head = LogHead.objects.first()
        try:
            # To a terminal alone: a bar in a log file is noise.
            with tqdm(
                total=head.size if head else 0,
                unit=" entries",
                unit_scale=False,
                file=self.stderr,
                disable=not self.stderr.isatty(),
                leave=False,
            ) as bar:
                verdict = verify_log(
                    policy=policy,
                    deep=not options["fast"],
                    workers=options["workers"],
                    state=options["resume"],
                    on_progress=lambda entries: bar.update(entries - bar.n) and None,
                )
        except StateNotUsable as error:
            raise CommandError(f"Nothing was verified; give --resume another file: {error}.") from error
        except KeyboardInterrupt:
            file = options["resume"]
            again = f" The same command with --resume {file} goes on." if file else ""
            raise CommandError(f"Stopped before there was a verdict.{again}", returncode=130) from None
        self._say(verdict, policy, fast=options["fast"])
        if not verdict.intact:
            raise SystemExit(1)

    def _policy(self, origin: str, vkeys: list[str], file: Path | None) -> Policy:
        try:
            if file is None:
                return Policy.pin(origin, *vkeys) if vkeys else own_policy()
            text = file.read_bytes()
            log = Policy.pin(origin, *vkeys) if vkeys else None
            try:
                return parse_policy(text, log=log)
            except PolicyMalformed:
                # A file of witnesses alone: the server's own keys, which convince only the server.
                return parse_policy(text, log=log or own_policy())
        except VerifierKeyMissing as error:
            raise CommandError(f"{error.sentence} To verify without it, pin the verifier key with --vkey.") from error
        except (OSError, PolicyMalformed) as error:
            raise CommandError(f"{file} is no policy: {error}.") from error

    def _say(self, verdict: Verdict, policy: Policy, *, fast: bool) -> None:
        self.stdout.write(verdict.sentence())
        facts = [("check", verdict.check), ("expected", verdict.expected), ("found", verdict.found)]
        if verdict.intact:
            facts = [("entries", str(verdict.entries)), ("root", verdict.root)]
            facts.append(("witnesses", ", ".join(verdict.witnesses) or "none"))
            facts.append(("timestamps", str(verdict.timestamps)))
        if fast:
            facts.append(("left out", "signatures, bodies, epochs and attachments of the entries: --fast"))
        facts.append(("pinned", ", ".join(policy.vkeys)))
        for name, value in facts:
            self.stdout.write(f"  {name:<11}{value}")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 256 and len(text) <= 4):
        raise ArgumentTypeError("a number from 1 to 256")
    return int(text)
