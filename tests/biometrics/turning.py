"""
Frames of a head that turns, made by WARPING real photos: nobody turned a head in front of a camera for them.

The photo is laid over a smooth relief of a head (an ellipsoid with a nose on it) and that is turned. It moves the five
landmarks as a turn does, and keeps a real face's texture; it cannot show what the photo did not. So these frames test
the protocol and the measure of a turn, and prove nothing about how many honest people pass.
"""

import io
import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

import numpy as np
from django.utils import timezone
from PIL import Image

from biometrics.engine.analysis import sight
from biometrics.engine.liveness import FRONTAL_E3, TURNED_E3
from biometrics.engine.photo import decode_photo
from biometrics.liveness import TimedFrame
from biometrics.models import LivenessChallenge

# Beyond what is taken for a turn, so that a JPEG's noise decides nothing.
WELL_TURNED_E3 = TURNED_E3 + 15
# Of the eyes' distance: a head's half width, half height and depth, the nose's height over it, its spread.
_WIDTH, _HEIGHT, _DEPTH, _NOSE, _NOSE_SPREAD = 1.5, 2.0, 1.25, 0.75, 0.35


@cache
def turn(photo: bytes, *, degrees: float, width: int = 640, shift: float = 0.0) -> bytes:
    """
    Warp the face of ``photo`` as if its head turned, and encode the frame as JPEG.

    :param degrees: positive to the person's own left, which is the right of the picture
    :param width: of the frame, in pixels
    :param shift: how far the whole frame moves, in pixels: a head is never quite still
    """
    picture = _frame(photo, width)
    seen = sight(decode_photo(_encode(picture)))
    assert seen is not None, "the photo to warp shows no face"
    points = seen.landmarks.points
    eyes = points[0:4].mean(axis=0)
    unit = float(np.hypot(*(points[0:2].mean(axis=0) - points[2:4].mean(axis=0))))
    nose = points[4] - np.array([0.0, 0.12 * unit])
    return _encode(_turned(picture, eyes, nose, unit, np.deg2rad(degrees), shift))


def _turned(
    picture: np.ndarray, eyes: np.ndarray, nose: np.ndarray, unit: float, angle: float, shift: float
) -> np.ndarray:
    rows, columns = np.indices(picture.shape[:2], dtype=np.float64)
    centre = eyes + np.array([0.0, 0.35 * unit])
    target = columns - centre[0] - shift
    source = target.copy()
    down = (rows - centre[1]) / (_HEIGHT * unit)
    # The column that a turn brings here: a fixed point, for the relief is a function of the column looked for.
    for _ in range(8):
        across = source / (_WIDTH * unit)
        head = _DEPTH * np.exp(-(across**4) - down**4)
        off_nose = ((source + centre[0] - nose[0]) ** 2 + (rows - nose[1]) ** 2) / (_NOSE_SPREAD * unit) ** 2
        relief = (head + _NOSE * np.exp(-off_nose / 2)) * unit
        source = 0.5 * source + 0.5 * (target - relief * np.sin(angle))
    return _sample(picture, source + centre[0])


def _sample(picture: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read ``picture`` at fractional columns, between neighbours."""
    columns = np.clip(columns, 0, picture.shape[1] - 1.001)
    left = columns.astype(int)
    part = (columns - left)[..., None]
    rows = np.arange(picture.shape[0])[:, None]
    return np.rint(picture[rows, left] * (1 - part) + picture[rows, left + 1] * part).astype(np.uint8)


def _frame(photo: bytes, width: int) -> np.ndarray:
    """Frame the face as a person before a webcam does: head and shoulders, of this width."""
    seen = sight(decode_photo(photo))
    assert seen is not None, "the photo to warp shows no face"
    face = seen.detection
    side = (face.right - face.left) * 2.6
    across, down = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    box = (across - side / 2, down - side * 0.45, across + side / 2, down + side * 0.45)
    picture = Image.fromarray(seen.photo.rgb)
    size = (width, round(width * 0.9))
    return np.asarray(picture.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC))


def _encode(picture: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


@cache
def angles(photo: bytes) -> dict[str, float]:
    """
    Find how far to warp ``photo`` for each thing asked: people do not look quite straight into a photographer's camera.

    :raises AssertionError: where no warp of it shows the front or a turned head
    """
    yaws = {degrees: _yaw(turn(photo, degrees=degrees)) for degrees in range(-42, 43, 3)}
    front = min(yaws, key=lambda degrees: abs(yaws[degrees]))
    assert abs(yaws[front]) <= FRONTAL_E3, yaws
    found = {"front": float(front)}
    for side, sign in (("left", 1), ("right", -1)):
        far = [degrees for degrees in yaws if (degrees - front) * sign > 0 and yaws[degrees] * sign >= WELL_TURNED_E3]
        assert far, (side, yaws)
        found[side] = float(min(far, key=abs))
    return found


def _yaw(frame: bytes) -> int:
    seen = sight(decode_photo(frame))
    return 0 if seen is None else seen.quality.yaw_e3


def wait_for_film(challenge: uuid.UUID, *, seconds: int = 6) -> None:
    """
    Date a challenge back by the seconds that its film claims to take: the server's clock is held against it.

    From now on, so that a busy machine that was long at warping the frames answers as soon as any other.
    """
    row = LivenessChallenge.objects.get(pk=challenge)
    issued_at = timezone.now() - timedelta(seconds=seconds)
    LivenessChallenge.objects.filter(pk=challenge).update(
        issued_at=issued_at, expires_at=issued_at + (row.expires_at - row.issued_at)
    )


def film(
    photo: bytes, turns: Sequence[str], *, frames_each: int = 3, first_ms: int = 300, step_ms: int = 330
) -> list[TimedFrame]:
    """
    Answer ``turns`` with warped frames of ``photo``: one from the front, then on the way to each place and in it.

    No two frames are alike: the head moves a pixel on each.
    """
    goals = angles(photo)
    degrees = [goals["front"]]
    for asked in turns:
        start, way = degrees[-1], goals[asked] - degrees[-1]
        degrees += [start + way * part / (frames_each - 1) for part in range(1, frames_each)]
        degrees.append(goals[asked])
    return [
        TimedFrame(data=turn(photo, degrees=angle, shift=number * 1.5), at_ms=first_ms + number * step_ms)
        for number, angle in enumerate(degrees)
    ]
