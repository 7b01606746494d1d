"""What counts for a handoff: reads received at the read point between opening and freezing, and nothing else."""

import hashlib
import json
import time

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from ledger import append_only
from ledger.errors import AttachmentChanged
from ledger.models import Attachment
from ledger.tlog import canonical, merkle
from shipments.models import RawReport, ReadSession
from shipments.places import create_reader
from shipments.read_sessions import (
    ReadPointBusy,
    freeze_read_session,
    open_read_session,
    read_document,
    tags_seen,
)
from tests.shipments.conftest import item_epc
from tests.shipments.test_ingest import overflow, reads_body

pytestmark = pytest.mark.django_db


def seen(session: ReadSession) -> list[str]:
    return [tag.epc_hex for tag in tags_seen(session=session)]


def test_tags_appear_while_the_session_is_open(door, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    assert tags_seen(session=session) == []
    receive(reads_body((2, 0), (1, 10)))
    receive(reads_body((1, 40)))
    first, second = tags_seen(session=session)
    assert (first.epc_hex, first.uri, first.reads) == (item_epc(1), "urn:epc:id:sgtin:0614141.812345.1", 2)
    assert (first.first_read_at_ns, first.last_read_at_ns) == (1795356300_010000000, 1795356300_040000000)
    assert (first.strongest_rssi_cdbm, first.antennas) == (-5001, (1,))
    assert (second.epc_hex, second.reads) == (item_epc(2), 1)


def test_a_reader_that_sends_neither_antenna_nor_strength(door, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    receive(json.dumps({"reads": [{"epc": item_epc(1), "read_at": 1795356300000}]}).encode())
    (tag,) = tags_seen(session=session)
    assert (tag.strongest_rssi_cdbm, tag.antennas) == (None, ())
    frozen = freeze_read_session(session=session)
    assert "rssi_cdbm" not in read_document(session=frozen)["tags"][0]
    assert tags_seen(session=frozen) == [tag]


def test_a_document_that_was_changed_is_not_believed(door, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    frozen = freeze_read_session(session=session)
    append_only.disarm(connection)
    Attachment.objects.filter(pk=frozen.document_sha256).update(content=b'{"tags":[]}')
    append_only.arm(connection)
    with pytest.raises(AttachmentChanged) as refused:
        tags_seen(session=frozen)
    assert frozen.document_sha256 in refused.value.sentence


def test_what_came_before_it_opened_does_not_count(door, beto, receive) -> None:
    early = reads_body((1, 0))
    receive(early)
    session = open_read_session(read_point=door, opened_by=beto)
    receive(early)  # the same bytes again
    receive(reads_body((1, 0), (2, 0)))  # batched anew with a fresh read
    assert seen(session) == [item_epc(2)]


def test_reads_at_another_read_point_do_not_count(door, beto, receive, other_reader) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)), by=other_reader)
    assert seen(session) == []
    assert freeze_read_session(session=session).reports.count() == 0


def test_every_reader_of_the_read_point_counts(door, beto, receive) -> None:
    second = create_reader(read_point=door, name="second")
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    receive(reads_body((1, 0), (2, 0)), by=second)
    assert [(tag.epc_hex, tag.reads) for tag in tags_seen(session=session)] == [(item_epc(1), 2), (item_epc(2), 1)]


