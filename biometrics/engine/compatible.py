"""
What ``face_recognition`` says of the same photos, ten times slower than this engine's own path and with its decisions.

For those who come from that library, and to hold this engine against it; never for a decision here: at 0.6 one stranger
in two hundred matches. It looks for faces on the whole picture, upsampled, and so does this module. This engine's own
path looks on a small grey copy: its boxes differ by some pixels and its descriptors by 0.07 to 0.08, which moves a
distance by a hundredth or so and can turn a decision that stood within that of the threshold.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.descriptor import descriptor_engine
from biometrics.engine.detection import Detection, find_faces_upsampled
from biometrics.engine.landmarks import cut_chip, find_landmarks
from biometrics.engine.photo import Photo

TOLERANCE = 0.6


def face_locations(photo: Photo) -> list[Detection]:
    """Find the faces of ``photo`` on the whole picture in colour, enlarged twofold, in the detector's order."""
    return find_faces_upsampled(photo)


def face_encodings(photo: Photo) -> NDArray[np.float64]:
    """Describe every face of ``photo`` as the network gives it, neither mirrored nor of length one: n × 128."""
    chips = [cut_chip(photo, find_landmarks(photo, face)) for face in face_locations(photo)]
    return descriptor_engine().describe(chips)


def face_distance(encodings: Sequence[NDArray[np.float64]], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tell how far each of ``encodings`` lies from ``other``: float64 of n."""
    if len(encodings) == 0:
        return np.empty(0)
    distances: NDArray[np.float64] = np.linalg.norm(np.asarray(encodings) - other, axis=1)
    return distances


def compare_faces(
    encodings: Sequence[NDArray[np.float64]], other: NDArray[np.float64], tolerance: float = TOLERANCE
) -> list[bool]:
    """Tell of each of ``encodings`` whether it lies within ``tolerance`` of ``other``."""
    return [bool(distance <= tolerance) for distance in face_distance(encodings, other)]
