"""Entries about reads as an auditor sees them: what was bound, what was lost, and the document that lists it."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from ledger.models import Entry
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry
from ledger.verification import verify_log
from shipments.anchoring import anchor_reports
from shipments.ingest import record_report
from shipments.models import Reader
from shipments.places import create_read_point, create_reader, create_site

pytestmark = pytest.mark.django_db

OVERFLOW = {
    "timestamp": "2026-11-02T07:30:00Z",
    "eventType": "overflow",
    "overflowEvent": {
        "firstEventTimestamp": "2026-11-02T07:24:00Z",
        "lastEventTimestamp": "2026-11-02T07:25:00Z",
        "eventsPurged": 1200,
    },
}


@pytest.fixture
def anchored() -> Reader:
    """Two reports of one reader, one of which admits a gap, bound and sealed."""
    site = create_site(code="LRD", name="Laredo yard", gln="0614141123452")
    door = create_read_point(site=site, name="Dock 1", direction="out", extension="1")
    reader = create_reader(read_point=door, name="dock-1-left")
    for body in ([OVERFLOW], []):
        record_report(
            reader=reader,
            body=json.dumps(body).encode(),
            content_type="application/json",
            received_at=datetime(2026, 11, 22, 14, 5, tzinfo=UTC),
        )
    anchor_reports()
    seal_all()
    return reader


@pytest.fixture
def auditor(client: Client, ana: User) -> Client:
    client.force_login(ana)
    return client


def shown(auditor: Client, kind: str) -> str:
    return auditor.get(reverse("entry", args=[Entry.objects.get(kind=kind).index])).content.decode()


def test_an_anchor_says_how_many_reports_of_which_place_it_binds(auditor: Client, anchored: Reader) -> None:
    page = shown(auditor, "reads_anchored")
    assert "2 reports of the readers at Laredo yard were bound into the ledger" in page
    assert "dock-1-left" in page
    assert "The reports that it binds" in page
    sha256 = parse_entry(bytes(Entry.objects.get(kind="reads_anchored").note)).body["document"]
    document = auditor.get(reverse("attachment", args=[sha256])).content
    assert hashlib.sha256(document).hexdigest() == sha256
    assert hashlib.sha256(b"[]").hexdigest() in document.decode()


def test_a_gap_says_who_lost_how_much_and_what_that_means(auditor: Client, anchored: Reader) -> None:
    page = shown(auditor, "read_gap")
    assert "dock-1-left at Dock 1, Laredo yard admitted that it lost 1200 events" in page
    assert "no sign that it was absent" in page
    assert "2026-11-02T07:24:00.000000000Z" in page
    assert "Documents named by their hash" not in page


def test_a_reader_that_was_renamed_is_told_by_its_name_of_today(auditor: Client, anchored: Reader) -> None:
    Reader.objects.update(name="gate-left")
    assert "gate-left at Dock 1" in shown(auditor, "read_gap")


def test_the_list_names_both_kinds(auditor: Client, anchored: Reader) -> None:
    page = auditor.get(reverse("ledger")).content.decode()
    assert "Reads bound" in page
    assert "Gap in the reads" in page


def test_the_log_with_anchors_and_gaps_verifies_with_their_documents(anchored: Reader) -> None:
    assert verify_log(policy=own_policy(), deep=True, workers=1).intact
