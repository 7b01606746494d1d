"""Enrolment: what the entry says, what stops it, and that versions stay."""

from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from PIL import Image

from accounts.models import User
from biometrics import enrolment
from biometrics.consent import standing_consent, withdraw_consent
from biometrics.engine.calibration import read_calibration
from biometrics.enrolment import enrol_person
from biometrics.errors import (
    AlreadyEnrolledAs,
    ConsentMissing,
    EnrolmentPhotoRefused,
    PhotoRepeated,
    PhotosDisagree,
    PhotosMissing,
)
from biometrics.models import Evidence, EvidenceKind, Person, Template
from biometrics.vault import open_evidence
from ledger.models import Entry, Statement
from ledger.sealing import seal_pending
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from tests.biometrics.pictures import encode, side_by_side, with_bystander


def nothing_was_kept() -> bool:
    return not (
        Template.objects.exists() or Statement.objects.exists() or Evidence.objects.exclude(kind="name").exists()
    )


def test_the_entry_holds_opaque_things_alone(enrolled: Person, photos: Path) -> None:
    template = Template.objects.get(active=True)
    body = canonical.decode(bytes(template.statement.body))
    consent = standing_consent(enrolled)
    assert template.statement.key == f"enrolment:{template.pk}"
    assert template.statement.subject == body["person"] == enrolled.pk.urn
    assert (body["version"], body["k"], body["metric"], body["role"]) == (1, 2, "l2_mean", "driver")
    assert body["template"] == template.evidence.commitment
    assert body["photos"] == [photo.evidence.commitment for photo in template.photos.all()]
    assert body["calibration"] == read_calibration().sha256
    assert body["models"]["descriptor"]["sha256"] == template.descriptor_sha256
    assert body["consent"] == {
        "id": consent.pk.urn,
        "purpose": "custody_verification",
        "retention": "while_engaged",
        "language": "es",
        "text_version": "1",
        "text": consent.text_sha256,
    }
    assert "Ignacio" not in bytes(template.statement.body).decode()


def test_the_enrolment_is_sealed_as_an_entry(enrolled: Person) -> None:
    seal_pending()
    entry = Entry.objects.get(kind="enrolment")
    assert entry.subject == enrolled.pk.urn
    assert parse_entry(bytes(entry.note)).body["k"] == 2


def test_photos_are_kept_sealed_without_metadata_and_open_to_the_same_pixels(enrolled: Person, photos: Path) -> None:
    kept = open_evidence(Template.objects.get().photos.first().evidence)
    assert b"Exif" in (photos / "obama.jpg").read_bytes()
    assert b"Exif" not in kept
    assert len(open_evidence(Template.objects.get().evidence)) == 128 * 8


def test_enrolling_again_keeps_the_versions_and_one_is_active(enrolled: Person, beto: User, photos: Path) -> None:
    again = enrol_person(person=enrolled, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
    assert list(enrolled.templates.values_list("version", "k", "active")) == [(2, 1, True), (1, 2, False)]
    assert again.version == 2
    seal_pending()
    assert list(Entry.objects.filter(subject=enrolled.pk.urn).values_list("subject_seq", flat=True)) == [0, 1]


def test_the_database_refuses_two_active_templates(enrolled: Person, beto: User, photos: Path) -> None:
    enrol_person(person=enrolled, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
    with pytest.raises(IntegrityError), transaction.atomic():
        Template.objects.update(active=True)


def test_no_consent_no_enrolment(ignacio: Person, beto: User, photos: Path) -> None:
    withdraw_consent(person=ignacio)
    with pytest.raises(ConsentMissing):
        enrol_person(person=ignacio, photos=[(photos / "obama.jpg").read_bytes()], enrolled_by=beto)
    assert nothing_was_kept()


@pytest.mark.parametrize("count", [0, 11])
def test_too_few_or_too_many_photos(ignacio: Person, beto: User, count: int) -> None:
    with pytest.raises(PhotosMissing) as refused:
        enrol_person(person=ignacio, photos=[b"x"] * count, enrolled_by=beto)
    assert refused.value.facts["given"] == count


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda photos: b"", "photo_empty"),
        (lambda photos: b"text", "photo_not_an_image"),
        (lambda photos: encode(Image.new("RGB", (400, 400), "grey"), "PNG"), "no_face"),
        (lambda photos: side_by_side(photos / "obama.jpg", photos / "biden.jpg"), "several_faces"),
        (with_bystander, "several_faces"),
    ],
)
def test_a_bad_photo_is_named_by_its_number(ignacio: Person, beto: User, photos: Path, spoil, code: str) -> None:
    with pytest.raises(EnrolmentPhotoRefused) as refused:
        enrol_person(person=ignacio, photos=[(photos / "obama.jpg").read_bytes(), spoil(photos)], enrolled_by=beto)
    assert (refused.value.facts["photo"], refused.value.facts["reason_code"]) == (2, code)
    assert refused.value.sentence.startswith("Photo 2: ")
    assert nothing_was_kept()


