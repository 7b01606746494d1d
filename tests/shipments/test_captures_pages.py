"""The page of captures: who sees it, a document by hand, and what became of it in words."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from accounts.roles import Role
from shipments.epcis.capture import work_waiting
from shipments.models import CaptureJob
from tests.shipments.epcis_samples import as_bytes, document, event

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create_user("sofia", role=Role.SUPERVISOR))
    return client


def upload(desk: Client, body: bytes, behaviour: str = "rollback"):
    return desk.post("/epcis/", {"document": SimpleUploadedFile("e.json", body), "error_behaviour": behaviour})


def test_who_sees_captures(client, desk):
    assert "Nothing was captured yet" in desk.get("/epcis/").content.decode()
    assert 'href="/epcis/"' in desk.get("/shipments/").content.decode()
    for role in (Role.OPERATOR, Role.OFFICER, Role.AUDITOR):
        client.force_login(User.objects.create_user(role, role=role))
        assert client.get("/epcis/").status_code == 403
        assert 'href="/epcis/"' not in client.get("/shipments/").content.decode()
    client.logout()
    assert client.get("/epcis/").status_code == 302


def test_a_document_by_hand(desk):
    body = as_bytes(document(event(1), event(2)))
    answer = upload(desk, body)
    job = CaptureJob.objects.get()
    assert answer.url == f"/epcis/captures/{job.pk}/"
    page = desk.get(answer.url).content.decode()
    assert "Being read" in page
    assert 'hx-trigger="every 2s"' in page
    work_waiting()
    part = desk.get(answer.url, headers={"HX-Request": "true"})
    assert part.status_code == 286
    assert "All 2 events were kept." in part.content.decode()
    assert "hx-trigger" not in desk.get(answer.url).content.decode()
    assert "Captured" in desk.get("/epcis/").content.decode()
    kept = desk.get(f"{answer.url}document")
    assert kept.content == body
    assert kept["Content-Disposition"].startswith("attachment")


def test_what_was_not_kept_is_told(desk):
    upload(desk, as_bytes(document(event(1), event(2, action="<b>LOOK</b>"))), "proceed")
    upload(desk, as_bytes(document(event(3), event(4, action="LOOK"))))
    work_waiting()
    partly = desk.get(f"/epcis/captures/{CaptureJob.objects.get(error_behaviour='proceed').pk}/").content.decode()
    assert "Events kept: 1. Not kept: 1." in partly
    assert "&lt;b&gt;LOOK&lt;/b&gt;" in partly
    assert "/epcisBody/eventList/1/action" in partly
    nothing = desk.get(f"/epcis/captures/{CaptureJob.objects.get(error_behaviour='rollback').pk}/").content.decode()
    assert "Nothing was kept" in nothing
    listed = desk.get("/epcis/").content.decode()
    assert "In part" in listed
    assert "Nothing kept" in listed


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", as_bytes(document(creationDate=None, sender=1))])
def test_what_is_no_document_is_refused_in_a_sentence(desk, body):
    answer = upload(desk, body)
    assert answer.status_code == 422
    assert "Nothing was captured" in answer.content.decode() or "cannot be read" in answer.content.decode()
    assert not CaptureJob.objects.exists()


def test_a_form_without_a_file_says_so(desk):
    answer = desk.post("/epcis/", {"error_behaviour": "rollback"})
    assert answer.status_code == 422
    assert "This field is required" in answer.content.decode()
