"""What a reading says of a shipment, live and frozen: seen, inferred, not seen, unexpected, weak, another chip."""

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from ledger.models import Attachment
from ledger.tlog import canonical
from shipments.consignments import ManifestLine, Unit, create_consignment, register_party
from shipments.epc import sscc_to_epc_hex
from shipments.models import Consignment, LogisticUnit, ManifestItem, RawReport, ReadSession, SessionPurpose, TagRead
from shipments.read_sessions import (
    NotFrozen,
    end_read_session,
    freeze_read_session,
    open_read_session,
    read_document,
    session_result,
    session_tags,
    tags_seen,
)
from shipments.readers.report import format_ns
from shipments.smoothing import MEDIAN, Policy
from shipments.smoothing_policies import PolicyRefused, policy_of, set_policy
from tests.shipments.conftest import SSCC, item_epc

pytestmark = pytest.mark.django_db

BLANK = "E28011700000020A1B2C3D4E"
CASE = "106141412345678915"


@pytest.fixture
def packed(shipment: Consignment) -> Consignment:
    """Boxes 1 and 2 lie in a case on the pallet, boxes 3 and 4 on the pallet itself, box 5 stands beside it."""
    pallet = shipment.units.get(sscc=SSCC)
    case = LogisticUnit.objects.create(consignment=shipment, sscc=CASE, epc_hex=sscc_to_epc_hex(CASE, 7), parent=pallet)
    for serials, unit in (((1, 2), case), ((3, 4), pallet)):
        shipment.manifest.filter(epc_hex__in=[item_epc(serial) for serial in serials]).update(logistic_unit=unit)
    return shipment


@pytest.fixture
def check(door, beto, packed) -> ReadSession:
    return open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK, consignment=packed)


@pytest.fixture
def hear(receive):
    """Let the reader post reads of these tags now, each so many times."""

    def heard(*epcs: str, times: int = 1, rssi: int | None = -5500, tid: str = "", ago: float = 0) -> None:
        now_ns = time.time_ns() - int(ago * 1e9)
        reads = [
            {"epc": epc, "read_at": format_ns(now_ns + 1_000_000 * (place * times + turn)), "antenna": 1}
            | ({} if rssi is None else {"rssi_cdbm": rssi})
            | ({"tid": tid} if tid else {})
            for place, epc in enumerate(epcs)
            for turn in range(times)
        ]
        receive(json.dumps({"reads": reads}).encode())

    return heard


def pallet_epc() -> str:
    return sscc_to_epc_hex(SSCC, 7)


def inferred(result) -> dict[str, str]:
    return {item.epc_hex: item.by for item in result.inferred}


# The four classes


def test_each_item_is_seen_inferred_by_its_nearest_unit_or_not_seen(check, hear) -> None:
    hear(item_epc(1), sscc_to_epc_hex(CASE, 7), pallet_epc(), item_epc(99))
    result = session_result(session=check)
    assert result.seen == [item_epc(1)]
    assert inferred(result) == {item_epc(2): CASE, item_epc(3): SSCC, item_epc(4): SSCC}
    assert result.not_seen == [item_epc(5)]
    assert [stray.epc_hex for stray in result.strays] == [item_epc(99)]
    assert result.grade == "inconclusive"
    hear(item_epc(5))
    assert session_result(session=check).grade == "inferred"
    hear(*(item_epc(serial) for serial in range(1, 5)))
    assert session_result(session=check).grade == "direct"


def test_what_was_taken_out_of_the_unit_is_not_inferred_any_more(check, packed, hear) -> None:
    packed.manifest.filter(epc_hex=item_epc(3)).update(logistic_unit=None)
    hear(pallet_epc())
    assert item_epc(3) in session_result(session=check).not_seen


def test_a_container_of_another_shipment_around_the_pallet_vouches_for_it_and_is_no_stray(check, packed, hear) -> None:
    other = create_consignment(
        reference="LRD-1077",
        consignor=register_party(name="Somebody"),
        consignee=register_party(name="Somebody else"),
        description="Tiles",
        manifest=[],
        units=[Unit(sscc="106141412345678922", company_prefix_length=7)],
    )
    container = other.units.get()
    packed.units.filter(sscc=SSCC).update(parent=container)
    hear(container.epc_hex)
    result = session_result(session=check)
    assert set(inferred(result).values()) == {container.sscc}
    assert result.strays == []


