"""Attending an inspection: an entry of its own, with the representative's face, that names the inspection."""

import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.tokens import issue_token
from biometrics.models import CaptureSource
from biometrics.people import name_account
from biometrics.verification import Still
from custody.attendances import (
    AttendanceRefused,
    AttendedAlready,
    begin_attendance,
    cancel_attendance,
    confirm_attendance,
)
from custody.faces_shown import ActClosed, ActNotYours, FaceNotTheirs, FaceNotTheirsFinally
from custody.interventions import (
    AttemptReused,
    InterventionNotYours,
    begin_intervention,
    cancel_intervention,
    confirm_officer,
)
from custody.models import Attendance, Intervention
from custody.narrative import shipment_lines
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from tests.custody.conftest import Dock


@pytest.fixture
def officer(dock: Dock, olga: User) -> User:
    name_account(person=dock.elena, user=olga)
    return olga


def begin(dock: Dock, by: User, act: str = "inspection") -> Intervention:
    findings = "pending" if act in ("inspection", "sampling") else ""
    return begin_intervention(
        consignment=dock.shipment, act=act, reason="random_check", findings=findings, by=by,
        read_point=dock.reader.read_point, attempt=uuid.uuid4(),
    )  # fmt: skip


def inspected(dock: Dock, by: User) -> Intervention:
    intervention = begin(dock, by)
    still = Still(dock.elenas_face, timezone.now())
    confirm_officer(intervention=intervention, capture=still, source=CaptureSource.WEBCAM, by=by)
    intervention.refresh_from_db()
    return intervention


def attend(intervention: Intervention, dock: Dock, by: User) -> Attendance:
    return begin_attendance(intervention=intervention, person=dock.marco.pk, by=by, attempt=uuid.uuid4())


def show(attendance: Attendance, by: User, photo: bytes) -> None:
    still = Still(photo, timezone.now())
    confirm_attendance(attendance=attendance, capture=still, source=CaptureSource.WEBCAM, by=by)


def bodies(kind: str) -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind=kind).order_by("pk")]


def test_who_comes_after_the_inspection_was_sealed_is_named_with_its_entry(dock, officer, client: Client):
    intervention = inspected(dock, officer)
    seal_all()
    show(attend(intervention, dock, officer), officer, dock.marcos_face)
    seal_all()
    sealed = parse_entry(bytes(Entry.objects.get(kind="inspection_attended").note))
    body, inspection = sealed.body, Entry.objects.get(kind="inspection")
    assert sealed.subject == dock.shipment.pk.urn
    assert body["inspection"] == {
        "intervention": intervention.pk.urn, "officer": dock.elena.pk.urn, "entry": inspection.index,
    }  # fmt: skip
    assert body["by"] == {"person": dock.marco.pk.urn, "operator": officer.pk.urn}
    assert (body["face"]["outcome"], body["face"]["person"]) == ("match", dock.marco.pk.urn)
    assert shipment_lines(dock.shipment)[-1].sentence == (
        "Marco Ruiz attended the inspection of LRD-1042 by Elena Cortés at Dock 1, Ciudad Juárez yard. "
        "The face matched."
    )
    client.force_login(officer)
    page = client.get(reverse("entry", args=[sealed.index])).content.decode()
    assert reverse("entry", args=[inspection.index]) in page and "Marco Ruiz" in page


def test_who_comes_while_the_officer_still_looks_is_named_without_one(dock, officer):
    intervention = begin(dock, officer)
    show(attend(intervention, dock, officer), officer, dock.marcos_face)
    [body] = bodies("inspection_attended")
    assert "entry" not in body["inspection"] and body["inspection"]["intervention"] == intervention.pk.urn


def test_another_face_is_refused_and_on_record(dock, officer):
    attendance = attend(inspected(dock, officer), dock, officer)
    for _ in range(2):
        with pytest.raises(FaceNotTheirs):
            show(attendance, officer, dock.elenas_face)
    with pytest.raises(FaceNotTheirsFinally):
        show(attendance, officer, dock.elenas_face)
    refused = bodies("act_refused")
    assert [body["attempt_number"] for body in refused] == [1, 2, 3]
    assert {body["act"] for body in refused} == {"inspection_attended"} and not bodies("inspection_attended")
    with pytest.raises(ActClosed):
        show(attendance, officer, dock.marcos_face)
    seal_all()
    assert shipment_lines(dock.shipment)[-1].sentence == (
        "Attending the inspection of LRD-1042 in the name of Marco Ruiz was refused: the face did not match."
    )


