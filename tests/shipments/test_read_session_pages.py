"""Reading a shipment without handing it over, and a read point's own page: what clerks and programs see."""

import hashlib
import json
import threading
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from shipments.epc import sscc_to_epc_hex
from shipments.models import Consignment, ReadSession, SessionPurpose, TriggerRule
from shipments.read_sessions import open_read_session, read_document
from shipments.readers.report import Trigger
from shipments.smoothing import Policy
from shipments.smoothing_policies import policy_of, set_policy
from shipments.trigger_rules import add_trigger_rule
from shipments.triggers import act_on_triggers
from tests.shipments.conftest import SSCC, item_epc
from tests.shipments.test_ingest import reads_body

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk(client: Client, beto: User) -> Client:
    client.force_login(beto)
    return client


@pytest.fixture
def desk(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("sofia", role=Role.SUPERVISOR))
    return client


@pytest.fixture
def api(beto: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=beto, purpose='tests')}")
    return client


@pytest.fixture
def on_pallet(shipment: Consignment) -> Consignment:
    shipment.manifest.exclude(epc_hex=item_epc(5)).update(logistic_unit=shipment.units.get())
    return shipment


def text(response) -> str:
    return " ".join(response.content.decode().split())


def hear(receive, *epcs: str) -> None:
    now = datetime.now(tz=UTC).isoformat()
    receive(json.dumps({"reads": [{"epc": epc, "read_at": now, "rssi_cdbm": -5500} for epc in epcs]}).encode())


# A clerk reads a shipment


def test_a_clerk_reads_a_shipment_and_sees_each_class(clerk, door, on_pallet, receive) -> None:
    page = text(clerk.get(reverse("read_session_new"), {"shipment": "LRD-1042"}))
    assert 'value="LRD-1042"' in page
    assert "selected" in page  # the only read point there is
    begun = clerk.post(reverse("read_session_new"), {"shipment": "LRD-1042", "read_point": door.pk})
    assert begun.status_code == 302
    hear(receive, item_epc(1), item_epc(99), sscc_to_epc_hex(SSCC, 7))
    live = text(clerk.get(begun.url))
    for told in (
        "1 of 5",
        "3 inferred",
        "1 unexpected",
        "Awaited",
        f"packed in {SSCC}, whose tag was read",
        "End the reading",
    ):
        assert told in live
    session = ReadSession.objects.get()
    assert (session.purpose, session.consignment) == (SessionPurpose.CHECK, on_pallet)
    ended = clerk.post(reverse("read_session_end", args=[session.pk]), follow=True)
    page = text(ended)
    assert "1 tag was not read" in page
    assert "That alone proves nothing" in page
    assert "Awaited" not in page
    assert "End the reading" not in page
    session.refresh_from_db()
    assert session.document_sha256 in page
    stored = clerk.get(reverse("read_session_document", args=[session.pk]))
    assert hashlib.sha256(stored.content).hexdigest() == session.document_sha256


def test_the_live_part_costs_a_304_while_nothing_changes_and_reloads_at_the_end(
    clerk, door, on_pallet, beto, receive
) -> None:
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK, consignment=on_pallet)
    address = reverse("read_session_tags", args=[session.pk])
    first = clerk.get(address)
    assert clerk.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    hear(receive, item_epc(1))
    again = clerk.get(address, headers={"If-None-Match": first["ETag"]})
    assert "1 of 5" in text(again).replace("<strong>", "").replace("</strong>", "")
    clerk.post(reverse("read_session_end", args=[session.pk]))
    assert clerk.get(address)["HX-Refresh"] == "true"
    # Logged out meanwhile: the whole page goes to the log-in, not this part of it.
    assert Client().get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_whatever_stands_there_can_be_read_without_a_shipment(clerk, door, shipment, receive) -> None:
    begun = clerk.post(reverse("read_session_new"), {"shipment": "", "read_point": door.pk})
    hear(receive, item_epc(1), "3074257BF7194E40000FFFFF")
    page = text(clerk.get(begun.url))
    assert "Of shipment LRD-1042." in page
    assert "A tag of no known shipment" in page


@pytest.mark.parametrize(
    ("typed", "told", "status"), [("LRD-9999", "LRD-9999", 404), ("LRD-1042", "Choose the read point", 422)]
)
def test_what_cannot_be_read_is_said_and_kept_as_typed(clerk, door, other_door, shipment, typed, told, status) -> None:
    read_point = door.pk if status == 404 else ""
    answer = clerk.post(reverse("read_session_new"), {"shipment": typed, "read_point": read_point})
    assert answer.status_code == status
    assert told in text(answer)
    assert f'value="{typed}"' in text(answer)
    assert not ReadSession.objects.exists()


def test_a_read_point_where_a_handoff_reads_is_said_to_be_busy(clerk, door, shipment, beto) -> None:
    open_read_session(read_point=door, opened_by=beto)
    assert "reading for a handoff" in text(clerk.get(reverse("read_session_new")))
    answer = clerk.post(reverse("read_session_new"), {"shipment": "LRD-1042", "read_point": door.pk})
    assert (answer.status_code, "read_point_busy" in text(answer)) == (409, True)