def test_a_pallet_tag_under_another_filter_value_vouches_too(check, hear) -> None:
    other_filter = f"{int(pallet_epc(), 16) ^ (1 << 85):024X}"
    hear(other_filter)
    assert set(inferred(session_result(session=check)).values()) == {SSCC}


def test_frozen_it_is_what_it_was_live_whatever_happens_to_the_goods(check, packed, hear) -> None:
    hear(item_epc(1), pallet_epc(), item_epc(99))
    live = session_result(session=check)
    frozen = end_read_session(session=check)
    ManifestItem.objects.filter(consignment=packed).update(logistic_unit=None)
    kept = session_result(session=frozen)
    assert (kept.seen, kept.inferred, kept.not_seen, kept.strays) == (
        live.seen,
        live.inferred,
        live.not_seen,
        live.strays,
    )
    document = read_document(session=frozen)
    assert document["shipment"] == packed.pk.urn
    assert document["result"]["inferred"] == [{"by": SSCC, "epc": item_epc(serial)} for serial in range(2, 5)]
    assert document["result"]["grade"] == "inconclusive"
    content = bytes(Attachment.objects.get(pk=frozen.document_sha256).content)
    assert canonical.encode(document) == content
    assert hashlib.sha256(content).hexdigest() == frozen.document_sha256


def test_a_reading_of_no_shipment_has_tags_and_no_result(door, beto, hear) -> None:
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK)
    hear(item_epc(1))
    assert session_result(session=session) is None
    frozen = end_read_session(session=session)
    assert session_result(session=frozen) is None
    assert "result" not in read_document(session=frozen)


def test_a_document_of_the_first_version_stays_readable(door, beto) -> None:
    """As they were frozen before tags could be weak or carry a chip's number."""
    old = {
        "v": 1, "tags": [{
            "epc": item_epc(1), "uri": "urn:epc:id:sgtin:0614141.812345.1", "reads": 2, "antennas": [1],
            "first": "2026-11-22T14:05:00.000000000Z", "last": "2026-11-22T14:05:00.007000000Z", "rssi_cdbm": -5002,
        }],
    }  # fmt: skip
    content = canonical.encode(old)
    sha256 = hashlib.sha256(content).hexdigest()
    Attachment.objects.create(sha256=sha256, media_type="application/json", content=content)
    session = ReadSession.objects.create(
        read_point=door, opened_by=beto, opened_at=timezone.now(), frozen_at=timezone.now(),
        document_sha256=sha256, reports_root="0" * 64,
    )  # fmt: skip
    (tag,) = tags_seen(session=session)
    assert (tag.epc_hex, tag.reads, tag.strongest_rssi_cdbm, tag.weak, tag.tids) == (item_epc(1), 2, -5002, (), ())


def test_an_open_reading_has_no_document_yet(check) -> None:
    with pytest.raises(NotFrozen):
        read_document(session=check)


# Chips and blank tags


BOUND, OTHER = "E2801190200050001234ABCD", "E2801190200050009999FFFF"


def test_a_number_that_answers_from_another_chip_is_flagged(check, packed, hear) -> None:
    packed.manifest.filter(epc_hex=item_epc(1)).update(tid=BOUND)
    hear(item_epc(1), tid=OTHER)
    hear(*(item_epc(serial) for serial in range(2, 6)))
    result = session_result(session=check)
    assert result.tid_mismatch == [item_epc(1)]
    assert item_epc(1) in result.seen
    assert result.grade == "inconclusive"
    document = read_document(session=end_read_session(session=check))
    assert document["result"]["tid_mismatch"] == [item_epc(1)]
    assert document["tags"][0]["tids"] == [OTHER]


def test_a_copy_beside_the_true_tag_is_flagged_too(check, packed, hear) -> None:
    packed.manifest.filter(epc_hex=item_epc(1)).update(tid=BOUND)
    hear(item_epc(1), tid=BOUND)
    hear(item_epc(1), tid=OTHER)
    assert session_result(session=check).tid_mismatch == [item_epc(1)]