def test_a_reader_moved_elsewhere_afterwards_changes_nothing(door, other_door, reader, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    reader.read_point = other_door
    reader.save()
    assert seen(session) == [item_epc(1)]
    frozen = freeze_read_session(session=session)
    assert read_document(session=frozen)["readers"] == [reader.pk.urn]


def test_one_open_session_per_read_point(door, other_door, beto) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    with pytest.raises(ReadPointBusy) as refused:
        open_read_session(read_point=door, opened_by=beto)
    assert refused.value.code == "read_point_busy"
    assert refused.value.sentence.startswith("LRD Dock 1 is reading for another handoff.")
    open_read_session(read_point=other_door, opened_by=beto)
    freeze_read_session(session=session)
    open_read_session(read_point=door, opened_by=beto)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReadSession.objects.create(read_point=door, opened_by=beto, opened_at=timezone.now())


def test_freezing_keeps_a_canonical_document_and_its_digest(door, reader, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    bodies = [reads_body((1, 0)), reads_body((2, 0), (2, 7)), b'[{"eventType":"x"}]', json.dumps([overflow()]).encode()]
    for body in bodies:
        receive(body)
    live = tags_seen(session=session)
    frozen = freeze_read_session(session=session)
    stored = Attachment.objects.get(sha256=frozen.document_sha256)
    content = bytes(stored.content)
    assert stored.media_type == "application/json"
    assert hashlib.sha256(content).hexdigest() == frozen.document_sha256
    document = json.loads(content)
    assert canonical.encode(document) == content
    digests = sorted(hashlib.sha256(body).hexdigest() for body in bodies)
    assert document["reports"] == digests
    root = merkle.root([merkle.leaf_hash(bytes.fromhex(digest)) for digest in digests]).hex()
    assert document["reports_root"] == frozen.reports_root == root
    assert (document["session"], document["v"]) == (session.pk.urn, 2)
    assert (document["site"], document["read_point"]) == ("0614141123452", "urn:epc:id:sgln:0614141.12345.dock1")
    assert document["readers"] == [reader.pk.urn]
    assert document["quarantined"] == 1
    assert document["gaps"] == [
        {
            "reader": reader.pk.urn,
            "first": "2026-11-02T07:24:00.000000000Z",
            "last": "2026-11-02T07:25:00.000000000Z",
            "purged": "7",
        }
    ]
    assert document["tags"][1] == {
        "epc": item_epc(2),
        "uri": "urn:epc:id:sgtin:0614141.812345.2",
        "reads": 2,
        "first": "2026-11-22T14:05:00.000000000Z",
        "last": "2026-11-22T14:05:00.007000000Z",
        "antennas": [1],
        "rssi_cdbm": -5002,
    }
    assert tags_seen(session=frozen) == live


def test_later_reads_do_not_reach_a_frozen_session(door, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    frozen = freeze_read_session(session=session)
    receive(reads_body((2, 0)))
    assert seen(frozen) == [item_epc(1)]
    again = freeze_read_session(session=session)
    assert (again.document_sha256, again.frozen_at) == (frozen.document_sha256, frozen.frozen_at)
    assert again.reports.count() == 1
    # The next session begins with none of it.
    assert seen(open_read_session(read_point=door, opened_by=beto)) == []


def test_a_report_counts_in_one_session_only(door, beto, receive) -> None:
    first = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    first = freeze_read_session(session=first)
    second = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((2, 0)))
    second = freeze_read_session(session=second)
    assert [report.session for report in RawReport.objects.order_by("pk")] == [first, second]


def test_a_session_that_saw_nothing_freezes_too(door, beto) -> None:
    frozen = freeze_read_session(session=open_read_session(read_point=door, opened_by=beto))
    document = read_document(session=frozen)
    assert (document["tags"], document["reports"]) == ([], [])
    assert frozen.reports_root == hashlib.sha256(b"").hexdigest()
    assert tags_seen(session=frozen) == []


def test_the_database_keeps_a_frozen_session_with_its_document(door, beto) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReadSession.objects.filter(pk=session.pk).update(frozen_at=timezone.now())


def test_a_busy_session_is_counted_quickly(door, beto, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    for start in range(0, 5_000, 1_000):
        receive(reads_body(*[(place % 300, start + place) for place in range(1_000)]))
    began = time.monotonic()
    assert len(tags_seen(session=session)) == 300
    assert time.monotonic() - began < 1


def test_a_report_that_was_still_being_stored_at_the_freeze_is_in_no_document_and_can_be_found(
    door, beto, receive
) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    in_flight_since = timezone.now()
    frozen = freeze_read_session(session=session)
    assert frozen.frozen_at is not None and in_flight_since < frozen.frozen_at
    assert receive(reads_body((2, 0)), at=in_flight_since).reads_new == 1
    assert seen(frozen) == [item_epc(1)]
    # Sent again in the next session it is known already, and is not of that session either: it was seen before.
    later = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((2, 0), (3, 0)))
    assert seen(later) == [item_epc(3)]
    late = RawReport.objects.get(session=None, received_at__range=(frozen.opened_at, frozen.frozen_at))
    assert late.reads.get().epc_hex == item_epc(2)
