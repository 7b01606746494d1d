"""What is done about one person, about two records of one face, and about groups: through the API as on the pages."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from biometrics.enrolment import enrol_person
from biometrics.errors import FaceOnFile
from biometrics.models import CaptureSource, DuplicateReview, Person
from biometrics.second_factor import check_second_factor
from biometrics.verification import Still, verify_face
from demo.portraits import Portrait
from ledger.models import Statement

JSON = "application/json"


@pytest.fixture
def sofia(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("sofia", role=Role.SUPERVISOR))
    return client


def test_consent_is_given_anew_and_the_one_before_it_ends(sofia: Client, ignacio: Person) -> None:
    before = ignacio.consents.get()
    address = reverse("api-person-consent", args=[ignacio.pk])
    answer = sofia.post(address, {"language": "en"}, content_type=JSON)
    assert (answer.status_code, answer.json()["consent"]["language"]) == (201, "en")
    before.refresh_from_db()
    assert before.withdrawn_at is not None
    assert sofia.post(address, {"language": "xx"}, content_type=JSON).json()["code"] == "consent_text_unknown"
    Person.objects.filter(pk=ignacio.pk).update(exempt=True)
    assert sofia.post(address, {"language": "en"}, content_type=JSON).status_code == 404


def test_pin_and_badge_confirm_whom_they_were_set_for(sofia: Client, ignacio: Person) -> None:
    pin = reverse("api-person-pin", args=[ignacio.pk])
    assert sofia.put(pin, {"pin": "123456"}, content_type=JSON).json()["code"] == "pin_too_weak"
    assert sofia.put(pin, {"pin": "280519"}, content_type=JSON).status_code == 204
    assert check_second_factor(person=ignacio, pin="280519") == "pin"
    issued = sofia.post(reverse("api-person-badge", args=[ignacio.pk]))
    assert (issued.status_code, issued["Cache-Control"].split(",")[0]) == (201, "max-age=0")
    assert check_second_factor(person=ignacio, badge=issued.json()["code"]) == "badge"


def test_the_verifications_so_far_are_told_without_a_distance(
    sofia: Client, enrolled: Person, beto: User, obama: Portrait, biden: Portrait
) -> None:
    address = reverse("api-person-verifications", args=[enrolled.pk])
    assert sofia.get(address).json() == []
    for shown in (biden, obama):
        verify_face(
            person=enrolled,
            capture=Still(shown.live, datetime.now(UTC)),
            source=CaptureSource.UPLOAD,
            attempts_before=0,
            requested_by=beto,
        )
    newest, first = sofia.get(address).json()
    assert (newest["outcome"], first["outcome"]) == ("match", "no_match")
    assert (newest["liveness"], newest["requested_by"]) == ("not_performed", "beto")
    assert newest["target_fmr"] == "1e-4"
    assert not any("distance" in name for name in newest)


def test_an_officer_holds_what_is_held_and_lifts_it(client: Client, ignacio: Person, olga: User, beto: User) -> None:
    address = reverse("api-person-holds", args=[ignacio.pk])
    client.force_login(beto)
    assert client.get(address).status_code == 403
    assert client.post(address, {"authority": "Court, 1"}, content_type=JSON).status_code == 403
    client.force_login(olga)
    hold = client.post(address, {"authority": "Court, 1"}, content_type=JSON).json()
    assert (hold["placed_by"], hold["lifted_at"]) == ("olga", None)
    lift = reverse("api-person-hold-lift", args=[ignacio.pk, hold["id"]])
    assert client.post(lift).json()["lifted_by"] == "olga"
    assert client.post(lift).json()["code"] == "hold_already_lifted"
    assert [one["id"] for one in client.get(address).json()] == [hold["id"]]


def test_an_officer_decides_on_one_face_under_two_records(
    client: Client, enrolled: Person, lucia: Person, beto: User, olga: User, obama: Portrait
) -> None:
    with pytest.raises(FaceOnFile):
        enrol_person(person=lucia, photos=obama.captures, document=obama.document, enrolled_by=beto)
    client.force_login(beto)
    assert client.get(reverse("api-duplicates")).status_code == 403
    client.force_login(olga)
    [asked] = client.get(reverse("api-duplicates"), {"state": "pending"}).json()
    assert (asked["person"], asked["other"]) == (str(lucia.pk), str(enrolled.pk))
    address = reverse("api-duplicate-decide", args=[asked["id"]])
    assert client.post(address, {"decision": "same"}, content_type=JSON).status_code == 400
    assert client.post(address, {"decision": "pending", "note": "x"}, content_type=JSON).status_code == 400
    decided = client.post(
        address, {"decision": DuplicateReview.State.SAME.value, "note": "Both licences compared"}, content_type=JSON
    )
    assert (decided.status_code, decided.json()["decided_by"]) == (200, "olga")
    assert DuplicateReview.objects.get().state == DuplicateReview.State.SAME
    assert Statement.objects.filter(kind="duplicate_decided").count() == 1
    again = client.post(address, {"decision": DuplicateReview.State.DIFFERENT.value, "note": "No"}, content_type=JSON)
    assert again.json()["code"] == "duplicate_decided_before"


def test_a_group_is_made_named_and_filled(sofia: Client, ignacio: Person, lucia: Person, olga: User) -> None:
    made = sofia.post(reverse("api-groups"), {"name": "Zone 4"}, content_type=JSON)
    assert made.status_code == 201
    address = reverse("api-group", args=[made.json()["id"]])
    assert (
        sofia.post(reverse("api-groups"), {"name": "Zone 4"}, content_type=JSON).json()["code"] == "group_name_unusable"
    )
    assert sofia.patch(address, {"name": "Zone 5"}, content_type=JSON).json()["name"] == "Zone 5"
    member = reverse("api-group-member", args=[made.json()["id"], ignacio.pk])
    assert sofia.put(member).json()["members"] == [str(ignacio.pk)]
    assert sofia.delete(member).json()["members"] == []
    Person.objects.filter(pk=lucia.pk).update(exempt=True)
    assert sofia.put(reverse("api-group-member", args=[made.json()["id"], lucia.pk])).status_code == 409
    sofia.force_login(olga)
    assert sofia.get(reverse("api-groups")).status_code == 403
