"""Serve everything in one process: the embedded profile's web server, its sealer, its models loaded beforehand."""

from argparse import ArgumentParser
from typing import Any

import waitress
from django.core.management.base import BaseCommand

from biometrics.engine.analysis import warm_up
from custody.wsgi import application
from ledger.errors import SealingStopped
from ledger.sealing import seal_all


class Command(BaseCommand):
    help = "Serve the pages and the API (waitress, threads), sealing in this process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--threads", type=int, default=8)

    def handle(self, *args: Any, **options: Any) -> None:
        warm_up()
        try:
            # What a crash left pending is sealed before the first request.
            seal_all()
        except SealingStopped as error:
            self.stderr.write(self.style.ERROR(f"The sealer stands still. {error}"))
        self.stdout.write(f"Custody serves on http://{options['host']}:{options['port']}/  (Ctrl-C ends it)")
        self.stdout.flush()
        waitress.serve(
            application,
            host=options["host"],
            port=options["port"],
            threads=options["threads"],
            ident=None,
            # Five enrolment photos of 15 MiB each; what one photo or one report may be, their readers check.
            max_request_body_size=80 * 1024 * 1024,
        )
