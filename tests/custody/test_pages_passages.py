"""Passages on the pages and through the API: what an officer at a crossing sees, and what others may not."""

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tokens import issue_token
from biometrics.people import name_account
from custody.crossings import open_crossing
from custody.models import Crossing, Passage
from ledger.sealing import seal_all
from tests.custody.conftest import PIN, Dock


@pytest.fixture
def officer(dock: Dock, olga: User, client: Client) -> User:
    """Olga's account, and Elena's record as hers; logged in."""
    name_account(person=dock.elena, user=olga)
    client.force_login(olga)
    return olga


@pytest.fixture
def bridge(dock: Dock) -> Crossing:
    return open_crossing(read_point=dock.reader.read_point, by=dock.rosa)


def upload(photo: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("face.jpg", photo, "image/jpeg")


def typed(bridge: Crossing, **also) -> dict:
    return {
        "crossing": bridge.pk, "direction": "exit", "shipment": "LRD-1042", "document_type": "passport",
        "issuing_state": "mex", "number": "g12345678", "expires_on": "2090-01-31", "person": "", "carrier": "",
        "exemption": "", "without_face": "", "attempt": uuid.uuid4(),
    } | also  # fmt: skip


def begun(client: Client, bridge: Crossing, **also) -> Passage:
    answer = client.post(reverse("passage_new"), typed(bridge, **also))
    assert answer.status_code == 302, answer.content.decode()
    return Passage.objects.get(pk=answer.url.rstrip("/").rpartition("/")[2])


def test_a_passage_from_the_document_to_the_entry(dock, officer, bridge, client):
    passage = begun(client, bridge, person=dock.marco.pk, exemption="own_citizen")
    address = reverse("passage", args=[passage.pk])
    page = client.get(address).content.decode()
    assert "The portrait in the document" in page and "Let pass" not in page and "g12345678" not in page.lower()
    client.post(
        reverse("passage_portrait", args=[passage.pk]), {"portrait": upload(dock.photo("obama_partial_face2.jpg"))}
    )
    page = client.get(address).content.decode()
    assert "The traveller’s face" in page and "Both are destroyed within 12 hours" in page
    page = client.post(
        reverse("passage_face", args=[passage.pk]), {"photo": upload(dock.marcos_face)}, follow=True
    ).content.decode()
    assert "The face matches the document" in page and "Nothing speaks against it." in page
    assert "Your PIN" not in page
    page = client.post(
        reverse("passage_decide", args=[passage.pk]), {"decision": "passed"}, follow=True
    ).content.decode()
    assert "Passed" in page and "Elena Cortés" in page
    seal_all()
    page = client.get(address).content.decode()
    passage.refresh_from_db()
    entry = client.get(reverse("entry", args=[passage.statement.entry_id])).content.decode()
    assert "1 live photo with the portrait in the document; nobody was enrolled" in entry
    assert "Elena Cortés let Marco Ruiz pass" in entry and "Citizen of this country" in entry
    assert "MEX" in entry and "12345678" not in entry
    timeline = client.get(reverse("shipment_timeline", args=[dock.shipment.pk])).content.decode()
    assert "Elena Cortés let Marco Ruiz pass" in timeline


def test_a_note_is_not_lost_with_a_wrong_pin(dock, officer, bridge, client):
    passage = begun(client, bridge)
    client.post(
        reverse("passage_portrait", args=[passage.pk]), {"portrait": upload(dock.photo("obama_partial_face2.jpg"))}
    )
    client.post(reverse("passage_face", args=[passage.pk]), {"photo": upload(dock.elenas_face)})
    page = client.get(reverse("passage", args=[passage.pk])).content.decode()
    assert "The face does not match the document." in page and "2 attempts left" in page
    assert "no authorisation is on file" in page
    answer = client.post(
        reverse("passage_decide", args=[passage.pk]), {"decision": "passed", "note": "A new beard", "pin": "111222"}
    )
    page = answer.content.decode()
    assert answer.status_code >= 400 and "A new beard" in page and "111222" not in page
    client.post(reverse("passage_decide", args=[passage.pk]), {"decision": "passed", "note": "A new beard", "pin": PIN})
    page = client.get(reverse("passage", args=[passage.pk])).content.decode()
    assert "A new beard" in page and "Do not let pass" in page and "Passed" in page


def test_without_a_photo(dock, officer, bridge, client):
    passage = begun(client, bridge, shipment="")
    page = client.post(
        reverse("passage_decline", args=[passage.pk]), {"reason": "declined"}, follow=True
    ).content.decode()
    assert "No photo is taken: check the document by eye" in page and "data-camera" not in page
    refused = client.post(reverse("passage_decide", args=[passage.pk]), {"decision": "passed", "pin": PIN})
    assert refused.status_code == 422 and "Check the document by eye" in refused.content.decode()
    client.post(
        reverse("passage_decide", args=[passage.pk]), {"decision": "passed", "pin": PIN, "document_checked": "on"}
    )
    page = client.get(reverse("passages")).content.decode()
    assert "1 passage decided; 1 of it without a face (100 %)." in page


def test_passages_are_found_by_crossing_time_shipment_and_outcome(dock, officer, bridge, client):
    begun(client, bridge)
    begun(client, bridge, shipment="")
    address = reverse("passages")
    for asked, expected in (
        ({}, 2),
        ({"crossing": bridge.pk}, 2),
        ({"shipment": "LRD-1042"}, 1),
        ({"shipment": "LRD-1043"}, 0),
        ({"state": "passed"}, 0),
        ({"since": "2000-01-01T00:00", "until": "2000-06-01T00:00"}, 0),
        ({"since": "2000-01-01T00:00"}, 2),
    ):
        assert client.get(address, asked).content.decode().count('class="is-lead"') == expected, asked
    wrong = client.get(address, {"shipment": "nothing"})
    assert wrong.status_code == 422 and "No shipment has the code" in wrong.content.decode()
    assert client.get(address, {"since": "2001-01-01T00:00", "until": "2000-01-01T00:00"}).status_code == 422


def test_what_was_typed_wrongly_comes_back(officer, bridge, client):
    answer = client.post(reverse("passage_new"), typed(bridge, issuing_state="MXX"))
    page = answer.content.decode()
    assert answer.status_code == 422 and "is no issuing state" in page and "LRD-1042" in page


def test_auditors_read_and_others_see_nothing(dock, officer, bridge, client, ana):
    passage = begun(client, bridge)
    client.force_login(ana)
    page = client.get(reverse("passage", args=[passage.pk])).content.decode()
    assert "The officer who began this passage" in page and "Your decision" not in page
    assert "New passage" not in client.get(reverse("passages")).content.decode()
    assert client.get(reverse("passage_new")).status_code == 403
    for name in ("portrait", "face", "decline", "decide", "cancel"):
        assert client.post(reverse(f"passage_{name}", args=[passage.pk])).status_code == 403
    client.force_login(dock.beto)
    assert client.get(reverse("passages")).status_code == 403
    assert client.get(reverse("crossings")).status_code == 403


def test_a_supervisor_opens_and_closes_crossings(dock, officer, client):
    client.force_login(dock.rosa)
    client.post(reverse("crossings"), {"read_point": dock.reader.read_point.pk})
    crossing = Crossing.objects.get()
    assert "Dock 1" in client.get(reverse("crossings")).content.decode()
    client.post(reverse("crossing_switch", args=[crossing.pk]))
    client.force_login(officer)
    assert "No border crossing is open" in client.get(reverse("passage_new")).content.decode()
    client.force_login(dock.rosa)
    client.post(reverse("crossing_switch", args=[crossing.pk]), {"open": "1"})
    assert Crossing.objects.get().enabled


def test_a_passage_through_the_api(dock, officer, bridge, client, ana):
    client.logout()
    headers = {"Authorization": f"Bearer {issue_token(user=officer, purpose='test')}"}
    document = {"type": "passport", "issuing_state": "USA", "number": "561234567", "expires_on": "2090-01-31"}
    fields = {"crossing": str(bridge.pk), "direction": "entry", "document": document, "shipment": "LRD-1042",
              "person": str(dock.marco.pk), "attempt": str(uuid.uuid4())}  # fmt: skip
    answer = client.post("/api/v1/passages", fields, content_type="application/json", headers=headers)
    assert answer.status_code == 201 and "561234567" not in answer.content.decode()
    assert answer.json()["findings"] == [{"code": "face_not_compared"}]
    address = f"/api/v1/passages/{answer.json()['id']}"
    challenge = client.post(f"{address}/challenge", headers=headers)
    assert challenge.status_code == 201 and challenge.json()["turns"]
    client.post(f"{address}/portrait", {"photo": upload(dock.photo("obama_partial_face2.jpg"))}, headers=headers)
    wrong = client.post(f"{address}/face", {"photo": upload(dock.elenas_face)}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "face_mismatch")
    right = client.post(f"{address}/face", {"photo": upload(dock.marcos_face)}, headers=headers).json()
    assert (right["face"], right["advice"], right["findings"]) == ("match", "pass", [])
    decided = client.post(
        f"{address}/decide", {"decision": "passed"}, content_type="application/json", headers=headers
    ).json()
    assert decided["outcome"] == "passed"
    auditor = {"Authorization": f"Bearer {issue_token(user=ana, purpose='test')}"}
    listed = client.get("/api/v1/passages", {"outcome": "passed", "crossing": bridge.pk}, headers=auditor).json()
    assert (listed["decided"], listed["without_face"], len(listed["passages"])) == (1, 0, 1)
    assert client.get("/api/v1/passages/crossings", headers=auditor).json()[0]["open"] is True
    assert client.post("/api/v1/passages", {}, headers=auditor).status_code == 403
    assert client.post(f"{address}/cancel", headers=auditor).status_code == 403
    nonsense = client.post(f"{address}/decide", {"decision": "maybe"}, content_type="application/json", headers=headers)
    assert (nonsense.status_code, nonsense.json()["code"]) == (400, "fields_refused")
