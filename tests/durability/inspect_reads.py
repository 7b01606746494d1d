"""Print as JSON what is stored of reports and reads, and what the reports' own bytes say."""

import hashlib
import json

import django

django.setup()

from shipments.models import CoverageGap, RawReport, TagRead  # noqa: E402
from shipments.readers.registry import parse_report  # noqa: E402

reports = list(RawReport.objects.all())
said = {(read.epc_hex, read.read_at_ns) for report in reports for read in parse_report(bytes(report.body)).reads}
print(  # noqa: T201
    json.dumps(
        {
            "reads": [list(read) for read in TagRead.objects.values_list("epc_hex", "read_at_ns")],
            "said_by_the_bytes": sorted(said),
            "digests_wrong": sum(hashlib.sha256(bytes(r.body)).hexdigest() != r.sha256 for r in reports),
            "reads_new": sum(report.reads_new for report in reports),
            "miscounted": sum(report.reads.count() != report.reads_new for report in reports),
            "gaps": CoverageGap.objects.count(),
        }
    )
)