@pytest.mark.parametrize("told", [BOUND, BOUND[:16], BOUND + "0102", ""])
def test_a_reader_that_tells_fewer_or_more_words_of_the_chip_contradicts_nothing(check, packed, hear, told) -> None:
    packed.manifest.filter(epc_hex=item_epc(1)).update(tid=BOUND)
    hear(item_epc(1), tid=told)
    assert session_result(session=check).tid_mismatch == []


def test_nothing_is_inferred_from_a_pallet_whose_tag_answers_from_another_chip(check, packed, hear) -> None:
    packed.units.filter(sscc=SSCC).update(tid=BOUND)
    hear(pallet_epc(), tid=OTHER)
    result = session_result(session=check)
    assert result.inferred == []
    assert result.tid_mismatch == [pallet_epc()]
    assert result.strays == []


def test_nothing_is_inferred_from_a_pallet_read_three_days_ago_by_its_readers_clock(check, hear) -> None:
    hear(pallet_epc(), ago=3 * 86400)
    assert session_result(session=check).inferred == []


def test_a_tag_that_was_never_encoded_is_flagged(check, hear) -> None:
    hear(BLANK)
    result = session_result(session=check)
    assert result.unencoded == [BLANK]
    assert [stray.epc_hex for stray in result.strays] == [BLANK]


# Gaps


def lost(receive, *, since: datetime, until: datetime) -> None:
    gap = {
        "firstEventTimestamp": since.isoformat(),
        "lastEventTimestamp": until.isoformat(),
        "eventsPurged": 12,
    }
    body = [{"timestamp": until.isoformat(), "eventType": "overflow", "overflowEvent": gap}]
    receive(json.dumps(body).encode())


def test_reads_lost_while_it_was_open_are_told(check, receive, hear) -> None:
    now = datetime.now(tz=UTC)
    lost(receive, since=now, until=now + timedelta(seconds=1))
    hear(item_epc(1))
    assert session_result(session=check).gaps == 1
    frozen = end_read_session(session=check)
    assert read_document(session=frozen)["result"]["gaps"] == 1
    assert session_result(session=frozen).gaps == 1


def test_reads_lost_yesterday_are_no_gap_of_this_reading(check, receive) -> None:
    yesterday = datetime.now(tz=UTC) - timedelta(days=1)
    lost(receive, since=yesterday, until=yesterday + timedelta(minutes=1))
    assert session_result(session=check).gaps == 0
    assert len(read_document(session=end_read_session(session=check))["gaps"]) == 1


# Weak tags


def test_by_default_one_read_of_any_strength_counts(check, hear) -> None:
    hear(item_epc(1), rssi=-9000)
    assert session_result(session=check).seen == [item_epc(1)]
    frozen = end_read_session(session=check)
    document = read_document(session=frozen)
    assert (document["smoothing"], document["weak"]) == ({"min_reads": 1}, [])


def test_a_stray_that_passes_at_minus_75_dbm_is_weak_and_kept_as_such(check, door, hear) -> None:
    set_policy(read_point=door, policy=Policy(min_reads=2, min_rssi_cdbm=-7000))
    hear(*(item_epc(serial) for serial in range(1, 6)), times=4, rssi=-5500)
    hear(item_epc(99), times=3, rssi=-7500)
    hear(item_epc(98), times=1, rssi=-4000)
    result = session_result(session=check)
    assert (result.grade, result.strays) == ("direct", [])
    assert result.weak == sorted([item_epc(98), item_epc(99)])
    frozen = end_read_session(session=check)
    document = read_document(session=frozen)
    assert document["smoothing"] == {"min_reads": 2, "min_rssi_cdbm": -7000, "strength": "strongest"}
    assert {tag["epc"]: tag["why"] for tag in document["weak"]} == {
        item_epc(98): ["few_reads"],
        item_epc(99): ["faint"],
    }
    # Whoever has the raw reads counts the same again.
    reads = TagRead.objects.filter(report__session=frozen, epc_hex=item_epc(99))
    assert max(reads.values_list("rssi_cdbm", flat=True)) < -7000
    assert [tag.epc_hex for tag in session_tags(session=frozen) if tag.weak] == result.weak


