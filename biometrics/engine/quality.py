"""
How good a capture is, as integers: they stand in ledger entries, where no float may.

Measured on every photo; what a capture must reach is the policy's to say.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biometrics.engine.detection import Detection
from biometrics.engine.errors import FaceTooSmall
from biometrics.engine.landmarks import Landmarks
from biometrics.engine.photo import Photo

# A pixel is over- or under-exposed when it holds no more detail than these levels of 255 allow.
OVEREXPOSED_FROM = 250
UNDEREXPOSED_TO = 20
_BOX_PX = 150


@dataclass(frozen=True)
class CapturePolicy:
    """What a photo must reach to be compared."""

    min_eye_distance_px: int
    max_second_face_e4: int
    look_closer: bool


# Bystanders happen where goods change hands; where a template is made, nobody else may be in the photo.
PROBE = CapturePolicy(min_eye_distance_px=40, max_second_face_e4=3000, look_closer=False)
ENROLMENT = CapturePolicy(min_eye_distance_px=40, max_second_face_e4=0, look_closer=True)


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


def require_quality(quality: Quality, policy: CapturePolicy) -> None:
    """:raises FaceTooSmall:"""
    if quality.eye_distance_px < policy.min_eye_distance_px:
        raise FaceTooSmall(found=quality.eye_distance_px, needed=policy.min_eye_distance_px)


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
