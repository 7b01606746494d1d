"""What a page with a camera asks while it is used: a challenge to answer, and what the picture lacks just now."""

import time
import uuid
from dataclasses import replace
from typing import Any, cast

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.engine.analysis import sight
from biometrics.engine.errors import FaceRefused, NoFaceFound, PhotoRefused, SeveralFaces
from biometrics.engine.photo import decode_photo
from biometrics.engine.quality import ENROLMENT, PROBE, CapturePolicy, require_quality
from biometrics.liveness import SECONDS_EACH, issue_challenge
from biometrics.models import LivenessChallenge, Person
from ledger.tlog.times import format_time
from refusals import Refusal

POLICIES = {"probe": PROBE, "enrolment": ENROLMENT}
# A page posts a hint about every 700 ms; more than this comes from something else.
MOST_HINTS, HINTS_OVER_SECONDS = 60, 30
MAX_HINT_BYTES = 512 * 1024
# Below this distance of the eyes a face box has fewer pixels than sharpness is measured on.
SHARP_FROM_PX = 75
MAX_CONTEXT = LivenessChallenge._meta.get_field("context").max_length

SENTENCES = {
    "left": gettext_lazy("Turn your head to your left."),
    "right": gettext_lazy("Turn your head to your right."),
    "front": gettext_lazy("Look straight into the camera."),
}


def describe(challenge: LivenessChallenge) -> dict[str, Any]:
    """Tell a page or a program what to ask for, and until when."""
    return {
        "challenge": str(challenge.pk),
        "nonce": challenge.nonce,
        "turns": [{"ask": turn, "sentence": str(SENTENCES[turn])} for turn in challenge.turns],
        "seconds": round(len(challenge.turns) * SECONDS_EACH, 1),
        "expires_at": format_time(challenge.expires_at),
    }


@require_POST
@never_cache
@capability_required(
    Capability.HAND_OFF,
    Capability.MANAGE_PEOPLE,
    Capability.INTERVENE,
    Capability.CHECK_PASSAGES,
    Capability.DECLARE,
)
def person_challenge(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    person = get_object_or_404(Person, pk=person_id)
    context = request.POST.get("context", "")
    if not 0 < len(context) <= (MAX_CONTEXT or 0):
        return JsonResponse({"code": "context_missing", "sentence": _("Reload the page and start again.")}, status=400)
    try:
        challenge = issue_challenge(person=person, context=context, issued_to=cast(User, request.user))
    except Refusal as refusal:
        return JsonResponse({"code": refusal.code, "sentence": refusal.sentence}, status=refusal.status)
    return JsonResponse(describe(challenge), status=201)


@require_POST
@never_cache
@capability_required(
    Capability.HAND_OFF,
    Capability.MANAGE_PEOPLE,
    Capability.KEEP_WATCHLIST,
    Capability.INTERVENE,
    Capability.CHECK_PASSAGES,
    Capability.DECLARE,
)
def capture_hint(request: HttpRequest) -> HttpResponse:
    """Say what one small frame lacks for its purpose. Nothing is kept, and no face is described."""
    if _too_often(request):
        return JsonResponse({"ok": False, "code": "too_many_hints", "sentence": ""}, status=429)
    policy = POLICIES.get(request.POST.get("policy", ""), PROBE)
    frame = request.FILES.get("frame")
    data = frame.read(MAX_HINT_BYTES + 1) if frame else b""
    if len(data) > MAX_HINT_BYTES:
        return JsonResponse({"ok": False, "code": "frame_too_large", "sentence": ""}, status=413)
    try:
        _require(data, policy, times_larger=_times_larger(request.POST.get("times_larger", "")))
    except (PhotoRefused, FaceRefused) as refusal:
        return JsonResponse({"ok": False, "code": refusal.code, "sentence": refusal.sentence})
    return JsonResponse({"ok": True, "code": "", "sentence": _("Good. Hold still.")})


def _require(data: bytes, policy: CapturePolicy, *, times_larger: float) -> None:
    """:raises PhotoRefused, FaceRefused:"""
    seen = sight(decode_photo(data), look_closer=policy.look_closer)
    if seen is None:
        raise NoFaceFound
    if (seen.second_face_e4 or 0) > policy.max_second_face_e4:
        raise SeveralFaces(count=seen.faces_in_frame)
    quality = replace(seen.quality, eye_distance_px=round(seen.quality.eye_distance_px * times_larger))
    if seen.quality.eye_distance_px < SHARP_FROM_PX:
        # A small copy of a sharp face is not sharp: what it was before, the photo itself will show.
        policy = replace(policy, min_sharpness=None)
    require_quality(quality, policy)


def _times_larger(text: str) -> float:
    """Read how much wider the camera's picture is than the frame that was sent."""
    try:
        times = float(text)
    except ValueError:
        return 1.0
    # Written so that a NaN counts as one.
    return times if 1.0 <= times <= 8.0 else 1.0


def _too_often(request: HttpRequest) -> bool:
    window = int(time.time() // HINTS_OVER_SECONDS)
    key = f"capture-hints:{cast(User, request.user).pk}:{request.session.session_key}:{window}"
    cache.add(key, 0, HINTS_OVER_SECONDS * 2)
    try:
        return cache.incr(key) > MOST_HINTS
    except ValueError:  # the cache let go of it in between
        return False
