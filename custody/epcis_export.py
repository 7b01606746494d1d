"""
What a sealed entry says, as an EPCIS 2.0 event that names the entry: one pure function for each kind that has one.

The signed note is read and nothing else but the attachments that it names by digest. Organisations and places appear,
persons never: neither who handed over nor who operated a screen. docs/epcis.md has the table.
"""

import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from ledger.tlog import canonical
from ledger.tlog.entry import Entry, parse_entry
from ledger.tlog.merkle import leaf_hash
from shipments.epc import decode_epc
from shipments.epcis.answers import NAMESPACE

Event = dict[str, Any]
Load = Callable[[str], bytes]

# Version 5 of our own namespace over origin and leaf hash. The CBV's event hash cannot stand here: it is one of the
# event's content and leaves out recordTime and errorDeclaration, where this names the signed bytes and nothing less.
_EVENT_IDS = uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE}entry")

_SGLN = re.compile(r"(urn:epc:id:sgln:[0-9]+\.[0-9]*)\..+", re.ASCII)
# ISO 6346: owner, category (U, J, Z), six digits and the check digit.


class Sealed(NamedTuple):
    """What an exporter may look at: the entry as its note has it, its hash, and a way to what it names by digest."""

    entry: Entry
    leaf: str
    load: Load

    @property
    def body(self) -> dict[str, Any]:
        return self.entry.body


def event_of(note: bytes, *, load: Load) -> Event | None:
    """
    Return the event that an entry is exported as; None where its kind is none of those.

    :param load: returns the bytes of an attachment, checked against their digest
    :raises EntryMalformed: if the note is no entry
    :raises KeyError, TypeError, ValueError: if its body has a shape that this version does not know
    """
    entry = parse_entry(note)
    export = EXPORTERS.get(entry.kind)
    return export(Sealed(entry, leaf_hash(note).hex(), load)) if export else None


def event_id(*, origin: str, leaf: str) -> str:
    """Return the eventID of the entry with that leaf hash: the same wherever and whenever it is exported."""
    return uuid.uuid5(_EVENT_IDS, f"{origin}\n{leaf}").urn


def term(name: str) -> str:
    """Return our own URI for what the CBV has no word for: customs hold, seizure, a broken seal, UCR and MRN."""
    return f"{NAMESPACE}{name}"


# Kinds ---------------------------------------------------------------------------------------------------------------


def _handoff(sealed: Sealed) -> Event:
    body = sealed.body
    reads = body["reads"]
    document = canonical.decode(sealed.load(reads["reconciliation"]))
    inferred = sorted(item["epc"] for item in document.get("inferred", []))
    event = _event(sealed, "ObjectEvent", at=body["when"]["accepted_at"], step="accepting")
    event |= {
        # Seen alone: what was only inferred, or not read, is no observation.
        "epcList": _once(map(_tag, document["seen"])),
        **_disposition(_completeness(body)),
        **_parties(body),
        "custody:grade": reads["grade"],
        "custody:expected": reads["expected"],
        "custody:seen": reads["seen"],
    }
    for name, tags in (
        ("custody:inferred", [_tag(epc) for epc in inferred]),
        ("custody:notSeen", [_tag(epc) for epc in reads["not_seen"]]),
        ("custody:unexpected", [_tag(epc) for epc in reads["unexpected"]]),
        ("custody:units", _units_of(body["goods"])),
    ):
        if tags:
            event[name] = _once(tags)
    weight = body.get("weight")
    if weight:
        event["sensorElementList"] = [
            {"sensorReport": [{"type": "Mass", "value": weight["measured_g"] / 1000, "uom": "KGM"}]}
        ]
    return event


def _completeness(body: dict[str, Any]) -> str:
    """CBV 2.0 section 7.2. What was not read once is no mismatch: weak evidence gets no word that sounds like more."""
    reads = body["reads"]
    if reads["unexpected_total"]:
        return "mismatch_instance"
    if any(one["code"] == "missing_tag" for one in body.get("exceptions", [])):
        return "mismatch_quantity"
    return {"direct": "completeness_verified", "inferred": "completeness_inferred"}.get(reads["grade"], "")


def _parties(body: dict[str, Any]) -> Event:
    """Organisations with a GLN, as PGLN; a person who released or accepted is named nowhere."""
    event: Event = {}
    for side, listed, name in (("from", "sourceList", "source"), ("to", "destinationList", "destination")):
        if gln := body.get(side, {}).get("party"):
            event[listed] = [{"type": "possessing_party", name: f"https://id.gs1.org/417/{_part(gln)}"}]
    return event


def _packing(sealed: Sealed) -> Event | None:
    body = sealed.body
    packed = body["act"] == "packed"
    children = body["children"]
    whole = canonical.decode(sealed.load(children["document"])) if "document" in children else children
    units = [_unit({kind: code}) for kind, code in zip(whole["unit_kinds"], whole["units"], strict=True)]
    contents = _once([*units, *map(_tag, whole["epcs"])])
    if packed and not contents:
        return None  # nothing was put in, and the standard has no such aggregation
    step = "packing" if packed else "unpacking"
    event = _event(sealed, "AggregationEvent", step=step, action="ADD" if packed else "DELETE")
    return event | {"parentID": _unit(body["unit"]), "childEPCs": contents}


