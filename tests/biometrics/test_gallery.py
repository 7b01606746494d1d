"""Whose face is searched for at an enrolment, and whose is not any more."""

from pathlib import Path

import pytest

from accounts.models import User
from biometrics import gallery
from biometrics.consent import record_consent, withdraw_consent
from biometrics.engine.analysis import analyse
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import ENROLMENT
from biometrics.enrolment import DUPLICATE_FMR, enrol_person
from biometrics.gallery import Search, search_same_face
from biometrics.models import Person
from tests.biometrics.conftest import CONSENT


def search(photo: Path, other_than: Person) -> Search:
    face = analyse(decode_photo(photo.read_bytes()), policy=ENROLMENT)
    return search_same_face([face.descriptor], target_fmr=DUPLICATE_FMR, other_than=other_than)


def test_after_a_withdrawal_the_face_is_neither_opened_nor_named(
    enrolled: Person, lucia: Person, beto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw_consent(person=enrolled)
    opened = []
    monkeypatch.setattr(gallery, "open_template", opened.append)
    assert search(photos / "obama3.jpg", lucia) == Search(frozenset(), None)
    enrol_person(person=lucia, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
    assert opened == []


def test_who_consented_anew_is_searched_again_and_once(
    enrolled: Person, lucia: Person, beto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw_consent(person=enrolled)
    for _ in range(2):
        record_consent(person=enrolled, consent=CONSENT, recorded_by=beto)
    opened, open_template = [], gallery.open_template
    monkeypatch.setattr(gallery, "open_template", lambda template: opened.append(template) or open_template(template))
    found = search(photos / "obama3.jpg", lucia)
    assert found.hit is not None
    assert found.hit.person == enrolled
    assert opened == [enrolled.templates.get()]
