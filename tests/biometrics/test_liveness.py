"""
The challenge as honest people and as attackers answer it.

The frames are warped from real photos (turning.py): they show that the protocol tells these answers apart, and prove
nothing about how many honest people pass.
"""

import dataclasses
import io
import itertools
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from PIL import Image

from accounts.models import User
from biometrics.engine import comparison
from biometrics.engine import liveness as engine
from biometrics.engine.analysis import analyse_bytes
from biometrics.engine.quality import PROBE
from biometrics.enrolment import enrol_person
from biometrics.errors import PersonErased
from biometrics.liveness import (
    ANSWER_WITHIN,
    MOST_CHALLENGES,
    SEQUENCES,
    LivenessEvidence,
    LivenessFailed,
    TimedFrame,
    TooManyChallenges,
    answer_challenge,
    issue_challenge,
)
from biometrics.models import LivenessChallenge, Person
from biometrics.vault import open_evidence
from demo.portraits import Portrait, portrait
from ledger.tlog import canonical
from tests.biometrics.turning import angles, film, turn

CONTEXT = "handoff:8c1d4c1e-0000-4000-8000-000000000001"
SEQUENCE = ("left", "right", "front")


@pytest.fixture(scope="session")
def honest(photos) -> list[TimedFrame]:
    """Left, right, front: ten frames."""
    return film(portrait("biden", photos).live, SEQUENCE)


@pytest.fixture(scope="session")
def collins(photos) -> Portrait:
    return portrait("collins", photos)


@pytest.fixture
def ask(ignacio: Person, beto: User) -> Callable[..., LivenessChallenge]:
    """Issue a challenge whose sequence is known beforehand, five seconds ago: the frames were made before the test."""

    def ask(turns: Sequence[str] = SEQUENCE, *, person: Person = ignacio, ago: float = 5) -> LivenessChallenge:
        challenge = issue_challenge(person=person, context=CONTEXT, issued_to=beto)
        challenge.turns = list(turns)
        challenge.issued_at -= timedelta(seconds=ago)
        challenge.expires_at -= timedelta(seconds=ago)
        challenge.save()
        return challenge

    return ask


@pytest.fixture
def answer(beto: User) -> Callable[..., LivenessEvidence]:
    def answer(challenge: LivenessChallenge, frames: Sequence[TimedFrame], **changes) -> LivenessEvidence:
        given = {"nonce": challenge.nonce, "context": CONTEXT, "answered_by": beto} | changes
        return answer_challenge(challenge=challenge.pk, frames=frames, **given)

    return answer


@pytest.fixture
def refused(answer) -> Callable[..., str]:
    """Answer, expect a refusal with a sentence, and return why."""

    def refused(challenge: LivenessChallenge, frames: Sequence[TimedFrame], **changes) -> str:
        with pytest.raises(LivenessFailed) as failed:
            answer(challenge, frames, **changes)
        assert failed.value.code == "liveness_failed"
        assert failed.value.sentence.endswith((".", "!"))
        return failed.value.facts["reason_code"]

    return refused


def transcript(challenge: LivenessChallenge) -> dict:
    challenge.refresh_from_db()
    return canonical.decode(open_evidence(challenge.transcript))


# Asking -------------------------------------------------------------------------------------------------------------


def test_every_sequence_has_two_or_three_turns_and_a_front_and_never_asks_the_same_twice_in_a_row():
    assert len(SEQUENCES) >= 16
    assert len(set(SEQUENCES)) == len(SEQUENCES)
    for asks in SEQUENCES:
        assert asks[0] != "front" and "front" in asks
        assert 2 <= sum(ask in ("left", "right") for ask in asks) <= 3
        assert all(one != other for one, other in itertools.pairwise(asks))


@pytest.mark.django_db
def test_a_challenge_is_new_each_time_and_ends_soon(ignacio, beto):
    first, second = (issue_challenge(person=ignacio, context=CONTEXT, issued_to=beto) for _ in range(2))
    assert len(first.nonce) == 64 and first.nonce != second.nonce
    assert first.expires_at - first.issued_at == ANSWER_WITHIN
    assert tuple(first.turns) in SEQUENCES


