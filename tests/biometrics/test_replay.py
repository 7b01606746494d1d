"""A stored photo shown again is known by its nearness; another photo of the same person is not taken for one."""

import io
from datetime import timedelta

import pytest
from django.utils import timezone
from PIL import Image

from accounts.models import User
from biometrics.engine.analysis import describe_sightings, sight
from biometrics.engine.photo import decode_photo
from biometrics.models import CaptureSource, Person
from biometrics.replay import LOOK_BACK, PhotoResubmitted, require_not_resubmitted
from biometrics.vault import destroy_evidence
from biometrics.verification import Still, verify_face
from demo.portraits import Portrait

pytestmark = pytest.mark.django_db


def described(photo: bytes):
    return describe_sightings([sight(decode_photo(photo))])[0]


def saved_again(photo: bytes, *, quality: int = 60, width: int = 0) -> bytes:
    picture = Image.open(io.BytesIO(photo)).convert("RGB")
    if width:
        picture = picture.resize((width, round(picture.height * width / picture.width)))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()


def shown_as(person: Person, photo: bytes) -> str:
    with pytest.raises(PhotoResubmitted) as refused:
        require_not_resubmitted(person=person, descriptor=described(photo))
    assert refused.value.code == "photo_resubmitted"
    return refused.value.facts["shown_as"]


def test_a_photo_of_the_enrolment_is_known_however_it_was_saved(enrolled: Person, obama: Portrait):
    for number in range(3):
        assert shown_as(enrolled, obama.captures[number]) == "enrolment"
    assert shown_as(enrolled, saved_again(obama.captures[0])) == "enrolment"
    assert shown_as(enrolled, saved_again(obama.captures[0], width=640)) == "enrolment"


def test_the_documents_photo_is_known(enrolled: Person, obama: Portrait):
    assert shown_as(enrolled, saved_again(obama.document, quality=80)) == "document"


def test_another_photo_of_the_person_and_one_of_a_stranger_pass(enrolled: Person, obama: Portrait, biden: Portrait):
    require_not_resubmitted(person=enrolled, descriptor=described(obama.live))
    require_not_resubmitted(person=enrolled, descriptor=described(biden.live))


def test_a_live_face_counts_once(enrolled: Person, beto: User, obama: Portrait):
    verify_live(enrolled, beto, obama)
    assert shown_as(enrolled, saved_again(obama.live)) == "verification"
    with pytest.raises(PhotoResubmitted):
        verify_live(enrolled, beto, obama)
    assert enrolled.verifications.count() == 1


def test_what_was_destroyed_is_not_compared_with(enrolled: Person, beto: User, obama: Portrait):
    verification = verify_live(enrolled, beto, obama)
    assert verification.descriptor is not None
    destroy_evidence(evidence=verification.descriptor, destroyed_for="unmatched_probes")
    require_not_resubmitted(person=enrolled, descriptor=described(obama.live))
    template = enrolled.templates.get()
    destroy_evidence(evidence=template.document, destroyed_for="consent_withdrawn")
    require_not_resubmitted(person=enrolled, descriptor=described(obama.document))


def test_a_photo_that_replaced_the_template_is_still_known(enrolled: Person, obama: Portrait):
    enrolled.templates.update(active=False)
    assert shown_as(enrolled, obama.captures[0]) == "enrolment"


def test_a_photo_kept_of_somebody_else_is_none_of_this_person(enrolled: Person, lucia: Person, obama: Portrait):
    require_not_resubmitted(person=lucia, descriptor=described(obama.captures[0]))


def test_the_newest_verifications_are_looked_back_on(enrolled: Person, beto: User, obama: Portrait):
    verification = verify_live(enrolled, beto, obama)
    verification.created_at = timezone.now() - timedelta(days=400)
    verification.save()
    assert LOOK_BACK >= 1
    assert shown_as(enrolled, obama.live) == "verification"


def verify_live(person: Person, by: User, shown: Portrait):
    return verify_face(
        person=person,
        capture=Still(shown.live, timezone.now()),
        source=CaptureSource.UPLOAD,
        attempts_before=0,
        requested_by=by,
    )
