"""Sealed entries as EPCIS events: valid, naming their entry, naming nobody; and asked for beside captured ones."""

import json
import re
import uuid
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.models import User
from accounts.roles import Role
from custody import epcis_projection
from custody.epcis_export import EXPORTERS, event_id, event_of
from custody.epcis_projection import project_new, renew
from ledger import append_only, attachments, sweeps
from ledger.models import Attachment, Entry
from ledger.sealing import seal_all
from ledger.submission import submit
from ledger.tlog import canonical
from ledger.tlog.entry import KINDS, parse_entry
from shipments.consignments import create_consignment, register_party
from shipments.epc import sgtin_to_epc_hex
from shipments.epcis.capture import EventExists, capture_document, capture_event, work_job
from shipments.epcis.schema import check_document, check_event
from shipments.models import CaptureJob, EpcisEvent, Party

pytestmark = pytest.mark.django_db

SUBJECT = "urn:uuid:d1825753-b58f-5fe7-861d-b41988902508"
PERSON, ACCOUNT = "urn:uuid:3c9f1fd2-0000-4000-8000-00000000000a", "urn:uuid:3c9f1fd2-0000-4000-8000-00000000000b"
SSCC, GRAI, BIC = "106141412345678908", "00614141123452ABC", "CSQU3054383"
SGLN = "urn:epc:id:sgln:0614141.00001.1"
ITEMS = [sgtin_to_epc_hex("80614141123458", serial, 7) for serial in (1, 2, 3)]
URIS = [f"urn:epc:id:sgtin:0614141.812345.{serial}" for serial in (1, 2, 3)]
COMMON = {
    "goods": {"reference": "LRD-1042", "ucr": "6MX0614141 LRD/1042", "mrn": "26MX123", "sscc": [SSCC], "units": 1},
    "where": {"site": "0614141000012", "read_point": SGLN},
    "when": {"acted_at": "2026-11-22T14:05:09.123Z"},
    "by": {"person": PERSON, "operator": ACCOUNT},
}
OWN = "https://custody.example/epcis/v1/"


def sealed(kind: str, subject: str = SUBJECT, **body) -> Entry:
    submit(kind=kind, subject=subject, body=body, key=str(uuid.uuid4()))
    seal_all()
    return Entry.objects.get(kind=kind)


def exported(kind: str, **body) -> dict:
    entry = sealed(kind, **COMMON | body)
    event = event_of(bytes(entry.note), load=attachments.load)
    assert event is not None
    assert check_event(event) == []
    for nobody in (PERSON, ACCOUNT, PERSON[9:], ACCOUNT[9:]):
        assert nobody not in json.dumps(event)
    named = event["custody:entry"]
    assert named["custody:index"] == entry.index
    assert named["custody:leafHash"] == bytes(entry.leaf_hash).hex()
    assert named["custody:origin"] == parse_entry(bytes(entry.note)).origin
    assert (event["eventTime"], event["eventTimeZoneOffset"]) == ("2026-11-22T14:05:09.123Z", "+00:00")
    assert event["readPoint"] == {"id": SGLN}
    assert event["bizLocation"] == {"id": "urn:epc:id:sgln:0614141.00001.0"}
    return event


# By kind ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "step", "disposition"),
    [
        ("inspection", "inspecting", None),
        ("hold", "holding", f"{OWN}disposition/customs_hold"),
        ("release", f"{OWN}bizStep/releasing", f"{OWN}disposition/released"),
        ("seizure", f"{OWN}bizStep/seizing", f"{OWN}disposition/seized"),
    ],
)
def test_acts_upon_a_shipment(kind, step, disposition):
    event = exported(kind)
    assert (event["type"], event["action"], event["bizStep"]) == ("ObjectEvent", "OBSERVE", step)
    assert event.get("disposition") == disposition
    assert event["epcList"] == [f"https://id.gs1.org/00/{SSCC}"]
    assert event["bizTransactionList"] == [
        {"type": f"{OWN}shipment", "bizTransaction": f"{OWN}shipment/LRD-1042"},
        {"type": f"{OWN}ucr", "bizTransaction": f"{OWN}ucr/6MX0614141%20LRD%2F1042"},
        {"type": f"{OWN}mrn", "bizTransaction": f"{OWN}mrn/26MX123"},
    ]


