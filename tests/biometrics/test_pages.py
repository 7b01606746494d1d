"""The people's pages as supervisors and operators see them. Real photos where a face is the subject."""

import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from biometrics.models import Badge, CaptureSource, Evidence, EvidenceKind, Person, Pin, Template
from biometrics.second_factor import check_second_factor, find_by_badge
from biometrics.verification import Still, verify_face
from demo.portraits import Portrait
from tests.biometrics.pictures import side_by_side

NEW = {
    "name": "Rosa Medina",
    "kind": "driver",
    "retention": "while_engaged",
    "language": "es",
    "text_version": "2",
    "agreed": "on",
}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def supervisor(db: None) -> User:
    return User.objects.create_user("sofia", role=Role.SUPERVISOR)


@pytest.fixture
def desk(client: Client, supervisor: User) -> Client:
    client.force_login(supervisor)
    return client


def text(response) -> str:
    return response.content.decode()


def page_of(client: Client, person: Person, name: str = "person") -> str:
    return text(client.get(reverse(name, args=[person.pk])))


def upload(*photos: bytes, document: bytes | None = None) -> dict:
    sent = {"photos": [SimpleUploadedFile(f"{n}.jpg", photo, "image/jpeg") for n, photo in enumerate(photos)]}
    if document is not None:
        sent["document"] = [SimpleUploadedFile("document.jpg", document, "image/jpeg")]
    return sent


def uploaded(shown: Portrait) -> dict:
    return upload(*shown.captures, document=shown.document)


# Who may see what ---------------------------------------------------------------------------------------------------


def test_whoever_is_not_logged_in_is_asked_to(client: Client, ignacio: Person) -> None:
    addresses = [reverse("people"), reverse("person_new")]
    addresses += [reverse(name, args=[ignacio.pk]) for name in ("person", "person_enrol", "person_pin", "person_badge")]
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 302
        assert response.url.startswith("/login/")


def test_an_operator_sees_people_and_manages_none(client: Client, beto: User, ignacio: Person) -> None:
    client.force_login(beto)
    assert "Ignacio Peralta Quintanilla" in text(client.get(reverse("people")))
    page = page_of(client, ignacio)
    assert "Enrol</a>" not in page
    assert reverse("person_pin", args=[ignacio.pk]) not in page
    assert client.get(reverse("person_new")).status_code == 403
    for name in ("person_enrol", "person_pin", "person_badge"):
        assert client.post(reverse(name, args=[ignacio.pk])).status_code == 403
    assert not Badge.objects.exists()


def test_an_auditor_sees_nobody(client: Client, ana: User, ignacio: Person) -> None:
    client.force_login(ana)
    assert client.get(reverse("people")).status_code == 403
    assert client.get(reverse("person", args=[ignacio.pk])).status_code == 403


# The list -----------------------------------------------------------------------------------------------------------


def test_the_list_says_who_lacks_what(desk: Client, ignacio: Person, lucia: Person) -> None:
    page = text(desk.get(reverse("people")))
    for shown in ("Ignacio Peralta Quintanilla", "Lucía Ibáñez", "Not enrolled", "Neither PIN nor badge"):
        assert shown in page


def test_a_name_is_found_without_its_accents_and_stands_in_no_address(
    desk: Client, ignacio: Person, lucia: Person
) -> None:
    response = desk.post(reverse("people"), {"name": "IBANEZ lucia"})
    assert response.status_code == 200
    assert "Lucía Ibáñez" in text(response)
    assert "Ignacio" not in text(response)
    assert "Nobody fits" in text(desk.post(reverse("people"), {"name": "Zapata"}))


def test_kind_and_enrolment_filter_by_the_address(desk: Client, ignacio: Person, lucia: Person) -> None:
    response = desk.post(reverse("people"), {"name": "", "kind": "driver", "enrolled": "no"})
    assert response.url == reverse("people") + "?kind=driver&enrolled=no"
    page = text(desk.get(response.url))
    assert "Ignacio" in page
    assert "Lucía" not in page
    assert "Nobody fits" in text(desk.get(reverse("people"), {"enrolled": "yes"}))


