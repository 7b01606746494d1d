"""The face as a form posts it: a burst that answers a challenge, or a still."""

from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from biometrics.verification import MOST_FRAMES, Burst, Still, read_burst


def read_capture(request: HttpRequest, *, context: str) -> Still | Burst:
    """
    Read what partials/camera.html or partials/liveness.html posted.

    :param context: what the challenge was issued for
    :raises FramesMalformed:
    """
    captured_at = _captured_at(request.POST.get("captured_at", ""))
    frames = request.FILES.getlist("frames")[: MOST_FRAMES + 1]
    if frames:
        return read_burst(
            challenge=request.POST.get("challenge", ""),
            nonce=request.POST.get("nonce", "")[:128],
            context=context,
            frames=[frame.read() for frame in frames],
            frame_times=request.POST.get("frame_times", "")[:1024],
            captured_at=captured_at,
        )
    photo = request.FILES.get("photo")
    return Still(photo.read() if photo else b"", captured_at)


def camera_of(request: HttpRequest) -> str:
    """What the camera calls itself; empty where a file was chosen."""
    return request.POST.get("camera_device", "").strip()[:100]


def _captured_at(text: str) -> datetime:
    """When the camera says that the still was taken; now, where a file was chosen or the claim cannot be read."""
    try:
        claimed = parse_datetime(text)
    except ValueError:
        claimed = None
    if claimed is None:
        return timezone.now()
    return claimed.astimezone(UTC) if claimed.tzinfo else claimed.replace(tzinfo=UTC)
