"""
How good a capture is, as integers: they stand in ledger entries, where no float may.

Measured on every photo; what a capture must reach is the policy's to say.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biometrics.engine.detection import Detection
from biometrics.engine.errors import (
    FaceBlurred,
    FaceOverexposed,
    FaceRefused,
    FaceTooBright,
    FaceTooDark,
    FaceTooSmall,
    FaceTurned,
    FaceUnclear,
    FaceUnderexposed,
)
from biometrics.engine.landmarks import Landmarks
from biometrics.engine.photo import Photo

# A pixel is over- or under-exposed when it holds no more detail than these levels of 255 allow.
OVEREXPOSED_FROM = 250
UNDEREXPOSED_TO = 20
_BOX_PX = 150


@dataclass(frozen=True)
class CapturePolicy:
    """
    What a photo must reach to be compared. Where a limit is None, it is measured and not required.

    The limits are those at which the errors of comparison were measured to fall (docs/faces.md).
    """

    max_second_face_e4: int
    look_closer: bool
    min_eye_distance_px: int
    min_score_e3: int
    max_yaw_e3: int | None = None
    min_luminance_e3: int | None = None
    max_luminance_e3: int | None = None
    max_overexposed_e4: int | None = None
    max_underexposed_e4: int | None = None
    min_sharpness: int | None = None


# Bystanders happen where goods change hands; where a template is made, nobody else may be in the photo.
PROBE = CapturePolicy(
    max_second_face_e4=3000,
    look_closer=False,
    min_eye_distance_px=60,
    min_score_e3=700,
    max_yaw_e3=170,
    min_luminance_e3=300,
    max_luminance_e3=800,
    max_overexposed_e4=800,
    max_underexposed_e4=1900,
    min_sharpness=210,
)
ENROLMENT = CapturePolicy(
    max_second_face_e4=0,
    look_closer=True,
    min_eye_distance_px=90,
    min_score_e3=1000,
    max_yaw_e3=100,
    min_luminance_e3=350,
    max_luminance_e3=750,
    max_overexposed_e4=200,
    max_underexposed_e4=1300,
    min_sharpness=290,
)
# Whoever passes a camera does not pose for it: what does not reach this is a face that was seen and is not compared.
PASSING = CapturePolicy(
    max_second_face_e4=10_000,
    look_closer=True,
    min_eye_distance_px=40,
    min_score_e3=400,
    max_yaw_e3=250,
    min_luminance_e3=200,
    max_luminance_e3=850,
    max_overexposed_e4=1500,
    max_underexposed_e4=3000,
    min_sharpness=100,
)
# A head in motion is turned and blurred; the frame that is compared with the template meets PROBE besides.
LIVENESS_FRAME = CapturePolicy(max_second_face_e4=3000, look_closer=False, min_eye_distance_px=60, min_score_e3=250)


@dataclass(frozen=True)
class Quality:
    """The unit stands in each name: _px pixels, _e3 thousandths, _e4 ten-thousandths."""

    eye_distance_px: int
    score_e3: int  # the detector's confidence
    yaw_e3: int  # how far the nose stands beside the middle of the eyes, by the eyes' distance; signed
    luminance_e3: int  # mean of the face box, of full white
    overexposed_e4: int
    underexposed_e4: int
    sharpness: int  # variance of the Laplacian over the face box at 150 px

    def as_record(self) -> dict[str, int]:
        return asdict(self)


def measure_quality(photo: Photo, face: Detection, landmarks: Landmarks) -> Quality:
    """Measure one detected face."""
    eyes = landmarks.points[0:2].mean(axis=0), landmarks.points[2:4].mean(axis=0)
    between = eyes[0] - eyes[1]
    eye_distance = max(float(np.hypot(*between)), 1e-9)
    # Along the line of the eyes, so that a tilted head is not taken for a turned one.
    yaw = float((landmarks.points[4] - (eyes[0] + eyes[1]) / 2) @ between) / eye_distance**2
    box = _face_box(photo.grey, face)
    return Quality(
        eye_distance_px=round(eye_distance),
        score_e3=round(face.score * 1000),
        yaw_e3=round(yaw * 1000),
        luminance_e3=round(float(box.mean()) / 255 * 1000),
        overexposed_e4=round(float((box >= OVEREXPOSED_FROM).mean()) * 10_000),
        underexposed_e4=round(float((box <= UNDEREXPOSED_TO).mean()) * 10_000),
        sharpness=round(_laplacian_variance(box)),
    )


def shortfalls(quality: Quality, policy: CapturePolicy) -> list[FaceRefused]:
    """
    Name everything that ``quality`` lacks for ``policy``, what helps most first.

    Nearness before the rest, for a small face is neither sharp nor sure; light before sharpness, for a camera in the
    dark is slow; the detector's score last but blur: it suffers from all the others.
    """
    return list(_shortfalls(quality, policy))


def _shortfalls(quality: Quality, policy: CapturePolicy) -> Iterator[FaceRefused]:
    if quality.eye_distance_px < policy.min_eye_distance_px:
        yield FaceTooSmall(found=quality.eye_distance_px, needed=policy.min_eye_distance_px)
    if policy.max_yaw_e3 is not None and abs(quality.yaw_e3) > policy.max_yaw_e3:
        yield FaceTurned(found=abs(quality.yaw_e3), allowed=policy.max_yaw_e3)
    if policy.min_luminance_e3 is not None and quality.luminance_e3 < policy.min_luminance_e3:
        yield FaceTooDark(found=_percent(quality.luminance_e3, 10), needed=_percent(policy.min_luminance_e3, 10))
    if policy.max_luminance_e3 is not None and quality.luminance_e3 > policy.max_luminance_e3:
        yield FaceTooBright(found=_percent(quality.luminance_e3, 10), allowed=_percent(policy.max_luminance_e3, 10))
    if policy.max_overexposed_e4 is not None and quality.overexposed_e4 > policy.max_overexposed_e4:
        found, allowed = _percent(quality.overexposed_e4, 100), _percent(policy.max_overexposed_e4, 100)
        yield FaceOverexposed(found=found, allowed=allowed)
    if policy.max_underexposed_e4 is not None and quality.underexposed_e4 > policy.max_underexposed_e4:
        found, allowed = _percent(quality.underexposed_e4, 100), _percent(policy.max_underexposed_e4, 100)
        yield FaceUnderexposed(found=found, allowed=allowed)
    if quality.score_e3 < policy.min_score_e3:
        yield FaceUnclear(found=_percent(quality.score_e3, 10), needed=_percent(policy.min_score_e3, 10))
    if policy.min_sharpness is not None and quality.sharpness < policy.min_sharpness:
        yield FaceBlurred(found=quality.sharpness, needed=policy.min_sharpness)


def require_quality(quality: Quality, policy: CapturePolicy) -> None:
    """
    Refuse a capture that lacks anything, with the sentence that helps most.

    :raises FaceRefused: face_too_small, face_turned, face_too_dark, face_too_bright, face_overexposed,
        face_underexposed, face_unclear, face_blurred
    """
    for shortfall in _shortfalls(quality, policy):
        raise shortfall


def _percent(value: int, part: int) -> str:
    """Write an integer of parts of a percent with one decimal where it has one: never rounded into the limit."""
    return f"{value / part:.1f}".removesuffix(".0") if part == 10 else f"{value / part:.2f}".removesuffix(".00")


def _face_box(grey: NDArray[np.uint8], face: Detection) -> NDArray[np.uint8]:
    """Cut the part of the box that lies inside the photo, scaled to 150 px."""
    height, width = grey.shape
    left, top = min(max(face.left, 0), width - 1), min(max(face.top, 0), height - 1)
    right, bottom = max(min(face.right, width), left + 1), max(min(face.bottom, height), top + 1)
    box = Image.fromarray(np.ascontiguousarray(grey[top:bottom, left:right]))
    return np.asarray(box.resize((_BOX_PX, _BOX_PX), Image.Resampling.BILINEAR))


def _laplacian_variance(grey: NDArray[np.uint8]) -> float:
    levels = grey.astype(np.float64)
    inner = levels[1:-1, 1:-1]
    laplacian = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * inner
    return float(laplacian.var())