_SEAL_STEPS = {"affixed": "sealing", "replaced": "sealing", "broken": "unsealing"}


def _seal(sealed: Sealed) -> Event:
    body = sealed.body
    seal, act = body["seal"], body["act"]
    state = body.get("state", "broken" if act == "broken" else "intact")
    told = {f"custody:{name}": seal[name] for name in ("number", "class", "issuer") if name in seal}
    if "replaces" in body:
        told["custody:replaces"] = body["replaces"]["number"]
    step = "inspecting" if act == "checked" else term(f"bizStep/{_SEAL_STEPS[act]}")
    closed = {"intact": "container_closed", "broken": "container_open"}
    event = _event(sealed, "ObjectEvent", step=step)
    return event | {
        "epcList": [_unit(body["unit"])] if body.get("unit") else _units_of(body["goods"]),
        **_disposition(closed.get(state) or term(f"disposition/seal_{_part(state)}")),
        "custody:seal": told | {"custody:state": state},
    }


def _act(step: str, disposition: str = "") -> Callable[[Sealed], Event]:
    """An act upon the whole shipment: its declared units stand for it, and its references."""

    def export(sealed: Sealed) -> Event:
        event = _event(sealed, "ObjectEvent", step=step)
        return event | {"epcList": _units_of(sealed.body["goods"]), **_disposition(disposition)}

    return export


EXPORTERS: dict[str, Callable[[Sealed], Event | None]] = {
    "handoff": _handoff,
    "unit_packed": _packing,
    **dict.fromkeys(("seal_applied", "seal_checked", "seal_broken", "seal_replaced"), _seal),
    "inspection": _act("inspecting"),
    "hold": _act("holding", term("disposition/customs_hold")),
    "release": _act(term("bizStep/releasing"), term("disposition/released")),
    "seizure": _act(term("bizStep/seizing"), term("disposition/seized")),
}


# Parts ---------------------------------------------------------------------------------------------------------------


def _event(sealed: Sealed, kind: str, *, step: str, at: str = "", action: str = "OBSERVE") -> Event:
    """What every event has: when, where, which papers, and the entry that it is read from."""
    entry, body = sealed.entry, sealed.body
    event: Event = {
        "type": kind,
        "eventID": event_id(origin=entry.origin, leaf=sealed.leaf),
        # The ledger keeps UTC; nobody's local time is in it.
        "eventTime": at or body.get("when", {}).get("acted_at", entry.sealed_at),
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "bizStep": step,
    }
    where = body.get("where", {})
    if read_point := where.get("read_point"):
        event["readPoint"] = {"id": read_point}
        if site := _SGLN.fullmatch(read_point):
            event["bizLocation"] = {"id": f"{site.group(1)}.0"}
    if "bizLocation" not in event and (gln := where.get("site")):
        event["bizLocation"] = {"id": f"https://id.gs1.org/414/{_part(gln)}"}
    papers = [
        {"type": term(name), "bizTransaction": term(f"{name}/{_part(body['goods'][key])}")}
        for name, key in (("shipment", "reference"), ("ucr", "ucr"), ("mrn", "mrn"))
        if body.get("goods", {}).get(key)
    ]
    if papers:
        event["bizTransactionList"] = papers
    event["custody:entry"] = {
        "custody:origin": entry.origin,
        "custody:index": entry.index,
        "custody:kind": entry.kind,
        "custody:leafHash": sealed.leaf,
        "custody:sealedAt": entry.sealed_at,
    }
    return event


def _disposition(word: str) -> Event:
    return {"disposition": word} if word else {}


def _tag(epc_hex: str) -> str:
    return decode_epc(epc_hex).uri


def _units_of(goods: dict[str, Any]) -> list[str]:
    return _once(_unit({kind: code}) for kind in ("sscc", "grai", "bic") for code in goods.get(kind, []))


def _unit(codes: dict[str, str]) -> str:
    """
    Return the URI of a logistic unit by one of its codes.

    An SSCC or GRAI becomes a GS1 Digital Link: a URN would need the length of the company prefix, which no entry holds.
    """
    if "sscc" in codes:
        return f"https://id.gs1.org/00/{_part(codes['sscc'])}"
    if "grai" in codes:
        return f"https://id.gs1.org/8003/{_part(codes['grai'])}"
    return f"urn:epc:id:bic:{codes['bic']}"


def _once(uris: Iterable[str]) -> list[str]:
    # Two tags may say the same identity: other filter bits, other bits behind the end.
    return list(dict.fromkeys(uris))


def _part(text: str) -> str:
    return quote(str(text), safe="")
