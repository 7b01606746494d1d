"""Enrolment: what the entry says, what stops it, and that versions stay."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from PIL import Image

from accounts.models import User
from biometrics import captures, enrolment
from biometrics.consent import ConsentGiven, record_consent, standing_consent, withdraw_consent
from biometrics.engine import comparison
from biometrics.engine.calibration import read_calibration, resubmission_e4
from biometrics.enrolment import enrol_person
from biometrics.errors import (
    ConsentMissing,
    ConsentOutdated,
    DocumentDisagrees,
    DocumentIsCapture,
    DocumentPhotoRefused,
    EnrolmentPhotoRefused,
    FaceOnFile,
    PersonErased,
    PersonExempt,
    PhotoRepeated,
    PhotosDisagree,
    PhotosMissing,
)
from biometrics.gallery import vector_to_bytes
from biometrics.models import DuplicateReview, Evidence, EvidenceKind, Person, Template
from biometrics.people import register_person
from biometrics.vault import open_evidence
from demo.portraits import Portrait
from demo.reframing import reframe
from ledger.models import Entry, Statement
from ledger.sealing import seal_pending
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from tests.biometrics.pictures import encode, side_by_side, with_bystander


def nothing_was_kept() -> bool:
    return not (
        Template.objects.exists() or Statement.objects.exists() or Evidence.objects.exclude(kind="name").exists()
    )


def enrol(person: Person, shown: Portrait, by: User, **changed: object) -> Template:
    asked = {"photos": shown.captures, "document": shown.document} | changed
    return enrol_person(person=person, enrolled_by=by, **asked)


# What is kept and said ----------------------------------------------------------------------------------------------


def test_the_entry_holds_opaque_things_alone(enrolled: Person) -> None:
    template = Template.objects.get(active=True)
    body = canonical.decode(bytes(template.statement.body))
    consent = standing_consent(enrolled)
    photos = list(template.photos.all())
    assert template.statement.key == f"enrolment:{template.pk}"
    assert template.statement.subject == body["person"] == enrolled.pk.urn
    assert (body["version"], body["k"], body["metric"], body["role"]) == (1, 3, "l2_mean", "driver")
    assert body["template"] == template.evidence.commitment
    assert body["photos"] == [photo.evidence.commitment for photo in photos]
    assert body["descriptors"] == [photo.descriptor.commitment for photo in photos]
    assert body["document"] == template.document.commitment
    assert body["calibration"] == read_calibration().sha256
    assert body["models"]["descriptor"]["sha256"] == template.descriptor_sha256
    assert body["consent"] == {
        "id": consent.pk.urn,
        "purpose": "custody_verification",
        "retention": "while_engaged",
        "language": "es",
        "text_version": "2",
        "text": consent.text_sha256,
    }
    assert body["duplicates"] == {"compared_with": 0, "target_fmr": "1e-4", "outcome": "none_found"}
    assert "Ignacio" not in bytes(template.statement.body).decode()


def test_an_auditor_can_repeat_the_decisions_from_the_entry_alone(enrolled: Person) -> None:
    body = canonical.decode(bytes(Template.objects.get().statement.body))
    among, document = body["agreement"], body["document_agreement"]
    for agreement in (among, document):
        point = read_calibration().threshold(k=agreement["k"], m=agreement["m"], target_fmr="1e-3")
        assert (agreement["threshold_e4"], agreement["dataset"]) == (point.threshold_e4, point.dataset)
        assert all(distance <= agreement["threshold_e4"] for distance in agreement["distances_e4"])
    assert (among["k"], len(among["distances_e4"])) == (1, 3)
    assert (document["k"], len(document["distances_e4"])) == (3, 1)
    assert body["resubmission_e4"] == resubmission_e4() < min(among["distances_e4"] + document["distances_e4"])
    assert [quality["eye_distance_px"] >= 90 for quality in body["qualities"]] == [True] * 3
    assert body["document_quality"]["eye_distance_px"] >= 60


def test_the_enrolment_is_sealed_as_an_entry(enrolled: Person) -> None:
    seal_pending()
    entry = Entry.objects.get(kind="enrolment")
    assert entry.subject == enrolled.pk.urn
    assert parse_entry(bytes(entry.note)).body["k"] == 3


def test_photos_are_kept_sealed_without_metadata(enrolled: Person, photos: Path) -> None:
    template = Template.objects.get()
    kept = open_evidence(template.photos.first().evidence)
    assert b"Exif" in (photos / "obama.jpg").read_bytes()
    assert b"Exif" not in kept
    assert b"Exif" not in open_evidence(template.document)
    kinds = [row.kind for row in Evidence.objects.filter(person=enrolled).exclude(kind=EvidenceKind.NAME)]
    assert sorted(kinds) == ["descriptor"] * 3 + ["document"] + ["photo"] * 3 + ["template"]


def test_the_template_is_the_mean_of_the_descriptors_that_are_kept(enrolled: Person) -> None:
    template = Template.objects.get()
    descriptors = np.array([np.frombuffer(open_evidence(photo.descriptor)) for photo in template.photos.all()])
    assert open_evidence(template.evidence) == vector_to_bytes(comparison.template(list(descriptors)))


def test_enrolling_again_keeps_the_versions_and_one_is_active(enrolled: Person, beto: User, obama: Portrait) -> None:
    first = open_evidence(Template.objects.get().evidence)
    again = enrol(
        enrolled,
        obama,
        beto,
        photos=[*obama.captures, reframe(obama.captures[0], lean=0.1, squeeze=1.08)],
    )
    assert list(enrolled.templates.values_list("version", "k", "active")) == [(2, 4, True), (1, 3, False)]
    assert open_evidence(again.evidence) != first
    seal_pending()
    assert list(Entry.objects.filter(subject=enrolled.pk.urn).values_list("subject_seq", flat=True)) == [0, 1]


def test_the_database_refuses_two_active_templates(enrolled: Person, beto: User, obama: Portrait) -> None:
    enrol(enrolled, obama, beto)
    with pytest.raises(IntegrityError), transaction.atomic():
        Template.objects.update(active=True)


# Who is not enrolled ------------------------------------------------------------------------------------------------


def test_no_consent_no_enrolment(ignacio: Person, beto: User, obama: Portrait) -> None:
    withdraw_consent(person=ignacio, withdrawn_by=beto)
    with pytest.raises(ConsentMissing):
        enrol(ignacio, obama, beto)
    assert not Template.objects.exists()


def test_the_first_text_does_not_cover_an_enrolment(ignacio: Person, beto: User, obama: Portrait) -> None:
    record_consent(person=ignacio, consent=ConsentGiven(language="es", text_version="1"), recorded_by=beto)
    with pytest.raises(ConsentOutdated) as refused:
        enrol(ignacio, obama, beto)
    assert "version 1 of the text" in refused.value.sentence
    assert nothing_was_kept()


def test_who_is_exempt_is_not_enrolled_even_with_a_consent(beto: User, obama: Portrait) -> None:
    exempt = register_person(name="Nadia Cruz", kind="driver", registered_by=beto, consent=None, exempt=True)
    record_consent(person=exempt, consent=ConsentGiven(language="es"), recorded_by=beto)
    with pytest.raises(PersonExempt) as refused:
        enrol(exempt, obama, beto)
    assert "An officer checks the document" in refused.value.sentence
    assert nothing_was_kept()


def test_who_was_erased_is_not_enrolled(ignacio: Person, beto: User, obama: Portrait) -> None:
    ignacio.erased_at = timezone.now()
    ignacio.save()
    with pytest.raises(PersonErased):
        enrol(ignacio, obama, beto)
    assert nothing_was_kept()


# The photos ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 2, 6])
def test_too_few_or_too_many_photos(ignacio: Person, beto: User, obama: Portrait, count: int) -> None:
    with pytest.raises(PhotosMissing) as refused:
        enrol(ignacio, obama, beto, photos=[b"x"] * count)
    assert refused.value.facts == {"least": 3, "most": 5, "given": count}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda photos: b"", "photo_empty"),
        (lambda photos: b"text", "photo_not_an_image"),
        (lambda photos: encode(Image.new("RGB", (400, 400), "grey"), "PNG"), "no_face"),
        (lambda photos: side_by_side(photos / "obama.jpg", photos / "biden.jpg"), "several_faces"),
        (with_bystander, "several_faces"),
        (lambda photos: reframe((photos / "obama.jpg").read_bytes(), scale=0.5), "face_too_small"),
    ],
)
def test_a_bad_photo_is_named_by_its_number(
    ignacio: Person, beto: User, obama: Portrait, photos: Path, spoil: Callable[[Path], bytes], code: str
) -> None:
    with pytest.raises(EnrolmentPhotoRefused) as refused:
        enrol(ignacio, obama, beto, photos=[obama.captures[0], spoil(photos), obama.captures[2]])
    assert (refused.value.facts["photo"], refused.value.facts["reason_code"]) == (2, code)
    assert refused.value.sentence.startswith("Photo 2: ")
    assert nothing_was_kept()


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_photos_that_disagree_name_the_odd_one(
    ignacio: Person, beto: User, obama: Portrait, biden: Portrait, odd: int
) -> None:
    photos = list(obama.captures)
    photos[odd - 1] = biden.captures[0]
    with pytest.raises(PhotosDisagree) as refused:
        enrol(ignacio, obama, beto, photos=photos)
    assert refused.value.facts["photo"] == odd
    assert nothing_was_kept()


@pytest.mark.parametrize(
    "again",
    [lambda photo: photo, lambda photo: photo + b"\0", lambda photo: reframe(photo, brightness=1.05)],
    ids=["same bytes", "other bytes", "encoded anew"],
)
def test_the_same_photo_twice_does_not_count_as_two(
    ignacio: Person, beto: User, obama: Portrait, again: Callable[[bytes], bytes]
) -> None:
    first, second, _third = obama.captures
    with pytest.raises(PhotoRepeated) as refused:
        enrol(ignacio, obama, beto, photos=[first, second, again(first)])
    assert refused.value.facts == {"photo": 3, "same_as": 1}
    assert nothing_was_kept()


# The document -------------------------------------------------------------------------------------------------------


def test_the_document_of_somebody_else_is_refused(
    ignacio: Person, beto: User, obama: Portrait, biden: Portrait
) -> None:
    with pytest.raises(DocumentDisagrees) as refused:
        enrol(ignacio, obama, beto, document=biden.document)
    assert "use a newer document" in refused.value.sentence
    assert nothing_was_kept()


def test_a_capture_is_no_document(ignacio: Person, beto: User, obama: Portrait) -> None:
    with pytest.raises(DocumentIsCapture) as refused:
        enrol(ignacio, obama, beto, document=reframe(obama.captures[1]))
    assert refused.value.facts == {"photo": 2}
    assert nothing_was_kept()


@pytest.mark.parametrize(
    ("document", "code"),
    [(b"", "photo_empty"), (encode(Image.new("RGB", (400, 400), "grey"), "PNG"), "no_face")],
)
def test_a_document_without_a_face_is_told_as_the_document(
    ignacio: Person, beto: User, obama: Portrait, document: bytes, code: str
) -> None:
    with pytest.raises(DocumentPhotoRefused) as refused:
        enrol(ignacio, obama, beto, document=document)
    assert refused.value.facts["reason_code"] == code
    assert refused.value.sentence.startswith("Photo of the document: ")
    assert nothing_was_kept()


# Races and failures -------------------------------------------------------------------------------------------------


def test_a_face_enrolled_while_this_one_was_examined_is_found_too(
    ignacio: Person, lucia: Person, beto: User, obama: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = enrolment.search_same_face

    def search_then_be_overtaken(*args, **kwargs):
        found = search(*args, **kwargs)
        monkeypatch.setattr(enrolment, "search_same_face", search)
        enrol(ignacio, obama, beto)
        return found

    monkeypatch.setattr(enrolment, "search_same_face", search_then_be_overtaken)
    with pytest.raises(FaceOnFile):
        enrol(lucia, obama, beto)
    assert not lucia.templates.exists()
    assert DuplicateReview.objects.get().other == ignacio


def test_no_transaction_is_open_while_faces_are_examined(
    ignacio: Person, beto: User, obama: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = len(transaction.get_connection().savepoint_ids)
    seen = []
    analyse = captures.analyse

    def watched(*args, **kwargs):
        seen.append(len(transaction.get_connection().savepoint_ids))
        return analyse(*args, **kwargs)

    monkeypatch.setattr(captures, "analyse", watched)
    enrol(ignacio, obama, beto)
    assert seen == [depth] * 4


def test_a_failed_submission_keeps_nothing(
    ignacio: Person, beto: User, obama: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**kwargs):
        raise RuntimeError("the ledger is not there")

    monkeypatch.setattr(enrolment, "submit", refuse)
    with pytest.raises(RuntimeError):
        enrol(ignacio, obama, beto)
    assert nothing_was_kept()