@pytest.mark.parametrize(
    ("kind", "act", "state", "step", "disposition"),
    [
        ("seal_applied", "affixed", "intact", f"{OWN}bizStep/sealing", "container_closed"),
        ("seal_replaced", "replaced", "intact", f"{OWN}bizStep/sealing", "container_closed"),
        ("seal_broken", "broken", "broken", f"{OWN}bizStep/unsealing", "container_open"),
        ("seal_broken", "broken", None, f"{OWN}bizStep/unsealing", "container_open"),
        ("seal_checked", "checked", "intact", "inspecting", "container_closed"),
        ("seal_checked", "checked", "broken", "inspecting", "container_open"),
        ("seal_checked", "checked", "tampered", "inspecting", f"{OWN}disposition/seal_tampered"),
        ("seal_checked", "checked", "missing", "inspecting", f"{OWN}disposition/seal_missing"),
        ("seal_checked", "checked", "number_differs", "inspecting", f"{OWN}disposition/seal_number_differs"),
    ],
)
def test_seals(kind, act, state, step, disposition):
    body = {"act": act, "seal": {"number": "MX-558201", "class": "high_security"}, "unit": {"bic": BIC}}
    if state:
        body["state"] = state
    if act == "replaced":
        body["replaces"] = {"number": "MX-558200"}
    event = exported(kind, **body)
    assert (event["epcList"], event["bizStep"], event["disposition"]) == ([f"urn:epc:id:bic:{BIC}"], step, disposition)
    assert event["custody:seal"]["custody:number"] == "MX-558201"
    assert event["custody:seal"].get("custody:replaces") == body.get("replaces", {}).get("number")


@pytest.mark.parametrize(("act", "action", "step"), [("packed", "ADD", "packing"), ("unpacked", "DELETE", "unpacking")])
def test_packing(act, action, step):
    children = {"units": [GRAI, BIC], "unit_kinds": ["grai", "bic"], "epcs": ITEMS[:2], "total": 4}
    event = exported("unit_packed", act=act, unit={"sscc": SSCC}, children=children)
    assert (event["type"], event["action"], event["bizStep"]) == ("AggregationEvent", action, step)
    assert event["parentID"] == f"https://id.gs1.org/00/{SSCC}"
    assert event["childEPCs"] == [f"https://id.gs1.org/8003/{GRAI}", f"urn:epc:id:bic:{BIC}", *URIS[:2]]


def test_what_an_entry_lists_in_an_attachment_is_listed_whole():
    epcs = [sgtin_to_epc_hex("80614141123458", serial, 7) for serial in range(1, 151)]
    document = attachments.store(
        canonical.encode({"units": [], "unit_kinds": [], "epcs": epcs}), media_type="application/json"
    )
    children = {"units": [], "unit_kinds": [], "epcs": epcs[:100], "total": 150, "document": document}
    event = exported("unit_packed", act="packed", unit={"sscc": SSCC}, children=children)
    assert len(event["childEPCs"]) == 150


def test_two_tags_of_one_identity_are_one_epc():
    # The filter bits differ, what they name does not.
    other_filter = ITEMS[0][:2] + f"{int(ITEMS[0][2:4], 16) ^ 0x40:02X}" + ITEMS[0][4:]
    children = {"units": [], "unit_kinds": [], "epcs": [ITEMS[0], other_filter], "total": 2}
    event = exported("unit_packed", act="packed", unit={"grai": GRAI}, children=children)
    assert event["childEPCs"] == URIS[:1]


