"""
A prepared declaration: what it says, the face of its author, badge or PIN, and it is submitted.

The page stands as long as the draft does: whoever reloads it, or comes back to it later, goes on where they were.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.live import reload_if_logged_out
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Badge, CaptureSource, Pin, Verification
from biometrics.people import display_name
from biometrics.verification import Burst, liveness_required
from custody.declaring import content_of, discard_draft, liveness_context, submit_draft, verify_author
from custody.faces_shown import FACE_ATTEMPTS, FACE_HOLDS_FOR, attempts_left, awaits_second_capture, face_holds
from custody.models import ActState, DeclarationDraft
from custody.views.captures import camera_of, read_capture
from custody.views.declarations import change_told, item_told
from custody.views.declaring import own_drafts
from refusals import Refusal
from shipments.declarations import DeclarationNotAsShown, changes_of
from shipments.declared_text import ROLE_NAMES

# Above the camera, so that they are read before the face is shown; all items stand below it.
CHANGES_SHOWN = 20


@require_GET
@capability_required(Capability.DECLARE)
def draft(request: HttpRequest, draft_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(own_drafts(request), pk=draft_id)
    if found.version is not None:
        return redirect("declaration_version", found.version.declaration_id, found.version.number)
    person, waits = found.person, found.state == ActState.OPEN
    return render(
        request,
        "custody/declaration_draft.html",
        {
            "draft": found,
            "shipment": found.consignment,
            "author": display_name(person),
            "waits": waits,
            "refused": found.state == ActState.REFUSED,
            "confirmed": waits and face_holds(found),
            "too_old": waits and found.verification is not None and not face_holds(found),
            "minutes": int(FACE_HOLDS_FOR.total_seconds() // 60),
            "left": attempts_left(found),
            "fewer_left": attempts_left(found) < FACE_ATTEMPTS,
            "once_more": waits and awaits_second_capture(found),
            "enrolled": not person.exempt and person.templates.filter(active=True).exists(),
            "has_badge": Badge.objects.filter(person=person, revoked_at=None).exists(),
            "has_pin": Pin.objects.filter(person=person).exists(),
            "liveness_required": liveness_required(),
            "liveness_context": liveness_context(found),
            **_content(found),
        },
    )


def _content(found: DeclarationDraft) -> dict[str, Any]:
    """What is to be declared, and what of the version before it would change."""
    try:
        document = content_of(found)
    except DeclarationNotAsShown as refusal:
        return {"document": {}, "problem": refusal.sentence}
    changes = changes_of(found.declaration, document) if found.declaration is not None else []
    return {
        "document": document,
        "items": [item_told(item) for item in document["items"]],
        "parties": [{"role": ROLE_NAMES[role], "name": named["name"]} for role, named in found.parties.items()],
        "changes": [change_told(change.as_json()) for change in changes[:CHANGES_SHOWN]],
        "changes_more": max(len(changes) - CHANGES_SHOWN, 0),
    }


def _step(act: Callable[[HttpRequest, DeclarationDraft], None]) -> Callable[..., HttpResponse]:
    """Wrap one step: a refusal is told on the draft's page, which keeps all that was prepared."""

    @reload_if_logged_out
    @capability_required(Capability.DECLARE)
    @wraps(act)
    def step(request: HttpRequest, draft_id: uuid.UUID) -> HttpResponse:
        # Who had to log in between comes back by GET: show the page, do nothing.
        if request.method == "POST":
            try:
                act(request, get_object_or_404(own_drafts(request), pk=draft_id))
            except Refusal as refusal:
                messages.error(request, refusal.sentence, extra_tags=refusal.code)
        return redirect("declaration_draft", draft_id)

    return step


@_step
def face(request: HttpRequest, found: DeclarationDraft) -> None:
    capture = read_capture(request, context=liveness_context(found))
    camera = camera_of(request)
    verification = verify_author(
        draft=found,
        capture=capture,
        source=CaptureSource.WEBCAM if camera or isinstance(capture, Burst) else CaptureSource.UPLOAD,
        camera=camera,
        by=cast(User, request.user),
    )
    if verification.outcome == Verification.Outcome.SECOND_CAPTURE:
        messages.info(request, _("One more capture is needed."))


@_step
def submit(request: HttpRequest, found: DeclarationDraft) -> None:
    version = submit_draft(
        draft=found,
        by=cast(User, request.user),
        pin=request.POST.get("pin", "").strip()[:32],
        badge=request.POST.get("badge", "").strip()[:64],
    )
    messages.success(
        request,
        _("Version %(number)s of %(lrn)s is submitted.") % {"number": version.number, "lrn": version.declaration.lrn},
    )


@_step
def discard(request: HttpRequest, found: DeclarationDraft) -> None:
    discard_draft(draft=found, by=cast(User, request.user))
