"""
A dock door in software: which tags simulated readers see and when, and what each make of reader writes of it. Pure;
the same seed sees the same tags in the same order.
"""

import base64
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from shipments.readers.report import format_ns

READS_PER_TAG = 3
READS_PER_REPORT = 20
BURST_SPACING_NS = 100_000  # some ten thousand a second, as the antennas' epochs deliver them
STRAY_PREFIX = 9506000  # a GS1 company prefix kept for examples
LOCAL = timezone(timedelta(hours=-6))  # Zebra writes its own zone


@dataclass(frozen=True, slots=True)
class Sighting:
    epc_hex: str
    antenna: int
    rssi_cdbm: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A sighting at its moment by the reader's clock, and the reader's number for it."""

    sighting: Sighting
    at_ns: int
    number: int


@dataclass(frozen=True, slots=True)
class Loss:
    """So many events that the reader saw and dropped."""

    first_ns: int
    last_ns: int
    events: int


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


def pace(
    sightings: Sequence[Sighting], *, first_ns: int, spacing_ns: int, burst: int = 1, skew_ns: int = 0
) -> list[Seen]:
    """
    Give each sighting its moment: ``spacing_ns`` apart, or ``burst`` of them at once and as much later the next.

    :param skew_ns: how far the reader's clock is ahead of ours; below zero, behind
    """
    within_ns = spacing_ns if burst == 1 else min(spacing_ns, BURST_SPACING_NS)
    paced = []
    for place, sighting in enumerate(sightings):
        group, within = divmod(place, burst)
        at_ns = first_ns + group * burst * spacing_ns + within * within_ns
        paced.append(Seen(sighting, at_ns + skew_ns, place + 1))
    return paced


def drop(seen: Sequence[Seen], *, events: int, seed: int) -> tuple[list[Seen], list[Loss]]:
    """Take ``events`` out of the midst of ``seen``, as a reader does whose buffer is full; the loss tells of them."""
    count = min(events, len(seen))
    if not count:
        return list(seen), []
    start = random.Random(seed).randint(0, len(seen) - count)  # noqa: S311 - to repeat a run
    lost = seen[start : start + count]
    return [*seen[:start], *seen[start + count :]], [Loss(lost[0].at_ns, lost[-1].at_ns, count)]


def batches(sightings: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(sightings), READS_PER_REPORT):
        yield sightings[start : start + READS_PER_REPORT]


def report_body(dialect: str, sightings: Sequence[Sighting], *, first_ns: int, spacing_ns: int) -> bytes:
    """Write ``sightings`` as a reader of ``dialect`` would post them, ``spacing_ns`` apart."""
    return write_report(dialect, pace(sightings, first_ns=first_ns, spacing_ns=spacing_ns))


def write_report(
    dialect: str, seen: Sequence[Seen], *, losses: Sequence[Loss] = (), hostname: str = "simulated"
) -> bytes:
    """
    Write one report as a reader of ``dialect`` does; without reads it is that reader's heartbeat.

    Zebra and Speedway have no words for a loss: there it is lost in silence, as it is in the field.
    """
    return json.dumps(WRITERS[dialect](seen, losses, hostname)).encode()


def _impinj(seen: Sequence[Seen], losses: Sequence[Loss], hostname: str) -> list[dict[str, Any]]:
    lost = [
        {
            "timestamp": format_ns(loss.last_ns),
            "hostname": hostname,
            "eventType": "overflow",
            "overflowEvent": {
                "firstEventTimestamp": format_ns(loss.first_ns),
                "lastEventTimestamp": format_ns(loss.last_ns),
                "eventsPurged": loss.events,
            },
        }
        for loss in losses
    ]
    return lost + [
        {
            "timestamp": format_ns(one.at_ns),
            "hostname": hostname,
            "eventType": "tagInventory",
            "tagInventoryEvent": {
                "epc": base64.urlsafe_b64encode(bytes.fromhex(one.sighting.epc_hex)).decode(),
                "epcHex": one.sighting.epc_hex,
                "antennaPort": one.sighting.antenna,
                "peakRssiCdbm": one.sighting.rssi_cdbm,
                "lastSeenTime": format_ns(one.at_ns),
            },
        }
        for one in seen
    ]


def _zebra(seen: Sequence[Seen], losses: Sequence[Loss], hostname: str) -> list[dict[str, Any]]:
    return [
        {
            "data": {
                "eventNum": one.number,
                "format": "epc",
                "idHex": one.sighting.epc_hex.lower(),
                "antenna": one.sighting.antenna,
                "peakRssi": round(one.sighting.rssi_cdbm / 100),
                "hostName": hostname,
            },
            "timestamp": _local_milliseconds(one.at_ns),
            "type": "CUSTOM",
        }
        for one in seen
    ]


def _zebra_handheld(seen: Sequence[Seen], losses: Sequence[Loss], hostname: str) -> Any:
    # One time for a whole envelope: the reads of one second share theirs, however they are batched.
    envelopes = [
        {
            "type": "BALANCED_PERFORMANCE",
            "timestamp": f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "data": {
                "tagData": [
                    {
                        "EPC": one.sighting.epc_hex,
                        "peakRssi": round(one.sighting.rssi_cdbm / 100),
                        "eventNum": one.number,
                        "seenCount": 1,
                    }
                    for one in group
                ]
            },
        }
        for second, group in itertools.groupby(seen, key=lambda one: one.at_ns // 10**9)
    ]
    return envelopes[0] if len(envelopes) == 1 else envelopes


def _speedway(seen: Sequence[Seen], losses: Sequence[Loss], hostname: str) -> dict[str, Any]:
    return {
        "reader_name": hostname,
        "mac_address": "00:16:25:00:00:00",
        "tag_reads": [
            {
                "antennaPort": one.sighting.antenna,
                "epc": one.sighting.epc_hex,
                "firstSeenTimestamp": f"{format_ns(one.at_ns)[:-4]}Z",
                "peakRssi": round(one.sighting.rssi_cdbm / 100),
                "isHeartBeat": False,
            }
            for one in seen
        ],
    }


def _custody(seen: Sequence[Seen], losses: Sequence[Loss], hostname: str) -> dict[str, Any]:
    reads = [
        {
            "epc": one.sighting.epc_hex,
            "antenna": one.sighting.antenna,
            "read_at": format_ns(one.at_ns),
            "rssi_cdbm": one.sighting.rssi_cdbm,
            "event_number": one.number,
        }
        for one in seen
    ]
    gaps = [
        {"first": format_ns(loss.first_ns), "last": format_ns(loss.last_ns), "purged": loss.events} for loss in losses
    ]
    return {"hostname": hostname, "reads": reads, **({"gaps": gaps} if gaps else {})}


WRITERS: dict[str, Callable[[Sequence[Seen], Sequence[Loss], str], Any]] = {
    "impinj": _impinj,
    "zebra": _zebra,
    "zebra_handheld": _zebra_handheld,
    "speedway": _speedway,
    "custody": _custody,
}
TELLS_LOSSES = frozenset({"impinj", "custody"})


def _local_milliseconds(at_ns: int) -> str:
    milliseconds = at_ns // 1_000_000
    moment = datetime.fromtimestamp(milliseconds // 1000, LOCAL)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}{moment:%z}"


def _stray_epc(dice: random.Random) -> str:
    # SGTIN-96: header, filter 1, partition 5 (7-digit prefix), prefix, item reference, serial.
    bits = (0x30 << 88) | (1 << 85) | (5 << 82) | (STRAY_PREFIX << 58) | (dice.randrange(10**6) << 38)
    return f"{bits | dice.randrange(1, 1 << 38):024X}"