def test_a_name_that_does_not_open_hides_nobody_else(desk: Client, ignacio: Person, lucia: Person) -> None:
    Evidence.objects.filter(person=ignacio, kind=EvidenceKind.NAME).update(ciphertext=b"changed")
    page = text(desk.get(reverse("people")))
    assert "Name cannot be opened" in page
    assert "Lucía Ibáñez" in page
    assert "Name cannot be opened" in page_of(desk, ignacio)


# Registering --------------------------------------------------------------------------------------------------------


def test_the_consent_text_is_there_in_both_languages_with_its_version(desk: Client) -> None:
    page = text(desk.get(reverse("person_new")))
    assert "Your face, your name and the custody of shipments" in page
    assert "Su rostro, su nombre y la custodia de los embarques" in page
    assert "The person has read version 2 of this text and agrees to it." in page


def test_a_person_is_registered_with_the_consent_in_the_language_that_was_read(desk: Client) -> None:
    response = desk.post(reverse("person_new"), NEW)
    person = Person.objects.get()
    assert response.url == reverse("person_enrol", args=[person.pk])
    consent = person.consents.get()
    assert (consent.language, consent.text_version, consent.retention) == ("es", "2", "while_engaged")
    page = page_of(desk, person)
    assert "Rosa Medina" in page
    assert "version 2, Español" in page


def test_without_consent_nobody_is_put_on_file_and_the_input_stays(desk: Client) -> None:
    typed = {key: value for key, value in NEW.items() if key != "agreed"}
    response = desk.post(reverse("person_new"), typed)
    assert response.status_code == 422
    assert "Without consent no face is enrolled." in text(response)
    assert 'value="Rosa Medina"' in text(response)
    assert re.search(r'value="es"[^>]*checked', text(response))
    assert not Person.objects.exists()


def test_a_text_that_was_never_shown_is_refused(desk: Client) -> None:
    response = desk.post(reverse("person_new"), NEW | {"text_version": "99"})
    assert response.status_code == 422
    assert "no consent text of version 99" in text(response)
    assert not Person.objects.exists()


# Enrolment ----------------------------------------------------------------------------------------------------------


def test_photos_become_a_template_that_the_page_shows(desk: Client, ignacio: Person, obama: Portrait) -> None:
    response = desk.post(reverse("person_enrol", args=[ignacio.pk]), uploaded(obama))
    assert response.url == reverse("person", args=[ignacio.pk])
    page = text(desk.get(response.url))
    assert "The face is enrolled: version 1 of the template." in page
    assert "In use" in page
    assert "Waiting to be sealed" in page
    assert Template.objects.get().k == 3


def test_by_htmx_the_refusal_alone_is_answered_and_names_its_photo(
    desk: Client, ignacio: Person, obama: Portrait, photos: Path
) -> None:
    first, _second, third = obama.captures
    sent = upload(first, side_by_side(photos / "obama.jpg", photos / "biden.jpg"), third, document=obama.document)
    response = desk.post(reverse("person_enrol", args=[ignacio.pk]), sent, headers=HTMX)
    assert response.status_code == 422
    assert "Photo 2: 2 faces are in the photo." in text(response)
    assert 'data-refused-photo="2"' in text(response)
    assert "<html" not in text(response)
    assert not Template.objects.exists()


