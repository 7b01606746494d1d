"""Officers' acts on real faces: what is done and why stands in the ledger, and a held shipment goes nowhere."""

import io
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts.models import User
from accounts.tokens import issue_token
from biometrics.errors import AccountTaken
from biometrics.models import CaptureSource, Person
from biometrics.people import name_account
from biometrics.vault import open_evidence
from biometrics.verification import Still
from custody import handoffs
from custody.facts import lay_out
from custody.facts.fact import Section
from custody.interventions import (
    AttemptReused,
    HeldAlready,
    InterventionClosed,
    InterventionNotYours,
    InterventionRefused,
    NothingToRelease,
    OfficerFaceNotMatched,
    OfficerFaceNotMatchedFinally,
    ShipmentHeld,
    ShipmentSeized,
    begin_intervention,
    cancel_intervention,
    confirm_officer,
    in_force,
)
from custody.models import Intervention
from custody.narrative import tell
from custody.officers import OfficerNotOnFile
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.times import parse_time
from tests.custody.conftest import PIN, Dock


@pytest.fixture
def officer(dock: Dock, olga: User) -> User:
    """Olga's account, and Elena's record and face as hers."""
    name_account(person=dock.elena, user=olga)
    return olga


def begin(dock: Dock, by: User, act: str = "hold", reason: str = "documents", **also) -> Intervention:
    fields = {"consignment": dock.shipment, "read_point": dock.reader.read_point, "attempt": uuid.uuid4()} | also
    return begin_intervention(act=act, reason=reason, by=by, **fields)


def show(intervention: Intervention, by: User, photo: bytes):
    return confirm_officer(
        intervention=intervention, capture=Still(photo, timezone.now()), source=CaptureSource.WEBCAM, by=by
    )


def do(dock: Dock, by: User, act: str = "hold", reason: str = "documents", **also) -> Intervention:
    intervention = begin(dock, by, act, reason, **also)
    show(intervention, by, dock.elenas_face)
    intervention.refresh_from_db()
    return intervention


def bodies(kind: str) -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind=kind).order_by("pk")]


def test_a_hold_is_an_entry_with_the_officers_face_and_stops_handoffs(dock, officer):
    held = do(dock, officer, note="Invoice and packing list differ")
    assert held.state == "done" and in_force(dock.shipment) == held
    seal_all()
    sealed = parse_entry(bytes(Entry.objects.get(kind="hold").note))
    body = sealed.body
    assert sealed.subject == dock.shipment.pk.urn
    assert body["face"]["outcome"] == "match" and body["face"]["person"] == dock.elena.pk.urn
    assert body["by"] == {"person": dock.elena.pk.urn, "operator": officer.pk.urn}
    assert (body["act"], body["reason"], body["goods"]["reference"]) == ("hold", "documents", "LRD-1042")
    assert open_evidence(held.note) == b"Invoice and packing list differ" and body["note"] == held.note.commitment
    assert "Invoice" not in str(body)
    with pytest.raises(ShipmentHeld):
        dock.open()
    [refused] = bodies("handoff_refused")
    assert refused["code"] == "shipment_held"


def test_a_handoff_that_was_under_way_is_not_accepted(dock, officer):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    do(dock, officer, "seizure", "prohibited_goods")
    with pytest.raises(ShipmentSeized):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    assert [body["code"] for body in bodies("handoff_refused")] == ["shipment_seized"]
    handoff.refresh_from_db()
    assert handoff.state == "reconciled"


def test_a_release_names_what_it_ends_and_the_shipment_moves_again(dock, officer):
    held = do(dock, officer)
    do(dock, officer, "release", "settled")
    assert in_force(dock.shipment) is None
    assert bodies("release")[0]["ends"] == held.pk.urn
    assert dock.open().state == "reading"


def test_an_inspection_has_findings_and_stops_nothing(dock, officer):
    do(dock, officer, "inspection", "random_check", findings="differs")
    do(dock, officer, "sampling", "risk_profile", findings="pending")
    assert [(body["act"], body["findings"]) for body in bodies("inspection")] == [
        ("inspection", "differs"),
        ("sampling", "pending"),
    ]
    assert dock.open().state == "reading"


