"""The same face under two records: what the clerk learns, what the officer decides, and what follows from either."""

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import User
from biometrics.duplicates import decide_duplicate
from biometrics.enrolment import enrol_person
from biometrics.errors import (
    DuplicateConfirmed,
    DuplicateDecidedBefore,
    DuplicateNoteMissing,
    DuplicateNotYours,
    DuplicateUndecided,
    FaceOnFile,
)
from biometrics.models import DuplicateReview, EvidenceLook, Person
from biometrics.vault import open_evidence
from demo.portraits import Portrait
from ledger.models import Statement
from ledger.tlog import canonical

NOTE = "Both licences were compared: born on different days."


def enrol(person: Person, shown: Portrait, by: User) -> None:
    enrol_person(person=person, photos=shown.captures, document=shown.document, enrolled_by=by)


@pytest.fixture
def review(enrolled: Person, lucia: Person, beto: User, obama: Portrait) -> DuplicateReview:
    """Lucía shows the face that Ignacio enrolled."""
    with pytest.raises(FaceOnFile):
        enrol(lucia, obama, beto)
    return DuplicateReview.objects.get()


def statements(kind: str = "duplicate_decided") -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind=kind)]


# The question -------------------------------------------------------------------------------------------------------


def test_the_refusal_names_nobody_and_leaves_a_question(
    enrolled: Person, lucia: Person, beto: User, obama: Portrait
) -> None:
    with pytest.raises(FaceOnFile) as refused:
        enrol(lucia, obama, beto)
    assert refused.value.facts == {}
    assert "Ignacio" not in refused.value.sentence
    assert "An officer has to decide" in refused.value.sentence
    review = DuplicateReview.objects.get()
    assert (review.person, review.other, review.raised_by, review.state) == (lucia, enrolled, beto, "pending")
    assert review.distance_e4 <= review.threshold_e4
    assert review.capture.person == lucia
    assert open_evidence(review.capture) == open_evidence(enrolled.templates.get().photos.get(number=1).evidence)
    assert not lucia.templates.exists()
    assert statements("enrolment") == [canonical.decode(bytes(enrolled.templates.get().statement.body))]


def test_while_it_waits_nothing_is_examined_and_no_second_question_is_asked(
    review: DuplicateReview, lucia: Person, beto: User
) -> None:
    with pytest.raises(DuplicateUndecided):
        enrol_person(person=lucia, photos=[b""] * 3, document=b"", enrolled_by=beto)
    assert DuplicateReview.objects.count() == 1


def test_somebody_elses_face_raises_no_question(enrolled: Person, lucia: Person, beto: User, biden: Portrait) -> None:
    enrol(lucia, biden, beto)
    assert not DuplicateReview.objects.exists()
    assert statements("enrolment")[-1]["duplicates"]["compared_with"] == 1


def test_the_database_refuses_a_decision_without_its_entry(review: DuplicateReview) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        DuplicateReview.objects.update(state="different_people")


# The decision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("same_person", "state"), [(True, "same_person"), (False, "different_people")])
def test_either_decision_is_an_entry_that_names_nobody(
    review: DuplicateReview, olga: User, same_person: bool, state: str
) -> None:
    decided = decide_duplicate(review=review, same_person=same_person, decided_by=olga, note=NOTE)
    [body] = statements()
    assert (decided.state, decided.decided_by) == (state, olga)
    assert body["decision"] == state
    assert (body["person"], body["other"]) == (review.person.pk.urn, review.other.pk.urn)
    assert (body["decided_by"], body["raised_by"]) == (olga.pk.urn, review.raised_by.pk.urn)
    assert (body["capture"], body["note"]) == (review.capture.commitment, decided.note.commitment)
    assert body["distance_e4"] <= body["threshold_e4"]
    assert decided.statement.subject == review.person.pk.urn
    assert open_evidence(decided.note).decode() == NOTE
    for name in ("Ignacio", "Lucía", "licences"):
        assert name not in str(body)


def test_two_different_people_are_both_enrolled(
    review: DuplicateReview, lucia: Person, enrolled: Person, beto: User, olga: User, obama: Portrait
) -> None:
    decide_duplicate(review=review, same_person=False, decided_by=olga, note=NOTE)
    enrol(lucia, obama, beto)
    assert lucia.templates.filter(active=True).exists()
    # And the other way round: the pair was told apart, whoever of the two comes again.
    enrol(enrolled, obama, beto)
    assert enrolled.templates.get(active=True).version == 2
    assert DuplicateReview.objects.count() == 1


