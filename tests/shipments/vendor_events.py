"""One event of each kind that each dialect knows, as readers send them: for tests that mix, damage and replay them."""

from typing import Any

EPC = "3074257BF7194E4000001A85"
TID = "E2801191A5030065F26CCBFF"

IMPINJ: list[dict[str, Any]] = [
    {
        "timestamp": "2026-11-02T07:24:00.277766184Z",
        "hostname": "impinj-14-2f-f4",
        "eventType": "tagInventory",
        "tagInventoryEvent": {
            "epc": "MHQle_cZTkAAABqF",
            "epcHex": EPC,
            "tid": "4oARkaUDAGXybMv_",
            "antennaPort": 2,
            "antennaName": "left",
            "peakRssiCdbm": -5750,
            "frequency": 921625,
            "lastSeenTime": "2026-11-02T07:24:00.225324Z",
            "phaseAngle": 208.82,
        },
    },
    {
        "timestamp": "2026-11-02T07:24:01.000000001Z",
        "hostname": "impinj-14-2f-f4",
        "eventType": "gpiTransition",
        "gpiTransitionEvent": {"gpi": 1, "transition": "low-to-high"},
    },
    {
        "timestamp": "2026-11-02T07:30:00Z",
        "eventType": "overflow",
        "overflowEvent": {
            "firstEventTimestamp": "2026-11-02T07:24:00Z",
            "lastEventTimestamp": "2026-11-02T07:25:00Z",
            "eventsPurged": 1200,
        },
    },
    {
        "timestamp": "2026-11-02T07:30:00Z",
        "eventType": "antennaConnected",
        "antennaConnectedEvent": {"antennaPort": 1},
    },
]

ZEBRA: list[dict[str, Any]] = [
    {
        "data": {
            "eventNum": 5938,
            "format": "epc",
            "idHex": "3074257bf7194e4000001a85",
            "antenna": 1,
            "peakRssi": -57,
            "phase": 14.029969215393066,
            "channel": 908.25,
            "reads": 3,
            "PC": "3000",
            "CRC": "f3b3",
            "TID": TID.lower(),
        },
        "timestamp": "2026-09-05T01:07:01.785-0600",
        "type": "CUSTOM",
    },
    {
        "component": "RG",
        "data": {"pin": 2, "state": "LOW"},
        "eventNum": 9,
        "timestamp": "2026-09-07T12:21:53.635+0000",
        "type": "gpi",
    },
    {
        "component": "RG",
        "data": {"system": {"hostName": "FXR90C0FFEE", "temperature": 41}, "radio_control": {}, "reader_gateway": {}},
        "eventNum": 10,
        "timestamp": "2026-09-07T12:22:00.000+0000",
        "type": "heartbeat",
    },
    {
        "component": "RG",
        "data": {"pin": 1, "state": "HIGH"},
        "eventNum": 11,
        "timestamp": "2026-09-07T12:22:01.000+0000",
        "type": "gpo",
    },
]

HANDHELD: list[dict[str, Any]] = [
    {
        "type": "BALANCED_PERFORMANCE",
        "timestamp": "2026-08-24T14:15:22Z",
        "data": {
            "tagData": [
                {
                    "EPCid": EPC,
                    "EPC": EPC,
                    "TID": TID,
                    "channel": 911.75,
                    "eventNum": 1,
                    "peakRssi": -39,
                    "phase": 0,
                    "seenCount": 1,
                },
                {"EPCid": "3074257BF7194E4000001A86", "eventNum": 2, "peakRssi": -60.5},
            ],
            "barcodeData": [{"decodedBarcode": "00106141412345678908", "symbology": "GS1-128"}],
        },
    },
    {
        "eventName": "heartbeat",
        "timestamp": "2026-08-24T14:15:22Z",
        "eventNumber": 120,
        "data": {"batteryAlert": {"status": "HIGH", "chargePercentage": 85}},
    },
    {"type": "EVENT", "timestamp": "22:54:25", "state": "SET", "id": "BATTERY_LOW", "priority": "CRITICAL"},
    {"connectionState": "CONNECTED", "timestamp": "12:17:56", "deviceModel": "RFD40", "apiVersion": "1.0"},
]

SPEEDWAY: list[dict[str, Any]] = [
    {
        "antennaPort": 7,
        "epc": EPC,
        "tid": TID,
        "firstSeenTimestamp": "2018-06-14T00:15:54.36879Z",
        "peakRssi": -51,
        "isHeartBeat": False,
    },
    {"antennaPort": 1, "epc": "3074257BF7194E4000001A86", "firstSeenTimestamp": 1793604240225324, "peakRssi": -50.5},
    {"antennaPort": 0, "epc": "****", "firstSeenTimestamp": 1793604240225324, "peakRssi": 0, "isHeartBeat": True},
]

CUSTODY: list[dict[str, Any]] = [
    {"epc": EPC, "read_at": "2026-11-02T07:24:00Z", "antenna": 1, "rssi_cdbm": -6100, "tid": TID, "event_number": 8},
    {"gap": {"first": "2026-11-02T07:24:00Z", "last": "2026-11-02T07:25:00Z", "purged": 12}},
    {"trigger": {"port": 1, "high": True, "at": "2026-11-02T07:24:00Z"}},
    {"epc": "3074257BF7194E4000001A86", "read_at": 1793604240225},
]

EVENTS: dict[str, list[dict[str, Any]]] = {
    "impinj": IMPINJ,
    "zebra": ZEBRA,
    "zebra_handheld": HANDHELD,
    "speedway": SPEEDWAY,
    "custody": CUSTODY,
}
