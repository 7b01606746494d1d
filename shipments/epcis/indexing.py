"""
An event's row and what it is found by. The document that is answered is the truth; what is written beside it is read
from it here and nowhere else, for captured and own events alike.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.tlog.times import format_time
from shipments.epc import sscc_of_uri
from shipments.epcis.documents import write_json
from shipments.epcis.schema import MAX_URI, read_time
from shipments.models import EpcisEpc, EpcisEvent, EpcisTransaction

CONTEXT = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
ROLES = {
    "epcList": EpcisEpc.Role.EPC,
    "parentID": EpcisEpc.Role.PARENT,
    "childEPCs": EpcisEpc.Role.CHILD,
    "inputEPCList": EpcisEpc.Role.INPUT,
    "outputEPCList": EpcisEpc.Role.OUTPUT,
}

_STANDARD_CONTEXT = re.compile(
    r"https?://(?:ref\.gs1\.org/standards|gs1\.github\.io|id\.gs1\.org)/(?:[\w.-]+/)*epcis-context\.jsonld",
    re.ASCII | re.I,
)
# CBV 2.0: one word has a bare form in JSON, a web URI, and a URN from before.
_CBV = re.compile(
    r"(?:(?:https?://(?:ref|ns)\.gs1\.org/cbv/|cbv:)(?:BizStep|Disp|BTT)-"
    r"|urn:epcglobal:cbv:(?:bizstep|disp|btt):)([a-z_]+)",
    re.ASCII,
)
_SSCC_LINK = re.compile(r"https?://[^/]+/(?:[^?#]*/)?00/([0-9]{18})", re.ASCII)
_AT_ONCE = 500


@dataclass(slots=True)
class Indexed:
    """A row that is not stored yet, and the rows that go with it."""

    row: EpcisEvent
    epcs: set[tuple[str, str]] = field(default_factory=set)
    transactions: set[tuple[str, str]] = field(default_factory=set)


def index_event(event: dict[str, Any], *, record_time: datetime, **known: Any) -> Indexed:
    """
    Make the row of a checked event, with its recordTime set.

    :param event: with an eventID
    :param known: the row's own columns: origin, and job and position, or entry_index
    """
    # To the millisecond, as it is answered: whoever asks from there on misses nothing and meets nothing twice.
    record_time = record_time.replace(microsecond=record_time.microsecond // 1000 * 1000)
    answered = event | {"recordTime": format_time(record_time)}
    indexed = Indexed(
        EpcisEvent(
            document=write_json(answered).decode(),
            event_id=event["eventID"],
            is_error="errorDeclaration" in event,
            type=_text(event["type"]),
            action=_text(event.get("action"))[:16],
            biz_step=bare_word(_text(event.get("bizStep"))),
            disposition=bare_word(_text(event.get("disposition"))),
            read_point=_id(event.get("readPoint")),
            biz_location=_id(event.get("bizLocation")),
            event_time=read_time(event["eventTime"]),
            event_time_zone_offset=event["eventTimeZoneOffset"],
            record_time=record_time,
            **known,
        )
    )
    for name, role in ROLES.items():
        values = event.get(name)
        for value in values if isinstance(values, list) else [values]:
            indexed.epcs |= {(role, spelling) for spelling in spellings(_text(value))}
    transactions = event.get("bizTransactionList")
    for one in transactions if isinstance(transactions, list) else ():
        if isinstance(one, dict) and (value := _text(one.get("bizTransaction"))):
            indexed.transactions.add((bare_word(_text(one.get("type"))), value))
    return indexed


def store_events(events: Sequence[Indexed]) -> None:
    """
    Insert events with their index rows; call in a transaction.

    :raises IntegrityError: where an event of that identifier is there
    """
    # In the order of the unique index: two sets with the same events in another order would wait for each other.
    ordered = sorted(events, key=lambda one: (one.row.event_id, one.row.is_error))
    EpcisEvent.objects.bulk_create([one.row for one in ordered], batch_size=_AT_ONCE)
    EpcisEpc.objects.bulk_create(
        [EpcisEpc(event=one.row, role=role, value=value) for one in ordered for role, value in sorted(one.epcs)],
        batch_size=_AT_ONCE,
    )
    EpcisTransaction.objects.bulk_create(
        [
            EpcisTransaction(event=one.row, type=kind, value=value)
            for one in ordered
            for kind, value in sorted(one.transactions)
        ],
        batch_size=_AT_ONCE,
    )


def bare_word(word: str) -> str:
    """Return a word of the CBV in its bare form, whichever of its three it has; anything else as it is."""
    found = _CBV.fullmatch(word)
    return found.group(1) if found else word


def spellings(identifier: str) -> set[str]:
    """Return an identifier with the other name of the same thing: an SSCC is a URN or a GS1 Digital Link."""
    if not identifier:
        return set()
    sscc = sscc_of_uri(identifier)
    if not sscc and (link := _SSCC_LINK.fullmatch(identifier)):
        sscc = link.group(1)
    return {identifier, f"https://id.gs1.org/00/{sscc}"} if sscc else {identifier}


def own_context(event: dict[str, Any], document_context: Any) -> dict[str, Any]:
    """
    Return the event with what its document's context defines beyond the standard: it will stand among others.

    An event under the standard's context alone carries none.
    """
    extras: list[Any] = []
    for part in _parts(document_context, event.get("@context")):
        if not (isinstance(part, str) and _STANDARD_CONTEXT.fullmatch(part)) and part not in extras:
            extras.append(part)
    rest = {name: value for name, value in event.items() if name != "@context"}
    return {"@context": extras, **rest} if extras else rest


def _parts(*contexts: Any) -> Iterator[Any]:
    for context in contexts:
        parts: Iterable[Any] = context if isinstance(context, list) else [context]
        yield from (part for part in parts if part)


def _id(place: Any) -> str:
    return _text(place.get("id")) if isinstance(place, dict) else ""


def _text(value: Any) -> str:
    # An event of somebody's own type may hold anything under these names; what is no word is not found by it.
    fits = isinstance(value, str) and len(value) <= MAX_URI and value.isascii() and value.isprintable()
    return value if fits else ""