def test_another_shipment_is_free(dock, officer):
    do(dock, officer)
    assert in_force(dock.other) is None
    assert dock.open(shipment="LRD-1043").state == "reading"


@pytest.mark.parametrize(
    "wrong",
    [
        {"act": "burn"},
        {"reason": "because"},
        {"act": "inspection"},
        {"act": "inspection", "findings": "fine"},
        {"findings": "conforms"},
        {"note": "x" * 501},
        {"note": "a\0b"},
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(dock, officer, wrong):
    with pytest.raises(InterventionRefused):
        begin(dock, officer, **wrong)
    assert not Intervention.objects.exists()


def test_what_is_not_held_is_not_released_and_what_is_held_not_held_again(dock, officer):
    with pytest.raises(NothingToRelease):
        begin(dock, officer, "release", "settled")
    do(dock, officer)
    with pytest.raises(HeldAlready):
        begin(dock, officer)
    do(dock, officer, "seizure", "authority_order")
    for act in ("hold", "seizure"):
        with pytest.raises(HeldAlready):
            begin(dock, officer, act)


def test_two_holds_begun_at_once_are_one(dock, officer):
    first, second = begin(dock, officer), begin(dock, officer)
    show(first, officer, dock.elenas_face)
    with pytest.raises(HeldAlready):
        show(second, officer, dock.elenas_face)
    assert len(bodies("hold")) == 1


def test_the_same_attempt_is_the_same_act(dock, officer):
    attempt = uuid.uuid4()
    first = begin(dock, officer, attempt=attempt)
    assert begin(dock, officer, attempt=attempt) == first
    with pytest.raises(AttemptReused):
        begin(dock, officer, consignment=dock.other, attempt=attempt)
    show(first, officer, dock.elenas_face)
    with pytest.raises(InterventionClosed):
        show(first, officer, dock.elenas_face)
    assert len(bodies("hold")) == 1


def test_a_face_that_is_not_the_officers_is_refused_and_on_record(dock, officer):
    intervention = begin(dock, officer)
    for _ in range(2):
        with pytest.raises(OfficerFaceNotMatched):
            show(intervention, officer, dock.marcos_face)
    with pytest.raises(OfficerFaceNotMatchedFinally):
        show(intervention, officer, dock.marcos_face)
    intervention.refresh_from_db()
    assert intervention.state == "refused" and in_force(dock.shipment) is None
    refused = bodies("act_refused")
    assert [body["attempt_number"] for body in refused] == [1, 2, 3]
    assert {body["code"] for body in refused} == {"face_mismatch"}
    assert all(body["face"]["outcome"] == "no_match" for body in refused)
    with pytest.raises(InterventionClosed):
        show(intervention, officer, dock.elenas_face)


def test_a_photo_without_a_face_costs_no_attempt(dock, officer):
    intervention = begin(dock, officer)
    file = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 90, 90)).save(file, "JPEG")
    with pytest.raises(Exception, match="face"):
        show(intervention, officer, file.getvalue())
    intervention.refresh_from_db()
    assert intervention.face_attempts == 0 and not bodies("act_refused")


def test_only_officers_act_and_only_under_their_own_account_and_face(dock, olga, ana):
    with pytest.raises(OfficerNotOnFile):
        begin(dock, olga)
    for who in (dock.beto, ana):
        with pytest.raises(InterventionNotYours):
            begin(dock, who)
    name_account(person=dock.elena, user=olga)
    intervention = begin(dock, olga)
    otto = User.objects.create_user("otto", role="officer")
    with pytest.raises(InterventionNotYours):
        show(intervention, otto, dock.elenas_face)
    with pytest.raises(InterventionNotYours):
        cancel_intervention(intervention=intervention, by=otto)


def test_what_was_begun_by_mistake_is_cancelled_and_not_sealed(dock, officer):
    intervention = begin(dock, officer)
    cancel_intervention(intervention=intervention, by=officer)
    with pytest.raises(InterventionClosed):
        show(intervention, officer, dock.elenas_face)
    assert not bodies("hold") and not bodies("act_refused")


