"""A handoff's reads as evidence: items inferred by their pallet, chips, gaps, and what a gate had read by itself."""

import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.tokens import issue_token
from biometrics.consent import ConsentGiven
from biometrics.models import Person, PersonKind
from biometrics.people import register_person
from custody import handoffs
from custody.models import Handoff, HandoffState
from ledger.models import Attachment, Entry
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.verification import verify_log
from shipments.consignments import ManifestLine, Unit, create_consignment, register_party
from shipments.epc import sscc_to_epc_hex
from shipments.ingest import record_report
from shipments.models import Consignment, ReadSession, SessionPurpose
from shipments.places import create_read_point, create_reader, create_site
from shipments.read_sessions import SessionNotOffered, offered_session
from shipments.readers.report import Trigger, format_ns
from shipments.trigger_rules import add_trigger_rule
from shipments.triggers import act_on_triggers
from tests.custody.conftest import PIN, authorise
from tests.shipments.conftest import SSCC, item_epc

pytestmark = pytest.mark.django_db

PALLET = sscc_to_epc_hex(SSCC, 7)


class Gate:
    """A gate with a light barrier, a person who may take custody, a shipment of which all but one lies on a pallet."""

    def __init__(self, by, rosa) -> None:
        self.by = by
        site = create_site(code="LRD", name="Laredo yard", gln="0614141123452")
        self.read_point = create_read_point(site=site, name="Gate 2", direction="in", extension="2")
        self.reader = create_reader(read_point=self.read_point, name="lrd-gate-2")
        self.rule = add_trigger_rule(read_point=self.read_point, reader=self.reader, port=1)
        self.nora: Person = register_person(
            name="Nora Díaz", kind=PersonKind.DRIVER, registered_by=by, consent=ConsentGiven(language="es")
        )
        authorise(self.nora, by=rosa)
        self.shipment = self.consign("LRD-1042", range(1, 6), SSCC)
        self.edges = 0

    def consign(self, reference: str, serials, *ssccs: str) -> Consignment:
        return create_consignment(
            reference=reference,
            consignor=register_party(name=f"Consignor of {reference}"),
            consignee=register_party(name=f"Consignee of {reference}"),
            description="Harnesses",
            units=[Unit(sscc=sscc, company_prefix_length=7) for sscc in ssccs],
            manifest=[
                ManifestLine(
                    epc=item_epc(serial), description=f"Box {serial}", unit=ssccs[0] if ssccs and place < 4 else ""
                )
                for place, serial in enumerate(serials)
            ],
        )

    def read(self, *epcs: str, tid: str = "") -> None:
        now_ns = time.time_ns()
        reads = [
            {"epc": epc, "read_at": format_ns(now_ns + place), "rssi_cdbm": -5500} | ({"tid": tid} if tid else {})
            for place, epc in enumerate(epcs)
        ]
        self.post({"reads": reads})

    def lose_reads(self) -> None:
        now = datetime.now(tz=UTC).isoformat()
        gap = {"firstEventTimestamp": now, "lastEventTimestamp": now, "eventsPurged": 9}
        self.post([{"timestamp": now, "eventType": "overflow", "overflowEvent": gap}])

    def post(self, body: object) -> None:
        record_report(reader=self.reader, body=json.dumps(body).encode(), content_type="", received_at=timezone.now())

    def barrier(self, high: bool) -> None:
        self.edges += 1
        trigger = Trigger(1, high, 1_795_356_300 * 10**9 + self.edges * 10**10, "")
        act_on_triggers(reader=self.reader, triggers=[trigger], received_at=timezone.now())

    def open(self, *, shipment: str = "LRD-1042", take_over: ReadSession | None = None, **more) -> Handoff:
        return handoffs.open_handoff(
            shipment=shipment,
            receiver=self.nora,
            read_point=self.read_point,
            opened_by=self.by,
            attempt=more.get("attempt") or uuid.uuid4(),
            take_over=take_over,
        )


@pytest.fixture
def gate(beto, rosa) -> Gate:
    return Gate(beto, rosa)


@pytest.fixture
def clerk(client: Client, beto) -> Client:
    client.force_login(beto)
    return client


def page_of(client: Client, handoff: Handoff) -> str:
    return " ".join(client.get(reverse("handoff", args=[handoff.pk])).content.decode().split())


# Inferred


def test_what_lies_on_a_pallet_that_was_read_is_inferred_live_and_when_matched(gate, clerk) -> None:
    handoff = gate.open()
    gate.read(item_epc(1), PALLET)
    page = page_of(clerk, handoff)
    for told in ("1 of 5", "3 inferred", f"packed in {SSCC}, whose tag was read", "Awaited"):
        assert told in page
    gate.read(item_epc(5))
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    assert handoff.reconciliation["grade"] == "inferred"
    assert (handoff.reconciliation["seen"], handoff.reconciliation["inferred"]) == (2, 3)
    assert handoff.reconciliation["not_seen"] == []
    document = canonical.decode(bytes(Attachment.objects.get(pk=handoff.reconciliation_sha256).content))
    assert document["inferred"] == [{"by": SSCC, "epc": item_epc(serial)} for serial in (2, 3, 4)]
    page = page_of(clerk, handoff)
    assert "not read. Move the goods" not in page
    assert "3 tags were not read themselves; they are inferred" in page