def test_only_an_inspection_that_took_place_lately_is_attended_and_not_by_its_officer(dock, officer, beto):
    hold, inspection = begin(dock, officer, "hold"), inspected(dock, officer)
    for refused in (
        lambda: attend(hold, dock, officer),
        lambda: begin_attendance(intervention=inspection, person=dock.elena.pk, by=officer, attempt=uuid.uuid4()),
        lambda: begin_attendance(intervention=inspection, person=uuid.uuid4(), by=officer, attempt=uuid.uuid4()),
        lambda: attend(cancel_intervention(intervention=begin(dock, officer), by=officer), dock, officer),
    ):
        with pytest.raises(AttendanceRefused):
            refused()
    with pytest.raises(InterventionNotYours):
        attend(inspection, dock, beto)
    inspection.closed_at -= timedelta(hours=13)
    with pytest.raises(AttendanceRefused):
        attend(inspection, dock, officer)
    assert not Attendance.objects.exists()


def test_who_attended_once_is_not_put_down_twice(dock, officer):
    intervention, attempt = inspected(dock, officer), uuid.uuid4()
    fields = {"intervention": intervention, "person": dock.marco.pk, "by": officer, "attempt": attempt}
    first, second = begin_attendance(**fields), attend(intervention, dock, officer)
    assert begin_attendance(**fields) == first
    with pytest.raises(AttemptReused):
        begin_attendance(**fields | {"intervention": begin(dock, officer)})
    otto = User.objects.create_user("otto", role="officer")
    with pytest.raises(ActNotYours):
        show(first, otto, dock.marcos_face)
    show(first, officer, dock.marcos_face)
    with pytest.raises(AttendedAlready):
        show(second, officer, dock.marcos_face)
    with pytest.raises(AttendedAlready):
        attend(intervention, dock, officer)
    cancel_attendance(attendance=second, by=officer)
    assert len(bodies("inspection_attended")) == 1


def upload(photo: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("face.jpg", photo, "image/jpeg")


def test_an_officer_puts_somebody_down_on_the_pages(dock, officer, client: Client):
    intervention = inspected(dock, officer)
    client.force_login(officer)
    page = client.get(reverse("intervention", args=[intervention.pk])).content.decode()
    new = reverse("attendance_new", args=[intervention.pk])
    assert new in page
    form = client.get(new).content.decode()
    assert "Marco Ruiz" in form and "Elena Cortés" not in form
    page = client.post(new, {"person": dock.marco.pk, "attempt": uuid.uuid4()}, follow=True)
    assert "Confirm the face of Marco Ruiz" in page.content.decode()
    attendance = Attendance.objects.get()
    address = reverse("attendance_face", args=[attendance.pk])
    page = client.post(address, {"photo": upload(dock.marcos_face)}, follow=True).content.decode()
    assert "On record" in page
    again = client.get(reverse("intervention", args=[intervention.pk])).content.decode()
    assert "Marco Ruiz" in again and "Attended by" in again
    client.force_login(dock.beto)
    assert client.get(new).status_code == 403


def test_attendance_through_the_api(dock, officer, client: Client):
    headers = {"Authorization": f"Bearer {issue_token(user=officer, purpose='test')}"}
    address = f"/api/v1/interventions/{inspected(dock, officer).pk}/attendances"
    fields = {"person": str(dock.marco.pk), "attempt": str(uuid.uuid4())}
    begun = client.post(address, fields, content_type="application/json", headers=headers)
    assert (begun.status_code, begun.json()["state"]) == (201, "open")
    own = f"/api/v1/attendances/{begun.json()['id']}"
    assert client.post(f"{own}/challenge", headers=headers).status_code == 201
    wrong = client.post(f"{own}/face", {"photo": upload(dock.elenas_face)}, headers=headers)
    assert wrong.json()["code"] == "face_mismatch"
    done = client.post(f"{own}/face", {"photo": upload(dock.marcos_face)}, headers=headers).json()
    assert (done["state"], done["attempts_left"]) == ("done", 2)
    assert [one["person"] for one in client.get(address, headers=headers).json()] == [str(dock.marco.pk)]
    assert client.post(f"{own}/cancel", headers=headers).json()["code"] == "act_closed"