def test_a_weak_tag_is_shown_with_the_reason(clerk, door, beto, receive) -> None:
    set_policy(read_point=door, policy=Policy(min_rssi_cdbm=-4000))
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK)
    hear(receive, item_epc(1))
    page = text(clerk.get(reverse("read_session", args=[session.pk])))
    assert "Too weak" in page
    assert "it may only have passed by" in page


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.WITNESS, Role.OFFICER])
def test_who_may_not_hand_off_reads_nothing(client, door, beto, role) -> None:
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK)
    client.force_login(User.objects.create_user("somebody", role=role))
    assert client.get(reverse("read_session_new")).status_code == 403
    assert client.get(reverse("read_session", args=[session.pk])).status_code == 403
    assert client.post(reverse("read_session_end", args=[session.pk])).status_code == 403


def test_an_administrator_sees_a_reading_and_ends_none(client, door, beto, carla) -> None:
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK)
    client.force_login(carla)
    assert "End the reading" not in text(client.get(reverse("read_session", args=[session.pk])))
    assert client.post(reverse("read_session_end", args=[session.pk])).status_code == 403


# The read point's page


def test_a_supervisor_wires_a_light_barrier_and_takes_it_off_again(desk, door, reader) -> None:
    address = reverse("read_point", args=[door.pk])
    assert "What starts reading by itself" in text(desk.get(address))
    typed = {"reader": reader.pk, "port": 2, "on_high": "open", "on_low": "close", "longest_s": 120, "min_gap_ms": 300}
    page = text(desk.post(reverse("trigger_add", args=[door.pk]), typed, follow=True))
    assert "Input 2 of impinj-14-2f-f4" in page
    rule = TriggerRule.objects.get()
    assert (rule.longest_s, rule.min_gap_ms) == (120, 300)
    twice = desk.post(reverse("trigger_add", args=[door.pk]), typed)
    assert (twice.status_code, "Input 2 of impinj-14-2f-f4 has a rule already" in text(twice)) == (409, True)
    page = text(desk.post(reverse("trigger_retire", args=[door.pk, rule.pk]), follow=True))
    assert "does nothing any more" in page


def test_a_reader_of_another_place_is_not_offered(desk, door, reader, other_reader) -> None:
    assert other_reader.name not in text(desk.get(reverse("read_point", args=[door.pk])))
    answer = desk.post(
        reverse("trigger_add", args=[door.pk]),
        {"reader": other_reader.pk, "port": 1, "on_high": "open", "on_low": "close", "longest_s": 9, "min_gap_ms": 0},
    )
    assert answer.status_code == 422
    assert not TriggerRule.objects.exists()


def test_a_supervisor_says_which_reads_count(desk, door) -> None:
    typed = {"min_reads": 3, "min_rssi_dbm": "-70.5", "strength": "median", "delta": "5", "epoch_ms": 400}
    page = text(desk.post(reverse("read_point_smoothing", args=[door.pk]), typed, follow=True))
    assert policy_of(door) == Policy(min_reads=3, min_rssi_cdbm=-7050, strength="median", delta_e4=500, epoch_ms=400)
    assert 'value="-70.5' in page
    refused = desk.post(reverse("read_point_smoothing", args=[door.pk]), typed | {"min_reads": 0})
    assert refused.status_code == 422


def test_a_read_points_sessions_are_listed_with_their_results(desk, door, reader, beto, on_pallet, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK, consignment=on_pallet)
    hear(receive, item_epc(5), sscc_to_epc_hex(SSCC, 7))
    desk.post(reverse("read_session_end", args=[session.pk]))
    add_trigger_rule(read_point=door, reader=reader, port=1)
    act_on_triggers(reader=reader, triggers=[Trigger(1, True, 10**18, "x")], received_at=timezone.now())
    page = text(desk.get(reverse("read_point", args=[door.pk])))
    for told in ("1 of 5 read", "4 inferred", "Inferred", "Reading now", "input 1 of impinj-14-2f-f4"):
        assert told in page
    assert reverse("read_session", args=[session.pk]) in page


def test_many_sessions_ask_the_database_no_more_often(desk, door, beto, django_assert_max_num_queries) -> None:
    for _turn in range(12):
        session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK)
        desk.post(reverse("read_session_end", args=[session.pk]))
    with django_assert_max_num_queries(12):
        desk.get(reverse("read_point", args=[door.pk]))


def test_a_clerk_sets_no_rules(clerk, door) -> None:
    assert clerk.get(reverse("read_point", args=[door.pk])).status_code == 403
    assert clerk.post(reverse("read_point_smoothing", args=[door.pk]), {"min_reads": 9}).status_code == 403


# A program reads a shipment


