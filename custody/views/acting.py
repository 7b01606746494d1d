"""The part of a form in which somebody says who acts and where: a badge or a name, and this device's read point."""

import uuid
from typing import Any, cast

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from biometrics.directory import find_by_name, open_names
from biometrics.models import Person
from biometrics.people import people_on_file
from biometrics.second_factor import find_by_badge
from custody.acts_on_goods import MAX_NOTE, By
from custody.views.opening import READ_POINT
from refusals import Refusal
from shipments.models import ReadPoint

ACTING = "acting_person"  # the session's key: who packs one pallet packs the next
LISTED = 200


class ActForm(forms.Form):
    """Who acts: the badge decides where one was scanned, the list otherwise."""

    badge = forms.CharField(
        label=gettext_lazy("Who does it: scan the badge"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Or choose the name below."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "data-scan-input": ""}),
    )
    person = forms.ChoiceField(label=gettext_lazy("Name"), required=False)
    read_point = forms.ModelChoiceField(
        ReadPoint.objects.select_related("site"),
        label=gettext_lazy("Where"),
        required=False,
        empty_label=gettext_lazy("At no read point"),
        help_text=gettext_lazy("Remembered on this device."),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        remembered = {"person": request.session.get(ACTING, ""), "read_point": request.session.get(READ_POINT, "")}
        kwargs["initial"] = remembered | kwargs.get("initial", {})
        super().__init__(request.POST or None, *args, **kwargs)
        self._request = request
        cast(forms.ChoiceField, self.fields["person"]).choices = [("", _("Choose a name")), *_named()]
        # What is done stands above who does it.
        self.order_fields([name for name in self.fields if name not in ActForm.base_fields])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        badge = cleaned.get("badge", "").strip()
        person = find_by_badge(badge) if badge else _by_id(cleaned.get("person", ""))
        if person is None:
            sentence = _("Nobody has this badge. Scan it again, or choose the name.") if badge else ""
            self.add_error("badge" if badge else "person", sentence or _("Choose who does it."))
        self.acting = person
        return cleaned

    def by(self) -> By:
        """Who acts, once the form is valid; remembered for the next act on this device."""
        assert self.acting is not None
        session = self._request.session
        session[ACTING] = str(self.acting.pk)
        read_point = self.cleaned_data["read_point"]
        if read_point is not None:
            session[READ_POINT] = str(read_point.pk)
        return By(
            person=self.acting,
            account=cast(User, self._request.user),
            read_point=read_point,
            note=self.cleaned_data.get("note", ""),
        )


def note_field() -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Note"),
        max_length=MAX_NOTE,
        required=False,
        help_text=gettext_lazy("Kept encrypted for the officers; the ledger holds a commitment to it."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )


def ask(
    request: HttpRequest, form: forms.Form, *, heading: str, action: str, back: tuple[str, str], **context: Any
) -> HttpResponse:
    """Render the page of one act; ``back`` is an address and the words for it."""
    refusal: Refusal | None = context.get("refusal")
    status = refusal.status if refusal else 422 if form.errors else 200
    found = {"form": form, "heading": heading, "action": action, "back_url": back[0], "back_word": back[1]} | context
    return render(request, "custody/goods_act.html", found, status=status)


def _named() -> list[tuple[str, str]]:
    people = find_by_name(list(people_on_file()), "")[:LISTED]
    names = open_names(people)
    return [(str(person.pk), f"{names[person.pk]} · {person.get_kind_display()}") for person in people]


def _by_id(text: str) -> Person | None:
    try:
        return people_on_file().filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None
