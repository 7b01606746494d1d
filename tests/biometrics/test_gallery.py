"""Whose face is in memory to be searched, whose is not any more, and what the duplicate search says of them."""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accounts.models import User
from biometrics import gallery
from biometrics.consent import record_consent, withdraw_consent
from biometrics.engine import analysis, comparison
from biometrics.engine.analysis import analyse
from biometrics.engine.calibration import read_calibration
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import PROBE
from biometrics.enrolment import DUPLICATE_FMR, enrol_person
from biometrics.erasure import Right, erase_person
from biometrics.gallery import Search, open_enrolled, open_template, search_same_face, vector_to_bytes
from biometrics.models import Evidence, EvidenceKind, Person, Template
from biometrics.vault import seal_evidence
from demo.portraits import Portrait
from ledger.submission import submit
from tests.biometrics.conftest import CONSENT


@pytest.fixture(autouse=True)
def _nothing_opened() -> None:
    gallery.forget_galleries()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    """The ids of all evidence that the gallery opens from now on."""
    seen: list[uuid.UUID] = []
    open_many = gallery.open_many

    def noting(rows):
        listed = list(rows)
        seen.extend(row.pk for row in listed)
        return open_many(listed)

    monkeypatch.setattr(gallery, "open_many", noting)
    return seen


def search(photo: Path, other_than: Person, **also) -> Search:
    face = analyse(decode_photo(photo.read_bytes()), policy=PROBE)
    return search_same_face([face.descriptor], target_fmr=DUPLICATE_FMR, other_than=other_than, **also)


def enrol_vector(person: Person, by: User, vector: np.ndarray, **models: str) -> Template:
    """Put a template of one made-up vector on file: where the gallery is the subject, and not the face."""
    digests = {f"{name}_sha256": analysis.models()[name]["sha256"] for name in ("landmarks", "descriptor")}
    person.templates.update(active=False)
    key = uuid.uuid4()
    return Template.objects.create(
        id=key,
        person=person,
        version=person.templates.count() + 1,
        k=1,
        evidence=seal_evidence(person=person, kind=EvidenceKind.TEMPLATE, value=vector_to_bytes(vector)),
        consent=person.consents.get(withdrawn_at=None),
        enrolled_by=by,
        statement=submit(kind="enrolment", subject=person.pk.urn, body={"made": "up"}, key=f"enrolment:{key}"),
        **(digests | models),
    )


def unit_vector(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=128)
    return vector / np.linalg.norm(vector)


def people_in_memory() -> set[uuid.UUID]:
    return {row.person for row in open_enrolled().rows}


# The search for duplicates ------------------------------------------------------------------------------------------


def test_the_same_face_is_found_under_another_record_at_exactly_its_distance(
    enrolled: Person, lucia: Person, photos: Path
) -> None:
    found = search(photos / "obama_partial_face.jpg", lucia)
    template = enrolled.templates.get()
    face = analyse(decode_photo((photos / "obama_partial_face.jpg").read_bytes()), policy=PROBE)
    assert found.hit is not None
    assert (found.hit.person, found.hit.k) == (enrolled, 3)
    assert found.hit.distance_e4 == comparison.distance_e4(open_template(template), face.descriptor)
    assert found.searched == {template.pk}


def test_neither_oneself_nor_a_stranger_nor_who_was_searched_before_is_found(
    enrolled: Person, lucia: Person, photos: Path, biden: Portrait
) -> None:
    assert search(photos / "obama_partial_face.jpg", enrolled) == Search(frozenset(), None)
    template = enrolled.templates.get().pk
    assert search(photos / "obama_partial_face.jpg", lucia, searched_before=frozenset({template})).hit is None
    stranger = analyse(decode_photo(biden.live), policy=PROBE)
    answer = search_same_face([stranger.descriptor], target_fmr=DUPLICATE_FMR, other_than=lucia)
    assert answer == Search(frozenset({template}), None)


def test_each_template_has_the_threshold_of_its_own_number_of_photos(
    ignacio: Person, lucia: Person, beto: User
) -> None:
    """One vector between the thresholds of one photo and of three: near enough to the first, too far from the other."""
    single, triple = (read_calibration().threshold(k=k, m=1, target_fmr=DUPLICATE_FMR).threshold_e4 for k in (1, 3))
    between = (single + triple) / 2 / 10_000
    probe, away = unit_vector(1), unit_vector(2)
    away = away - (away @ probe) * probe
    angle = 2 * np.arcsin(between / 2)
    template = enrol_vector(ignacio, beto, np.cos(angle) * probe + np.sin(angle) * away / np.linalg.norm(away))
    found = search_same_face([probe], target_fmr=DUPLICATE_FMR, other_than=lucia)
    assert found.hit is not None
    assert triple < found.hit.distance_e4 <= single
    Template.objects.filter(pk=template.pk).update(k=3)
    gallery.forget_galleries()
    assert search_same_face([probe], target_fmr=DUPLICATE_FMR, other_than=lucia).hit is None


# Who is in memory ---------------------------------------------------------------------------------------------------


def test_after_a_withdrawal_the_face_is_neither_opened_nor_named(
    enrolled: Person, lucia: Person, beto: User, photos: Path, obama: Portrait, opened: list[uuid.UUID]
) -> None:
    withdraw_consent(person=enrolled, withdrawn_by=beto)
    assert search(photos / "obama_partial_face.jpg", lucia) == Search(frozenset(), None)
    enrol_person(person=lucia, photos=obama.captures, document=obama.document, enrolled_by=beto)
    assert enrolled.templates.get().evidence_id not in opened


