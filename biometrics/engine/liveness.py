"""
Did the head turn as it was asked to: measured frames, what was asked and when, to a verdict.

Challenge-response evidence. It stops a print and a naive replay; it does not stop an animated photo, a mask, a
generated face or an injected camera. Trusts neither the frames' order nor the times that come with them.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from biometrics.engine import comparison
from biometrics.engine.analysis import sight
from biometrics.engine.calibration import read_calibration
from biometrics.engine.descriptor import describe_faces, descriptor_engine
from biometrics.engine.detection import Detection
from biometrics.engine.landmarks import cut_chip
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import LIVENESS_FRAME, PROBE, Quality, shortfalls

Turn = Literal["left", "right", "front"]
TURNS: tuple[Turn, ...] = ("left", "right", "front")

FEWEST_FRAMES, MOST_FRAMES = 8, 15
# From the five points, thousandths of the eyes' distance: 170 is a turn of about 20°, a face from the front lies within
# 60. Who is asked for 20 to 25° and stops at 16 has turned; between the two a head is on its way and says nothing.
FRONTAL_E3 = 60
TURNED_E3 = 130
# The detector is a frontal one and may lose a face on its way round.
MOST_WITHOUT_FACE = 3
# No hand moves a head sooner than this after a word is shown, and no camera gives frames nearer than this.
FASTEST_REACTION_MS = 250
SHORTEST_GAP_MS, LONGEST_GAP_MS = 40, 2_000
SHORTEST_MS, LONGEST_MS = 1_500, 12_000
# A frontal frame must be as near to the probe as one photo to another; a turned one is farther from it by its turn.
FRONTAL_FMR, TURNED_FMR = "1e-3", "1e-2"


class Failed(Exception):
    """The answer does not hold; ``reason_code`` is what a program reads."""

    def __init__(self, reason_code: str) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame, measured; the pixels themselves are let go of."""

    at_ms: int
    fingerprint: str
    """SHA-256 of the decoded pixels: to know a frame again. Never leaves the sealed transcript."""
    faces: int
    detection: Detection | None = None
    quality: Quality | None = None
    second_face_e4: int | None = None
    chip: NDArray[np.uint8] | None = None

    @property
    def pose(self) -> Turn | None:
        """Where the head points, left being the person's own; None on the way, and where there is no face."""
        if self.quality is None:
            return None
        yaw = self.quality.yaw_e3
        if abs(yaw) <= FRONTAL_E3:
            return "front"
        if abs(yaw) < TURNED_E3:
            return None
        # The nose moves to the right of an unmirrored picture: to the person's own left.
        return "left" if yaw > 0 else "right"


@dataclass(frozen=True, eq=False)
class Described:
    """The faces of a burst, described: which frame is compared with a template, and how far the others are from it."""

    probe: int
    descriptor: NDArray[np.float64]
    distances_e4: dict[int, int]
    """By the frame's place; frames without a face are left out."""


def measure_frame(data: bytes, *, at_ms: int) -> Frame:
    """
    Decode and measure one frame.

    :raises PhotoRefused:
    """
    photo = decode_photo(data)
    fingerprint = hashlib.sha256(photo.rgb.tobytes()).hexdigest()
    seen = sight(photo)
    if seen is None:
        return Frame(at_ms=at_ms, fingerprint=fingerprint, faces=0)
    return Frame(
        at_ms=at_ms,
        fingerprint=fingerprint,
        faces=seen.faces_in_frame,
        detection=seen.detection,
        quality=seen.quality,
        second_face_e4=seen.second_face_e4,
        chip=cut_chip(photo, seen.landmarks),
    )


def require_count(frames: int) -> None:
    """:raises Failed: too_few_frames, too_many_frames"""
    if frames < FEWEST_FRAMES:
        raise Failed("too_few_frames")
    if frames > MOST_FRAMES:
        raise Failed("too_many_frames")


def require_plausible_times(times_ms: Sequence[int], *, elapsed_ms: int) -> None:
    """
    Hold the times that the page claims against each other, and against our own clock.

    :param times_ms: since the first turn was shown
    :param elapsed_ms: by our clock, from the challenge to the answer: nothing can have been filmed for longer
    :raises Failed: times_implausible
    """
    gaps = [later - earlier for earlier, later in itertools.pairwise(times_ms)]
    plausible = (
        times_ms[0] >= 0
        and all(SHORTEST_GAP_MS <= gap <= LONGEST_GAP_MS for gap in gaps)
        and SHORTEST_MS <= times_ms[-1] - times_ms[0] <= LONGEST_MS
        and times_ms[-1] <= elapsed_ms
    )
    if not plausible:
        raise Failed("times_implausible")


