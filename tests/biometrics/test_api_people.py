"""People through the API: register, enrol, withdraw; no name and no photo comes back."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from biometrics.models import Person, Template
from biometrics.people import display_name
from demo.portraits import Portrait


@pytest.fixture
def program(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("sofia", role=Role.SUPERVISOR))
    return client


def register(client: Client, **asked: object) -> dict:
    fields = {"name": "Rosa Medina", "kind": "driver"} | asked
    return client.post(reverse("api-people"), fields, content_type="application/json")


def photos_of(shown: Portrait) -> dict:
    return {
        "photos": [SimpleUploadedFile(f"{n}.jpg", photo, "image/jpeg") for n, photo in enumerate(shown.captures)],
        "document": SimpleUploadedFile("document.jpg", shown.document, "image/jpeg"),
    }


def test_a_person_is_registered_enrolled_and_withdraws(program: Client, obama: Portrait) -> None:
    made = register(program, consent={"language": "es"})
    assert made.status_code == 201
    person = Person.objects.get(pk=made.json()["id"])
    assert display_name(person) == "Rosa Medina"
    assert (made.json()["consent"]["text_version"], made.json()["template"]) == ("2", None)
    assert "Rosa" not in made.content.decode()

    enrolled = program.post(reverse("api-person-enrolment", args=[person.pk]), photos_of(obama))
    assert enrolled.status_code == 201
    assert (enrolled.json()["version"], enrolled.json()["photos"]) == (1, 3)

    address = reverse("api-person", args=[person.pk])
    assert program.get(address).json()["template"]["id"] == str(Template.objects.get().pk)
    withdrawn = program.post(reverse("api-person-consent-withdraw", args=[person.pk]))
    assert withdrawn.json()["consent"] is None
    again = program.post(reverse("api-person-consent-withdraw", args=[person.pk]))
    assert (again.status_code, again.json()["code"]) == (409, "no_consent_to_withdraw")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 409, "consent_missing"),
        ({"consent": {"language": "fr"}}, 400, "consent_text_unknown"),
        ({"kind": "watchlisted", "consent": {"language": "es"}}, 400, None),
    ],
)
def test_a_registration_is_refused_with_its_code(program: Client, asked: dict, status: int, code: str | None) -> None:
    response = register(program, **asked)
    assert response.status_code == status
    assert response.json().get("code") == code or code is None
    assert not Person.objects.exists()


def test_who_is_exempt_is_registered_and_not_enrolled(program: Client, obama: Portrait) -> None:
    made = register(program, exempt=True)
    assert (made.status_code, made.json()["exempt"]) == (201, True)
    refused = program.post(reverse("api-person-enrolment", args=[made.json()["id"]]), photos_of(obama))
    assert (refused.status_code, refused.json()["code"]) == (409, "person_exempt")


def test_a_face_on_another_record_is_told_by_its_code_alone(
    program: Client, enrolled: Person, lucia: Person, obama: Portrait
) -> None:
    refused = program.post(reverse("api-person-enrolment", args=[lucia.pk]), photos_of(obama))
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_found")
    assert str(enrolled.pk) not in refused.content.decode()
    [question] = program.get(reverse("api-person", args=[lucia.pk])).json()["duplicates"]
    assert question["state"] == "pending"


def test_an_operator_reads_and_changes_nothing(client: Client, beto: User, ignacio: Person) -> None:
    client.force_login(beto)
    assert client.get(reverse("api-person", args=[ignacio.pk])).status_code == 200
    assert register(client, consent={"language": "es"}).status_code == 403
    for name in ("api-person-enrolment", "api-person-consent-withdraw"):
        assert client.post(reverse(name, args=[ignacio.pk])).status_code == 403


def test_who_is_looked_out_for_is_not_found(program: Client, beto: User) -> None:
    wanted = Person.objects.create(kind="watchlisted", registered_by=beto)
    assert program.get(reverse("api-person", args=[wanted.pk])).status_code == 404