def test_an_account_belongs_to_one_person(dock, olga):
    name_account(person=dock.elena, user=olga)
    with pytest.raises(AccountTaken):
        name_account(person=dock.marco, user=olga)
    name_account(person=dock.elena, user=None)
    name_account(person=dock.marco, user=olga)
    assert Person.objects.get(user=olga) == dock.marco


# On the pages and through the API ------------------------------------------------------------------------------------


def upload(photo: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("face.jpg", photo, "image/jpeg")


def test_an_officer_holds_a_shipment_on_the_pages(dock, officer, client: Client):
    client.force_login(officer)
    found = client.get(reverse("interventions"), {"shipment": "LRD-1042"})
    assert found.url == reverse("intervention_new", args=[dock.shipment.pk])
    typed = {"act": "hold", "reason": "seal", "findings": "", "read_point": dock.reader.read_point.pk,
             "note": "Seal 4711 is cut", "attempt": uuid.uuid4()}  # fmt: skip
    page = client.post(found.url, typed, follow=True)
    assert "Confirm the face of Elena Cortés" in page.content.decode()
    intervention = Intervention.objects.get()
    address = reverse("intervention_face", args=[intervention.pk])
    page = client.post(address, {"photo": upload(dock.elenas_face)}, follow=True).content.decode()
    assert "Done" in page and "Seal 4711 is cut" in page
    seal_all()
    again = client.get(found.url).content.decode()
    assert "may not be handed over: hold, Seal broken or changed" in again
    assert "Elena Cortés held LRD-1042 at Dock 1" in client.get(reverse("ledger")).content.decode()
    refused = client.post(found.url, typed | {"attempt": uuid.uuid4()})
    assert refused.status_code == 422 and "held already" in refused.content.decode()
    assert "LRD-1042" in client.get(reverse("interventions")).content.decode()


def sections(kind: str) -> list[Section]:
    seal_all()
    return [lay_out(tell(entry))[0] for entry in Entry.objects.filter(kind=kind).order_by("index")]


def told(section: Section) -> dict[str, str]:
    return {fact.name: fact.value for fact in section.facts if fact.value}


def test_the_entry_of_an_act_shows_what_was_done_why_and_by_whom(dock, officer, ana, client: Client):
    held = do(dock, officer, note="Invoice and packing list differ")
    seal_all()
    entry = Entry.objects.get(kind="hold")
    do(dock, officer, "release", "settled")
    do(dock, officer, "sampling", "risk_profile", findings="pending")
    do(dock, officer, "seizure", "prohibited_goods")
    [hold], [release], [sample], [seizure] = map(sections, ("hold", "release", "inspection", "seizure"))
    of_all = {
        "Shipment": "LRD-1042",
        "Done by": "Elena Cortés",
        "Operated by": "olga",
        "Place": "Dock 1, Ciudad Juárez yard",
    }
    assert told(hold) == of_all | {"Act": "Hold", "Reason": "Documents do not agree"}
    assert told(release) == of_all | {
        "Act": "Release",
        "Ends": f"Hold, entry {entry.index}",
        "Reason": "What it was for is settled",
    }
    assert told(sample) == of_all | {"Act": "Sampling", "Reason": "Risk profile", "Findings": "Not known yet"}
    assert told(seizure) == of_all | {"Act": "Seizure", "Reason": "Prohibited or restricted goods"}
    held.refresh_from_db()
    assert [fact.at for fact in hold.facts if fact.name == "Done"] == [
        parse_time(bodies("hold")[0]["when"]["acted_at"])
    ]
    assert {fact.name: fact.codes for fact in hold.fold} == {
        "Intervention": (held.pk.urn,),
        "Commitment to the note": (held.note.commitment,),
    }
    assert [fact.name for fact in release.fold] == ["Intervention"]
    client.force_login(ana)
    address = reverse("entry", args=[Entry.objects.get(kind="release").index])
    page = client.get(address).content.decode()
    assert f'<a href="{reverse("entry", args=[entry.index])}">Hold, entry {entry.index}</a>' in page
    assert "Face verification" in page


def test_a_release_whose_hold_is_not_on_file_shows_its_identifier(dock, officer):
    held = do(dock, officer)
    do(dock, officer, "release", "settled")
    [ends] = [fact for fact in sections("release")[0].facts if fact.name == "Ends"]
    assert ends.url
    Intervention.objects.filter(pk=held.pk).delete()
    [ends] = [fact for fact in sections("release")[0].facts if fact.name == "Ends"]
    assert (ends.codes, ends.url) == ((held.pk.urn,), "")


def test_the_entry_of_a_refused_act_shows_what_for_and_why_not(dock, officer):
    intervention = begin(dock, officer)
    with pytest.raises(OfficerFaceNotMatched):
        show(intervention, officer, dock.marcos_face)
    [refused] = sections("act_refused")
    assert refused.title == "Refused act"
    assert told(refused)["Act"] == "Hold"
    assert told(refused)["Reason"] == "Documents do not agree"
    assert told(refused)["In the name of"] == "Elena Cortés"
    assert "Done by" not in told(refused)
    assert told(refused)["Attempt"] == "1"
    assert [fact.codes for fact in refused.facts if fact.name == "Refused because"] == [("face_mismatch",)]


def test_a_clerk_reads_why_a_held_shipment_cannot_be_handed_over(dock, officer, client: Client):
    do(dock, officer)
    client.force_login(dock.beto)
    assert client.get(reverse("interventions")).status_code == 403
    fields = {"shipment": "LRD-1042", "receiver": dock.marco.pk, "read_point": dock.reader.read_point.pk,
              "attempt": str(uuid.uuid4())}  # fmt: skip
    answer = client.post(
        "/api/v1/handoffs", fields, headers={"Authorization": f"Bearer {issue_token(user=dock.beto, purpose='test')}"}
    )
    assert answer.status_code == 409
    assert answer.json()["code"] == "shipment_held" and "released" in answer.json()["sentence"]


def test_an_inspection_through_the_api(dock, officer, client: Client):
    headers = {"Authorization": f"Bearer {issue_token(user=officer, purpose='test')}"}
    address = f"/api/v1/shipments/{dock.shipment.pk}/interventions"
    fields = {"act": "inspection", "reason": "random_check", "findings": "conforms",
              "read_point": str(dock.reader.read_point.pk), "attempt": str(uuid.uuid4())}  # fmt: skip
    begun = client.post(address, fields, content_type="application/json", headers=headers)
    assert begun.status_code == 201 and begun.json()["state"] == "open"
    face = f"/api/v1/interventions/{begun.json()['id']}/face"
    wrong = client.post(face, {"photo": upload(dock.marcos_face)}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "face_mismatch")
    done = client.post(face, {"photo": upload(dock.elenas_face)}, headers=headers)
    assert done.json()["state"] == "done"
    listed = client.get(address, headers=headers).json()
    assert listed["in_force"] is None and [one["act"] for one in listed["interventions"]] == ["inspection"]
    fields |= {"attempt": str(uuid.uuid4()), "act": "hold"}
    refused = client.post(address, fields, content_type="application/json", headers=headers)
    assert refused.json()["code"] == "intervention_refused"


def test_a_supervisor_names_the_account_of_a_person(dock, olga, client: Client):
    client.force_login(User.objects.create_user("sara", role="supervisor"))
    page = reverse("person", args=[dock.elena.pk])
    assert "olga (Officer)" in client.get(page).content.decode()
    client.post(reverse("person_account", args=[dock.elena.pk]), {"account": "olga"})
    assert Person.objects.get(user=olga) == dock.elena
    taken = client.post(reverse("person_account", args=[dock.marco.pk]), {"account": "olga"}, follow=True)
    assert "belongs to another person" in taken.content.decode()
    client.post(reverse("person_account", args=[dock.elena.pk]), {"account": ""})
    assert not Person.objects.filter(user=olga).exists()
