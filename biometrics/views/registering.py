"""Put a person on file, with the consent text before them in their own language."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, get_language_info, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.consent import CURRENT_VERSION, ConsentGiven, current_texts
from biometrics.models import Person, PersonKind, Retention
from biometrics.people import MAX_NAME, register_person
from refusals import Refusal


class PersonForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("As in the identity document. It is kept encrypted."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("What the person does"), choices=[("", gettext_lazy("Choose")), *PersonKind.choices]
    )
    retention = forms.ChoiceField(
        label=gettext_lazy("How long name and photos are kept"),
        choices=Retention.choices,
        initial=Retention.WHILE_ENGAGED,
        widget=forms.RadioSelect,
    )
    language = forms.ChoiceField(choices=lambda: [(text.language, text.language) for text in current_texts()])
    text_version = forms.CharField(max_length=16)
    agreed = forms.BooleanField(
        error_messages={
            "required": gettext_lazy(
                "Without consent nobody is put on file. Whoever declines shows an officer a document at each handoff."
            )
        },
    )

    def save(self, registered_by: User) -> Person:
        typed = self.cleaned_data
        consent = ConsentGiven(
            language=typed["language"], text_version=typed["text_version"], retention=typed["retention"]
        )
        return register_person(name=typed["name"], kind=typed["kind"], registered_by=registered_by, consent=consent)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def new(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _ask(request, PersonForm(initial={"language": (get_language() or "en")[:2]}))
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _ask(request, form)
    try:
        person = form.save(cast(User, request.user))
    except Refusal as refusal:
        return _ask(request, form, refusal)
    messages.success(
        request, _("%(name)s is on file. Take the photos for the face now.") % {"name": form.cleaned_data["name"]}
    )
    return redirect("person_enrol", person.pk)


def _ask(request: HttpRequest, form: PersonForm, refusal: Refusal | None = None) -> HttpResponse:
    texts: list[dict[str, Any]] = [
        {
            "text": text,
            "paragraphs": text.text.strip().split("\n\n"),
            "name": get_language_info(text.language)["name_local"].capitalize(),
        }
        for text in current_texts()
    ]
    return render(
        request,
        "biometrics/person_new.html",
        {"form": form, "refusal": refusal, "texts": texts, "version": CURRENT_VERSION},
        status=422 if refusal or form.errors else 200,
    )