@pytest.mark.django_db
def test_nobody_asks_on_until_the_sequence_comes_that_was_filmed(ignacio, beto):
    for _ in range(MOST_CHALLENGES):
        issue_challenge(person=ignacio, context=CONTEXT, issued_to=beto)
    with pytest.raises(TooManyChallenges):
        issue_challenge(person=ignacio, context=CONTEXT, issued_to=beto)
    issue_challenge(person=ignacio, context="handoff:another", issued_to=beto)


@pytest.mark.django_db
def test_an_erased_person_is_asked_nothing(ignacio, beto):
    ignacio.erased_at = timezone.now()
    ignacio.save()
    with pytest.raises(PersonErased):
        issue_challenge(person=ignacio, context=CONTEXT, issued_to=beto)


# Honest answers -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "turns", [("left", "right", "front"), ("right", "front", "left"), ("right", "front", "right"),
              ("left", "front", "left", "right")],
)  # fmt: skip
def test_turns_as_asked_pass_and_leave_a_transcript(turns, ask, answer, collins):
    frames = film(collins.captures[2], turns)
    challenge = ask(turns)
    evidence = answer(challenge, frames)
    told = transcript(challenge)
    assert (challenge.outcome, challenge.failed_for) == ("passed", "")
    assert evidence.record == {
        "method": "challenge_response",
        "outcome": "passed",
        "challenge": challenge.pk.urn,
        "turns": list(turns),
        "frames": len(frames),
        "duration_ms": frames[-1].at_ms - frames[0].at_ms,
        "transcript": challenge.transcript.commitment,
    }
    assert (told["turns"], told["nonce"], told["outcome"]) == (list(turns), challenge.nonce, "passed")
    assert [frame["at_ms"] for frame in told["frames"]] == [frame.at_ms for frame in frames]
    assert told["frames"][told["probe"]]["distance_e4"] == 0
    assert max(frame["distance_e4"] for frame in told["frames"]) > 500


@pytest.mark.django_db
def test_the_face_that_is_compared_is_the_best_frontal_frame_and_described_as_any_photo_is(ask, answer, honest):
    challenge = ask()
    evidence = answer(challenge, honest)
    frame = honest[transcript(challenge)["probe"]]
    photo, alone = analyse_bytes(frame.data, policy=PROBE)
    assert evidence.photo.encoded == photo.encoded
    assert evidence.face.quality == alone.quality
    assert abs(evidence.face.quality.yaw_e3) <= engine.FRONTAL_E3
    assert comparison.distance_e4(evidence.face.descriptor, alone.descriptor) <= 1


def test_left_is_the_persons_own_left(photos):
    photo = portrait("collins", photos).captures[2]
    goals = angles(photo)
    poses = {side: engine.measure_frame(turn(photo, degrees=goals[side]), at_ms=0).pose for side in goals}
    assert poses == {"left": "left", "right": "right", "front": "front"}
    # Warping moves the nose to the picture's right for a positive angle: where a person before a camera has their left.
    assert goals["left"] > goals["front"] > goals["right"]


@pytest.mark.django_db
def test_a_face_lost_on_the_way_round_is_no_failure(ask, answer, honest, blank):
    assert engine.measure_frame(honest[2].data, at_ms=0).pose is not None
    answer(ask(), [honest[0], honest[1], blank(honest[1].at_ms + 100), *honest[2:]])


# Attacks ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_still_photo_that_is_moved_about_does_not_turn(ask, refused, collins):
    still = collins.captures[2]
    frames = [
        TimedFrame(data=turn(still, degrees=0, shift=number * 4.0), at_ms=300 + number * 330) for number in range(10)
    ]
    challenge = ask()
    assert refused(challenge, frames) == "no_turn"
    told = transcript(challenge)
    assert (challenge.outcome, challenge.failed_for, told["outcome"]) == ("failed", "no_turn", "no_turn")
    assert len(told["frames"]) == 10 and "probe" not in told


