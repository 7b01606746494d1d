"""What the clerk sees: opening by two scans, the live tags, the face, the receipt, and each way out."""

import re
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from accounts.models import User
from accounts.roles import Role
from biometrics.consent import ConsentGiven
from biometrics.models import Verification
from biometrics.people import register_person
from biometrics.second_factor import issue_badge
from custody import handoffs, receiver_face
from custody.models import Handoff, HandoffState, Refused
from ledger.models import Entry
from ledger.sealing import seal_all
from tests.custody.conftest import PIN, Dock

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def clerk(client: Client, beto: User) -> Client:
    client.force_login(beto)
    return client


def text_of(response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def at(handoff: Handoff, step: str = "handoff") -> str:
    return reverse(step, args=[handoff.pk])


def show(client: Client, handoff: Handoff) -> str:
    response = client.get(at(handoff))
    assert response.status_code == 200
    return text_of(response)


def act(client: Client, handoff: Handoff, step: str, **fields: object) -> str:
    """Post a step and follow it to the page that the clerk then sees."""
    response = client.post(
        at(handoff, step), fields, headers={"Referer": f"http://testserver{at(handoff)}"}, follow=True
    )
    assert response.redirect_chain[-1][0].endswith(at(handoff))
    return text_of(response)


def scan_shipment(client: Client, dock: Dock, code: str):
    return client.post(
        reverse("handoff_new"),
        {"step": "shipment", "shipment": code, "read_point": dock.reader.read_point_id},
        follow=True,
    )


def open_for(client: Client, dock: Dock, *, receiver, shipment: str = "LRD-1042", attempt: uuid.UUID | None = None):
    return client.post(
        reverse("handoff_new"),
        {
            "step": "open",
            "shipment": shipment,
            "read_point": dock.reader.read_point_id,
            "receiver": receiver.pk,
            "attempt": attempt or uuid.uuid4(),
        },
    )


# Who gets in


PAGES = ["handoffs", "handoff_new"]
STEPS = ["scan", "reconcile", "read_again", "face", "accept", "refuse", "cancel"]


@pytest.mark.parametrize("name", PAGES)
def test_who_is_not_logged_in_is_asked_to(client: Client, name: str) -> None:
    assert client.get(reverse(name)).url == f"{reverse('login')}?next={reverse(name)}"


@pytest.mark.parametrize("name", PAGES)
def test_an_administrator_does_not_hand_off(client: Client, carla: User, name: str) -> None:
    client.force_login(carla)
    assert client.get(reverse(name)).status_code == 403


def test_an_officer_sees_a_handoff_without_its_controls(client: Client, olga: User, dock: Dock) -> None:
    handoff = dock.open()
    client.force_login(olga)
    page = show(client, handoff)
    assert "0 of 3" in page
    assert "Match tags" not in page
    assert "Cancel" not in page
    for step in STEPS:
        assert client.post(at(handoff, f"handoff_{step}")).status_code == 403


def test_a_step_opened_by_its_address_shows_the_page_and_does_nothing(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    for step in STEPS:
        assert clerk.get(at(handoff, f"handoff_{step}")).url == at(handoff)
    handoff.refresh_from_db()
    assert handoff.state == HandoffState.READING


def test_a_part_of_a_page_whose_session_ended_reloads_the_page(client: Client, dock: Dock) -> None:
    answer = client.get(at(dock.open(), "handoff_tags"), headers=HTMX)
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")


@pytest.mark.parametrize(
    ("role", "page"),
    [
        (Role.OPERATOR, "handoffs"),
        (Role.SUPERVISOR, "handoffs"),
        (Role.OFFICER, "refusals"),
        (Role.AUDITOR, "ledger"),
        (Role.ADMINISTRATOR, "people"),
    ],
)
def test_each_role_begins_where_its_work_is(client: Client, db: None, role: str, page: str) -> None:
    client.force_login(User.objects.create_user("somebody", role=role))
    assert client.get(reverse("home")).url == reverse(page)


# Opening


def test_two_scans_open_a_handoff(clerk: Client, dock: Dock) -> None:
    found = scan_shipment(clerk, dock, dock.shipment.units.get().sscc)
    assert "LRD-1042" in text_of(found)
    assert "Comes from Consignor of LRD-1042 . 3 tags on the manifest." in text_of(found)

    badge = issue_badge(person=dock.marco)
    asked = {"step": "receiver", "shipment": "LRD-1042", "read_point": dock.reader.read_point_id, "who": badge}
    chosen = clerk.post(reverse("handoff_new"), asked, follow=True)
    assert badge not in chosen.redirect_chain[-1][0]
    assert "Marco Ruiz" in text_of(chosen)
    assert "Elena Cortés" not in text_of(chosen)

    opened = open_for(clerk, dock, receiver=dock.marco)
    assert "0 of 3" in text_of(clerk.get(opened.url))


def test_the_same_submission_sent_twice_opens_one_handoff(clerk: Client, dock: Dock) -> None:
    attempt = uuid.uuid4()
    first = open_for(clerk, dock, receiver=dock.marco, attempt=attempt)
    assert open_for(clerk, dock, receiver=dock.marco, attempt=attempt).url == first.url
    assert Handoff.objects.count() == 1


def test_an_unknown_shipment_keeps_what_was_scanned(clerk: Client, dock: Dock) -> None:
    answer = scan_shipment(clerk, dock, "LRD-9999")
    assert answer.status_code == 404
    assert "No shipment has the code “LRD-9999”." in text_of(answer)
    assert 'value="LRD-9999"' in answer.content.decode()


def test_without_a_read_point_the_page_asks_for_it(clerk: Client, dock: Dock) -> None:
    answer = clerk.post(reverse("handoff_new"), {"step": "shipment", "shipment": "LRD-1042"})
    assert answer.status_code == 422
    assert "Choose the read point where the goods stand." in text_of(answer)
    assert 'value="LRD-1042"' in answer.content.decode()


def test_a_shipment_with_an_open_handoff_leads_to_it(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    answer = clerk.get(reverse("handoff_new"), {"shipment": "LRD-1042"}, follow=True)
    assert answer.redirect_chain[-1][0] == at(handoff)
    assert "LRD-1042 has this open handoff." in text_of(answer)
    # Somebody was faster while this page was open.
    assert open_for(clerk, dock, receiver=dock.elena).url == at(handoff)


def test_names_are_found_as_they_are_typed(clerk: Client, dock: Dock) -> None:
    typed = {"step": "receiver", "shipment": "LRD-1042", "read_point": dock.reader.read_point_id, "who": "CORTES"}
    people = text_of(clerk.post(reverse("handoff_new"), typed, headers=HTMX))
    assert "Elena Cortés" in people
    assert "Marco Ruiz" not in people
    nobody = clerk.post(reverse("handoff_new"), typed | {"who": "Nobody Known"})
    assert nobody.status_code == 422
    assert "No enrolled person has this badge or name." in text_of(nobody)


def test_only_enrolled_people_are_offered(clerk: Client, dock: Dock) -> None:
    ramon = register_person(
        name="Ramón Nuevo", kind="driver", registered_by=dock.beto, consent=ConsentGiven(language="es")
    )
    assert "Ramón Nuevo" not in text_of(scan_shipment(clerk, dock, "LRD-1042"))
    badge = issue_badge(person=ramon)
    asked = {"step": "receiver", "shipment": "LRD-1042", "read_point": dock.reader.read_point_id, "who": badge}
    answer = clerk.post(reverse("handoff_new"), asked, follow=True)
    assert "Ramón Nuevo has no enrolled face. Enrol the person first." in text_of(answer)


def test_the_present_custodian_is_refused_and_the_list_is_offered_again(clerk: Client, dock: Dock) -> None:
    dock.accepted()
    answer = open_for(clerk, dock, receiver=dock.marco)
    assert answer.status_code == 409
    assert "Marco Ruiz already holds custody of LRD-1042. Somebody else must take it." in text_of(answer)
    assert "Elena Cortés" in text_of(answer)
    assert Refused.objects.get().code == "same_person_both_sides"


def test_a_busy_read_point_names_the_handoff_in_the_way(clerk: Client, dock: Dock) -> None:
    busy = dock.open()
    answer = open_for(clerk, dock, receiver=dock.elena, shipment="LRD-1043")
    assert answer.status_code == 409
    assert "is reading for another handoff" in text_of(answer)
    assert at(busy) in answer.content.decode()


def test_no_receiver_chosen_is_said(clerk: Client, dock: Dock) -> None:
    fields = {"step": "open", "shipment": "LRD-1042", "attempt": uuid.uuid4()}
    answer = clerk.post(reverse("handoff_new"), fields | {"read_point": dock.reader.read_point_id})
    assert answer.status_code == 422
    assert "Choose who takes custody" in text_of(answer)


# Tags


def test_tags_arrive_live_and_unchanged_ones_cost_a_304(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    address = f"{at(handoff, 'handoff_tags')}?stage=reading"
    first = clerk.get(address)
    assert "0 of 3 tags read" in text_of(first)
    assert clerk.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    dock.read(*dock.tags()[:2])
    second = clerk.get(address, headers={"If-None-Match": first["ETag"]})
    assert second.status_code == 200
    assert "2 of 3 tags read" in text_of(second)
    assert text_of(second).index("Carton 3") < text_of(second).index("Carton 1")  # what is awaited stands first


def test_a_page_left_behind_by_another_device_reloads(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    answer = clerk.get(f"{at(handoff, 'handoff_tags')}?stage=reading")
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")


def test_strange_tags_are_named_with_their_shipment(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    dock.read(dock.tags()[0], dock.tags(dock.other)[0], "3034257BF7194E4000001A85")
    page = show(clerk, handoff)
    assert "1 of 3 tags read" in page
    assert "2 unexpected" in page
    assert "Belongs to shipment LRD-1043. Take it away." in page
    assert "A tag of no known shipment" in page


def test_matching_with_a_tag_of_another_shipment_is_refused_on_the_page(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    stray = dock.tags(dock.other)[0]
    dock.read(*dock.tags(), stray)
    page = act(clerk, handoff, "handoff_reconcile")
    assert f"{stray} belongs to shipment LRD-1043. Take it away from LRD-1042, then read again." in page
    assert "0 of 3 tags read" in page


def test_matching_before_anything_was_read_is_said(clerk: Client, dock: Dock) -> None:
    assert "No tag of LRD-1042 has been read yet." in act(clerk, dock.open(), "handoff_reconcile")


@pytest.mark.parametrize("headers", [HTMX, {}])
def test_one_tag_scanned_by_hand(clerk: Client, dock: Dock, headers: dict[str, str]) -> None:
    handoff = dock.open()
    dock.read(dock.tags()[0])

    def scan(code: str):
        referer = {"Referer": f"http://testserver{at(handoff)}"}
        return clerk.post(at(handoff, "handoff_scan"), {"code": code}, headers=headers | referer, follow=True)

    assert "Carton 1" in text_of(scan(dock.tags()[0]))
    assert "the reader has read it" in text_of(scan(dock.tags()[0]))
    assert "The reader has not read it yet." in text_of(scan(dock.tags()[1]))
    other = scan(dock.tags(dock.other)[0])
    assert other.status_code == (422 if headers else 200)
    assert "This tag belongs to shipment LRD-1043. Scan a tag from LRD-1042." in text_of(other)
    assert "is no tag number" in text_of(scan("<script>"))


def test_tags_that_were_not_read_can_be_read_again(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    dock.read(*dock.tags()[:2])
    page = act(clerk, handoff, "handoff_reconcile")
    assert "1 tag was not read." in page
    assert "Carton 3" in page
    page = act(clerk, handoff, "handoff_read_again")
    assert "2 of 3 tags read" in page  # what the first session read stays read
    assert "Match tags" in page


# The person


def take_photo(client: Client, handoff: Handoff, photo: bytes, **fields: str) -> str:
    upload = SimpleUploadedFile("still.jpg", photo, content_type="image/jpeg")
    return act(client, handoff, "handoff_face", photo=upload, **fields)


def test_a_face_a_pin_and_the_receipt(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    assert "Confirm the face of Marco Ruiz" in show(clerk, handoff)
    page = take_photo(
        clerk, handoff, dock.marcos_face, captured_at="2026-11-22T10:00:00.000Z", camera_device="Tablet camera"
    )
    assert "Matched" in page
    assert "distance" not in page.lower()
    record = Verification.objects.get().record
    assert (record["captured_at"], record["device"]) == ("2026-11-22T10:00:00.000Z", "webcam")

    page = act(clerk, handoff, "handoff_accept", pin="000000")
    assert "This is not the PIN of Marco Ruiz. 4 tries left." in page

    assert "Accepted; waiting to be sealed" in act(clerk, handoff, "handoff_accept", pin=PIN)
    waiting = f"{at(handoff, 'handoff_tags')}?stage=accepted-waiting"
    assert "HX-Refresh" not in clerk.get(waiting)
    seal_all()
    assert clerk.get(waiting)["HX-Refresh"] == "true"
    entry = Entry.objects.get(kind="handoff")
    page = show(clerk, handoff)
    assert f"Recorded as entry {entry.index}" in page
    assert bytes(entry.leaf_hash).hex() in page
    assert "3 of 3 read" in page
    assert "New handoff" in page
    raw = clerk.get(at(handoff)).content.decode()
    assert "data:image/svg+xml" in raw
    assert reverse("entry", args=[entry.index]) not in raw  # an operator may not open it; the QR code is for who may


def test_the_badge_is_the_other_factor(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    badge = issue_badge(person=dock.marco)
    assert "Scan the badge" in show(clerk, handoff)
    assert "This badge is not a valid badge of Marco Ruiz." in act(clerk, handoff, "handoff_accept", badge="WRONG")
    act(clerk, handoff, "handoff_accept", badge=badge)
    seal_all()
    assert "Face matched; Badge" in show(clerk, handoff)


def test_accepting_twice_shows_the_same_receipt(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    act(clerk, handoff, "handoff_accept", pin=PIN)
    seal_all()
    assert "Recorded as entry" in act(clerk, handoff, "handoff_accept", pin=PIN)
    assert Entry.objects.filter(kind="handoff").count() == 1


def test_three_wrong_faces_refuse_the_handoff(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    page = take_photo(clerk, handoff, dock.elenas_face)
    assert "The face does not match Marco Ruiz. Attempts left: 2." in page
    assert "2 attempts left" in show(clerk, handoff)
    take_photo(clerk, handoff, dock.elenas_face)
    page = take_photo(clerk, handoff, dock.elenas_face)
    assert "This handoff is refused; an officer can see it." in page
    assert "the face did not match" in page
    assert "Waiting to be sealed" in page
    seal_all()
    last = Entry.objects.filter(kind="handoff_refused").latest("index")
    page = show(clerk, handoff)
    assert f"Recorded as entry {last.index}" in page
    assert "stays with Consignor of LRD-1042" in page
    assert "Hand this shipment off anew" in page


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (b"", "The photo holds no data."),
        (b"not a photo", "This is not a photo that can be read."),
    ],
)
def test_a_photo_that_cannot_be_used_costs_no_attempt(clerk: Client, dock: Dock, photo: bytes, sentence: str) -> None:
    handoff = dock.reconciled()
    page = take_photo(clerk, handoff, photo, captured_at="2026-13-45T99:99:99Z")
    assert sentence in page
    assert "attempts left" not in page


def test_a_form_without_a_photo_is_told_so(clerk: Client, dock: Dock) -> None:
    assert "The photo holds no data." in act(clerk, dock.reconciled(), "handoff_face")


def test_a_face_confirmed_too_long_ago_is_asked_for_again(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    verification = Verification.objects.get()
    verification.created_at -= receiver_face.FACE_HOLDS_FOR + timedelta(seconds=1)
    verification.save()
    page = show(clerk, handoff)
    assert "The face was confirmed more than 10 minutes ago. Confirm it again." in page
    assert "Confirm the face of Marco Ruiz" in page
    assert "Accept custody" not in page


def test_who_has_no_other_factor_is_told_where_to_get_one(clerk: Client, dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    dock.marco.pin.delete()
    assert escape("Marco Ruiz has neither a badge nor a PIN.") in show(clerk, handoff)


# Other ends


def test_a_shipment_is_refused_with_a_reason(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    assert "Say why it is declined" in act(clerk, handoff, "handoff_refuse", reason="  ")
    page = act(clerk, handoff, "handoff_refuse", reason="Carton 2 is wet.")
    assert "Refused" in page
    assert "Carton 2 is wet." in page


def test_a_cancelled_handoff_leaves_custody_and_ledger_alone(clerk: Client, dock: Dock) -> None:
    handoff = dock.open()
    page = act(clerk, handoff, "handoff_cancel")
    assert "Nothing was recorded in the ledger. Custody stays with Consignor of LRD-1042." in page
    assert "is cancelled; that step is not open." in act(clerk, handoff, "handoff_reconcile")


# The list


def test_the_list_shows_open_handoffs_first_and_filters_the_rest(clerk: Client, dock: Dock) -> None:
    accepted = dock.accepted()
    handoffs.cancel_handoff(handoff=dock.open(receiver=dock.elena, shipment="LRD-1043"), by=dock.beto)
    opened = dock.open(receiver=dock.elena)
    seal_all()
    response = clerk.get(reverse("handoffs"))
    body = response.content.decode()
    assert body.index(at(opened)) < body.index(at(accepted))
    page = text_of(response)
    assert "to Elena Cortés" in page
    assert "Cancelled" in page
    only = text_of(clerk.get(reverse("handoffs"), {"state": "accepted", "shipment": "1042"}))
    assert "Marco Ruiz" in only
    assert "LRD-1043" not in only
    assert "No closed handoff fits." in text_of(clerk.get(reverse("handoffs"), {"shipment": "NOWHERE"}))


def test_a_longer_list_asks_the_database_no_more_often(
    clerk: Client, dock: Dock, django_assert_max_num_queries
) -> None:
    for _ in range(6):
        handoffs.cancel_handoff(handoff=dock.open(), by=dock.beto)
    with django_assert_max_num_queries(14):
        clerk.get(reverse("handoffs"))