def test_an_expected_tag_read_too_faintly_is_not_seen_and_told_as_weak(check, door, hear) -> None:
    set_policy(read_point=door, policy=Policy(min_rssi_cdbm=-7000))
    hear(item_epc(5), rssi=-8000)
    result = session_result(session=check)
    assert item_epc(5) in result.not_seen
    assert result.weak == [item_epc(5)]


def test_nothing_is_inferred_from_a_pallet_heard_too_faintly(check, door, hear) -> None:
    set_policy(read_point=door, policy=Policy(min_rssi_cdbm=-7000))
    hear(pallet_epc(), rssi=-8000)
    assert session_result(session=check).inferred == []


def test_the_median_is_not_swayed_by_one_strong_read(check, door, hear) -> None:
    set_policy(read_point=door, policy=Policy(min_rssi_cdbm=-7000, strength=MEDIAN))
    hear(item_epc(1), times=4, rssi=-8000)
    hear(item_epc(1), rssi=-4000)
    (tag,) = session_tags(session=check)
    assert (tag.weak, tag.median_rssi_cdbm, tag.strongest_rssi_cdbm) == (("faint",), -8000, -4000)


def test_when_each_tag_was_there_stands_in_the_document(check, door, receive) -> None:
    set_policy(read_point=door, policy=Policy(delta_e4=500, epoch_ms=1_000))
    start = time.time_ns() // 10**9 * 10**9
    stays = [start + second * 10**9 for second in range(40)]
    leaves = stays[:10]
    reads = [
        {"epc": item_epc(serial), "read_at": format_ns(at)}
        for serial, times in ((1, stays), (2, leaves))
        for at in times
    ]
    receive(json.dumps({"reads": reads}).encode())
    first, second = read_document(session=end_read_session(session=check))["tags"]
    assert first["present"] == [{"first": format_ns(start), "last": format_ns(stays[-1])}]
    (gone,) = second["present"]
    assert gone["last"] == format_ns(leaves[-1])
    assert format_ns(leaves[-1]) < gone["gone"] <= format_ns(leaves[-1] + 6 * 10**9)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(min_reads=0),
        Policy(min_rssi_cdbm=-30_000),
        Policy(strength="loudest"),
        Policy(delta_e4=0),
        Policy(epoch_ms=5),
    ],
)
def test_a_policy_out_of_range_is_refused_and_the_old_one_stays(door, policy) -> None:
    set_policy(read_point=door, policy=Policy(min_reads=3))
    with pytest.raises(PolicyRefused):
        set_policy(read_point=door, policy=policy)
    assert policy_of(door) == Policy(min_reads=3)


# How fast


def test_a_thousand_tags_of_fifty_reads_freeze_quickly(door, beto, reader) -> None:
    tags = [item_epc(serial) for serial in range(1, 1_001)]
    consignment = create_consignment(
        reference="LRD-2000",
        consignor=register_party(name="Acme Maquila"),
        consignee=register_party(name="Laredo Imports"),
        description="Harnesses",
        manifest=[ManifestLine(epc=epc) for epc in tags],
    )
    # The dearest policy: it asks for each read.
    set_policy(read_point=door, policy=Policy(min_reads=2, min_rssi_cdbm=-7000, strength=MEDIAN, delta_e4=500))
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK, consignment=consignment)
    start = time.time_ns()
    report = RawReport.objects.create(
        reader=reader, read_point=door, body=b"", sha256="a" * 64, received_at=timezone.now(),
        last_received_at=timezone.now(),
    )  # fmt: skip
    TagRead.objects.bulk_create(
        [
            TagRead(
                reader=reader, report=report, epc_hex=epc, antenna=1 + turn % 4, rssi_cdbm=-5000 - turn,
                read_at_ns=start + turn * 200_000_000 + place, reader_time="",
            )
            for place, epc in enumerate(tags)
            for turn in range(50)
        ],
        batch_size=5_000,
    )  # fmt: skip
    began = time.thread_time()
    frozen = freeze_read_session(session=session)
    took = time.thread_time() - began
    assert session_result(session=frozen).grade == "direct"
    # By this thread's own processor time: the machine may be busy with others.
    assert took < 1.5
