"""Who of a group a face is, by a threshold that falls with the group's size; and the API that answers it."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import User
from biometrics import gallery, identification
from biometrics.consent import withdraw_consent
from biometrics.engine import comparison
from biometrics.engine.calibration import read_calibration
from biometrics.engine.search_calibration import SearchRow, read_search_calibration
from biometrics.enrolment import enrol_person
from biometrics.errors import GroupTooLarge
from biometrics.groups import add_member, make_group, remove_member
from biometrics.identification import identify, threshold_of
from biometrics.models import AuthorisedGroup, Person
from biometrics.people import register_person
from demo.portraits import Portrait
from tests.biometrics.conftest import CONSENT
from tests.biometrics.test_gallery import enrol_vector, unit_vector
from tests.biometrics.watching import described, sitting


@pytest.fixture(autouse=True)
def _nothing_opened() -> None:
    gallery.forget_galleries()


@pytest.fixture
def group(carla: User, enrolled: Person) -> AuthorisedGroup:
    made = make_group(name="Cold store", made_by=carla)
    add_member(group=made, person=enrolled)
    return made


@pytest.fixture
def probe(photos: Path) -> np.ndarray:
    return described(sitting(photos, "obama_partial_face.jpg"))


def test_a_member_is_identified_with_the_rate_it_was_found_at(
    group: AuthorisedGroup, enrolled: Person, probe: np.ndarray
) -> None:
    candidate = identify(descriptor=probe, group=group)
    point = read_search_calibration().point(gallery_size=1, target_fpir="1e-3")
    assert candidate is not None
    assert candidate.person == enrolled
    template = gallery.open_template(enrolled.templates.get())
    assert candidate.distance_e4 == comparison.distance_e4(template, probe)
    assert candidate.threshold_e4 == threshold_of(point, k=3)
    assert (candidate.gallery_size, candidate.target_fpir, candidate.dataset, candidate.basis) == (
        1,
        "1e-3",
        point.dataset,
        point.basis,
    )


def test_whoever_is_enrolled_outside_the_group_is_nobody_in_it(
    group: AuthorisedGroup, enrolled: Person, probe: np.ndarray, carla: User
) -> None:
    other = make_group(name="Dock", made_by=carla)
    assert identify(descriptor=probe, group=other) is None
    remove_member(group=group, person=enrolled)
    assert identify(descriptor=probe, group=group) is None


def test_a_stranger_is_nobody_and_the_nearest_member_is_the_answer(
    group: AuthorisedGroup, lucia: Person, beto: User, biden: Portrait, probe: np.ndarray, enrolled: Person
) -> None:
    stranger = described(biden.live)
    assert identify(descriptor=stranger, group=group) is None
    enrol_person(person=lucia, photos=biden.captures, document=biden.document, enrolled_by=beto)
    assert identify(descriptor=stranger, group=group) is None
    add_member(group=group, person=lucia)
    of_two = identify(descriptor=stranger, group=group)
    assert of_two is not None
    assert (of_two.person, of_two.gallery_size) == (lucia, 2)
    again = identify(descriptor=probe, group=group)
    assert again is not None
    assert again.person == enrolled


def test_after_a_withdrawal_nobody_is_identified(
    group: AuthorisedGroup, enrolled: Person, beto: User, probe: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = gallery.open_enrolled()
    withdraw_consent(person=enrolled, withdrawn_by=beto)
    assert identify(descriptor=probe, group=group) is None
    # Nor where this process had opened the gallery a moment before.
    monkeypatch.setattr(identification, "open_enrolled", lambda: stale)
    assert identify(descriptor=probe, group=group) is None


def test_the_threshold_falls_as_the_group_grows(group: AuthorisedGroup, beto: User, probe: np.ndarray) -> None:
    small = identify(descriptor=probe, group=group)
    for number in range(120):
        person = register_person(name=f"Member {number}", kind="driver", registered_by=beto, consent=CONSENT)
        enrol_vector(person, beto, unit_vector(1000 + number))
        group.members.add(person)
    large = read_search_calibration().point(gallery_size=121, target_fpir="1e-3")
    assert small is not None
    assert threshold_of(large, k=3) < small.threshold_e4
    found = identify(descriptor=probe, group=group)
    if small.distance_e4 <= threshold_of(large, k=3):
        assert found is not None
        assert found.gallery_size == 121
    else:
        assert found is None


def test_a_group_beyond_what_can_be_claimed_is_refused(
    group: AuthorisedGroup, lucia: Person, beto: User, probe: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one row left is of one person at ten times the rate: for two, nothing can be claimed."""
    calibration = read_search_calibration()
    rows = [SearchRow(1, 3000, Decimal("0.010"), "made up"), SearchRow(1, 3200, Decimal("0.020"), "made up")]
    monkeypatch.setattr(identification, "read_search_calibration", lambda: replace(calibration, rows=rows))
    enrol_vector(lucia, beto, unit_vector(1))
    add_member(group=group, person=lucia)
    with pytest.raises(GroupTooLarge) as refused:
        identify(descriptor=probe, group=group)
    assert (refused.value.facts["size"], refused.value.facts["largest"]) == (2, 1)


def test_a_template_of_several_photos_has_a_lower_threshold_by_what_the_calibration_falls() -> None:
    point = read_search_calibration().point(gallery_size=1, target_fpir="1e-3")
    one, three = (read_calibration().threshold(k=k, m=1, target_fmr="1e-4").threshold_e4 for k in (1, 3))
    assert threshold_of(point, k=1) == point.threshold_e4
    assert threshold_of(point, k=3) == point.threshold_e4 - (one - three) < point.threshold_e4


# The API ------------------------------------------------------------------------------------------------------------


def test_the_api_answers_the_candidate_and_keeps_no_photo(
    client: Client, carla: User, group: AuthorisedGroup, enrolled: Person, photos: Path, biden: Portrait
) -> None:
    client.force_login(carla)
    held = enrolled.evidence.count()
    address = reverse("api-group-identify", args=[group.pk])

    def ask(photo: bytes):
        return client.post(address, {"photo": SimpleUploadedFile("face.jpg", photo, "image/jpeg")})

    found = ask(sitting(photos, "obama_partial_face.jpg"))
    assert found.status_code == 200
    assert found.json()["candidate"]["person"] == str(enrolled.pk)
    assert found.json()["candidate"]["target_fpir"] == "1e-3"
    assert ask(biden.live).json() == {"candidate": None}
    assert ask(b"text").json()["code"] == "photo_not_an_image"
    assert enrolled.evidence.count() == held


def test_the_api_is_closed_to_whoever_does_not_keep_people(client: Client, beto: User, group: AuthorisedGroup) -> None:
    client.force_login(beto)
    assert client.post(reverse("api-group-identify", args=[group.pk])).status_code == 403