def test_who_consented_anew_is_searched_again_and_opened_once(
    enrolled: Person, lucia: Person, beto: User, photos: Path, opened: list[uuid.UUID]
) -> None:
    withdraw_consent(person=enrolled, withdrawn_by=beto)
    for _ in range(2):
        record_consent(person=enrolled, consent=CONSENT, recorded_by=beto)
    for _ in range(3):
        found = search(photos / "obama_partial_face.jpg", lucia)
        assert found.hit is not None
        assert found.hit.person == enrolled
    assert opened == [enrolled.templates.get().evidence_id]


def test_only_what_is_new_is_opened(ignacio: Person, lucia: Person, beto: User, opened: list[uuid.UUID]) -> None:
    first = enrol_vector(ignacio, beto, unit_vector(3))
    assert people_in_memory() == {ignacio.pk}
    second = enrol_vector(lucia, beto, unit_vector(4))
    assert people_in_memory() == {ignacio.pk, lucia.pk}
    assert opened == [first.evidence_id, second.evidence_id]


@pytest.mark.parametrize(
    "end",
    [
        lambda person, beto, carla: withdraw_consent(person=person, withdrawn_by=beto),
        lambda person, beto, carla: erase_person(person=person, erased_by=carla, right=Right.ERASURE),
        lambda person, beto, carla: Person.objects.filter(pk=person.pk).update(exempt=True),
        lambda person, beto, carla: person.templates.update(active=False),
    ],
    ids=["withdrawn", "erased", "exempt", "ended"],
)
def test_whoever_may_not_be_compared_any_more_is_gone_from_memory(
    end: Callable, ignacio: Person, lucia: Person, beto: User, carla: User
) -> None:
    enrol_vector(ignacio, beto, unit_vector(5))
    enrol_vector(lucia, beto, unit_vector(6))
    before = open_enrolled()
    assert len(before.rows) == 2
    end(ignacio, beto, carla)
    after = open_enrolled()
    assert [row.person for row in after.rows] == [lucia.pk]
    assert len(after.vectors) == 1
    assert after.vectors.vector(0).tolist() == unit_vector(6).tolist()


def test_a_replaced_template_is_noticed_even_where_its_clock_is_behind(ignacio: Person, beto: User) -> None:
    """Of two processes the one that began first may commit last: its time is not the newest, its version is."""
    first = enrol_vector(ignacio, beto, unit_vector(7))
    assert [row.key for row in open_enrolled().rows] == [first.pk]
    second = enrol_vector(ignacio, beto, unit_vector(8))
    Template.objects.filter(pk=second.pk).update(created_at=first.created_at)
    assert [row.key for row in open_enrolled().rows] == [second.pk]


def test_a_hit_that_memory_alone_still_holds_is_not_told(
    enrolled: Person, lucia: Person, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = open_enrolled()
    monkeypatch.setattr(gallery, "open_enrolled", lambda: stale)
    assert search(photos / "obama_partial_face.jpg", lucia).hit is not None
    enrolled.templates.update(active=False)
    assert search(photos / "obama_partial_face.jpg", lucia).hit is None


def test_what_other_models_made_is_not_compared(ignacio: Person, lucia: Person, beto: User) -> None:
    template = enrol_vector(ignacio, beto, unit_vector(9), descriptor_sha256="0" * 64)
    found = search_same_face([unit_vector(9)], target_fmr=DUPLICATE_FMR, other_than=lucia)
    assert found == Search(frozenset({template.pk}), None)
    assert open_enrolled().not_searched == {template.pk}


def test_an_altered_row_is_left_out_and_hides_nobody_else(ignacio: Person, lucia: Person, beto: User) -> None:
    altered = enrol_vector(ignacio, beto, unit_vector(10))
    enrol_vector(lucia, beto, unit_vector(11))
    Evidence.objects.filter(pk=altered.evidence_id).update(ciphertext=b"changed")
    assert people_in_memory() == {lucia.pk}
    assert open_enrolled().not_searched == {altered.pk}


@pytest.mark.parametrize("people", [3, 30])
def test_the_number_of_queries_does_not_grow_with_the_people(
    beto: User, ignacio: Person, people: int, django_assert_num_queries
) -> None:
    from biometrics.people import register_person

    for seed in range(people):
        person = register_person(name=f"Person {seed}", kind="driver", registered_by=beto, consent=CONSENT)
        enrol_vector(person, beto, unit_vector(100 + seed))
    # Three for the stamp, the rows, their evidence, the keys.
    with django_assert_num_queries(6):
        assert len(open_enrolled().rows) == people
    with django_assert_num_queries(3):
        assert len(open_enrolled().rows) == people


@pytest.mark.django_db(transaction=True)
def test_threads_share_one_opened_gallery(ignacio: Person, beto: User, opened: list[uuid.UUID]) -> None:
    from django.db import connection, transaction

    with transaction.atomic():
        enrol_vector(ignacio, beto, unit_vector(12))
    found = []

    def look() -> None:
        try:
            found.append(open_enrolled())
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(one) for one in found}) == 1
    assert len(opened) == 1
