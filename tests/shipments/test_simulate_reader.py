"""The simulated reader posts real HTTP to a real server."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from shipments.models import ReaderCredential, TagRead
from shipments.read_sessions import open_read_session, tags_seen
from shipments.reader_credentials import issue_credential
from shipments.readers.registry import parse_report
from shipments.simulation import WRITERS, batches, plan_sightings, report_body
from tests.shipments.conftest import item_epc

MANIFEST = [item_epc(serial) for serial in range(1, 21)]


def test_the_same_seed_sees_the_same_tags() -> None:
    first = plan_sightings(MANIFEST, miss=3, stray=2, seed=5)
    assert first == plan_sightings(list(reversed(MANIFEST)), miss=3, stray=2, seed=5)
    assert first != plan_sightings(MANIFEST, miss=3, stray=2, seed=6)
    seen = {sighting.epc_hex for sighting in first}
    assert len(seen & set(MANIFEST)) == 17
    assert len(seen - set(MANIFEST)) == 2


def test_a_reader_may_miss_more_than_there_is() -> None:
    assert plan_sightings(MANIFEST, miss=99, stray=0, seed=1) == []


@pytest.mark.parametrize("dialect", WRITERS)
def test_what_it_posts_is_what_a_reader_posts(dialect) -> None:
    sightings = plan_sightings(MANIFEST, miss=0, stray=1, seed=1)
    reads = []
    for batch in batches(sightings):
        parsed = parse_report(report_body(dialect, batch, first_ns=1795356300_000000000, spacing_ns=1_000_000))
        assert (parsed.dialect, parsed.faults) == (dialect, [])
        reads += parsed.reads
    assert [read.epc_hex for read in reads] == [sighting.epc_hex for sighting in sightings]


def run(url: str, **options: object) -> str:
    told = StringIO()
    call_command("simulate_reader", url=url, rate=5_000.0, stdout=told, **options)
    return told.getvalue()


@pytest.mark.urls("tests.shipments.urls")
@pytest.mark.parametrize("dialect", WRITERS)
def test_tags_arrive_at_the_door_that_reads(live_server, door, reader, other_reader, shipment, beto, dialect) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    told = run(live_server.url, shipment="LRD-1042", miss=1, stray=2, seed=3, dialect=dialect)
    assert told.startswith(f"{reader.name} reads LRD-1042: 18 reads")
    expected = {item.epc_hex for item in shipment.manifest.all()}
    seen = {tag.epc_hex for tag in tags_seen(session=session)}
    assert (len(seen & expected), len(seen - expected)) == (4, 2)
    assert TagRead.objects.count() == 18
    assert ReaderCredential.objects.get().revoked_at is not None


@pytest.mark.urls("tests.shipments.urls")
def test_a_named_reader_with_its_own_credential(live_server, reader, shipment) -> None:
    username, password = issue_credential(reader=reader)
    for name in (reader.name, str(reader.pk)):
        run(live_server.url, shipment="LRD-1042", reader=name, user=username, password=password)
    assert ReaderCredential.objects.get().revoked_at is None
    with pytest.raises(CommandError, match=r"answered 401"):
        run(live_server.url, shipment="LRD-1042", reader=reader.name, user=username, password="wrong")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"shipment": "LRD-9"}, "No shipment has the code"),
        ({"shipment": "LRD-1042"}, "No handoff is reading tags now"),
        ({"shipment": "LRD-1042", "reader": "nobody"}, "There is no reader 'nobody'"),
        ({"shipment": "LRD-1042", "user": "x"}, "together"),
        ({"shipment": "LRD-1042", "miss": -1}, "not below"),
        ({"shipment": "LRD-1042", "reader": "impinj-14-2f-f4", "miss": 5}, "nothing to read"),
        ({"shipment": "LRD-1042", "reader": "impinj-14-2f-f4"}, "No server answers"),
    ],
)
def test_what_stops_it_is_said(shipment, reader, options, told) -> None:
    with pytest.raises(CommandError, match=told):
        run("http://127.0.0.1:9", **options)


@pytest.mark.django_db
def test_only_http_addresses(shipment, reader) -> None:
    with pytest.raises(CommandError, match="is no http"):
        run("file:///etc/passwd", shipment="LRD-1042", reader=reader.name)
