"""Verification: the outcome, and the record that stands in a handoff's entry."""

import secrets
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from accounts.models import User
from biometrics import gallery
from biometrics import verification as verification_module
from biometrics.consent import standing_consent, withdraw_consent
from biometrics.engine import comparison
from biometrics.engine.analysis import analyse_bytes
from biometrics.engine.calibration import read_calibration
from biometrics.engine.quality import PROBE
from biometrics.enrolment import enrol_person
from biometrics.erasure import erase_person
from biometrics.errors import (
    ConsentMissing,
    FirstCaptureUsed,
    FramesMalformed,
    LivenessMissing,
    MasterKeyWrong,
    NotEnrolled,
    PersonErased,
    PersonExempt,
    TemplateOutdated,
)
from biometrics.gallery import open_template, vector_from_bytes, vector_to_bytes
from biometrics.liveness import LivenessFailed, issue_challenge
from biometrics.models import (
    CaptureSource,
    Evidence,
    EvidenceKind,
    LivenessChallenge,
    Person,
    Template,
    Verification,
    WatchlistLead,
)
from biometrics.replay import PhotoResubmitted
from biometrics.second_factor import issue_badge, set_pin
from biometrics.vault import open_evidence
from biometrics.verification import Burst, Still, read_burst, verify_face
from demo.portraits import Portrait, portrait
from demo.reframing import reframe
from ledger.models import Statement
from ledger.tlog import canonical
from refusals import Refusal
from tests.biometrics.pictures import encode, side_by_side, with_bystander
from tests.biometrics.test_photo import SVG, gradient
from tests.biometrics.turning import film, wait_for_film
from tests.biometrics.watching import put_on_watchlist, second_officer

CAPTURED_AT = datetime(2026, 11, 22, 14, 5, 9, 123_456, tzinfo=UTC)


def verify(
    person: Person, photo: bytes, by: User, attempts_before: int = 0, first: Verification | None = None
) -> Verification:
    return verify_face(
        person=person,
        capture=Still(photo, CAPTURED_AT),
        source=CaptureSource.WEBCAM,
        attempts_before=attempts_before,
        requested_by=by,
        first_capture=first,
    )


def near(photos: Path) -> bytes:
    """A photo of Obama, squeezed and sharpened until it is near to his template and no longer near enough."""
    return reframe((photos / "obama2.jpg").read_bytes(), squeeze=0.65, sharpen=500)


def distance_e4(person: Person, photo: bytes) -> int:
    _photo, face = analyse_bytes(photo, policy=PROBE)
    template = Template.objects.get(person=person, active=True)
    return comparison.distance_e4(open_template(template), face.descriptor)


def test_the_person_matches(enrolled: Person, beto: User, obama: Portrait) -> None:
    verification = verify(enrolled, obama.live, beto)
    assert verification.outcome == Verification.Outcome.MATCH
    point = read_calibration().threshold(k=3, m=1, target_fmr="1e-4")
    assert verification.distance_e4 <= verification.record["threshold_e4"] == point.threshold_e4


@pytest.mark.parametrize("name", ["biden", "collins"])
def test_somebody_else_does_not_match_and_is_stored(enrolled: Person, beto: User, photos: Path, name: str) -> None:
    verification = verify(enrolled, portrait(name, photos).live, beto)
    assert Verification.objects.get().outcome == "no_match"
    assert verification.distance_e4 > 5000


# Two captures -------------------------------------------------------------------------------------------------------


def test_a_face_that_is_near_is_captured_once_more_and_both_decide(
    enrolled: Person, beto: User, photos: Path, obama: Portrait
) -> None:
    calibration = read_calibration()
    first = verify(enrolled, near(photos), beto)
    match, again = (calibration.threshold(k=3, m=1, target_fmr=rate).threshold_e4 for rate in ("1e-4", "1e-3"))
    assert first.outcome == "second_capture"
    assert match < first.distance_e4 <= again
    second = verify(enrolled, obama.live, beto, first=first)
    assert second.outcome == "match"
    assert second.first_capture == first
    record = second.record
    assert record["m"] == 2
    assert record["threshold_e4"] == calibration.threshold(k=3, m=2, target_fmr="1e-4").threshold_e4 < match
    assert record["first_capture"]["verification"] == first.pk.urn
    assert record["first_capture"]["probe"] == first.probe.commitment != record["probe"] == second.probe.commitment
    assert record["first_capture"]["distance_e4"] == first.distance_e4 > record["first_capture"]["threshold_e4"]
    # The mean of both, opened from what was sealed, lies as far away as the record says.
    both = [vector_from_bytes(open_evidence(one.descriptor)) for one in (first, second)]
    template = open_template(second.template)
    assert comparison.distance_e4(template, comparison.template(both)) == second.distance_e4