def test_nothing_packed_is_no_event():
    entry = sealed(
        "unit_packed",
        **COMMON,
        act="packed",
        unit={"sscc": SSCC},
        children={"units": [], "unit_kinds": [], "epcs": [], "total": 0},
    )
    assert event_of(bytes(entry.note), load=attachments.load) is None


def handoff(document: dict, **changes) -> dict:
    sha256 = attachments.store(canonical.encode(document), media_type="application/json")
    reads = {
        "reconciliation": sha256,
        "expected": 3,
        "seen": len(document["seen"]),
        "inferred": 0,
        "not_seen": [],
        "unexpected": [],
        "unexpected_total": 0,
        "grade": "direct",
    }
    body = {
        "from": {"role": "consignor", "party": "0614141000036"},
        "to": {"person": PERSON, "role": "driver"},
        "operator": ACCOUNT,
        "reads": reads | changes.pop("reads", {}),
        "when": {"accepted_at": "2026-11-22T14:05:09.123Z"},
    }
    return exported("handoff", **body | changes)


@pytest.mark.parametrize(
    ("reads", "exceptions", "disposition"),
    [
        ({}, [], "completeness_verified"),
        ({"grade": "inferred", "inferred": 1}, [], "completeness_inferred"),
        # One session without a tag is weak evidence, and gets no word that sounds like more.
        ({"grade": "inconclusive", "not_seen": ITEMS[2:]}, [], None),
        ({"grade": "inconclusive", "not_seen": ITEMS[2:]}, [{"code": "missing_tag", "items": 1}], "mismatch_quantity"),
        ({"unexpected": ITEMS[2:], "unexpected_total": 1}, [], "mismatch_instance"),
    ],
)
def test_what_a_handoff_says_of_the_goods(reads, exceptions, disposition):
    event = handoff({"seen": ITEMS[:2]}, reads=reads, exceptions=exceptions)
    assert (event["bizStep"], event.get("disposition")) == ("accepting", disposition)
    assert event["epcList"] == URIS[:2]
    assert event["custody:grade"] == reads.get("grade", "direct")
    assert event.get("custody:notSeen", []) == [URIS[2]] * bool(reads.get("not_seen"))
    assert event.get("custody:unexpected", []) == [URIS[2]] * bool(reads.get("unexpected"))


def test_what_was_only_inferred_was_not_observed():
    event = handoff(
        {"seen": ITEMS[:2], "inferred": [{"epc": ITEMS[2], "by": "106141412345678908"}]},
        reads={"grade": "inferred", "inferred": 1},
    )
    assert (event["epcList"], event["custody:inferred"]) == (URIS[:2], URIS[2:])


def test_organisations_are_named_and_weight_is_told():
    event = handoff({"seen": ITEMS}, weight={"measured_g": 412_050, "declared_g": 412_000, "tolerance_g": 500})
    party = "https://id.gs1.org/417/0614141000036"
    assert event["sourceList"] == [{"type": "possessing_party", "source": party}]
    assert "destinationList" not in event
    assert event["sensorElementList"] == [{"sensorReport": [{"type": "Mass", "value": 412.05, "uom": "KGM"}]}]


def test_other_kinds_are_no_events():
    assert EXPORTERS.keys() < KINDS
    for kind in ("handoff_refused", "correction", "enrolment", "discrepancy"):
        assert kind not in EXPORTERS
        assert event_of(bytes(sealed(kind, **COMMON).note), load=attachments.load) is None


def test_an_identifier_depends_on_the_signed_bytes_alone():
    one = event_id(origin="a.example/log", leaf="00" * 32)
    assert one == event_id(origin="a.example/log", leaf="00" * 32)
    assert uuid.UUID(one).version == 5
    assert (
        len({one, event_id(origin="b.example/log", leaf="00" * 32), event_id(origin="a.example/log", leaf="01" * 32)})
        == 3
    )


# A real handoff, asked for ------------------------------------------------------------------------------------------


@pytest.fixture
def accepted(dock):
    """LRD-1042, handed over by a consignor with a GLN to Marco, and sealed."""
    Party.objects.filter(consigned=dock.shipment).update(gln="0614141000036")
    dock.accepted()
    seal_all()
    return dock