@pytest.mark.django_db
def test_one_picture_sent_ten_times_is_one_picture(ask, refused, honest):
    frames = [dataclasses.replace(honest[0], at_ms=300 + number * 330) for number in range(10)]
    assert refused(ask(), frames) == "too_few_frames"


@pytest.mark.django_db
def test_a_replayed_burst_fails_another_sequence(ask, refused, honest):
    assert refused(ask(("right", "left", "front")), honest) == "wrong_order"


@pytest.mark.django_db
def test_a_replayed_burst_is_known_again_where_the_sequence_is_the_same(ask, answer, refused, honest):
    answer(ask(), honest)
    assert refused(ask(), honest) == "resubmitted"


@pytest.mark.django_db
def test_a_burst_that_failed_is_known_again_too(ask, refused, honest):
    assert refused(ask(("right", "left", "front")), honest) == "wrong_order"
    assert refused(ask(), honest) == "resubmitted"


@pytest.mark.django_db
@pytest.mark.parametrize("swapped", [slice(4, None), slice(0, 4), slice(5, 7)])
def test_another_person_midway_is_seen(swapped, ask, refused, honest, collins):
    frames = list(honest)
    frames[swapped] = film(collins.captures[2], SEQUENCE)[swapped]
    assert refused(ask(), frames) == "another_person"


@pytest.mark.django_db
def test_frames_in_another_order_are_other_turns(ask, refused, honest):
    pictures = [honest[number].data for number in (0, 4, 5, 6, 7, 1, 2, 3, 8, 9)]
    frames = [TimedFrame(data=data, at_ms=frame.at_ms) for data, frame in zip(pictures, honest, strict=True)]
    assert refused(ask(), frames) == "wrong_order"


@pytest.mark.django_db
def test_frames_that_keep_their_times_cannot_be_reordered(ask, refused, honest):
    assert refused(ask(), honest[::-1]) == "times_implausible"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("claimed", "ago"),
    [
        (range(300, 900, 60), 5),  # ten frames in half a second
        (range(300, 3400, 330), 2),  # longer than the challenge is old
        (range(0, 30_000, 3000), 40),  # minutes of film
        ([0, 330, 330, 660, 990, 1320, 1650, 1980, 2310, 2640], 5),  # two at once
        (range(-3000, 500, 330), 5),
    ],
)
def test_times_that_cannot_be_are_refused_before_any_frame_is_decoded(claimed, ago, ask, refused, honest):
    frames = [dataclasses.replace(frame, at_ms=at) for frame, at in zip(honest, claimed, strict=False)]
    challenge = ask(ago=ago)
    assert refused(challenge, frames) == "times_implausible"
    challenge.refresh_from_db()
    assert challenge.transcript is None


@pytest.mark.django_db
def test_nobody_has_turned_before_the_arrow_could_be_read(ask, refused, honest):
    quick = [dataclasses.replace(frame, at_ms=number * 50) for number, frame in enumerate(honest[:5])]
    rest = [dataclasses.replace(frame, at_ms=400 + number * 330) for number, frame in enumerate(honest[5:])]
    assert refused(ask(), quick + rest) == "times_implausible"


@pytest.mark.django_db
def test_a_late_answer_does_not_count(ask, refused, honest):
    challenge = ask(ago=ANSWER_WITHIN.total_seconds() + 1)
    assert refused(challenge, honest) == "late"
    assert refused(challenge, honest) == "reused"


@pytest.mark.django_db
def test_a_nonce_counts_once(ask, answer, refused, honest, collins):
    challenge = ask()
    answer(challenge, honest)
    assert refused(challenge, film(collins.captures[2], SEQUENCE)) == "reused"
    challenge.refresh_from_db()
    assert challenge.outcome == "passed"


@pytest.mark.django_db
def test_a_failed_answer_spends_it_too(ask, refused, honest):
    challenge = ask()
    assert refused(challenge, honest[:7]) == "too_few_frames"
    assert refused(challenge, honest) == "reused"


