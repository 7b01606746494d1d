"""Events and documents of a made-up partner, and fifteen that the standard refuses, each for one reason."""

import json
from copy import deepcopy
from typing import Any

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
OWN_CONTEXT = {"example": "https://ns.example.com/epcis/"}
SSCC_URN, SSCC_LINK = "urn:epc:id:sscc:0614141.1234567890", "https://id.gs1.org/00/106141412345678908"
DOCK = "urn:epc:id:sgln:0614141.12345.dock1"


def item(serial: int) -> str:
    return f"urn:epc:id:sgtin:0614141.812345.{serial}"


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An ObjectEvent; ``None`` takes a field out."""
    made = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:5c2d1f2e-0000-4000-8000-{number:012d}",
        "eventTime": f"2026-11-22T14:{number // 60 % 60:02d}:{number % 60:02d}.500-06:00",
        "eventTimeZoneOffset": "-06:00",
        "action": "OBSERVE",
        "bizStep": "receiving",
        "disposition": "in_progress",
        "epcList": [item(number)],
        "readPoint": {"id": DOCK},
        "bizLocation": {"id": "urn:epc:id:sgln:0614141.12345.0"},
        "bizTransactionList": [{"type": "po", "bizTransaction": f"https://example.com/po/{number}"}],
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def bare(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"@context": CONTEXT, **event(number, **changes)}


def document(*events: Any, **changes: Any) -> dict[str, Any]:
    made = {
        "@context": [CONTEXT, OWN_CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-11-22T20:30:00Z",
        "epcisBody": {"eventList": list(events)},
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


AGGREGATION = event(
    21,
    type="AggregationEvent",
    epcList=None,
    action="ADD",
    bizStep="packing",
    parentID=SSCC_URN,
    childEPCs=[item(1), item(2)],
    childQuantityList=[{"epcClass": "urn:epc:idpat:sgtin:0614141.812345.*", "quantity": 12.50, "uom": "KGM"}],
)
ASSOCIATION = event(
    22,
    type="AssociationEvent",
    epcList=None,
    action="ADD",
    bizStep="assembling",
    parentID=SSCC_LINK,
    childEPCs=[item(3)],
)
TRANSACTION = event(23, type="TransactionEvent", action="ADD", bizStep="shipping", parentID=SSCC_LINK)
TRANSFORMATION = event(
    24,
    type="TransformationEvent",
    action=None,
    epcList=None,
    bizStep="commissioning",
    inputEPCList=[item(4)],
    outputEPCList=[item(5)],
)
SENSOR = event(
    25,
    bizStep="sensor_reporting",
    epcList=[],
    sensorElementList=[
        {
            "sensorMetadata": {"time": "2026-11-22T14:05:09Z", "deviceID": "urn:epc:id:giai:4000001.111"},
            "sensorReport": [{"type": "Mass", "value": 412.050, "uom": "KGM", "example:by": "scale 4"}],
        }
    ],
)
ERROR = event(1, errorDeclaration={"declarationTime": "2026-11-23T08:00:00Z", "reason": "did_not_occur"})
OWN_TYPE = {
    "type": "example:InventoryEvent",
    "eventID": "urn:uuid:5c2d1f2e-0000-4000-8000-000000000026",
    "eventTime": "2026-11-22T14:05:09Z",
    "eventTimeZoneOffset": "+00:00",
    # Nothing says what these are in an event of somebody's own type.
    "bizStep": {"counted": 3},
    "epcList": [4, None, {"deep": [item(6)]}],
    "readPoint": "door",
    "bizTransactionList": {"not": "a list"},
}
VALID = {
    "object": event(),
    "aggregation": AGGREGATION,
    "association": ASSOCIATION,
    "transaction": TRANSACTION,
    "transformation": TRANSFORMATION,
    "sensor": SENSOR,
    "error declaration": ERROR,
    "own type": OWN_TYPE,
    "own words": event(27, bizStep="https://example.com/step/weighing", disposition="example:weighed"),
    "own field": event(28, **{"example:note": {"example:deep": [1, "two", None, True]}}),
}


def _without(name: str) -> dict[str, Any]:
    made = deepcopy(event())
    del made[name]
    return made


INVALID = {
    "a time without an offset": (event(eventTime="2026-11-22T14:05:09"), "/eventTime"),
    "a day that does not exist": (event(eventTime="2026-02-30T14:05:09Z"), "/eventTime"),
    "a time with a line end behind": (event(eventTime="2026-11-22T14:05:09Z\n"), "/eventTime"),
    "a moment before the year 1": (event(eventTime="0001-01-01T00:00:00+10:00"), "/eventTime"),
    "an offset of another form": (event(eventTimeZoneOffset="-0600"), "/eventTimeZoneOffset"),
    "an offset with a line end behind": (event(eventTimeZoneOffset="-06:00\n"), "/eventTimeZoneOffset"),
    "no time": (_without("eventTime"), ""),
    "no type": (_without("type"), "/type"),
    "no action": (_without("action"), ""),
    "an unknown action": (event(action="LOOK"), "/action"),
    "an EPC that is no URI": (event(epcList=["0614141.812345.1"]), "/epcList/0"),
    "the same EPC twice": (event(epcList=[item(1), item(1)]), "/epcList"),
    "a word that the CBV does not have": (event(bizStep="vanishing"), "/bizStep"),
    "an old word as a URN": (event(bizStep="urn:epcglobal:cbv:bizstep:receiving"), "/bizStep"),
    "a field of nobody's": (event(note="hello"), ""),
    "a read point without an id": (event(readPoint={}), "/readPoint"),
    "nothing that was seen": (event(epcList=None), ""),
    "an identifier that is no URI": (event(eventID="1"), "/eventID"),
    "an identifier too long to keep": (event(eventID="urn:x:" + "1" * 1000), "/eventID"),
    "a quantity in words": (
        event(quantityList=[{"epcClass": item(1), "quantity": "three"}]),
        "/quantityList/0/quantity",
    ),
    "a context that renames a term": (event(**{"@context": [{"epcList": "https://x.example/"}]}), "/@context"),
}
