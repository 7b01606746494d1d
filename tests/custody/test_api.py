"""The handoff through the API, as a program with a bearer token does it, and who may not."""

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from accounts.tokens import issue_token
from custody.models import Handoff
from ledger import verification_runs
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from tests.custody.conftest import PIN

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(beto) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=beto, purpose='tests')}")
    return client


def opening(dock, **changes):
    return {
        "shipment": "LRD-1042",
        "receiver": str(dock.marco.pk),
        "read_point": str(dock.reader.read_point_id),
        "attempt": str(uuid.uuid4()),
    } | changes


def photo(data: bytes) -> dict[str, SimpleUploadedFile]:
    return {"photo": SimpleUploadedFile("face.jpg", data, "image/jpeg")}


def test_the_whole_handoff(dock, api):
    opened = api.post("/api/v1/handoffs", opening(dock), format="json")
    assert opened.status_code == 201
    address = f"/api/v1/handoffs/{opened.data['id']}"
    assert opened.data["tags"]["seen"] == 0
    dock.read(*dock.tags())
    assert api.get(address).data["tags"]["seen"] == 3
    assert api.post(f"{address}/reconcile").data["state"] == "reconciled"
    assert api.post(f"{address}/face", photo(dock.marcos_face)).data["face"] == "match"
    accepted = api.post(f"{address}/accept", {"pin": PIN}, format="json")
    assert (accepted.status_code, accepted.data["state"]) == (200, "accepted")
    seal_all()
    entry = api.get(address).data["entry"]
    assert entry["leaf_hash"] == bytes(Entry.objects.get(index=entry["index"]).leaf_hash).hex()
    again = api.post(f"{address}/accept", {"pin": PIN}, format="json")
    assert again.data["entry"]["index"] == entry["index"]
    assert Statement.objects.filter(kind="handoff").count() == 1


def test_what_a_handoff_is_opened_with(dock, api, ana):
    names = {person["name"] for person in api.get("/api/v1/receivers").data}
    assert names == {"Marco Ruiz", "Elena Cortés"}
    assert [place["name"] for place in api.get("/api/v1/read-points").data] == ["JRZ Dock 1"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=ana, purpose='tests')}")
    assert client.get("/api/v1/receivers").status_code == 403


def test_opening_twice_answers_the_same(dock, api):
    fields = opening(dock)
    assert api.post("/api/v1/handoffs", fields).data["id"] == api.post("/api/v1/handoffs", fields).data["id"]
    assert Handoff.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"shipment": "LRD-9999"}, 404, "shipment_unknown"),
        ({"receiver": str(uuid.uuid4())}, 400, "fields_refused"),
        ({"read_point": "dock"}, 400, "fields_refused"),
        ({"attempt": "first"}, 400, "fields_refused"),
        ({"shipment": ""}, 400, "fields_refused"),
    ],
)
def test_what_cannot_be_opened_is_named(dock, api, changes, status, code):
    answer = api.post("/api/v1/handoffs", opening(dock, **changes), format="json")
    assert (answer.status_code, answer.data["code"]) == (status, code)
    assert answer.data["sentence"]
    assert not Handoff.objects.exists()


def test_another_face_is_refused_with_a_code_and_never_a_score(dock, api):
    address = f"/api/v1/handoffs/{dock.reconciled().pk}"
    answer = api.post(f"{address}/face", photo(dock.elenas_face))
    assert (answer.status_code, answer.data["code"]) == (409, "face_mismatch")
    assert "distance" not in str(answer.data)


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "fields_refused"), (b"GIF89a", "photo_not_an_image"), (b"\xff\xd8\xff", "photo_")]
)
def test_bad_photos_are_named(dock, api, data, code):
    answer = api.post(f"/api/v1/handoffs/{dock.reconciled().pk}/face", photo(data))
    assert 400 <= answer.status_code < 500
    assert answer.data["code"].startswith(code)


def test_steps_out_of_order_are_refused(dock, api):
    address = f"/api/v1/handoffs/{dock.open().pk}"
    assert api.post(f"{address}/accept", {"pin": PIN}).data["code"] == "wrong_state"
    assert api.post(f"{address}/reconcile").data["code"] == "nothing_read"
    assert api.post(f"{address}/refuse", {}).data["code"] == "fields_refused"
    assert api.post(f"{address}/cancel").data["state"] == "cancelled"


def test_somebody_without_the_capability_or_a_token_stays_out(dock, carla, ana):
    for user, status in ((None, 401), (carla, 403), (ana, 403)):
        client = APIClient()
        if user:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=user, purpose='tests')}")
        assert client.post("/api/v1/handoffs", opening(dock)).status_code == status
    stranger = APIClient(HTTP_AUTHORIZATION="Bearer made-up")
    assert stranger.post("/api/v1/handoffs", opening(dock)).status_code == 401


def test_an_address_that_leads_nowhere_is_said_in_json(api):
    answer = api.get("/api/v1/handoffs/nonsense/accept")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_token_ends(api, beto, dock):
    from django.utils import timezone

    beto.api_tokens.update(expires_at=timezone.now())
    assert api.post("/api/v1/handoffs", opening(dock)).status_code == 401


def test_an_auditor_reads_the_sealed_bytes_and_verifies(dock, ana):
    dock.accepted()
    seal_all()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=ana, purpose='tests')}")
    answer = client.get("/api/v1/ledger/entries/1")
    assert answer.content == bytes(Entry.objects.get(index=1).note)
    assert client.get("/api/v1/ledger/entries/999").status_code == 404
    asked = client.post("/api/v1/ledger/verifications")
    assert (asked.status_code, asked.data["state"], asked.data["verdict"]) == (202, "waiting", None)
    verification_runs.run_waiting()
    found = client.get(f"/api/v1/ledger/verifications/{asked.data['id']}").data
    assert (found["state"], found["verdict"]["status"]) == ("finished", "intact_unwitnessed")


def test_an_auditors_program_stops_a_verification(dock, ana):
    dock.accepted()
    seal_all()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=ana, purpose='tests')}")
    refused = client.post("/api/v1/ledger/verifications", {"depth": "deepest"})
    assert (refused.status_code, refused.data["code"]) == (400, "fields_refused")
    asked = client.post("/api/v1/ledger/verifications", {"depth": "fast"}).data
    stopped = client.delete(f"/api/v1/ledger/verifications/{asked['id']}").data
    assert (stopped["state"], stopped["depth"]) == ("cancelled", "fast")


def test_an_operator_does_not_read_the_ledger(api, dock):
    assert api.get("/api/v1/ledger/entries/0").status_code == 403
    assert api.post("/api/v1/ledger/verifications").status_code == 403
