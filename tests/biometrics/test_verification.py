"""Verification: the outcome, and the record that stands in a handoff's entry."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from accounts.models import User
from biometrics import gallery
from biometrics import verification as verification_module
from biometrics.consent import standing_consent, withdraw_consent
from biometrics.engine.calibration import read_calibration
from biometrics.enrolment import enrol_person
from biometrics.errors import ConsentMissing, MasterKeyWrong, NotEnrolled, TemplateOutdated
from biometrics.gallery import open_template, vector_to_bytes
from biometrics.models import CaptureSource, Evidence, EvidenceKind, Person, Template, Verification
from biometrics.second_factor import issue_badge, set_pin
from biometrics.vault import open_evidence
from biometrics.verification import verify_face
from ledger.models import Statement
from ledger.tlog import canonical
from refusals import Refusal
from tests.biometrics.pictures import encode, side_by_side, with_bystander
from tests.biometrics.test_photo import SVG, gradient

CAPTURED_AT = datetime(2026, 11, 22, 14, 5, 9, 123_456, tzinfo=UTC)


def verify(person: Person, photo: bytes, by: User, attempts_before: int = 0) -> Verification:
    return verify_face(
        person=person,
        photo=photo,
        captured_at=CAPTURED_AT,
        source=CaptureSource.WEBCAM,
        attempts_before=attempts_before,
        requested_by=by,
    )


def test_the_person_matches(enrolled: Person, beto: User, photos: Path) -> None:
    verification = verify(enrolled, (photos / "obama3.jpg").read_bytes(), beto)
    assert verification.outcome == Verification.Outcome.MATCH
    assert verification.distance_e4 <= verification.record["threshold_e4"] == 3280


@pytest.mark.parametrize("name", ["biden.jpg", "astronaut.png"])
def test_somebody_else_does_not_match_and_is_stored(enrolled: Person, beto: User, photos: Path, name: str) -> None:
    verification = verify(enrolled, (photos / name).read_bytes(), beto)
    assert Verification.objects.get().outcome == "no_match"
    assert verification.distance_e4 > 5000


def test_the_record_is_whole(enrolled: Person, beto: User, photos: Path) -> None:
    verification = verify(enrolled, (photos / "obama3.jpg").read_bytes(), beto, attempts_before=2)
    stored = Verification.objects.get()
    record = stored.record
    assert canonical.encode(record) == bytes(stored.record_json)
    models = record.pop("models")
    assert set(models) == {"detector", "landmarks", "descriptor"}
    assert len(models["descriptor"]["sha256"]) == len(models["landmarks"]["sha256"]) == 64
    assert set(record.pop("runtime")) == {"dlib", "numpy", "pillow"}
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
        "threshold_e4": 3280,
        "metric": "l2_mean",
        "k": 2,
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
    record = verify(enrolled, with_bystander(photos), beto).record
    assert record["faces_in_frame"] == 2
    assert 0 < record["quality"]["second_face_e4"] <= 3000


def test_the_kept_probe_repeats_the_decision(enrolled: Person, beto: User, photos: Path) -> None:
    verification = verify(enrolled, (photos / "obama3.jpg").read_bytes(), beto)
    kept = open_evidence(verification.probe)
    assert b"Exif" not in kept
    assert verify(enrolled, kept, beto).distance_e4 == verification.distance_e4


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
    enrolled: Person, lucia: Person, beto: User, photos: Path
) -> None:
    photo = (photos / "obama3.jpg").read_bytes()
    with pytest.raises(NotEnrolled) as refused:
        verify(lucia, photo, beto)
    assert "Lucía" in refused.value.sentence
    withdraw_consent(person=enrolled)
    with pytest.raises(ConsentMissing):
        verify(enrolled, photo, beto)


def test_an_old_template_does_not_verify(enrolled: Person, beto: User, photos: Path) -> None:
    new = enrol_person(person=enrolled, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
    verification = verify(enrolled, (photos / "obama.jpg").read_bytes(), beto)
    assert verification.template == new
    assert verification.record["k"] == 1
    Template.objects.update(active=False)
    with pytest.raises(NotEnrolled):
        verify(enrolled, (photos / "obama.jpg").read_bytes(), beto)


def test_a_template_replaced_while_the_face_is_compared_does_not_verify(
    enrolled: Person, beto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse = verification_module.analyse_bytes

    def overtaken(*args, **kwargs):
        enrol_person(person=enrolled, photos=[(photos / "obama3.jpg").read_bytes()], enrolled_by=beto)
        return analyse(*args, **kwargs)

    monkeypatch.setattr(verification_module, "analyse_bytes", overtaken)
    with pytest.raises(TemplateOutdated):
        verify(enrolled, (photos / "obama.jpg").read_bytes(), beto)
    assert not Verification.objects.exists()


def test_a_template_of_other_models_does_not_verify(enrolled: Person, beto: User, photos: Path) -> None:
    Template.objects.update(descriptor_sha256="0" * 64)
    assert not gallery.made_with_current_models(Template.objects.get())
    with pytest.raises(TemplateOutdated):
        verify(enrolled, (photos / "obama.jpg").read_bytes(), beto)


@pytest.mark.django_db(transaction=True)
def test_eight_threads_verifying_at_once_get_the_same_numbers(enrolled: Person, beto: User, photos: Path) -> None:
    if connection.is_in_memory_db():
        pytest.skip("threads need a test database in a file")
    names = ["obama.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"] * 2
    alone = {name: verify(enrolled, (photos / name).read_bytes(), beto).distance_e4 for name in set(names)}
    together = threading.Barrier(len(names))

    def one(name: str) -> tuple[str, int, str]:
        try:
            together.wait()
            verification = verify(enrolled, (photos / name).read_bytes(), beto)
            return name, verification.distance_e4, verification.outcome
        finally:
            connection.close()

    with ThreadPoolExecutor(len(names)) as pool:
        for name, distance_e4, outcome in pool.map(one, names):
            assert distance_e4 == alone[name]
            assert outcome == ("match" if name.startswith("obama") else "no_match")
    assert Verification.objects.count() == len(names) + len(alone)


@pytest.mark.django_db(transaction=True)
def test_the_database_file_holds_no_photo_template_name_pin_or_badge(
    enrolled: Person, beto: User, photos: Path, tmp_path: Path
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("reads SQLite's own file")
    pin = f"7{secrets.randbelow(10**9):09}4"
    set_pin(person=enrolled, pin=pin)
    badge = issue_badge(person=enrolled)
    probe = (photos / "obama3.jpg").read_bytes()
    verification = verify(enrolled, probe, beto)
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
