"""The face at a handoff: second captures, signs of life, photos shown before, and what of it an auditor can repeat."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from biometrics.errors import LivenessMissing, PersonExempt
from biometrics.liveness import TimedFrame, issue_challenge
from biometrics.models import CaptureSource, LivenessChallenge, Person, Verification
from biometrics.verification import Burst
from custody import errors, handoffs, receiver_face
from custody.entry_checks import _face_checks, check_entry
from custody.models import Handoff, HandoffState, Refused
from custody.narrative import tell
from demo.portraits import portrait
from demo.reframing import reframe
from ledger.models import Entry as EntryRow
from ledger.sealing import seal_all
from ledger.tlog.entry import Entry, parse_entry
from tests.biometrics.turning import film, wait_for_film
from tests.custody.conftest import PIN, Dock

pytestmark = pytest.mark.django_db


def near(dock: Dock) -> bytes:
    """A picture of Marco that is near to his template and not near enough."""
    return reframe(dock.photo("obama2.jpg"), squeeze=0.65, sharpen=500)


def filmed(dock: Dock, turns: list[str]) -> list[TimedFrame]:
    """Marco before the camera: warped frames of one picture of him, which is none of those on file."""
    return film(reframe(dock.photo("obama.jpg"), squeeze=0.75), turns)


def newest(kind: str) -> Entry:
    return parse_entry(bytes(row(kind).note))


def row(kind: str) -> EntryRow:
    seal_all()
    return EntryRow.objects.filter(kind=kind).latest("index")


# A second capture ---------------------------------------------------------------------------------------------------


def test_a_second_capture_is_no_refusal_and_both_stand_in_the_entry(dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, near(dock))
    handoff.refresh_from_db()
    first = Verification.objects.get()
    assert (handoff.first_capture, handoff.verification, handoff.face_attempts) == (first, None, 0)
    assert not Refused.objects.exists()
    with pytest.raises(errors.FaceMissing):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    dock.show_face(handoff, dock.marcos_face)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    face = newest("handoff").body["face"]
    assert (face["outcome"], face["m"], face["attempt"]) == ("match", 2, 1)
    assert face["first_capture"]["verification"] == first.pk.urn
    assert face["first_capture"]["probe"] == first.probe.commitment
    assert "face matched in a second capture" in tell(row("handoff")).sentence


def test_a_second_capture_of_somebody_else_is_a_mismatch(dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, near(dock))
    with pytest.raises(errors.FaceNotMatched, match="Attempts left: 2"):
        dock.show_face(handoff, dock.elenas_face)
    assert newest("handoff_refused").body["face"]["m"] == 2
    handoff.refresh_from_db()
    assert handoff.first_capture is None
    dock.show_face(handoff, dock.marcos_face)
    assert handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN).state == HandoffState.ACCEPTED
    assert newest("handoff").body["face"]["m"] == 1


def test_a_first_capture_of_eleven_minutes_ago_starts_anew(dock: Dock) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, near(dock))
    Verification.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    dock.show_face(handoff, dock.marcos_face)
    handoff.refresh_from_db()
    assert handoff.verification is not None
    assert handoff.verification.record["m"] == 1


@pytest.mark.parametrize("read_again", [False, True])
def test_who_lets_the_second_capture_go_is_not_asked_for_one_again(dock: Dock, read_again: bool) -> None:
    """Captures that cost no attempt would otherwise have no end, and with them no rate of false matches."""
    handoff = dock.reconciled()
    dock.show_face(handoff, near(dock))
    if read_again:
        handoffs.read_again(handoff=handoff, by=dock.beto)
        dock.read(*dock.tags())
        handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    # Without its descriptor the first picture is not known again, so that it serves once more.
    Verification.objects.update(created_at=timezone.now() - timedelta(minutes=11), descriptor=None)
    with pytest.raises(errors.FaceNotMatched, match="Attempts left: 2"):
        dock.show_face(handoff, near(dock))
    assert newest("handoff_refused").body["face"]["m"] == 1


def test_the_page_asks_for_one_more_capture(dock: Dock, client: Client) -> None:
    handoff = dock.reconciled()
    client.force_login(dock.beto)
    photo = SimpleUploadedFile("still.jpg", near(dock), content_type="image/jpeg")
    page = client.post(reverse("handoff_face", args=[handoff.pk]), {"photo": photo}, follow=True).content.decode()
    assert "One more capture is needed" in page
    assert "liveness was not checked" in page
    assert "Attempts left" not in page
    assert str(Verification.objects.get().distance_e4) not in page


# Signs of life ------------------------------------------------------------------------------------------------------


@pytest.fixture
def required(settings) -> None:
    settings.BIOMETRICS_LIVENESS = "required"


def ask(dock: Dock, handoff: Handoff) -> LivenessChallenge:
    return issue_challenge(
        person=handoff.to_person, context=receiver_face.liveness_context(handoff), issued_to=dock.beto
    )


def turn_head(dock: Dock, handoff: Handoff, *, turns: list[str] | None = None) -> LivenessChallenge:
    challenge = ask(dock, handoff)
    frames = filmed(dock, turns or challenge.turns)
    wait_for_film(challenge.pk)
    burst = Burst(challenge.pk, challenge.nonce, receiver_face.liveness_context(handoff), frames, timezone.now())
    receiver_face.verify_receiver(handoff=handoff, capture=burst, source=CaptureSource.WEBCAM, by=dock.beto)
    return challenge


def test_a_photo_alone_is_told_so_and_costs_no_attempt(dock: Dock, required: None) -> None:
    handoff = dock.reconciled()
    with pytest.raises(LivenessMissing):
        dock.show_face(handoff, dock.marcos_face)
    handoff.refresh_from_db()
    assert handoff.face_attempts == 0
    assert not Refused.objects.exists()


def test_a_turned_head_stands_in_the_entry(dock: Dock, required: None) -> None:
    handoff = dock.reconciled()
    challenge = turn_head(dock, handoff)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    liveness = newest("handoff").body["face"]["liveness"]
    assert (liveness["method"], liveness["outcome"]) == ("challenge_response", "passed")
    assert liveness["challenge"] == challenge.pk.urn
    assert len(liveness["transcript"]) == 64


def test_a_head_that_does_not_turn_is_an_entry_and_an_attempt_and_three_close(dock: Dock, required: None) -> None:
    handoff = dock.reconciled()
    for left in (2, 1):
        with pytest.raises(errors.LivenessNotShown, match=f"Attempts left: {left}"):
            turn_head(dock, handoff, turns=["front"] * 3)
    with pytest.raises(errors.LivenessNotShownFinally):
        turn_head(dock, handoff, turns=["front"] * 3)
    handoff.refresh_from_db()
    assert handoff.state == HandoffState.REFUSED
    assert not Verification.objects.exists()
    body = newest("handoff_refused").body
    challenge = Refused.objects.first().challenge
    assert body["code"] == "liveness_failed"
    assert "face" not in body
    assert body["liveness"]["challenge"] == challenge.pk.urn
    assert body["liveness"]["transcript"] == challenge.transcript.commitment
    assert body["liveness"]["reason"] == challenge.failed_for


def test_a_challenge_of_another_handoff_counts_nowhere_else(dock: Dock, required: None) -> None:
    handoff = dock.reconciled()
    challenge = issue_challenge(person=dock.marco, context="handoff:another", issued_to=dock.beto)
    burst = Burst(
        challenge.pk,
        challenge.nonce,
        receiver_face.liveness_context(handoff),
        filmed(dock, challenge.turns),
        timezone.now(),
    )
    with pytest.raises(errors.LivenessNotShown):
        receiver_face.verify_receiver(handoff=handoff, capture=burst, source=CaptureSource.WEBCAM, by=dock.beto)
    assert "challenge" not in newest("handoff_refused").body["liveness"]


def test_a_program_asks_for_a_challenge_and_answers_it(dock: Dock, required: None) -> None:
    handoff = dock.reconciled()
    api = APIClient()
    api.force_authenticate(dock.beto)
    address = f"/api/v1/handoffs/{handoff.pk}"
    asked = api.post(f"{address}/challenge").data
    frames = filmed(dock, asked["turns"])
    wait_for_film(asked["challenge"])
    answer = api.post(
        f"{address}/face",
        {
            "challenge": str(asked["challenge"]),
            "nonce": asked["nonce"],
            "frames": [SimpleUploadedFile(f"{at}.jpg", frame.data, "image/jpeg") for at, frame in enumerate(frames)],
            "frame_times": ",".join(str(frame.at_ms) for frame in frames),
        },
        format="multipart",
    )
    assert (answer.status_code, answer.data["face"]) == (200, "match")
    assert api.post(f"{address}/face", {}, format="multipart").data["code"] == "liveness_missing"


# Photos shown before ------------------------------------------------------------------------------------------------


def test_an_enrolment_photo_is_refused_as_shown_before(dock: Dock) -> None:
    handoff = dock.reconciled()
    with pytest.raises(errors.PhotoShownBefore, match="Attempts left: 2"):
        dock.show_face(handoff, portrait("obama", dock.photos).captures[0])
    body = newest("handoff_refused").body
    assert body["code"] == "photo_resubmitted"
    assert "face" not in body
    assert "a photo was shown that was seen before" in tell(row("handoff_refused")).sentence


def test_an_exempt_receiver_is_refused_without_an_attempt(dock: Dock) -> None:
    handoff = dock.reconciled()
    Person.objects.filter(pk=dock.marco.pk).update(exempt=True)
    handoff = Handoff.objects.get(pk=handoff.pk)
    with pytest.raises(PersonExempt):
        dock.show_face(handoff, dock.marcos_face)
    handoff.refresh_from_db()
    assert handoff.face_attempts == 0


# What an auditor repeats --------------------------------------------------------------------------------------------


def face_checks(entry: Entry, **changed: object) -> list[bool | None]:
    body = {**entry.body, "face": {**entry.body["face"], **changed}}
    return [check.holds for check in _face_checks(replace(entry, body=body))]


def test_the_decision_is_repeated_from_the_entry_alone(dock: Dock) -> None:
    dock.accepted()
    assert all(check.holds is not False for check in check_entry(row("handoff")))
    entry = newest("handoff")
    face = entry.body["face"]
    assert face_checks(entry) == [True, True]
    assert face_checks(entry, distance_e4=face["threshold_e4"] + 1) == [False, True]
    assert face_checks(entry, outcome="no_match") == [False, True]
    # A threshold of somebody's own choosing is not the calibration's.
    assert face_checks(entry, threshold_e4=6000) == [True, False]
    assert face_checks(entry, target_fmr="1e-9") == [True, False]
    assert face_checks(entry, calibration="0" * 64) == [True, None]
    assert face_checks(entry, distance_e4=None) == [None]


def test_the_auditor_reads_the_claim_and_its_data_set(dock: Dock, client: Client, ana) -> None:
    handoff = dock.reconciled()
    dock.show_face(handoff, near(dock))
    dock.show_face(handoff, dock.marcos_face)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    client.force_login(ana)
    page = client.get(reverse("entry", args=[row("handoff").index])).content.decode()
    # Two chances of 1 in 10,000 each.
    assert "No more than 1 in 5,000 strangers would match, as measured on LFW 250 px." in page
    assert "Its authors say that results on it do not show that a system is fit for use" in page
    assert "both captures were decided on together" in page
    assert "Not checked" in page
