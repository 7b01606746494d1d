"""Look at what is held about a person: first the reason, then the value, once, in the answer to that POST alone."""

import base64
import uuid
from typing import Any, cast

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.directory import open_names
from biometrics.errors import LookReasonMissing
from biometrics.looks import MAX_NOTE, image_type, look_at
from biometrics.models import Evidence, EvidenceKind, EvidenceLook, Person
from biometrics.vault import NOT_OPENED
from refusals import Refusal

PER_PAGE = 50
# What a screen can show; of a template or descriptor there is nothing to see.
SHOWN = (EvidenceKind.PHOTO, EvidenceKind.DOCUMENT, EvidenceKind.PROBE, EvidenceKind.FRAME)


class LookForm(forms.Form):
    reason = forms.ChoiceField(
        label=gettext_lazy("What for"), choices=[("", gettext_lazy("Choose")), *EvidenceLook.Reason.choices]
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=MAX_NOTE,
        help_text=gettext_lazy("A file number, or what you look for. It is kept encrypted."),
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
    )


@require_GET
@capability_required(Capability.LOOK_AT_EVIDENCE)
def person_evidence(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """What is held about a person, without showing any of it; who looked at it, and the holds."""
    found = get_object_or_404(Person, pk=person_id)
    rows = found.evidence.defer("ciphertext", "nonce").order_by("-created_at")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    looks = EvidenceLook.objects.filter(evidence__person=found).select_related("evidence", "looked_by", "statement")
    return render(
        request,
        "biometrics/evidence_list.html",
        {
            "person": found,
            "name": _name(found),
            "page": page,
            "shown": SHOWN,
            "looks": looks.defer("evidence__ciphertext")[:PER_PAGE],
            "holds": found.holds.select_related("placed_by", "lifted_by"),
            "held": found.holds.filter(lifted_at=None).exists(),
        },
    )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.LOOK_AT_EVIDENCE)
def look(request: HttpRequest, person_id: uuid.UUID, evidence_id: uuid.UUID) -> HttpResponse:
    """Ask for the reason; answer the POST with the photo in the page itself, which nothing may store."""
    evidence = get_object_or_404(
        Evidence.objects.select_related("person"), pk=evidence_id, person=person_id, kind__in=SHOWN
    )
    form = LookForm(request.POST or None)
    context: dict[str, Any] = {"evidence": evidence, "person": evidence.person, "name": _name(evidence.person)}
    status = 200
    if request.method == "POST":
        try:
            if not form.is_valid():
                raise LookReasonMissing()
            value = look_at(evidence=evidence, looked_by=cast(User, request.user), **form.cleaned_data)
        except Refusal as refusal:
            context["refusal"], status = refusal, refusal.status
        except NOT_OPENED:
            context["unopened"], status = True, 409
        else:
            context["image"] = f"data:{image_type(value)};base64,{base64.b64encode(value).decode()}"
    response = render(request, "biometrics/evidence_look.html", context | {"form": form}, status=status)
    add_never_cache_headers(response)
    return response


@require_GET
@capability_required(Capability.READ_LEDGER)
def looks(request: HttpRequest) -> HttpResponse:
    """Every look at biometric evidence, the newest first: by identifiers, as the ledger has them."""
    found = EvidenceLook.objects.select_related("evidence", "looked_by", "statement")
    chosen = request.GET.get("reason", "")
    if chosen in EvidenceLook.Reason.values:
        found = found.filter(reason=chosen)
    page = Paginator(found.defer("evidence__ciphertext"), PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "biometrics/looks.html",
        {
            "page": page,
            "looks": page.object_list,
            "reasons": EvidenceLook.Reason.choices,
            "chosen": chosen,
            "query": f"reason={chosen}" if chosen in EvidenceLook.Reason.values else "",
        },
    )


def _name(found: Person) -> str:
    return open_names([found]).get(found.pk, "") or _("Name cannot be opened")