@pytest.fixture
def asking(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("sue", role=Role.SUPERVISOR))
    return client


def found(client: Client, **parameters) -> list[dict]:
    answer = client.get("/epcis/v2/events", parameters)
    assert answer.status_code == 200
    assert check_document(answer.json()) == []
    return answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]


def test_a_handoff_can_be_asked_for_by_its_goods_and_names_nobody(accepted, asking):
    assert project_new() == 1
    assert project_new() == 0
    tags = list(accepted.shipment.manifest.values_list("epc_uri", flat=True))
    (event,) = found(asking, MATCH_epc=tags[0], EQ_bizStep="accepting")
    assert event["epcList"] == tags
    assert event["disposition"] == "completeness_verified"
    assert event["custody:units"] == [f"https://id.gs1.org/00/{accepted.shipment.units.get().sscc}"]
    entry = Entry.objects.get(kind="handoff")
    assert event["custody:entry"]["custody:leafHash"] == bytes(entry.leaf_hash).hex()
    body = parse_entry(bytes(entry.note)).body
    text = json.dumps(event)
    for nobody in (body["to"]["person"], body["operator"], body["handoff"], "Marco", str(accepted.beto.pk)):
        assert nobody not in text
    assert found(asking, GE_recordTime=event["recordTime"])
    assert EpcisEvent.objects.get().origin == "own"
    alone = asking.get(f"/epcis/v2/events/{event['eventID']}").json()
    assert check_event(alone, bare=True) == []


def test_the_sweep_makes_events(settings, monkeypatch):
    sealed("inspection", **COMMON)
    monkeypatch.setattr(sweeps, "_done_at", {})
    assert ("epcis_events", "custody.epcis_projection.project_new", 5) in settings.LEDGER_SWEEP_PARTS
    assert "epcis_events" not in sweeps.sweep()
    assert EpcisEvent.objects.filter(origin="own").count() == 1


def test_nobody_captures_in_the_place_of_an_own_event(asking):
    sue = User.objects.get(username="sue")
    own = event_of(bytes(sealed("inspection", **COMMON).note), load=attachments.load)
    # Somebody who computed the identifier was faster than the projection.
    forged = {
        "@context": "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "type": "ObjectEvent",
        "eventID": own["eventID"],
        "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [],
    }
    capture_event(body=json.dumps(forged).encode(), by=sue)
    assert project_new() == 1
    assert asking.get(f"/epcis/v2/events/{own['eventID']}").json()["bizStep"] == "inspecting"
    declared = forged | {"errorDeclaration": {"declarationTime": "2026-01-01T00:00:00Z"}}
    with pytest.raises(EventExists):
        capture_event(body=json.dumps(declared).encode(), by=sue)


@pytest.fixture
def disarmed(db):
    append_only.disarm(connection)
    yield
    append_only.arm(connection)


def test_the_columns_are_not_believed(disarmed, caplog):
    entry = sealed("inspection", **COMMON)
    Entry.objects.filter(pk=entry.pk).update(kind="correction")
    assert project_new() == 0
    assert "columns stored beside this entry" in caplog.text
    Entry.objects.filter(pk=entry.pk).update(kind="inspection")
    assert renew() == 1


def test_a_note_that_does_not_hold_is_passed_by_until_it_is_restored(disarmed, caplog):
    entry = sealed("inspection", **COMMON)
    note = bytes(entry.note)
    Entry.objects.filter(pk=entry.pk).update(note=note.replace(b"LRD-1042", b"LRD-1043"))
    assert project_new() == 0
    assert f"entry {entry.index}" in caplog.text
    Entry.objects.filter(pk=entry.pk).update(note=note)
    assert project_new() == 0
    assert renew() == 1
    assert renew() == 0


