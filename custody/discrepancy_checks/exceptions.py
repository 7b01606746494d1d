"""
What custody passed in spite of: the exceptions of a sealed handoff that an officer accepted.

Accepting one lets the goods go on and settles nothing. Seals are followed by their own entries, readers by alerts.
"""

import hashlib
from datetime import datetime

from accounts.models import User
from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_codes import Code
from custody.models import Handoff
from ledger.tlog.entry import Entry
from shipments.models import Consignment

# The code of an exception, and the list of tags in the entry's reads that it is about.
_TAGS = {
    Code.MISSING_TAG: "not_seen",
    Code.UNEXPECTED_TAG: "unexpected",
    Code.TID_MISMATCH: "tid_mismatch",
}


def check_exceptions(
    handoff: Handoff, entry: Entry, leaf: str, consignment: Consignment, at: datetime, by: User | None
) -> None:
    """Open a discrepancy for each exception; the same tags, missing again at the next handoff, are the same finding."""
    codes = {one["code"] for one in entry.body.get("exceptions", [])}
    for code, listed in _TAGS.items():
        items = tuple(sorted(entry.body["reads"].get(listed, ())))
        if code not in codes or not items:
            continue
        named = hashlib.sha256("".join(items).encode()).hexdigest()[:16]
        open_discrepancy(
            code=code,
            consignment=consignment,
            key=f"{code}:{consignment.pk}:{named}",
            evidence=Evidence(items=items, entries=(leaf,), read_point=handoff.read_point, handoff=handoff),
            until=at,
            by=by,
        )
    if Code.WEIGHT_MISMATCH in codes:
        open_discrepancy(
            code=Code.WEIGHT_MISMATCH,
            consignment=consignment,
            key=f"{Code.WEIGHT_MISMATCH}:{handoff.pk}",
            evidence=Evidence(
                entries=(leaf,), read_point=handoff.read_point, handoff=handoff, figures=entry.body["weight"]
            ),
            until=at,
            by=by,
            once=True,
        )
