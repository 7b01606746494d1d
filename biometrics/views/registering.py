"""Put a person on file, with the consent text before them in their own language; and ask for consent anew."""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, get_language_info, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.consent import CURRENT_VERSION, ConsentGiven, current_texts, record_consent
from biometrics.models import Person, Retention
from biometrics.people import MAX_NAME, display_name, people_on_file, register_person
from biometrics.views.people import KINDS
from refusals import Refusal


class ConsentForm(forms.Form):
    """What the person agreed to; ``text_version`` is that of the text on the screen."""

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
                "Without consent no face is enrolled. Whoever declines is put on file as exempt, and shows an officer "
                "a document at each handoff."
            )
        },
    )

    def given(self) -> ConsentGiven:
        typed = self.cleaned_data
        return ConsentGiven(
            language=typed["language"], text_version=typed["text_version"], retention=typed["retention"]
        )


class PersonForm(ConsentForm):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("As in the identity document. It is kept encrypted."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(label=gettext_lazy("What the person does"), choices=[("", gettext_lazy("Choose")), *KINDS])
    exempt = forms.BooleanField(
        label=gettext_lazy("Exempt from face comparison, by law or by choice"),
        required=False,
        help_text=gettext_lazy(
            "No photo is taken and no consent is needed: an officer checks the document at each handoff."
        ),
    )

    # Whether the consent is required hangs on a box of the same form: the server says so, not the browser.
    use_required_attribute = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound and self.fields["exempt"].widget.value_from_datadict(self.data, self.files, "exempt"):
            for name in ("retention", "language", "text_version", "agreed"):
                self.fields[name].required = False

    def save(self, registered_by: User) -> Person:
        typed = self.cleaned_data
        exempt = typed["exempt"]
        return register_person(
            name=typed["name"],
            kind=typed["kind"],
            registered_by=registered_by,
            consent=None if exempt else self.given(),
            exempt=exempt,
        )


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def new(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _ask(request, PersonForm(initial=_initial()))
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _ask(request, form)
    try:
        person = form.save(cast(User, request.user))
    except Refusal as refusal:
        return _ask(request, form, refusal)
    name = form.cleaned_data["name"]
    if person.exempt:
        messages.success(request, _("%(name)s is on file, without a face.") % {"name": name})
        return redirect("person", person.pk)
    messages.success(request, _("%(name)s is on file. Take the photos for the face now.") % {"name": name})
    return redirect("person_enrol", person.pk)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.MANAGE_PEOPLE)
def consent_again(request: HttpRequest, person_id: uuid.UUID) -> HttpResponse:
    """Show the current text to somebody on file; what they agree to takes the place of the consent before."""
    person = get_object_or_404(people_on_file().filter(exempt=False), pk=person_id)
    if request.method == "GET":
        return _ask(request, ConsentForm(initial=_initial()), person=person)
    form = ConsentForm(request.POST)
    if not form.is_valid():
        return _ask(request, form, person=person)
    try:
        record_consent(person=person, consent=form.given(), recorded_by=cast(User, request.user))
    except Refusal as refusal:
        return _ask(request, form, refusal, person)
    messages.success(request, _("The consent is recorded."))
    return redirect("person", person.pk)


def _initial() -> dict[str, str]:
    return {"language": (get_language() or "en")[:2]}


def _ask(
    request: HttpRequest, form: ConsentForm, refusal: Refusal | None = None, person: Person | None = None
) -> HttpResponse:
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
        "biometrics/person_consent.html" if person else "biometrics/person_new.html",
        {
            "form": form,
            "refusal": refusal,
            "texts": texts,
            "version": CURRENT_VERSION,
            "person": person,
            "name": display_name(person) if person else "",
        },
        status=422 if refusal or form.errors else 200,
    )
