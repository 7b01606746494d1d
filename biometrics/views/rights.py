"""The rights of the person concerned: erasure and an archive of what is held; and the hold that outweighs erasure."""

import uuid
from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.erasure import Right, erase_person
from biometrics.holds import MAX_AUTHORITY, lift_hold, place_hold
from biometrics.models import EvidenceHold, Person
from biometrics.subject_access import export_person
from refusals import Refusal


@require_http_methods(["GET", "POST"])
@capability_required(Capability.ERASE_PEOPLE)
def erase(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Nothing undoes it, so the beginning of the identifier is typed: a name is too easily another person's."""
    found = get_object_or_404(Person, pk=person_id)
    word, mistyped, refusal = str(found.pk)[:8], False, None
    right, typed = request.POST.get("right", ""), request.POST.get("confirm", "").strip().lower()
    if request.method == "POST":
        mistyped = typed != word
        try:
            if not mistyped:
                erase_person(person=found, erased_by=cast(User, request.user), right=right)
                messages.success(request, _("The person is erased. The entry follows in the ledger."))
                return redirect("person", found.pk)
        except Refusal as refused:
            refusal = refused
    response = render(
        request,
        "biometrics/erase.html",
        {
            "person": found,
            "name": open_names([found]).get(found.pk, "") or _("Name cannot be opened"),
            "word": word,
            "mistyped": mistyped,
            "refusal": refusal,
            "rights": Right.choices,
            "right": right,
            "held": found.holds.filter(lifted_at=None).first(),
            "values": found.evidence.filter(destroyed_at=None).count(),
        },
        status=422 if refusal or mistyped else 200,
    )
    add_never_cache_headers(response)
    return response


@require_POST
@capability_required(Capability.LOOK_AT_EVIDENCE)
def export(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Answer with the archive itself, so that it lies on no disk here."""
    found = get_object_or_404(Person, pk=person_id)
    return archive(export_person(person=found, asked_by=cast(User, request.user)), found)


def archive(content: bytes, of: Person) -> HttpResponse:
    """Wrap an export as a download that nothing on the way may store."""
    response = HttpResponse(content, content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="held-{of.pk}.zip"'
    add_never_cache_headers(response)
    return response


@require_POST
@capability_required(Capability.LOOK_AT_EVIDENCE)
def holds(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Place a hold, or lift the one that is named."""
    found = get_object_or_404(Person, pk=person_id)
    user = cast(User, request.user)
    lifted = request.POST.get("lift", "")
    try:
        if lifted:
            lift_hold(hold=_hold(found, lifted), lifted_by=user)
            messages.success(request, _("The hold is lifted. What is due goes with the next purge."))
        else:
            place_hold(person=found, authority=request.POST.get("authority", "")[: MAX_AUTHORITY + 1], placed_by=user)
            messages.success(request, _("The hold stands: nothing held about this person is destroyed."))
    except Refusal as refusal:
        messages.error(request, refusal.sentence, extra_tags=refusal.code)
    return redirect("person_evidence", found.pk)


def _hold(found: Person, text: str) -> EvidenceHold:
    try:
        hold_id = uuid.UUID(text)
    except ValueError:
        hold_id = uuid.UUID(int=0)
    return get_object_or_404(EvidenceHold, pk=hold_id, person=found)
