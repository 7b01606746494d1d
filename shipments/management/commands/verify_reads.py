"""Hold every stored report against its anchor in the ledger; exit 1 at the first one that was changed."""

from typing import Any

from django.core.management.base import BaseCommand

from shipments.anchor_verification import ReportsDiffer, verify_reads
from shipments.models import Reader

TOLD = {
    "report_changed": "A report's bytes are not what was anchored.",
    "report_missing": "A report that was anchored is not there.",
    "report_time_changed": "A report's time of arrival is not what was anchored.",
    "report_unlisted": "A report claims an anchor that does not list it, or one that lists it lost its claim.",
    "anchor_unreadable": "An anchor cannot be read.",
    "anchor_document_missing": "The list of an anchor's reports is not there.",
    "anchor_document_changed": "The list of an anchor's reports is not what its entry names.",
    "anchor_root": "An anchor's root is not that of the reports it lists.",
}


class Command(BaseCommand):
    help = (
        "Recompute the digest of every stored report, hold it against the anchors in the ledger, and name the first "
        "that differs. Believes the entries: verify those with verify_ledger."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            verified = verify_reads()
        except ReportsDiffer as differ:
            self.stdout.write(TOLD[differ.code])
            reader = (
                Reader.objects.filter(pk=differ.reader.removeprefix("urn:uuid:")).first() if differ.reader else None
            )
            facts = [
                ("check", differ.code),
                ("entry", "waiting to be sealed" if differ.entry is None else str(differ.entry)),
                ("reader", f"{reader.name if reader else 'not on file'} ({differ.reader})" if differ.reader else ""),
                ("report", differ.report),
                ("expected", differ.expected),
                ("found", differ.found),
            ]
            for name, value in facts:
                if value:
                    self.stdout.write(f"  {name:<11}{value}")
            raise SystemExit(1) from None
        self.stdout.write("Every report is what was anchored.")
        self.stdout.write(f"  {'anchors':<11}{verified.anchors}")
        self.stdout.write(f"  {'reports':<11}{verified.reports}")
        self.stdout.write(f"  {'waiting':<11}{verified.waiting}")