def test_a_pallet_alone_is_enough_to_match(gate) -> None:
    handoff = gate.open()
    gate.read(PALLET)
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    assert (handoff.state, handoff.reconciliation["grade"]) == (HandoffState.RECONCILED, "inconclusive")
    assert handoff.reconciliation["not_seen"] == [item_epc(5)]


def test_a_pallet_that_an_earlier_session_read_still_vouches(gate) -> None:
    handoff = gate.open()
    gate.read(PALLET)
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    handoff = handoffs.read_again(handoff=handoff, by=gate.by)
    gate.read(item_epc(5))
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    assert (handoff.reconciliation["grade"], handoff.reconciliation["inferred"]) == ("inferred", 4)


def test_another_chip_under_a_known_number_is_shown_before_anything_else(gate, clerk) -> None:
    gate.shipment.manifest.filter(epc_hex=item_epc(1)).update(tid="E2801190200050001234ABCD")
    handoff = gate.open()
    gate.read(*(item_epc(serial) for serial in range(1, 6)), tid="E2801190200050009999FFFF")
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    assert handoff.reconciliation["tid_mismatch"] == [item_epc(1)]
    assert handoff.reconciliation["grade"] == "inconclusive"
    page = page_of(clerk, handoff)
    assert "Another chip" in page
    assert page.index("Another chip") < page.index('tag-word">Read')


# The entry


def test_the_entry_says_what_was_inferred_by_which_unit_and_that_reads_were_lost(dock, ana) -> None:
    """The whole act with real faces: two sessions, in the first of which the reader lost reads."""
    pallet = dock.shipment.units.get()
    inside, beside, missed = dock.tags()
    dock.shipment.manifest.filter(epc_hex=inside).update(logistic_unit=pallet)
    handoff = dock.open()
    dock.read(pallet.epc_hex, beside)
    now = datetime.now(tz=UTC).isoformat()
    gap = {"firstEventTimestamp": now, "lastEventTimestamp": now, "eventsPurged": 9}
    body = json.dumps([{"timestamp": now, "eventType": "overflow", "overflowEvent": gap}]).encode()
    record_report(reader=dock.reader, body=body, content_type="", received_at=timezone.now())
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    handoff = handoffs.read_again(handoff=handoff, by=dock.beto)
    dock.read(beside)
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    dock.show_face(handoff, dock.marcos_face)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    seal_all()
    (row,) = Entry.objects.filter(kind="handoff")
    reads = parse_entry(bytes(row.note)).body["reads"]
    assert (reads["expected"], reads["seen"], reads["inferred"], reads["not_seen"]) == (3, 1, 1, [missed])
    assert (reads["inferred_by"], reads["gaps"], reads["grade"]) == ([pallet.sscc], 1, "inconclusive")
    # Of the two sessions one lost reads: what was not read may have been among them, and is not called missing.
    exceptions = {one["code"]: one["items"] for one in parse_entry(bytes(row.note)).body["exceptions"]}
    assert exceptions == {"read_gap": 1}
    assert verify_log(policy=own_policy()).intact
    client = Client()
    client.force_login(ana)
    page = " ".join(client.get(reverse("entry", args=[row.index])).content.decode().split())
    for told in (
        "1 of 3 tags read, 1 more inferred from a unit’s tag",
        "1 was not read, and is inferred: the tag of a unit in which it was packed was read",
        pallet.sscc,
        "In 1 session a reader lost reads",
    ):
        assert told in page


# What a gate read by itself


def test_a_handoff_goes_on_with_what_the_gate_is_reading(gate) -> None:
    gate.barrier(True)
    gate.read(PALLET)
    handoff = gate.open(take_over=offered_session(gate.read_point))
    gate.read(item_epc(5))
    gate.barrier(False)  # the lorry has passed; the handoff is still reading
    gate.read(item_epc(1))
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    assert (handoff.reconciliation["seen"], handoff.reconciliation["inferred"]) == (2, 3)
    assert ReadSession.objects.count() == 1


def test_a_handoff_takes_what_the_gate_has_read_already(gate) -> None:
    gate.barrier(True)
    gate.read(*(item_epc(serial) for serial in range(1, 6)))
    gate.barrier(False)
    handoff = gate.open(take_over=offered_session(gate.read_point))
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=gate.by)
    assert (handoff.state, handoff.reconciliation["grade"]) == (HandoffState.RECONCILED, "direct")


def test_a_handoff_that_reads_anew_leaves_the_gates_reading_as_a_record(gate) -> None:
    gate.barrier(True)
    gate.read(item_epc(1))
    handoff = gate.open()
    assert handoffs.match_tags(handoff).seen == []
    passed = ReadSession.objects.get(purpose=SessionPurpose.PASSAGE)
    assert (passed.frozen_at is not None, passed.summary["tags"]) == (True, 1)


