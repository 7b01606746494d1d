"""Do what an insider with the database would: change one byte of one sealed entry, behind the triggers' back."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from demo.mark import require_demo_database
from ledger import append_only
from ledger.models import Entry


class Command(BaseCommand):
    help = "Change one byte of one entry of the demo database. The same command again changes it back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--entry", type=int, help="index of the entry; the newest handoff if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        require_demo_database()
        entries = Entry.objects.filter(kind="handoff") if options["entry"] is None else Entry.objects
        entry = (entries if options["entry"] is None else entries.filter(index=options["entry"])).last()
        if entry is None:
            raise CommandError("There is no such entry.")
        note = bytearray(entry.note)
        # A digit inside the body: what is left is still JSON, and looks as true as before.
        place = next(at for at in range(note.index(b'"body"'), len(note)) if 0x30 <= note[at] <= 0x39)
        before, note[place] = chr(note[place]), note[place] ^ 1
        with transaction.atomic():
            append_only.disarm(connection)
            Entry.objects.filter(index=entry.index).update(note=bytes(note))
            append_only.arm(connection)
        self.stdout.write(
            f"Entry {entry.index}: byte {place} changed from {before!r} to {chr(note[place])!r}. "
            "`make verify` names it; `make tamper` again changes it back."
        )