def test_a_second_capture_matches_or_does_not(enrolled: Person, beto: User, photos: Path, biden: Portrait) -> None:
    first = verify(enrolled, near(photos), beto)
    second = verify(enrolled, biden.live, beto, first=first)
    assert second.outcome == "no_match"
    with pytest.raises(FirstCaptureUsed):
        verify(enrolled, biden.captures[0], beto, first=first)
    with pytest.raises(FirstCaptureUsed):
        verify(enrolled, biden.captures[1], beto, first=second)
    assert Verification.objects.count() == 2


def test_a_first_capture_does_not_outlive_its_template(
    enrolled: Person, beto: User, photos: Path, obama: Portrait
) -> None:
    first = verify(enrolled, near(photos), beto)
    enrol_person(person=enrolled, photos=obama.captures, document=obama.document, enrolled_by=beto)
    with pytest.raises(FirstCaptureUsed):
        verify(enrolled, obama.live, beto, first=first)


# Liveness and replay ------------------------------------------------------------------------------------------------


def test_a_photo_alone_does_not_count_where_liveness_is_required(
    enrolled: Person, beto: User, obama: Portrait, settings
) -> None:
    settings.BIOMETRICS_LIVENESS = "required"
    with pytest.raises(LivenessMissing):
        verify(enrolled, obama.live, beto)
    assert not Verification.objects.exists()


def answered(challenge: LivenessChallenge, photo: bytes, context: str) -> Burst:
    return Burst(challenge.pk, challenge.nonce, context, film(photo, challenge.turns), CAPTURED_AT)


def show(person: Person, burst: Burst, by: User) -> Verification:
    return verify_face(person=person, capture=burst, source=CaptureSource.WEBCAM, attempts_before=0, requested_by=by)


def test_an_answered_challenge_stands_in_the_record(enrolled: Person, beto: User, photos: Path, settings) -> None:
    shown = reframe((photos / "obama.jpg").read_bytes(), squeeze=0.75)
    settings.BIOMETRICS_LIVENESS = "required"
    challenge = issue_challenge(person=enrolled, context="handoff:1", issued_to=beto)
    film_of_it = answered(challenge, shown, "handoff:1")
    wait_for_film(challenge.pk)
    verification = show(enrolled, film_of_it, beto)
    assert verification.outcome == "match"
    assert verification.challenge == challenge
    challenge.refresh_from_db()
    liveness = verification.record["liveness"]
    assert (liveness["method"], liveness["outcome"]) == ("challenge_response", "passed")
    assert liveness["challenge"] == challenge.pk.urn
    assert liveness["turns"] == challenge.turns
    assert liveness["transcript"] == challenge.transcript.commitment
    # It is spent: the same frames are no second verification.
    with pytest.raises(LivenessFailed):
        show(enrolled, answered(challenge, shown, "handoff:1"), beto)
    assert Verification.objects.count() == 1


def test_frames_without_the_turns_verify_nobody(enrolled: Person, beto: User, photos: Path) -> None:
    challenge = issue_challenge(person=enrolled, context="handoff:1", issued_to=beto)
    still = film(reframe((photos / "obama.jpg").read_bytes(), squeeze=0.75), ["front"] * len(challenge.turns))
    wait_for_film(challenge.pk)
    with pytest.raises(LivenessFailed):
        show(enrolled, Burst(challenge.pk, challenge.nonce, "handoff:1", still, CAPTURED_AT), beto)
    assert not Verification.objects.exists()


def test_a_photo_on_file_is_not_a_live_face(enrolled: Person, beto: User, obama: Portrait) -> None:
    with pytest.raises(PhotoResubmitted):
        verify(enrolled, obama.captures[0], beto)
    verify(enrolled, obama.live, beto)
    with pytest.raises(PhotoResubmitted):
        verify(enrolled, obama.live, beto)
    assert Verification.objects.count() == 1


@pytest.mark.parametrize(
    ("frames", "times"),
    [([b"a"], ""), ([b"a", b"b"], "1"), ([], ""), ([b"a"], "-1"), ([b"a"], "\u0661"), ([b"a"] * 31, "1")],
)
def test_frames_that_did_not_arrive_whole_are_named(frames: list[bytes], times: str) -> None:
    with pytest.raises(FramesMalformed):
        read_burst(
            challenge=str(uuid.uuid4()), nonce="", context="", frames=frames, frame_times=times, captured_at=CAPTURED_AT
        )


# Who is not compared, and who looks -----------------------------------------------------------------------------------


def test_an_exempt_person_is_not_compared(enrolled: Person, beto: User, obama: Portrait) -> None:
    Person.objects.filter(pk=enrolled.pk).update(exempt=True)
    enrolled.refresh_from_db()
    with pytest.raises(PersonExempt):
        verify(enrolled, obama.live, beto)