def test_a_program_reads_a_shipment(api, door, on_pallet, receive) -> None:
    begun = api.post("/api/v1/read-sessions", {"read_point": str(door.pk), "shipment": "LRD-1042"}, format="json")
    assert begun.status_code == 201
    address = f"/api/v1/read-sessions/{begun.data['id']}"
    assert (begun.data["shipment"], begun.data["frozen_at"], begun.data["tags"]) == ("LRD-1042", None, [])
    assert api.get(f"{address}/document").status_code == 409
    hear(receive, item_epc(5), sscc_to_epc_hex(SSCC, 7))
    live = api.get(address).data
    assert (live["result"]["seen"], live["result"]["inferred"], live["result"]["grade"]) == (1, 4, "inferred")
    assert {item["by"] for item in live["result"]["inferred_items"]} == {SSCC}
    frozen = api.post(f"{address}/freeze")
    assert frozen.status_code == 200
    assert frozen.data["result"] == live["result"]
    document = api.get(f"{address}/document")
    assert hashlib.sha256(document.content).hexdigest() == frozen.data["document"]
    again = api.post(f"{address}/freeze").data
    assert (again["document"], again["frozen_at"]) == (frozen.data["document"], frozen.data["frozen_at"])


def test_a_program_finds_what_a_gate_read(api, door, other_door, reader) -> None:
    add_trigger_rule(read_point=door, reader=reader, port=1)
    act_on_triggers(reader=reader, triggers=[Trigger(1, True, 10**18, "x")], received_at=timezone.now())
    (listed,) = api.get(f"/api/v1/read-sessions?read_point={door.pk}").data
    assert (listed["purpose"], listed["opened_by"]) == ("passage", "trigger")
    assert api.get(f"/api/v1/read-sessions?read_point={other_door.pk}").data == []
    assert api.get("/api/v1/read-sessions?read_point=dock").status_code == 400


def test_a_program_sets_a_read_points_rules(door, reader, carla) -> None:
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=carla, purpose='tests')}")
    address = f"/api/v1/read-points/{door.pk}"
    added = api.post(f"{address}/triggers", {"reader": str(reader.pk), "port": 3}, format="json")
    assert (added.status_code, added.data["on_high"], added.data["longest_s"]) == (201, "open", 300)
    twice = api.post(f"{address}/triggers", {"reader": str(reader.pk), "port": 3}, format="json")
    assert (twice.status_code, twice.data["code"]) == (409, "trigger_exists")
    assert api.get(f"{address}/triggers").data == [added.data]
    assert api.delete(f"{address}/triggers/{added.data['id']}").status_code == 204
    assert api.get(f"{address}/triggers").data == []
    assert api.get(f"{address}/smoothing").data["min_reads"] == 1
    assert api.put(f"{address}/smoothing", {"min_reads": 2, "min_rssi_cdbm": -7000}, format="json").status_code == 200
    assert policy_of(door) == Policy(min_reads=2, min_rssi_cdbm=-7000)
    refused = api.put(f"{address}/smoothing", {"min_reads": 0}, format="json")
    assert (refused.status_code, refused.data["code"]) == (422, "smoothing_refused")


def test_an_operators_program_sets_no_rules(api, door) -> None:
    assert api.get(f"/api/v1/read-points/{door.pk}/triggers").status_code == 403
    assert api.put(f"/api/v1/read-points/{door.pk}/smoothing", {}, format="json").status_code == 403


def test_a_program_is_told_what_cannot_be(api, door, beto, shipment) -> None:
    def refusal(**fields: str) -> tuple[int, str]:
        answer = api.post("/api/v1/read-sessions", fields, format="json")
        return answer.status_code, answer.data["code"]

    assert refusal(read_point=str(door.pk), shipment="LRD-9999") == (404, "shipment_unknown")
    assert refusal(shipment="LRD-1042") == (400, "fields_refused")
    handoff = open_read_session(read_point=door, opened_by=beto)
    assert refusal(read_point=str(door.pk)) == (409, "read_point_busy")
    answer = api.post(f"/api/v1/read-sessions/{handoff.pk}/freeze")
    assert (answer.status_code, answer.data["code"]) == (409, "session_of_handoff")


def test_a_program_without_the_capability_stays_out(door, ana) -> None:
    client = APIClient()
    assert client.get("/api/v1/read-sessions").status_code == 401
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=ana, purpose='tests')}")
    assert client.post("/api/v1/read-sessions", {"read_point": str(door.pk)}, format="json").status_code == 403


# At the same moment


@pytest.mark.django_db(transaction=True)
def test_freezing_twice_while_reports_arrive_is_one_document(api, door, beto, shipment, receive) -> None:
    session = open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK, consignment=shipment)
    headers = api._credentials
    answers: list[dict] = []
    failures: list[Exception] = []
    started = threading.Event()

    def post_reports() -> None:
        try:
            for start in range(0, 100, 10):
                receive(reads_body(*[(serial % 5 + 1, start + serial) for serial in range(10)]))
                started.set()
        except Exception as error:
            failures.append(error)
            started.set()
        finally:
            connection.close()

    def freeze() -> None:
        try:
            started.wait(timeout=30)
            program = APIClient()
            program.credentials(**headers)
            answers.append(program.post(f"/api/v1/read-sessions/{session.pk}/freeze").data)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=act) for act in (post_reports, freeze, freeze)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    first, second = answers
    assert first["document"] == second["document"] is not None
    session.refresh_from_db()
    document = read_document(session=session)
    assert sum(tag["reads"] for tag in document["tags"]) == 10 * len(document["reports"])