@pytest.mark.parametrize(
    ("names", "odd"),
    [
        (["obama.jpg", "biden.jpg"], 2),
        (["biden.jpg", "obama.jpg", "obama2.jpg"], 1),
        (["obama.jpg", "astronaut.png", "obama2.jpg"], 2),
    ],
)
def test_photos_that_disagree_name_the_odd_one(
    ignacio: Person, beto: User, photos: Path, names: list[str], odd: int
) -> None:
    with pytest.raises(PhotosDisagree) as refused:
        enrol_person(person=ignacio, photos=[(photos / name).read_bytes() for name in names], enrolled_by=beto)
    assert refused.value.facts["photo"] == odd
    assert nothing_was_kept()


def test_the_same_photo_twice_does_not_count_as_two(ignacio: Person, beto: User, photos: Path) -> None:
    photo = (photos / "obama.jpg").read_bytes()
    with pytest.raises(PhotoRepeated) as refused:
        enrol_person(person=ignacio, photos=[photo, photo + b"\0"], enrolled_by=beto)
    assert refused.value.facts == {"photo": 2, "same_as": 1}


def test_the_same_face_under_another_name_is_refused_and_named(
    enrolled: Person, lucia: Person, beto: User, photos: Path
) -> None:
    with pytest.raises(AlreadyEnrolledAs) as refused:
        enrol_person(person=lucia, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
    assert "Ignacio Peralta Quintanilla" in refused.value.sentence
    assert not lucia.templates.exists()
    enrol_person(person=lucia, photos=[(photos / "biden.jpg").read_bytes()], enrolled_by=beto)


def test_a_face_enrolled_while_this_one_was_examined_is_found_too(
    ignacio: Person, lucia: Person, beto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = enrolment.search_same_face

    def search_then_be_overtaken(*args, **kwargs):
        found = search(*args, **kwargs)
        if "searched_before" not in kwargs:
            monkeypatch.setattr(enrolment, "search_same_face", search)
            enrol_person(person=ignacio, photos=[(photos / "obama.jpg").read_bytes()], enrolled_by=beto)
        return found

    monkeypatch.setattr(enrolment, "search_same_face", search_then_be_overtaken)
    with pytest.raises(AlreadyEnrolledAs):
        enrol_person(person=lucia, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
    assert not lucia.templates.exists()


def test_no_transaction_is_open_while_faces_are_examined(
    ignacio: Person, beto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = len(transaction.get_connection().savepoint_ids)
    seen = []
    analyse = enrolment.analyse

    def watched(*args, **kwargs):
        seen.append(len(transaction.get_connection().savepoint_ids))
        return analyse(*args, **kwargs)

    monkeypatch.setattr(enrolment, "analyse", watched)
    enrol_person(person=ignacio, photos=[(photos / "obama.jpg").read_bytes()], enrolled_by=beto)
    assert seen == [depth]


def test_a_failed_submission_keeps_nothing(
    ignacio: Person, beto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**kwargs):
        raise RuntimeError("the ledger is not there")

    monkeypatch.setattr(enrolment, "submit", refuse)
    with pytest.raises(RuntimeError):
        enrol_person(person=ignacio, photos=[(photos / "obama.jpg").read_bytes()], enrolled_by=beto)
    assert nothing_was_kept()
    assert not Evidence.objects.filter(kind=EvidenceKind.TEMPLATE).exists()
