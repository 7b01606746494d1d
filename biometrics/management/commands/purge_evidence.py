"""Destroy what is due by retention, once: for cron, or by hand while the server is down."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from biometrics.remains import rewrite_tables
from biometrics.retention import purge_due, report


class Command(BaseCommand):
    help = "Destroy the evidence that no rule keeps any longer, and append the erasure entries."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count what is due by which rule")
        parser.add_argument(
            "--rewrite-tables",
            action="store_true",
            help="also rewrite the tables that held it: on PostgreSQL nothing else removes the bytes; it locks readers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            for state in report():
                self.stdout.write(f"{state.rule.code}: {state.due} due of {state.kept}, {state.held} held")
            return
        self.stdout.write(f"{purge_due()} values destroyed.")
        if options["rewrite_tables"]:
            rewrite_tables()
