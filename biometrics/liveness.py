"""
Challenge-response: head turns asked for in a random order, answered once, by the account and in the act asked for.

Spending the challenge is committed before any frame is looked at: whatever happens after, it cannot be answered again.
Called challenge-response evidence, for that is what it is; what it does not stop stands in docs/faces.md.
"""

import contextlib
import itertools
import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from biometrics.engine import liveness as engine
from biometrics.engine.analysis import Face
from biometrics.engine.errors import PhotoRefused
from biometrics.engine.liveness import Described, Failed, Frame, Turn
from biometrics.engine.photo import Photo, decode_photo
from biometrics.holds import require_not_erased
from biometrics.models import EvidenceKind, LivenessChallenge, Person
from biometrics.replay import PhotoResubmitted, require_not_resubmitted
from biometrics.vault import open_many, seal_evidence
from ledger.tlog import canonical
from ledger.tlog.errors import NotCanonical
from refusals import Refusal

ANSWER_WITHIN = timedelta(seconds=60)
SECONDS_EACH = 1.3
# Whoever may ask again and again waits for the one sequence that was filmed before.
MOST_CHALLENGES, COUNTED_OVER = 8, timedelta(minutes=10)
# 15 frames of a webcam are some three megabytes.
MOST_FRAME_BYTES = 2 * 2**20
_LOOK_BACK = 20

# Two or three turns to a side, no two asks alike in a row, the front among them; each begins from the front.
SEQUENCES: tuple[tuple[Turn, ...], ...] = tuple(
    asks
    for length in (3, 4)
    for asks in itertools.product(engine.TURNS, repeat=length)
    if asks[0] != "front"
    and "front" in asks
    and all(one != other for one, other in itertools.pairwise(asks))
    and 2 <= sum(ask != "front" for ask in asks) <= 3
)

_SENTENCES = {
    "late": _("The answer came too late. Start again, and turn the head as soon as the page asks."),
    "reused": _("This challenge was answered before. Start again with a new one."),
    "wrong_context": _("This challenge was asked for something or somebody else. Start again here."),
    "too_few_frames": _("Too few different pictures arrived. Start again, and keep this page in front meanwhile."),
    "too_many_frames": _("More pictures arrived than the page takes. Start again."),
    "frame_too_large": _("A picture is larger than the page makes it. Start again."),
    "no_turn": _("A turn that was asked for was not seen. Turn the head a quarter of the way to the shoulder."),
    "wrong_order": _("The head turned in another order than asked. Follow the arrow, one turn at a time."),
    "another_person": _("The pictures do not all show one person. Start again, the same person to the end."),
    "no_face": _("The face was lost while the head turned. Turn less far, in even light."),
    "several_faces": _("Somebody else was in the picture. Only the person concerned may be in it."),
    "times_implausible": _("The pictures' times do not fit together. Start again, and wait for each arrow."),
    "resubmitted": _("These pictures were shown before. The person has to stand in front of the camera now."),
    "face_too_small": _("The face is too small. Come closer."),
    "face_unclear": _("The face does not show clearly. Take off mask, hat or dark glasses."),
    "face_turned": _("The head is turned aside where the front was asked for. Look straight into the camera."),
    "face_too_dark": _("The face is too dark. Turn to a light."),
    "face_too_bright": _("The face is too bright. Step out of the bright light."),
    "face_overexposed": _("Part of the face is glaring white. Move away from the lamp or the sun."),
    "face_underexposed": _("Part of the face lies in black shadow. Let light fall on it from the front."),
    "face_blurred": _("The face is blurred. Turn slowly and hold still when the arrow points to the front."),
}
_OTHERWISE = _("A picture could not be read. Start again.")


class LivenessFailed(Refusal):
    """``reason_code`` among the facts says why; the challenge is spent, but for ``wrong_context`` and ``reused``."""

    code = "liveness_failed"
    message = _("%(reason)s")
    status = 422


class TooManyChallenges(Refusal):
    code = "too_many_challenges"
    message = _("The head turns were started %(most)s times in %(minutes)s minutes. Wait some minutes and start again.")
    status = 429


