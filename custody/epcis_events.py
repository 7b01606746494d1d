"""Stored entries read as EPCIS events: each note is checked before it is believed, and what holds no event is named."""

from typing import NamedTuple

from custody.entry_checks import first_fault, own_verifiers
from custody.epcis_export import Event, event_of
from ledger import attachments
from ledger.attachments import as_bytes
from ledger.errors import AttachmentChanged
from ledger.models import Attachment, Entry
from ledger.tlog.errors import TlogError
from ledger.tlog.note import Verifier
from shipments.epc import EpcMalformed
from shipments.epcis.answers import epcis_document
from shipments.epcis.documents import write_json
from shipments.epcis.schema import check_event
from shipments.models import Consignment


class NotExported(Exception):
    """An entry of which no event could be made, and why."""

    def __init__(self, index: int, why: str) -> None:
        self.index = index
        super().__init__(f"entry {index}: {why}")


class Export(NamedTuple):
    """A document, how many events it holds, and the entries of which none could be made; the document names them."""

    document: bytes
    events: int
    left_out: list[NotExported]


def export_entry(entry: Entry, verifiers: tuple[Verifier, ...]) -> Event | None:
    """
    Return the event of one stored entry; None where its kind has none.

    :raises NotExported: if the note does not hold, an attachment is not what it names, or the body's shape is unknown
    """
    if not verifiers:
        raise NotExported(entry.index, "the log's verifier key is not at hand")
    if fault := first_fault(entry, verifiers):
        raise NotExported(entry.index, fault)
    try:
        event = event_of(as_bytes(entry.note), load=attachments.load)
    except Attachment.DoesNotExist:
        raise NotExported(entry.index, "an attachment that it names is gone") from None
    except (AttachmentChanged, TlogError, EpcMalformed, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotExported(entry.index, f"{type(error).__name__}: {error}") from error
    if event is not None and (faults := check_event(event)):
        raise NotExported(entry.index, f"the event is not EPCIS: {faults[0].pointer} {faults[0].sentence}")
    return event


def export_shipment(consignment: Consignment) -> Export:
    """Put the events of a shipment's own entries, oldest first, into an EPCISDocument that others can capture."""
    verifiers = own_verifiers()
    events: list[str] = []
    left_out: list[NotExported] = []
    for entry in Entry.objects.filter(subject=consignment.pk.urn).order_by("subject_seq"):
        try:
            event = export_entry(entry, verifiers)
        except NotExported as error:
            left_out.append(error)
            continue
        if event is not None:
            events.append(write_json(event).decode())
    more = {"custody:notExported": [error.index for error in left_out]} if left_out else {}
    return Export(epcis_document(events, **more), len(events), left_out)
