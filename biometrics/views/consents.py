"""A consent on paper, and its withdrawal: what the person takes away, and what they may say at any time."""

import uuid
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.consent import read_consent_text, withdraw_consent
from biometrics.directory import open_names
from biometrics.errors import ConsentTextUnknown
from biometrics.models import Consent
from biometrics.people import people_on_file
from ledger.models import Statement
from refusals import Refusal


@require_GET
@capability_required(Capability.SEE_PEOPLE)
def receipt(request: HttpRequest, person_id: uuid.UUID, consent_id: uuid.UUID) -> HttpResponse:
    """
    Show one consent to print: who, to what, in which words, until when, and how to withdraw (ISO/IEC TS 27560).

    The text is the file that was shown; where the file no longer has the recorded digest, the page says so.
    """
    consent = get_object_or_404(
        Consent.objects.select_related("person", "recorded_by").filter(person__in=people_on_file()),
        pk=consent_id,
        person=person_id,
    )
    response = render(request, "biometrics/consent_receipt.html", _receipt(consent))
    add_never_cache_headers(response)
    return response


def _receipt(consent: Consent) -> dict[str, Any]:
    try:
        text = read_consent_text(language=consent.language, version=consent.text_version, purpose=consent.purpose)
    except ConsentTextUnknown as gone:
        raise Http404 from gone
    withdrawal = Statement.objects.filter(key=f"consent_withdrawn:{consent.pk}").first()
    return {
        "consent": consent,
        "person": consent.person,
        "name": open_names([consent.person]).get(consent.person_id, "") or _("Name cannot be opened"),
        "language": get_language_info(consent.language)["name_local"].capitalize(),
        "paragraphs": text.text.strip().split("\n\n"),
        "text_is_as_shown": text.sha256 == consent.text_sha256,
        "withdrawal": withdrawal,
    }


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE, Capability.DECIDE_DUPLICATES)
def withdraw(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Ask once more what a withdrawal means, then record it. The text names whoever registered, and officers."""
    person = get_object_or_404(people_on_file(), pk=person_id)
    refusal = None
    if request.method == "POST":
        try:
            withdraw_consent(person=person, withdrawn_by=cast(User, request.user))
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, _("The consent is withdrawn. From now on the face is not compared."))
            return redirect("person", person.pk)
    context = {
        "person": person,
        "name": open_names([person]).get(person.pk, "") or _("Name cannot be opened"),
        "consent": person.consents.filter(withdrawn_at=None).first(),
        "refusal": refusal,
    }
    return render(request, "biometrics/person_withdraw.html", context, status=refusal.status if refusal else 200)