def require_one_face_each(frames: Sequence[Frame]) -> None:
    """:raises Failed: no_face, several_faces, and what a frame lacks of LIVENESS_FRAME"""
    if sum(frame.quality is None for frame in frames) > MOST_WITHOUT_FACE:
        raise Failed("no_face")
    if any((frame.second_face_e4 or 0) > LIVENESS_FRAME.max_second_face_e4 for frame in frames):
        raise Failed("several_faces")
    for frame in frames:
        if frame.quality is not None and (lacking := shortfalls(frame.quality, LIVENESS_FRAME)):
            raise Failed(lacking[0].code)


def require_new_frames(frames: Sequence[Frame], *, seen_before: frozenset[str]) -> None:
    """
    Refuse frames that were shown before; frames repeated within the burst count once.

    :param seen_before: the fingerprints of earlier bursts
    :raises Failed: resubmitted, too_few_frames
    """
    fingerprints = {frame.fingerprint for frame in frames}
    if fingerprints & seen_before:
        raise Failed("resubmitted")
    require_count(max(1, len(fingerprints)))


def require_turns(frames: Sequence[Frame], asked: Sequence[Turn]) -> None:
    """
    Find what was asked in the order in which it was asked, and no other turn.

    The head comes from the front, may pass it on the way from one side to the other, and may return to it at the end.

    :raises Failed: no_turn, wrong_order, times_implausible
    """
    poses: list[Turn] = []
    for frame in frames:
        pose = frame.pose
        if pose is not None and (not poses or poses[-1] != pose):
            poses.append(pose)
    if any(poses.count(turn) < asked.count(turn) for turn in TURNS):
        raise Failed("no_turn")
    met = 0
    for pose in poses:
        if met < len(asked) and pose == asked[met]:
            met += 1
        elif pose != "front":
            raise Failed("wrong_order")
    if met < len(asked):
        raise Failed("wrong_order")
    if next(frame.at_ms for frame in frames if frame.pose == asked[0]) < FASTEST_REACTION_MS:
        raise Failed("times_implausible")


def describe_frames(frames: Sequence[Frame]) -> Described:
    """
    Describe every face in one batch, and choose the frontal frame that is compared with the template.

    :raises Failed: no_turn where no frame shows the front, and what the best of them lacks of PROBE
    """
    shown = [number for number, frame in enumerate(frames) if frame.quality is not None]
    frontal = [number for number in shown if frames[number].pose == "front"]
    if not frontal:
        raise Failed("no_turn")
    probe = max(frontal, key=lambda number: _fitness(frames[number]))
    lacking = shortfalls(_quality(frames[probe]), PROBE)
    if lacking:
        raise Failed(lacking[0].code)
    chips = [chip for number in shown if (chip := frames[number].chip) is not None]
    vectors = describe_faces(chips, descriptor_engine())
    descriptor = vectors[shown.index(probe)]
    distances = {number: comparison.distance_e4(descriptor, vectors[at]) for at, number in enumerate(shown)}
    return Described(probe=probe, descriptor=descriptor, distances_e4=distances)


def require_same_person(frames: Sequence[Frame], described: Described) -> None:
    """:raises Failed: another_person"""
    calibration = read_calibration()
    frontal = calibration.threshold(k=1, m=1, target_fmr=FRONTAL_FMR)
    turned = calibration.threshold(k=1, m=1, target_fmr=TURNED_FMR)
    for number, distance_e4 in described.distances_e4.items():
        point = frontal if frames[number].pose == "front" else turned
        if not point.accepts(distance_e4):
            raise Failed("another_person")


def _fitness(frame: Frame) -> tuple[int, int]:
    quality = _quality(frame)
    return -len(shortfalls(quality, PROBE)), quality.score_e3


def _quality(frame: Frame) -> Quality:
    if frame.quality is None:
        raise ValueError("a frame without a face has no quality")
    return frame.quality