@pytest.mark.django_db
def test_a_challenge_is_for_one_act_one_account_and_one_nonce(ask, answer, refused, honest, ana):
    challenge = ask()
    assert refused(challenge, honest, answered_by=ana) == "wrong_context"
    assert refused(challenge, honest, nonce="0" * 64) == "wrong_context"
    assert refused(LivenessChallenge(pk=uuid.uuid4(), nonce=challenge.nonce), honest) == "wrong_context"
    challenge.refresh_from_db()
    assert challenge.outcome == "open"  # somebody else cannot spend it
    assert refused(challenge, honest, context="handoff:another") == "wrong_context"
    assert refused(challenge, honest) == "reused"


@pytest.mark.django_db
def test_a_photo_of_the_enrolment_is_known_where_it_turns(ask, refused, ignacio, beto, collins):
    """The attacker animates the photo that was enrolled: the turns are as asked, and its front is that photo again."""
    enrol_person(person=ignacio, photos=collins.captures, document=collins.document, enrolled_by=beto)
    assert refused(ask(), film(collins.captures[2], SEQUENCE)) == "resubmitted"


@pytest.mark.django_db
def test_too_many_frames_are_not_looked_at(ask, refused, honest):
    frames = [TimedFrame(data=honest[0].data, at_ms=300 + number * 200) for number in range(16)]
    assert refused(ask(), frames) == "too_many_frames"


@pytest.mark.django_db
def test_faces_that_are_not_there_and_faces_that_are_too_many(ask, refused, honest, blank, collins):
    empty = [blank(frame.at_ms) if number in (2, 3, 5, 6) else frame for number, frame in enumerate(honest)]
    assert refused(ask(), empty) == "no_face"
    crowded = [dataclasses.replace(frame, data=beside(frame.data, collins.captures[2])) for frame in honest]
    assert refused(ask(), crowded) == "several_faces"


@pytest.mark.django_db
def test_a_frame_that_is_no_photo_fails_by_its_own_code(ask, refused, honest):
    broken = [*honest[:3], dataclasses.replace(honest[3], data=honest[3].data[:2000]), *honest[4:]]
    assert refused(ask(), broken) == "photo_truncated"
    huge = [dataclasses.replace(honest[0], data=b"\xff\xd8\xff" + bytes(3 << 20)), *honest[1:]]
    assert refused(ask(), huge) == "frame_too_large"


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_at_once_one_counts(ask, answer, honest):
    if connection.vendor == "sqlite":
        connection.ensure_connection()
    challenge, outcomes = ask(), []
    together = threading.Barrier(2)

    def try_it() -> None:
        try:
            together.wait()
            answer(challenge, honest)
            outcomes.append("passed")
        except LivenessFailed as failed:
            outcomes.append(failed.facts["reason_code"])
        finally:
            connection.close()

    threads = [threading.Thread(target=try_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["passed", "reused"]


@pytest.mark.django_db(transaction=True)
def test_a_crash_while_the_frames_are_looked_at_leaves_the_challenge_spent(ask, answer, refused, honest, monkeypatch):
    challenge = ask()
    with monkeypatch.context() as patched:
        patched.setattr(engine, "measure_frame", lambda *_args, **_named: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            answer(challenge, honest)
    assert refused(challenge, honest) == "reused"
    challenge.refresh_from_db()
    assert (challenge.outcome, challenge.failed_for) == ("failed", "unfinished")


# Pictures -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def blank(honest) -> Callable[[int], TimedFrame]:
    """A frame of the same size and nobody in it."""

    def blank(at_ms: int) -> TimedFrame:
        encoded = io.BytesIO()
        Image.new("RGB", (640, 576), (90, 100 + at_ms % 50, 110)).save(encoded, "JPEG")
        return TimedFrame(data=encoded.getvalue(), at_ms=at_ms)

    return blank


def beside(frame: bytes, other: bytes) -> bytes:
    """Put somebody else, as large, at the side of a frame."""
    one, two = Image.open(io.BytesIO(frame)), Image.open(io.BytesIO(turn(other, degrees=0)))
    both = Image.new("RGB", (one.width + two.width, one.height))
    both.paste(one, (0, 0))
    both.paste(two, (one.width, 0))
    encoded = io.BytesIO()
    both.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()
