"""Find a tag in every sealed handoff, where no manifest names it any more: slow, and nobody can hide from it a row."""

from collections.abc import Iterator

from custody.entry_checks import own_verifiers
from custody.tracing.chains import read_reads, read_told
from custody.tracing.tags import read_tag
from custody.tracing.windows import State
from ledger.models import Entry
from shipments.models import Consignment


def shipments_that_name(tag: str) -> list[Consignment]:
    """Return the shipments of which a handoff counts the tag among its expected ones, in the order of the log."""
    epc_hex, _uri = read_tag(tag)
    subjects = list(dict.fromkeys(_subjects(epc_hex)))
    found = {one.pk.urn: one for one in Consignment.objects.filter(pk__in=[urn[9:] for urn in subjects])}
    return [found[urn] for urn in subjects if urn in found]


def _subjects(epc_hex: str) -> Iterator[str]:
    verifiers = own_verifiers()
    for row in Entry.objects.filter(kind="handoff").order_by("index").iterator(chunk_size=256):
        told = read_told(row, verifiers)
        if told.fault or "reads" not in told.body:
            continue
        state = read_reads(told.body["reads"]).of(epc_hex)
        if state not in (State.NOT_LISTED, State.UNKNOWN, State.UNEXPECTED):
            yield row.subject
