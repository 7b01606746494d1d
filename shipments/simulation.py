"""
A dock door in software: which tags a simulated reader sees, and the bodies that it would post. Pure; the same seed sees
the same tags in the same order.
"""

import base64
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shipments.readers.report import format_ns

READS_PER_TAG = 3
READS_PER_REPORT = 20
STRAY_PREFIX = 9506000  # a GS1 company prefix kept for examples


@dataclass(frozen=True, slots=True)
class Sighting:
    epc_hex: str
    antenna: int
    rssi_cdbm: int


def plan_sightings(manifest: Sequence[str], *, miss: int, stray: int, seed: int) -> list[Sighting]:
    """Return what the reader sees of ``manifest`` when it misses ``miss`` tags and picks up ``stray`` foreign ones."""
    dice = random.Random(seed)  # noqa: S311 - to repeat a run, not to keep a secret
    tags = sorted(manifest)
    seen = sorted(dice.sample(tags, max(0, len(tags) - miss)))
    seen += [_stray_epc(dice) for _ in range(stray)]
    sightings = [
        Sighting(epc, dice.randint(1, 4), dice.randint(-7200, -3800)) for epc in seen for _ in range(READS_PER_TAG)
    ]
    dice.shuffle(sightings)
    return sightings


def report_body(dialect: str, sightings: Sequence[Sighting], *, first_ns: int, spacing_ns: int) -> bytes:
    """Write ``sightings`` as a reader of ``dialect`` (impinj or custody) would post them, ``spacing_ns`` apart."""
    times = [format_ns(first_ns + place * spacing_ns) for place in range(len(sightings))]
    if dialect == "impinj":
        return json.dumps([_impinj(seen, time) for seen, time in zip(sightings, times, strict=True)]).encode()
    reads = [
        {"epc": seen.epc_hex, "antenna": seen.antenna, "read_at": time, "rssi_cdbm": seen.rssi_cdbm}
        for seen, time in zip(sightings, times, strict=True)
    ]
    return json.dumps({"reads": reads}).encode()


def batches(sightings: Sequence[Sighting]) -> Iterator[Sequence[Sighting]]:
    for start in range(0, len(sightings), READS_PER_REPORT):
        yield sightings[start : start + READS_PER_REPORT]


def _impinj(seen: Sighting, time: str) -> dict[str, object]:
    return {
        "timestamp": time,
        "hostname": "impinj-simulated",
        "eventType": "tagInventory",
        "tagInventoryEvent": {
            "epc": base64.urlsafe_b64encode(bytes.fromhex(seen.epc_hex)).decode(),
            "epcHex": seen.epc_hex,
            "antennaPort": seen.antenna,
            "peakRssiCdbm": seen.rssi_cdbm,
            "lastSeenTime": time,
        },
    }


def _stray_epc(dice: random.Random) -> str:
    # SGTIN-96: header, filter 1, partition 5 (7-digit prefix), prefix, item reference, serial.
    bits = (0x30 << 88) | (1 << 85) | (5 << 82) | (STRAY_PREFIX << 58) | (dice.randrange(10**6) << 38)
    return f"{bits | dice.randrange(1, 1 << 38):024X}"