def test_what_the_gate_read_of_others_is_not_offered_for_this_shipment(gate) -> None:
    gate.consign("LRD-1043", [71])
    gate.barrier(True)
    gate.read(item_epc(71))
    gate.barrier(False)
    read = offered_session(gate.read_point)
    assert handoffs.reading_on_offer(consignment=gate.shipment, read_point=gate.read_point) is None
    with pytest.raises(SessionNotOffered):
        gate.open(take_over=read)
    assert not Handoff.objects.exists()
    assert gate.open(shipment="LRD-1043", take_over=read).session == read


def test_what_another_gate_read_is_not_offered_here(gate) -> None:
    gate.barrier(True)
    gate.read(item_epc(1))
    read = offered_session(gate.read_point)
    gate.read_point = create_read_point(site=gate.read_point.site, name="Gate 3", direction="in", extension="3")
    with pytest.raises(SessionNotOffered):
        gate.open(take_over=read)


def test_one_reading_serves_one_handoff(gate) -> None:
    other = gate.consign("LRD-1043", [71])
    gate.barrier(True)
    gate.read(item_epc(1), item_epc(71))
    gate.barrier(False)
    read = offered_session(gate.read_point)
    attempt = uuid.uuid4()
    first = gate.open(take_over=read, attempt=attempt)
    assert gate.open(take_over=read, attempt=attempt) == first
    with pytest.raises(SessionNotOffered):
        gate.open(shipment=other.reference, take_over=read)


def test_the_page_offers_what_the_gate_read_and_the_clerk_chooses(gate, clerk) -> None:
    gate.barrier(True)
    gate.read(PALLET)
    asked = {"shipment": "LRD-1042", "read_point": gate.read_point.pk, "receiver": gate.nora.pk}
    page = " ".join(clerk.get(reverse("handoff_new"), asked).content.decode().split())
    session = offered_session(gate.read_point)
    assert "Go on with what the gate has read" in page
    assert "4 of 5 tags read or inferred so far" in page
    assert "reading for another handoff" not in page
    fields = asked | {"step": "open", "attempt": uuid.uuid4(), "take_over": session.pk}
    assert clerk.post(reverse("handoff_new"), fields).status_code == 302
    assert Handoff.objects.get().session == session


def test_a_program_goes_on_with_what_the_gate_read(gate, beto) -> None:
    gate.barrier(True)
    gate.read(item_epc(1), PALLET)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=beto, purpose='tests')}")
    (passing,) = api.get(f"/api/v1/read-sessions?read_point={gate.read_point.pk}").data
    opened = api.post(
        "/api/v1/handoffs",
        {
            "shipment": "LRD-1042", "receiver": str(gate.nora.pk), "read_point": str(gate.read_point.pk),
            "attempt": str(uuid.uuid4()), "take_over": str(passing["id"]),
        },
        format="json",
    )  # fmt: skip
    assert opened.status_code == 201
    assert (opened.data["tags"]["seen"], opened.data["tags"]["inferred"]) == (1, 3)
    assert api.get(f"/api/v1/read-sessions/{passing['id']}").data["purpose"] == "handoff"


def test_an_offer_that_has_lapsed_is_said_and_the_choice_stands_again(gate, clerk) -> None:
    gate.barrier(True)
    gate.read(item_epc(1))
    gate.barrier(False)
    session = offered_session(gate.read_point)
    ReadSession.objects.update(
        opened_at=timezone.now() - timedelta(hours=2), frozen_at=timezone.now() - timedelta(hours=1)
    )
    fields = {
        "shipment": "LRD-1042", "read_point": gate.read_point.pk, "receiver": gate.nora.pk, "step": "open",
        "attempt": uuid.uuid4(), "take_over": session.pk,
    }  # fmt: skip
    answer = clerk.post(reverse("handoff_new"), fields)
    assert (answer.status_code, "session_not_offered" in answer.content.decode()) == (409, True)
    assert clerk.post(reverse("handoff_new"), fields | {"take_over": "", "attempt": uuid.uuid4()}).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_gate_that_ends_while_a_handoff_takes_its_reading_over(gate) -> None:
    """Either the handoff goes on reading, or it has a frozen session: never an open one that nobody ends."""
    for turn in range(4):
        reference = f"LRD-20{turn}"
        gate.consign(reference, [500 + turn])
        gate.barrier(True)
        gate.read(item_epc(500 + turn))
        read, start, failures = offered_session(gate.read_point), threading.Barrier(2), []

        def ends(start=start, failures=failures) -> None:
            try:
                start.wait(timeout=30)
                gate.barrier(False)
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        def takes(start=start, failures=failures, read=read, reference=reference) -> None:
            try:
                start.wait(timeout=30)
                gate.open(shipment=reference, take_over=read)
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=ends), threading.Thread(target=takes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert failures == []
        handoff = Handoff.objects.get(consignment__reference=reference)
        assert handoffs.reconcile_handoff(handoff=handoff, by=gate.by).reconciliation["grade"] == "direct"
        handoffs.cancel_handoff(handoff=handoff, by=gate.by)
        assert not ReadSession.objects.filter(frozen_at=None).exists()