def test_without_the_document_that_it_names_there_is_no_event(disarmed, asking):
    party = register_party(name="Acme Maquila")
    shipment = create_consignment(
        reference="LRD-9", consignor=party, consignee=party, description="Harnesses", manifest=[], units=[]
    )
    handoff({"seen": ITEMS}, subject=shipment.pk.urn)
    Attachment.objects.all().delete()
    assert project_new() == 0
    answer = asking.get(f"/shipments/{shipment.pk}/epcis").json()
    assert answer["epcisBody"]["eventList"] == []
    assert answer["custody:notExported"] == [Entry.objects.get(kind="handoff").index]
    assert check_document(answer) == []


def test_without_the_verifier_key_nothing_is_made_and_nothing_is_lost(settings, tmp_path):
    sealed("inspection", **COMMON)
    keys = settings.LEDGER_KEY_FILE.parent
    held = keys.rename(tmp_path / "held")
    assert project_new() == 0
    held.rename(keys)
    assert project_new() == 1


def test_what_is_exported_here_can_be_captured_elsewhere_and_not_here(asking, settings):
    party = register_party(name="Acme Maquila", gln="0614141000036")
    shipment = create_consignment(
        reference="LRD-9", consignor=party, consignee=party, description="Harnesses", manifest=[], units=[]
    )
    handoff({"seen": ITEMS}, subject=shipment.pk.urn)
    document = asking.get(f"/shipments/{shipment.pk}/epcis").content

    def capture_it() -> CaptureJob:
        job = capture_document(body=document, by=User.objects.get(username="sue"))
        work_job(job.pk)
        job.refresh_from_db()
        return job

    assert "names this ledger" in capture_it().errors[0]["detail"]
    settings.LEDGER_ORIGIN = "elsewhere.example/custody"
    assert capture_it().success
    (event,) = found(asking, MATCH_epc=URIS[0])
    assert event["custody:entry"]["custody:origin"] != "elsewhere.example/custody"


def test_many_entries_are_made_in_batches(monkeypatch):
    for number in range(7):
        submit(kind="inspection", subject=SUBJECT, body=COMMON, key=f"inspection:{number}")
    seal_all()
    monkeypatch.setattr(epcis_projection, "BATCH", 3)
    assert project_new() == 7
    assert sorted(EpcisEvent.objects.values_list("entry_index", flat=True)) == list(range(1, 8))


# Documents and pages ------------------------------------------------------------------------------------------------


def test_a_shipment_is_exported_and_the_pages_lead_to_its_events(accepted, ana, tmp_path):
    out = tmp_path / "LRD-1042.json"
    call_command("export_epcis", str(out), "--shipment", "LRD-1042", stdout=StringIO())
    document = json.loads(out.read_bytes())
    assert check_document(document) == []
    assert [event["bizStep"] for event in document["epcisBody"]["eventList"]] == ["accepting"]
    told = StringIO()
    call_command("export_epcis", "--shipment", "LRD-1042", stdout=told)
    assert json.loads(told.getvalue())["epcisBody"] == document["epcisBody"]

    client = Client()
    client.force_login(ana)
    page = client.get(f"/shipments/{accepted.shipment.pk}/").content.decode()
    address = re.search(r'href="(/shipments/[^"]+/epcis)"', page).group(1)
    answer = client.get(address)
    assert answer["Content-Disposition"] == 'attachment; filename="LRD-1042.epcis.json"'
    assert len(answer.json()["epcisBody"]["eventList"]) == 1
    entry = Entry.objects.get(kind="handoff")
    assert "as an EPCIS event" not in client.get(f"/ledger/{entry.index}/").content.decode()
    told = StringIO()
    call_command("export_epcis", "--renew", stdout=told)
    assert told.getvalue() == "Events made of entries: 1.\n"
    page = client.get(f"/ledger/{entry.index}/").content.decode()
    address = re.search(r'href="(/epcis/v2/events/[^"]+)"', page).group(1)
    assert client.get(address).json()["custody:entry"]["custody:index"] == entry.index
    assert Client().get(f"/shipments/{accepted.shipment.pk}/epcis").status_code == 302
