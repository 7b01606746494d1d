"""Watch other logs: cosign their checkpoints over HTTP. Runs anywhere: neither this product's database nor its log."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import waitress
from django.core.management.base import BaseCommand, CommandError
from waitress.server import MultiSocketServer

from ledger.tlog.errors import VerifierKeyMalformed
from ledger.tlog.note import Verifier
from ledger.witness import MAX_REQUEST_BYTES, Application, Witness, WitnessCannotStart, open_cosigner


class Command(BaseCommand):
    help = (
        "Serve a witness (c2sp.org/tlog-witness) of the logs whose verifier keys are given. Prints its own verifier "
        "key, which the logs' operators and auditors put into their policies. Uses no database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="the witness's name, such as carrier.example/witness")
        parser.add_argument("--key", required=True, type=Path, help="its signing key's file, made on first run")
        parser.add_argument("--state", required=True, type=Path, help="the folder where it keeps what it cosigned")
        parser.add_argument(
            "--log",
            action="append",
            required=True,
            metavar="VKEY",
            help="verifier key of a log to watch; once for each key, also where one log has several",
        )
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8100, help="0 takes any that is free")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            logs = [Verifier.from_vkey(vkey) for vkey in options["log"]]
            cosigner = open_cosigner(name=options["name"], key_file=options["key"], state=options["state"])
            witness = Witness(cosigner=cosigner, logs=logs, state=options["state"])
            server = waitress.create_server(
                Application(witness),
                host=options["host"],
                port=options["port"],
                threads=4,
                ident=None,
                max_request_body_size=MAX_REQUEST_BYTES,
                channel_timeout=30,
            )
        except (VerifierKeyMalformed, WitnessCannotStart, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        many = isinstance(server, MultiSocketServer)
        listens = server.effective_listen if many else [(server.effective_host, server.effective_port)]
        urls = " ".join(f"http://{host}:{port}/" for host, port in listens)
        self.stdout.write(cosigner.vkey)
        self.stdout.write(f"{cosigner.name} watches {', '.join(witness.origins)} on {urls}  (Ctrl-C ends it)")
        self.stdout.flush()
        server.run()