def test_an_erased_person_is_not_compared(enrolled: Person, beto: User, carla: User, obama: Portrait) -> None:
    erase_person(person=enrolled, erased_by=carla, right="erasure")
    enrolled.refresh_from_db()
    with pytest.raises(PersonErased):
        verify(enrolled, obama.live, beto)


def test_a_face_on_the_watchlist_is_a_lead_and_changes_nothing(
    enrolled: Person, beto: User, olga: User, obama: Portrait
) -> None:
    put_on_watchlist(olga, second_officer(), obama.captures[0])
    verification = verify(enrolled, obama.live, beto)
    assert verification.outcome == "match"
    lead = WatchlistLead.objects.get()
    assert (lead.verification, lead.probe, lead.person) == (verification, verification.probe, enrolled)
    assert "lead" not in bytes(verification.record_json).decode()


# The record ---------------------------------------------------------------------------------------------------------


def test_the_record_is_whole(enrolled: Person, beto: User, obama: Portrait) -> None:
    verification = verify(enrolled, obama.live, beto, attempts_before=2)
    stored = Verification.objects.get()
    record = stored.record
    assert canonical.encode(record) == bytes(stored.record_json)
    models = record.pop("models")
    assert set(models) == {"detector", "landmarks", "descriptor"}
    assert models["descriptor"]["engine"] in ("onnxruntime", "dlib")
    assert len(models["descriptor"]["sha256"]) == len(models["landmarks"]["sha256"]) == 64
    assert set(record.pop("runtime")) == {"dlib", "numpy", "onnxruntime", "pillow"}
    assert set(record.pop("quality")) == {
        "eye_distance_px",
        "score_e3",
        "yaw_e3",
        "luminance_e3",
        "overexposed_e4",
        "underexposed_e4",
        "sharpness",
    }
    assert record == {
        "verification": verification.pk.urn,
        "person": enrolled.pk.urn,
        "outcome": "match",
        "distance_e4": verification.distance_e4,
        "threshold_e4": read_calibration().threshold(k=3, m=1, target_fmr="1e-4").threshold_e4,
        "metric": "l2_mean",
        "k": 3,
        "m": 1,
        "target_fmr": "1e-4",
        "dataset": "LFW 250 px",
        "calibration": read_calibration().sha256,
        "faces_in_frame": 1,
        "liveness": {"method": "none", "outcome": "not_performed"},
        "captured_at": "2026-11-22T14:05:09.123Z",
        "device": "webcam",
        "attempt": 3,
        "probe": verification.probe.commitment,
        "template": Template.objects.get().evidence.commitment,
        "consent": standing_consent(enrolled).pk.urn,
    }


def test_a_bystander_is_recorded(enrolled: Person, beto: User, photos: Path) -> None:
    record = verify(enrolled, reframe(with_bystander(photos), squeeze=1.3), beto).record
    assert record["faces_in_frame"] == 2
    assert 0 < record["quality"]["second_face_e4"] <= 3000


def test_the_kept_probe_repeats_the_decision(enrolled: Person, beto: User, obama: Portrait) -> None:
    verification = verify(enrolled, obama.live, beto)
    kept = open_evidence(verification.probe)
    assert b"Exif" not in kept
    assert distance_e4(enrolled, kept) == verification.distance_e4


