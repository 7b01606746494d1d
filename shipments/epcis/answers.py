"""The documents that are answered: EPCISQueryDocument, EPCISDocument, one bare event, a list of types."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone

from ledger.tlog.times import format_time
from shipments.epcis.documents import as_written, read_json, write_json
from shipments.epcis.indexing import CONTEXT

# The namespace of our own terms in events: a name, at which nothing stands (.example is reserved, RFC 2606).
NAMESPACE = "https://custody.example/epcis/v1/"
CONTEXTS: tuple[Any, ...] = (CONTEXT, {"custody": NAMESPACE})


def query_document(events: Iterable[str]) -> bytes:
    """Answer stored events as the result of a query."""
    results = {"queryName": "SimpleEventQuery", "resultsBody": {"eventList": [as_written(one) for one in events]}}
    return write_json(_frame("EPCISQueryDocument", timezone.now()) | {"epcisBody": {"queryResults": results}})


def epcis_document(events: Iterable[str], **more: Any) -> bytes:
    """Put events into a document that others can capture; ``more`` are terms of our own beside them."""
    listed = [as_written(one) for one in events]
    return write_json(_frame("EPCISDocument", timezone.now()) | more | {"epcisBody": {"eventList": listed}})


def bare_event(document: str) -> bytes:
    """Answer one stored event by itself, under the contexts that it needs."""
    event = read_json(document.encode())
    extras = [part for part in event.pop("@context", []) if part not in CONTEXTS]
    return write_json({"@context": [*CONTEXTS, *extras], **event})


def collection(members: Iterable[str]) -> bytes:
    """Answer a list of names, as the standard's top-level resources are."""
    return write_json({"@context": CONTEXT, "type": "Collection", "member": list(members)})


def _frame(kind: str, created: datetime) -> dict[str, Any]:
    return {
        "@context": list(CONTEXTS),
        "type": kind,
        "schemaVersion": "2.0",
        "creationDate": format_time(created),
    }
