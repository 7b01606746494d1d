"""Import a manifest from a file, or check it: every line that cannot be used is named."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.manifest_changes import change_manifest
from refusals import Refusal
from shipments.consignments import ManifestRefused
from shipments.csv_table import MAX_BYTES, write_table
from shipments.intake import PartyNamed
from shipments.manifest_import import (
    ImportedManifest,
    NewShipment,
    ReadManifest,
    as_report,
    import_manifest,
    read_manifest,
)
from shipments.models import Consignment

SHOWN = 50
REPORT_HEADER = ("line", "code", "sentence", "text")


class Command(BaseCommand):
    help = "Import a manifest (CSV or JSON): into a shipment on file before its first handoff, or as a new shipment."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--shipment", required=True, help="the shipment's reference, on file or new")
        parser.add_argument("--check", action="store_true", help="say what would happen, and change nothing")
        parser.add_argument("--replace", action="store_true", help="the lines on file go")
        parser.add_argument("--consignor", help="for a new shipment: who sends it")
        parser.add_argument("--consignee", help="for a new shipment: who receives it")
        parser.add_argument("--description", help="for a new shipment: what the goods are")
        parser.add_argument("--company-prefix-length", type=int, choices=range(6, 13), metavar="6-12")
        parser.add_argument("--report", type=Path, help="write the lines that cannot be used into this CSV file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            imported = self._import(options)
        except ManifestRefused as refused:
            self._tell_faults(refused, options["report"])
            raise CommandError(refused.sentence, returncode=1) from refused
        except Refusal as refused:
            raise CommandError(refused.sentence, returncode=1) from refused
        done = "would be imported" if imported.checked else "imported"
        self.stdout.write(f"{imported.lines} lines and {imported.units} units {done} into {options['shipment']}.")
        if imported.ignored:
            self.stdout.write(f"Columns that were not used: {', '.join(imported.ignored)}.")

    def _import(self, options: dict[str, Any]) -> ImportedManifest:
        manifest = self._read(options["file"], options["company_prefix_length"])
        consignment = Consignment.objects.filter(reference=options["shipment"].upper()).first()
        if consignment is not None:
            return change_manifest(
                consignment=consignment, manifest=manifest, replace=options["replace"], check_only=options["check"]
            )
        if not (options["consignor"] and options["consignee"] and options["description"]):
            raise CommandError(
                f"No shipment {options['shipment']} is on file. To make it, name --consignor, --consignee and "
                "--description."
            )
        shipment = NewShipment(
            reference=options["shipment"],
            consignor=PartyNamed(options["consignor"]),
            consignee=PartyNamed(options["consignee"]),
            description=options["description"],
        )
        return import_manifest(manifest=manifest, shipment=shipment, check_only=options["check"])

    def _read(self, file: Path, company_prefix_length: int | None) -> ReadManifest:
        try:
            with file.open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        return read_manifest(content, company_prefix_length=company_prefix_length)

    def _tell_faults(self, refused: ManifestRefused, report: Path | None) -> None:
        rows = as_report(refused.lines)
        for line, code, sentence, text in rows[:SHOWN]:
            self.stderr.write(f"line {line}: {code}: {sentence} {text}".rstrip())
        if len(rows) > SHOWN:
            self.stderr.write(f"… and {len(rows) - SHOWN} more; --report FILE writes them all.")
        if report is not None:
            report.write_bytes(write_table(REPORT_HEADER, rows))