def test_a_third_record_is_still_asked_about(
    review: DuplicateReview, lucia: Person, beto: User, olga: User, obama: Portrait
) -> None:
    from biometrics.people import register_person
    from tests.biometrics.conftest import CONSENT

    decide_duplicate(review=review, same_person=False, decided_by=olga, note=NOTE)
    third = register_person(name="Rosa Medina", kind="driver", registered_by=beto, consent=CONSENT)
    with pytest.raises(FaceOnFile):
        enrol(third, obama, beto)
    assert DuplicateReview.objects.get(state="pending").person == third


def test_one_person_is_never_enrolled_under_the_second_record(
    review: DuplicateReview, lucia: Person, beto: User, olga: User, biden: Portrait
) -> None:
    decide_duplicate(review=review, same_person=True, decided_by=olga, note=NOTE)
    with pytest.raises(DuplicateConfirmed) as refused:
        enrol(lucia, biden, beto)
    assert "Use that record" in refused.value.sentence
    assert not lucia.templates.exists()


def test_a_decision_stands(review: DuplicateReview, olga: User) -> None:
    decide_duplicate(review=review, same_person=True, decided_by=olga, note=NOTE)
    with pytest.raises(DuplicateDecidedBefore):
        decide_duplicate(review=review, same_person=False, decided_by=olga, note=NOTE)
    assert [body["decision"] for body in statements()] == ["same_person"]


@pytest.mark.parametrize("note", ["", " \n", "x" * 501])
def test_a_decision_says_what_it_rests_on(review: DuplicateReview, olga: User, note: str) -> None:
    with pytest.raises(DuplicateNoteMissing):
        decide_duplicate(review=review, same_person=True, decided_by=olga, note=note)
    assert not statements()


def test_an_officer_decides_and_nobody_else(review: DuplicateReview, beto: User, carla: User, ana: User) -> None:
    for user in (beto, carla, ana):
        with pytest.raises(DuplicateNotYours):
            decide_duplicate(review=review, same_person=True, decided_by=user, note=NOTE)
    assert not statements()


# The officer's pages ------------------------------------------------------------------------------------------------


@pytest.fixture
def office(client: Client, olga: User) -> Client:
    client.force_login(olga)
    return client


def text(response) -> str:
    return response.content.decode()


def test_others_see_neither_list_nor_question(client: Client, review: DuplicateReview, beto: User, carla: User) -> None:
    for user in (beto, carla):
        client.force_login(user)
        assert client.get(reverse("duplicates")).status_code == 403
        assert client.post(reverse("duplicate", args=[review.pk]), {"act": "look"}).status_code == 403
    assert not EvidenceLook.objects.exists()


def test_the_list_shows_what_waits_and_what_was_decided(office: Client, review: DuplicateReview, olga: User) -> None:
    page = text(office.get(reverse("duplicates")))
    for shown in ("Lucía Ibáñez", "Ignacio Peralta Quintanilla", "Waits for an officer"):
        assert shown in page
    assert "1 face on two records" in text(office.get(reverse("people")))
    decide_duplicate(review=review, same_person=False, decided_by=olga, note=NOTE)
    page = text(office.get(reverse("duplicates")))
    assert "None waits for a decision." in page
    assert "Two different people" in page


def test_the_faces_are_shown_once_asked_for_and_each_look_is_an_entry(office: Client, review: DuplicateReview) -> None:
    address = reverse("duplicate", args=[review.pk])
    assert "data:image/jpeg" not in text(office.get(address))
    assert not EvidenceLook.objects.exists()
    response = office.post(address, {"act": "look"})
    assert text(response).count("data:image/") == 2
    assert "no-store" in response["Cache-Control"]
    looks = statements("evidence_opened")
    assert [look["reason"] for look in looks] == ["duplicate_review"] * 2
    assert {look["person"] for look in looks} == {review.person.pk.urn, review.other.pk.urn}


def test_the_decision_is_taken_on_the_page(office: Client, review: DuplicateReview) -> None:
    address = reverse("duplicate", args=[review.pk])
    refused = office.post(address, {"act": "decide", "decision": "different_people", "note": ""})
    assert refused.status_code == 422
    assert "This field is required." in text(refused)
    assert not statements()
    done = office.post(address, {"act": "decide", "decision": "different_people", "note": NOTE}, follow=True)
    assert NOTE in text(done)
    assert "Waiting to be sealed" in text(done)
    again = office.post(address, {"act": "decide", "decision": "same_person", "note": NOTE})
    assert "A decision stands as it was made." in text(again)
    assert len(statements()) == 1
