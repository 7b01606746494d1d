"""
Where the log stands now: the newest checkpoint and verdict, what waits to be sealed, and whether the sealer can seal.

It compares the database with the last-signed store, as the sealer does before it signs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from ledger.errors import LastSignedOfAnotherLog, LastSignedUnreadable
from ledger.last_signed import open_store
from ledger.models import Checkpoint, LogHead, Statement, VerificationRun

# A sealer that lives takes a few seconds, whatever it has to do.
SEALED_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True)
class LedgerHead:
    """``trouble`` says why nothing is being sealed; empty where all is well."""

    checkpoint: Checkpoint | None
    entries: int
    pending: int
    trouble: str
    run: VerificationRun | None


def ledger_head() -> LedgerHead:
    """Read where the log stands."""
    checkpoint, head = Checkpoint.objects.first(), LogHead.objects.first()
    waiting = Statement.objects.filter(entry__isnull=True).order_by("id")
    entries = head.size if head else 0
    oldest = waiting.values_list("submitted_at", flat=True).first()
    return LedgerHead(
        checkpoint=checkpoint,
        entries=entries,
        pending=waiting.count(),
        trouble=_trouble(checkpoint, entries, oldest),
        run=VerificationRun.objects.filter(verdict__isnull=False).select_related("requested_by").first(),
    )


def _trouble(checkpoint: Checkpoint | None, entries: int, oldest_pending: datetime | None) -> str:
    try:
        signed = open_store().read()
    except LastSignedUnreadable as error:
        return _("The last-signed store cannot be read (%(why)s). Nothing is sealed until it is mended.") % {
            "why": error.why
        }
    except LastSignedOfAnotherLog as error:
        return _(
            "The last-signed store is of another log: it names %(found)s, and this log is %(expected)s. Nothing is "
            "sealed until this log’s own store is back."
        ) % {"found": error.found, "expected": error.expected}
    if signed is None and checkpoint is not None:
        return _(
            "The last-signed store is gone, though %(size)s entries were signed. Nothing is sealed until it is back."
        ) % {"size": checkpoint.size}
    if signed is not None and entries < signed.size:
        return _(
            "The database holds %(entries)s entries, but %(signed)s were signed: it went back to an older state, or "
            "entries were removed. Nothing is sealed until a database is restored that holds them all."
        ) % {"entries": entries, "signed": signed.size}
    if signed is not None and checkpoint and signed.size == checkpoint.size and signed.root != bytes(checkpoint.root):
        return _(
            "The last-signed store and the newest checkpoint name different roots for %(size)s entries. Verify the log."
        ) % {"size": signed.size}
    if oldest_pending is not None and timezone.now() - oldest_pending > SEALED_WITHIN:
        return _(
            "What was submitted is not being sealed. See that the sealer runs: manage.py seal says why it does not."
        )
    return ""