@dataclass(frozen=True)
class TimedFrame:
    """An encoded frame, and the milliseconds from the first turn's showing to its capture; a claim of the page."""

    data: bytes
    at_ms: int


@dataclass(frozen=True, eq=False)
class LivenessEvidence:
    """A passed challenge, and its best frontal frame: what is compared with a template."""

    challenge: LivenessChallenge
    photo: Photo
    face: Face
    record: dict[str, Any]
    """The ``liveness`` field of the verification record."""


def issue_challenge(*, person: Person, context: str, issued_to: User) -> LivenessChallenge:
    """
    Ask for head turns in an order that nobody can foresee.

    :param context: what the answer will count for, such as ``handoff:<uuid>``
    :raises Refusal: person_erased, too_many_challenges
    """
    require_not_erased(person)
    now = timezone.now()
    lately = LivenessChallenge.objects.filter(person=person, context=context, issued_at__gt=now - COUNTED_OVER)
    if lately.count() >= MOST_CHALLENGES:
        raise TooManyChallenges(most=MOST_CHALLENGES, minutes=int(COUNTED_OVER.total_seconds() // 60))
    return LivenessChallenge.objects.create(
        person=person,
        context=context,
        nonce=secrets.token_hex(32),
        turns=list(secrets.choice(SEQUENCES)),
        issued_to=issued_to,
        issued_at=now,
        expires_at=now + ANSWER_WITHIN,
    )


def answer_challenge(
    *, challenge: uuid.UUID, nonce: str, context: str, frames: Sequence[TimedFrame], answered_by: User
) -> LivenessEvidence:
    """
    Spend the challenge, then judge the frames; passed or not, the transcript is kept sealed.

    :raises LivenessFailed:
    """
    answered_at = timezone.now()
    row = _spend(challenge, nonce, answered_by, answered_at)
    judged = _Judged()
    try:
        _judge(judged, row, context, frames, answered_at)
    except Failed as failed:
        _close(row, judged, failed.reason_code)
        raise _failure(failed.reason_code) from failed
    described, face = cast(Described, judged.described), _face(judged)
    _close(row, judged, "")
    photo = decode_photo(frames[described.probe].data)
    return LivenessEvidence(challenge=row, photo=photo, face=face, record=_record(row, judged))


class _Judged:
    """What became known of the frames before a verdict stood."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.described: Described | None = None


def _spend(challenge: uuid.UUID, nonce: str, answered_by: User, at: datetime) -> LivenessChallenge:
    mine = LivenessChallenge.objects.filter(pk=challenge, nonce=nonce, issued_to=answered_by)
    # Of two answers at once one finds the row open. Durable, so that no caller's rollback opens it again; a crash from
    # here on leaves it failed.
    with transaction.atomic(durable=True):
        spent = mine.filter(outcome=LivenessChallenge.Outcome.OPEN).update(
            outcome=LivenessChallenge.Outcome.FAILED, answered_at=at, failed_for="unfinished"
        )
    row = mine.select_related("person").first()
    if row is None:
        raise _failure("wrong_context")
    if not spent:
        raise _failure("reused")
    return row


def _judge(
    judged: _Judged, row: LivenessChallenge, context: str, frames: Sequence[TimedFrame], answered_at: datetime
) -> None:
    if row.context != context:
        raise Failed("wrong_context")
    if answered_at > row.expires_at:
        raise Failed("late")
    engine.require_count(len(frames))
    if any(len(frame.data) > MOST_FRAME_BYTES for frame in frames):
        raise Failed("frame_too_large")
    elapsed = round((answered_at - row.issued_at).total_seconds() * 1000)
    engine.require_plausible_times([frame.at_ms for frame in frames], elapsed_ms=elapsed)
    with _refused_as_failed():
        for frame in frames:
            judged.frames.append(engine.measure_frame(frame.data, at_ms=frame.at_ms))
    engine.require_one_face_each(judged.frames)
    engine.require_new_frames(judged.frames, seen_before=_seen_before(row))
    engine.require_turns(judged.frames, cast(Sequence[Turn], row.turns))
    judged.described = engine.describe_frames(judged.frames)
    engine.require_same_person(judged.frames, judged.described)
    try:
        require_not_resubmitted(person=row.person, descriptor=judged.described.descriptor)
    except PhotoResubmitted as error:
        raise Failed("resubmitted") from error


@contextlib.contextmanager
def _refused_as_failed() -> Iterator[None]:
    try:
        yield
    except PhotoRefused as refused:
        raise Failed(refused.code) from refused


def _seen_before(row: LivenessChallenge) -> frozenset[str]:
    """Collect the fingerprints of the person's last bursts; a transcript that was destroyed or altered tells none."""
    earlier = LivenessChallenge.objects.filter(person=row.person).exclude(transcript=None).order_by("-answered_at")
    kept = [challenge.transcript for challenge in earlier.select_related("transcript")[:_LOOK_BACK]]
    found: set[str] = set()
    for value in open_many([transcript for transcript in kept if transcript is not None]).values():
        with contextlib.suppress(NotCanonical, KeyError, TypeError):
            found.update(frame["pixels"] for frame in canonical.decode(value)["frames"])
    return frozenset(found)


def _close(row: LivenessChallenge, judged: _Judged, reason_code: str) -> None:
    """Seal the transcript and write the outcome; a failure before any frame was measured leaves no transcript."""
    outcome = LivenessChallenge.Outcome.FAILED if reason_code else LivenessChallenge.Outcome.PASSED
    with transaction.atomic():
        person = Person.objects.select_for_update().get(pk=row.person_id)
        # Erased while the frames were looked at: nothing of them may be kept.
        require_not_erased(person)
        if judged.frames:
            row.transcript = seal_evidence(
                person=person, kind=EvidenceKind.TRANSCRIPT, value=_transcript(row, judged, reason_code)
            )
        row.outcome, row.failed_for = outcome, reason_code
        row.save(update_fields=["outcome", "failed_for", "transcript"])


def _transcript(row: LivenessChallenge, judged: _Judged, reason_code: str) -> bytes:
    distances = judged.described.distances_e4 if judged.described else {}
    frames = []
    for number, frame in enumerate(judged.frames):
        told: dict[str, Any] = {"at_ms": frame.at_ms, "faces": frame.faces, "pixels": frame.fingerprint}
        if frame.quality is not None:
            told |= {"yaw_e3": frame.quality.yaw_e3, "score_e3": frame.quality.score_e3}
        if number in distances:
            told["distance_e4"] = distances[number]
        frames.append(told)
    transcript: dict[str, Any] = {
        "challenge": row.pk.urn,
        "context": row.context,
        "nonce": row.nonce,
        "turns": row.turns,
        "frames": frames,
        "outcome": reason_code or "passed",
    }
    if judged.described is not None:
        transcript["probe"] = judged.described.probe
    return canonical.encode(transcript)


def _record(row: LivenessChallenge, judged: _Judged) -> dict[str, Any]:
    record = {
        "method": "challenge_response",
        "outcome": "passed",
        "challenge": row.pk.urn,
        "turns": list(row.turns),
        "frames": len(judged.frames),
        "duration_ms": judged.frames[-1].at_ms - judged.frames[0].at_ms,
    }
    if row.transcript is not None:
        record["transcript"] = row.transcript.commitment
    return record


def _face(judged: _Judged) -> Face:
    described = cast(Described, judged.described)
    frame = judged.frames[described.probe]
    if frame.detection is None or frame.quality is None:
        raise ValueError("the probe frame shows a face")
    return Face(
        descriptor=described.descriptor,
        detection=frame.detection,
        quality=frame.quality,
        faces_in_frame=frame.faces,
        second_face_e4=frame.second_face_e4,
        seconds={},
    )


def _failure(reason_code: str) -> LivenessFailed:
    return LivenessFailed(reason=_SENTENCES.get(reason_code, _OTHERWISE), reason_code=reason_code)
