"""
Serve everything in one process: the web server, the sealer and the sweeper, the models loaded beforehand.

Where a broker is named, the sweeps are the worker's and beat's, and this process only serves.
"""

import ctypes
import os
import signal
from argparse import ArgumentParser
from contextlib import ExitStack
from types import FrameType
from typing import Any

import waitress
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from biometrics.engine.analysis import warm_up
from biometrics.engine.errors import EngineUnusable
from custody.wsgi import application
from ledger.errors import SealingStopped
from ledger.sealing import seal_all
from ledger.sweeps import Sweeper

_M_MMAP_THRESHOLD = -3


class Command(BaseCommand):
    help = "Serve the pages and the API (waitress, threads), sealing and sweeping in this process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--threads", type=int, default=8)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            warm_up()
        except EngineUnusable as error:
            raise CommandError(f"The faces cannot be compared: {error}.") from error
        try:
            # What a crash left pending is sealed before the first request.
            seal_all()
        except SealingStopped as error:
            self.stderr.write(self.style.ERROR(f"The sealer stands still. {error}"))
        self.stdout.write(f"Custody serves on http://{options['host']}:{options['port']}/  (Ctrl-C ends it)")
        self.stdout.flush()
        signal.signal(signal.SIGTERM, _end)
        _give_large_blocks_back()
        with ExitStack() as ending:
            if not settings.BROKER_URL:
                sweeper = Sweeper(every=settings.LEDGER_SWEEP_EVERY)
                sweeper.start()
                ending.callback(sweeper.stop)
            waitress.serve(
                application,
                host=options["host"],
                port=options["port"],
                threads=options["threads"],
                ident=None,
                # A report comes in by one read or two, and not by dozens that each wait for the threads that compute.
                recv_bytes=256 * 1024,
                # Five enrolment photos of 15 MiB each; what one photo or one report may be, their readers check.
                max_request_body_size=80 * 1024 * 1024,
                **_proxy_settings(),
            )


def _give_large_blocks_back() -> None:
    """
    Let freed blocks of 8 MiB and more go back to the system at once (mallopt(3), glibc).

    It would keep blocks of up to 32 MiB for each thread: a few hostile bodies, refused long ago, held half a gigabyte.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 8 * 1024 * 1024)


def _end(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C: waitress lets the requests finish, and the sweeper its sweep."""
    raise SystemExit(0)


def _proxy_settings() -> dict[str, Any]:
    """What waitress believes of a proxy's headers: behind CUSTODY_HTTPS the scheme, from the one that is named."""
    if not settings.HTTPS:
        return {"clear_untrusted_proxy_headers": True}
    return {
        "trusted_proxy": os.environ.get("CUSTODY_TRUSTED_PROXY") or "127.0.0.1",
        "trusted_proxy_count": 1,
        # Not X-Forwarded-For: many proxies pass on what a client wrote there, and the login brake counts by address.
        "trusted_proxy_headers": {"x-forwarded-proto"},
        "clear_untrusted_proxy_headers": True,
    }
