"""
The tags of a read session: counted from the stored reads, held against the read point's smoothing policy, and written
to and read from a session's document. What is weak is kept beside what counts, with the reason.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from django.db.models import Count, Max, Min, QuerySet

from shipments.epc import decode_epc
from shipments.models import NO_ANTENNA, RawReport, TagRead
from shipments.readers.report import format_ns, parse_time
from shipments.smoothing import MEDIAN, Policy, Presence, presences, weaknesses


@dataclass(frozen=True, slots=True)
class SeenTag:
    """
    One tag of a read session. Times are the reader's, in nanoseconds since 1970.

    :param flags: what is odd about its number (:mod:`shipments.epc`)
    :param tids: the chip numbers that its reads told; several where several chips carry the same number
    :param weak: why it does not count as seen; empty where it does
    :param present: the stretches in which it was there, where the policy asks for them
    """

    epc_hex: str
    uri: str
    reads: int
    first_read_at_ns: int
    last_read_at_ns: int
    strongest_rssi_cdbm: int | None
    antennas: tuple[int, ...]
    flags: tuple[str, ...] = ()
    tids: tuple[str, ...] = ()
    median_rssi_cdbm: int | None = None
    weak: tuple[str, ...] = ()
    present: tuple[Presence, ...] = ()


@dataclass(slots=True)
class _Reads:
    times_ns: list[int]
    strengths: list[int]


def count_tags(reports: QuerySet[RawReport], policy: Policy) -> list[SeenTag]:
    """Count the tags of ``reports``, by EPC."""
    reads = TagRead.objects.filter(report__in=reports.order_by().values("pk")).order_by()
    antennas: defaultdict[str, set[int]] = defaultdict(set)
    tids: defaultdict[str, set[str]] = defaultdict(set)
    for epc_hex, antenna, tid in reads.values_list("epc_hex", "antenna", "tid").distinct():
        if antenna != NO_ANTENNA:
            antennas[epc_hex].add(antenna)
        if tid:
            tids[epc_hex].add(tid)
    counted = reads.values("epc_hex").annotate(
        reads=Count("pk"), first=Min("read_at_ns"), last=Max("read_at_ns"), strongest=Max("rssi_cdbm")
    )
    each = _each_read(reads) if policy.asks_each_read else {}
    rows = list(counted)
    until_ns = max((row["last"] for row in rows), default=0)
    tags = []
    # In Python: databases differ in how they collate.
    for row in sorted(rows, key=lambda row: str(row["epc_hex"])):
        epc = decode_epc(row["epc_hex"])
        own = each.get(epc.hex)
        median = median_low(own.strengths) if own and own.strengths else None
        strength = median if policy.strength == MEDIAN else row["strongest"]
        tags.append(
            SeenTag(
                epc_hex=row["epc_hex"],
                uri=epc.uri,
                reads=row["reads"],
                first_read_at_ns=row["first"],
                last_read_at_ns=row["last"],
                strongest_rssi_cdbm=row["strongest"],
                antennas=tuple(sorted(antennas[row["epc_hex"]])),
                flags=epc.flags,
                tids=tuple(sorted(tids[row["epc_hex"]])),
                median_rssi_cdbm=median,
                weak=weaknesses(policy, reads=row["reads"], rssi_cdbm=strength),
                present=tuple(presences(own.times_ns, policy=policy, until_ns=until_ns)) if own else (),
            )
        )
    return tags


def _each_read(reads: QuerySet[TagRead]) -> dict[str, _Reads]:
    found: dict[str, _Reads] = {}
    for epc_hex, read_at_ns, rssi_cdbm in reads.values_list("epc_hex", "read_at_ns", "rssi_cdbm").iterator():
        own = found.setdefault(epc_hex, _Reads([], []))
        own.times_ns.append(read_at_ns)
        if rssi_cdbm is not None:
            own.strengths.append(rssi_cdbm)
    return found


def tag_to_document(tag: SeenTag) -> dict[str, Any]:
    found: dict[str, Any] = {
        "epc": tag.epc_hex,
        "uri": tag.uri,
        "reads": tag.reads,
        "first": format_ns(tag.first_read_at_ns),
        "last": format_ns(tag.last_read_at_ns),
        "antennas": list(tag.antennas),
    }
    if tag.strongest_rssi_cdbm is not None:
        found["rssi_cdbm"] = tag.strongest_rssi_cdbm
    if tag.median_rssi_cdbm is not None:
        found["median_rssi_cdbm"] = tag.median_rssi_cdbm
    found |= {
        name: list(values) for name, values in (("flags", tag.flags), ("tids", tag.tids), ("why", tag.weak)) if values
    }
    if tag.present:
        found["present"] = [
            {"first": format_ns(stretch.first_ns), "last": format_ns(stretch.last_ns)}
            | ({} if stretch.gone_ns is None else {"gone": format_ns(stretch.gone_ns)})
            for stretch in tag.present
        ]
    return found


def tags_of_document(document: dict[str, Any]) -> Iterator[SeenTag]:
    """Read the tags of a session's document of either version, the weak ones among them, by EPC."""
    written = [*document["tags"], *document.get("weak", ())]
    return (_tag_from_document(tag) for tag in sorted(written, key=lambda tag: str(tag["epc"])))


def _tag_from_document(tag: dict[str, Any]) -> SeenTag:
    return SeenTag(
        epc_hex=tag["epc"],
        uri=tag["uri"],
        reads=tag["reads"],
        first_read_at_ns=parse_time(tag["first"]),
        last_read_at_ns=parse_time(tag["last"]),
        strongest_rssi_cdbm=tag.get("rssi_cdbm"),
        antennas=tuple(tag["antennas"]),
        flags=tuple(tag.get("flags", ())),
        tids=tuple(tag.get("tids", ())),
        median_rssi_cdbm=tag.get("median_rssi_cdbm"),
        weak=tuple(tag.get("why", ())),
        present=tuple(
            Presence(
                parse_time(stretch["first"]),
                parse_time(stretch["last"]),
                parse_time(stretch["gone"]) if "gone" in stretch else None,
            )
            for stretch in tag.get("present", ())
        ),
    )