def test_the_descriptor_is_kept_sealed_and_in_no_record(enrolled: Person, beto: User, obama: Portrait) -> None:
    verification = verify(enrolled, obama.live, beto)
    assert verification.descriptor.kind == EvidenceKind.DESCRIPTOR
    assert len(open_evidence(verification.descriptor)) == 128 * 8
    assert verification.descriptor.commitment.encode() not in bytes(verification.record_json)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda photos: b"", "photo_empty"),
        (lambda photos: SVG, "photo_not_an_image"),
        (lambda photos: (photos / "obama.jpg").read_bytes()[:100_000], "photo_truncated"),
        (lambda photos: encode(gradient(), "PNG"), "no_face"),
        (lambda photos: side_by_side(photos / "obama.jpg", photos / "biden.jpg"), "several_faces"),
    ],
)
def test_where_nothing_could_be_compared_nothing_is_stored(
    enrolled: Person, beto: User, photos: Path, spoil, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        verify(enrolled, spoil(photos), beto)
    assert refused.value.code == code
    assert not Verification.objects.exists()
    assert not Evidence.objects.filter(kind=EvidenceKind.PROBE).exists()


def test_nobody_verifies_without_enrolment_or_consent(
    enrolled: Person, lucia: Person, beto: User, obama: Portrait
) -> None:
    photo = obama.live
    with pytest.raises(NotEnrolled) as refused:
        verify(lucia, photo, beto)
    assert "Lucía" in refused.value.sentence
    withdraw_consent(person=enrolled, withdrawn_by=beto)
    with pytest.raises(ConsentMissing):
        verify(enrolled, photo, beto)


def test_an_old_template_does_not_verify(enrolled: Person, beto: User, obama: Portrait) -> None:
    new = enrol_person(person=enrolled, photos=obama.captures, document=obama.document, enrolled_by=beto)
    verification = verify(enrolled, obama.live, beto)
    assert verification.template == new
    assert new.version == 2
    Template.objects.update(active=False)
    with pytest.raises(NotEnrolled):
        verify(enrolled, obama.live, beto)


def test_a_template_replaced_while_the_face_is_compared_does_not_verify(
    enrolled: Person, beto: User, obama: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse = verification_module.analyse_bytes

    def overtaken(*args, **kwargs):
        enrol_person(person=enrolled, photos=obama.captures, document=obama.document, enrolled_by=beto)
        return analyse(*args, **kwargs)

    monkeypatch.setattr(verification_module, "analyse_bytes", overtaken)
    with pytest.raises(TemplateOutdated):
        verify(enrolled, obama.live, beto)
    assert not Verification.objects.exists()


def test_a_template_of_other_models_does_not_verify(enrolled: Person, beto: User, obama: Portrait) -> None:
    Template.objects.update(descriptor_sha256="0" * 64)
    assert not gallery.made_with_current_models(Template.objects.get())
    with pytest.raises(TemplateOutdated):
        verify(enrolled, obama.live, beto)


@pytest.mark.django_db(transaction=True)
def test_eight_threads_verifying_at_once_get_the_same_numbers(enrolled: Person, beto: User, photos: Path) -> None:
    if connection.is_in_memory_db():
        pytest.skip("threads need a test database in a file")
    shown = portrait("obama", photos), portrait("biden", photos), portrait("collins", photos)
    his = [shown[0].live, reframe((photos / "obama.jpg").read_bytes(), squeeze=1.3)]
    faces = [*his, shown[1].live, *shown[1].captures, shown[2].live, shown[2].document]
    alone = [distance_e4(enrolled, photo) for photo in faces]
    together = threading.Barrier(len(faces))

    def one(photo: bytes) -> tuple[int, str]:
        try:
            together.wait()
            verification = verify(enrolled, photo, beto)
            return verification.distance_e4, verification.outcome
        finally:
            connection.close()

    with ThreadPoolExecutor(len(faces)) as pool:
        answers = list(pool.map(one, faces))
    assert [distance for distance, _outcome in answers] == alone
    assert [outcome for _distance, outcome in answers] == ["match"] * 2 + ["no_match"] * 6
    assert Verification.objects.count() == len(faces) == 8


@pytest.mark.django_db(transaction=True)
def test_the_database_file_holds_no_photo_template_name_pin_or_badge(
    enrolled: Person, beto: User, photos: Path, obama: Portrait, tmp_path: Path
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("reads SQLite's own file")
    pin = f"7{secrets.randbelow(10**9):09}4"
    set_pin(person=enrolled, pin=pin)
    badge = issue_badge(person=enrolled)
    verification = verify(enrolled, obama.live, beto)
    vector = vector_to_bytes(open_template(verification.template))
    kept = open_evidence(verification.probe)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(tmp_path / "copy.sqlite3")])
    held = (tmp_path / "copy.sqlite3").read_bytes()
    if not connection.is_in_memory_db():
        name = Path(connection.settings_dict["NAME"])
        held += b"".join(path.read_bytes() for path in name.parent.glob(f"{name.name}*"))
    assert enrolled.pk.hex.encode() in held  # the copy is the database that was written to
    secrets_in_the_clear = {
        "name": b"Peralta Quintanilla",
        "pin": pin.encode(),
        "badge": badge.replace("-", "").encode(),
        "jpeg header": b"\xff\xd8\xff\xe0\x00\x10JFIF",
        **{f"template at {at}": vector[at : at + 16] for at in range(0, len(vector), 16)},
        **{f"probe at {at}": kept[at : at + 24] for at in range(4096, len(kept), 4096)},
        **{f"photo at {at}": (photos / "obama.jpg").read_bytes()[at : at + 24] for at in range(40_000, 270_000, 4096)},
    }
    assert [what for what, secret in secrets_in_the_clear.items() if secret in held] == []
    assert all(b"Ignacio" not in bytes(statement.body) for statement in Statement.objects.all())


def test_a_copy_of_the_database_alone_opens_nothing(enrolled: Person, settings, tmp_path: Path) -> None:
    settings.BIOMETRICS_MASTER_KEY_FILE = tmp_path / "another-machine"
    (tmp_path / "another-machine").write_text(secrets.token_hex(32))
    with pytest.raises(MasterKeyWrong):
        open_template(Template.objects.get())