def test_by_htmx_success_leads_to_the_person(desk: Client, ignacio: Person, obama: Portrait) -> None:
    response = desk.post(reverse("person_enrol", args=[ignacio.pk]), uploaded(obama), headers=HTMX)
    assert response.headers["HX-Redirect"] == reverse("person", args=[ignacio.pk])


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({}, "0 were given"),
        (upload(b"no photo", b"", b"", document=b"x"), "Photo 1: This is not a photo"),
        (upload(b"", b"", b"", document=b"x"), "Photo 1: The photo holds"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_sentence(desk: Client, ignacio: Person, sent: dict, sentence: str) -> None:
    response = desk.post(reverse("person_enrol", args=[ignacio.pk]), sent)
    assert response.status_code == 422
    assert sentence in text(response)


def test_without_the_document_the_refusal_speaks_of_it(desk: Client, ignacio: Person, obama: Portrait) -> None:
    response = desk.post(reverse("person_enrol", args=[ignacio.pk]), upload(*obama.captures), headers=HTMX)
    assert response.status_code == 422
    assert "Photo of the document: The photo holds" in text(response)
    assert "take or choose the document&#x27;s photo again" in text(response).replace("'", "&#x27;")
    assert not Template.objects.exists()


def test_a_face_on_another_record_waits_for_an_officer_and_names_nobody(
    desk: Client, enrolled: Person, lucia: Person, obama: Portrait
) -> None:
    page = text(desk.post(reverse("person_enrol", args=[lucia.pk]), uploaded(obama), headers=HTMX))
    assert "An officer has to decide" in page
    assert "Ignacio" not in page
    assert str(enrolled.pk) not in page
    for name in ("person", "person_enrol"):
        assert "duplicate_undecided" in page_of(desk, lucia, name)
    assert "data-camera" not in page_of(desk, lucia, "person_enrol")


def test_where_consent_was_withdrawn_no_photo_is_asked_for(desk: Client, ignacio: Person) -> None:
    ignacio.consents.update(withdrawn_at=timezone.now())
    assert "data-camera" not in page_of(desk, ignacio, "person_enrol")
    assert "no standing consent" in page_of(desk, ignacio, "person_enrol")
    page = page_of(desk, ignacio)
    assert "None stands" in page
    assert reverse("person_enrol", args=[ignacio.pk]) not in page


def test_verifications_show_outcome_liveness_and_camera_and_no_figure(
    desk: Client, supervisor: User, enrolled: Person, obama: Portrait
) -> None:
    verification = verify_face(
        person=enrolled,
        capture=Still(photo=obama.live, captured_at=timezone.now()),
        source=CaptureSource.WEBCAM,
        camera="Dock tablet 3",
        attempts_before=0,
        requested_by=supervisor,
    )
    page = page_of(desk, enrolled)
    assert "Match" in page
    assert "Dock tablet 3" in page
    assert "Not asked for" in page
    assert str(verification.distance_e4) not in page
    assert f"0.{verification.distance_e4:04d}" not in page


# Consent ------------------------------------------------------------------------------------------------------------


def test_the_receipt_holds_the_text_as_it_was_shown_and_its_digest(desk: Client, ignacio: Person) -> None:
    consent = ignacio.consents.get()
    address = reverse("consent_receipt", args=[ignacio.pk, consent.pk])
    assert address in page_of(desk, ignacio)
    response = desk.get(address)
    page = text(response)
    for shown in (
        "Ignacio Peralta Quintanilla",
        consent.pk.urn,
        consent.text_sha256,
        "Su rostro, su nombre y la custodia de los embarques",
        "You may withdraw at any time",
        "data-print",
    ):
        assert shown in page
    assert "its digest differs" not in page
    assert "no-store" in response["Cache-Control"]


def test_a_receipt_whose_text_is_not_the_one_that_was_shown_says_so(desk: Client, ignacio: Person) -> None:
    ignacio.consents.update(text_sha256="0" * 64)
    page = text(desk.get(reverse("consent_receipt", args=[ignacio.pk, ignacio.consents.get().pk])))
    assert "its digest differs" in page


def test_nobody_gets_a_receipt_under_another_person(desk: Client, ignacio: Person, lucia: Person) -> None:
    address = reverse("consent_receipt", args=[lucia.pk, ignacio.consents.get().pk])
    assert desk.get(address).status_code == 404


def test_a_withdrawal_is_asked_for_twice_and_ends_enrolment(desk: Client, enrolled: Person) -> None:
    address = reverse("person_withdraw", args=[enrolled.pk])
    assert address in page_of(desk, enrolled)
    assert "What happens then" in text(desk.get(address))
    assert enrolled.consents.get().withdrawn_at is None
    page = text(desk.post(address, follow=True))
    assert "The consent is withdrawn." in page
    assert "None stands" in page
    assert enrolled.consents.get().withdrawn_at is not None
    assert desk.post(address).status_code == 409


def test_consent_is_recorded_anew_in_the_words_of_today(desk: Client, ignacio: Person) -> None:
    ignacio.consents.update(withdrawn_at=timezone.now())
    address = reverse("person_consent", args=[ignacio.pk])
    assert address in page_of(desk, ignacio)
    given = {name: NEW[name] for name in ("retention", "language", "text_version", "agreed")}
    assert desk.post(address, {**given, "agreed": ""}).status_code == 422
    assert desk.post(address, given).url == reverse("person", args=[ignacio.pk])
    assert ignacio.consents.get(withdrawn_at=None).text_version == "2"


def test_who_is_exempt_is_put_on_file_without_a_face(desk: Client) -> None:
    response = desk.post(reverse("person_new"), {"name": "Nadia Cruz", "kind": "driver", "exempt": "on"})
    person = Person.objects.get()
    assert response.url == reverse("person", args=[person.pk])
    page = page_of(desk, person)
    assert "dual control" in page
    assert reverse("person_enrol", args=[person.pk]) not in page
    assert "person_exempt" in page_of(desk, person, "person_enrol")
    assert "Exempt" in text(desk.get(reverse("people")))


def test_who_is_looked_out_for_or_erased_is_not_among_the_people(desk: Client, ignacio: Person, beto: User) -> None:
    wanted = Person.objects.create(kind="watchlisted", registered_by=beto)
    assert str(wanted.pk) not in text(desk.get(reverse("people")))
    assert desk.get(reverse("person", args=[wanted.pk])).status_code == 404
    ignacio.erased_at = timezone.now()
    ignacio.save()
    assert str(ignacio.pk) not in text(desk.get(reverse("people")))
    assert "watchlisted" not in text(desk.get(reverse("person_new")))


# PIN and badge ------------------------------------------------------------------------------------------------------


def test_a_pin_is_set_and_confirms_the_person(desk: Client, ignacio: Person) -> None:
    response = desk.post(reverse("person_pin", args=[ignacio.pk]), {"pin": "804215", "again": "804215"}, follow=True)
    assert "The PIN of Ignacio Peralta Quintanilla is set." in text(response)
    assert check_second_factor(person=ignacio, pin="804215") == "pin"


@pytest.mark.parametrize(
    ("pin", "again", "sentence"),
    [
        ("804215", "804216", "The two differ."),
        ("123456", "123456", "neither all the same nor in a row"),
        ("80", "80", "6 to 12 digits"),
        ("", "", "This field is required."),
    ],
)
def test_a_pin_that_cannot_be_used_is_told_and_never_sent_back(
    desk: Client, ignacio: Person, pin: str, again: str, sentence: str
) -> None:
    response = desk.post(reverse("person_pin", args=[ignacio.pk]), {"pin": pin, "again": again})
    assert response.status_code == 422
    assert sentence in text(response)
    assert 'value="80' not in text(response)
    assert not Pin.objects.exists()


def test_a_badge_is_shown_once_and_finds_the_person(desk: Client, ignacio: Person) -> None:
    address = reverse("person_badge", args=[ignacio.pk])
    assert not Badge.objects.exists()
    desk.get(address)
    assert not Badge.objects.exists()
    response = desk.post(address)
    code = response.context["code"]
    assert code in text(response)
    assert "data:image/svg+xml" in text(response)
    assert "no-store" in response["Cache-Control"]
    assert find_by_badge(code) == ignacio
    assert code not in page_of(desk, ignacio)
    assert code not in page_of(desk, ignacio, "person_badge")


def test_a_new_badge_ends_the_one_before(desk: Client, ignacio: Person) -> None:
    address = reverse("person_badge", args=[ignacio.pk])
    first = desk.post(address).context["code"]
    assert "The badge issued before opens nothing any more" in page_of(desk, ignacio, "person_badge")
    second = desk.post(address).context["code"]
    assert find_by_badge(first) is None
    assert find_by_badge(second) == ignacio


def test_an_unknown_person_is_not_found(desk: Client) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for name in ("person", "person_enrol", "person_pin", "person_badge"):
        assert desk.get(reverse(name, args=[nobody])).status_code == 404
