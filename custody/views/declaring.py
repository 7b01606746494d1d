"""
The form of a declaration and of an amendment, and what it holds when it is opened. What is sent becomes a draft, which
:mod:`custody.views.drafts` submits once its author is verified.
"""

import uuid
from typing import Any, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Person
from custody.declarants import people_who_declare
from custody.declaring import content_of, draft_amendment, draft_declaration, parties_of
from custody.models import DeclarationDraft
from custody.views.declarations import document_of
from custody.views.receivers import with_names
from refusals import Refusal
from shipments.csv_table import TableRefused, read_text
from shipments.declarations import AttemptReused, DeclarationNotAsShown, DeclarationRefused, newest_version
from shipments.declared import MAX_ITEMS, ROLES, Fault, read_declared
from shipments.declared_text import CHANGED_FIELDS, ROLE_NAMES
from shipments.goods_items_csv import read_items, write_items
from shipments.intake import PartyNamed
from shipments.models import Consignment, Declaration, DeclarationKind, DeclarationVersion, Party

FAULTS_SHOWN = 200
PARTIES_OFFERED = 200


class DeclarationForm(forms.Form):
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=DeclarationKind.choices)
    lrn = forms.CharField(
        label=gettext_lazy("Local reference (LRN)"),
        max_length=40,
        help_text=gettext_lazy("The declarant’s own number for this declaration, up to 22 characters."),
    )
    mrn = forms.CharField(
        label=gettext_lazy("MRN"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("18 characters. Leave it empty until customs give one, and amend then."),
    )
    office = forms.CharField(
        label=gettext_lazy("Customs office"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("Its code, for instance ES000801."),
    )
    person = forms.ChoiceField(
        label=gettext_lazy("Submitted by"),
        help_text=gettext_lazy("Who answers for what is declared. The entry names this person."),
    )
    documents = forms.CharField(
        label=gettext_lazy("Transport documents"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("One on each line: its type, a space, its number. N730 CMR-2026-118"),
    )
    containers = forms.CharField(
        label=gettext_lazy("Containers"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("One number on each line."),
    )
    seals = forms.CharField(
        label=gettext_lazy("Seals"),
        required=False,
        max_length=30_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("One number on each line."),
    )
    items = forms.CharField(
        label=gettext_lazy("Goods items"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "wrap": "off"}),
        help_text=gettext_lazy(
            "Paste them from a sheet, or type them: a header, then one item on each line. Columns in any order: item, "
            "hs, description, packages, package_kind, marks, gross_kg, net_kg, value, currency, origin, procedure, "
            "hs_edition."
        ),
    )
    items_file = forms.FileField(
        label=gettext_lazy("Or a CSV file"),
        required=False,
        allow_empty_file=True,
        help_text=gettext_lazy("The same form, UTF-8. A file replaces what stands in the box above."),
    )
    attempt = forms.UUIDField(widget=forms.HiddenInput)
    amends = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, people: list[tuple[str, str]], amending: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["person"]).choices = [("", _("Choose a person")), *people]
        for role in ROLES:
            self.fields[role] = forms.CharField(
                label=_("Name"),
                max_length=200,
                required=role == "declarant",
                widget=forms.TextInput(attrs={"list": "known-parties", "autocomplete": "off"}),
            )
            for number, label in (("gln", _("GLN")), ("eori", _("EORI or tax number"))):
                self.fields[f"{role}_{number}"] = forms.CharField(label=label, max_length=20, required=False)
        if amending:
            # They name the declaration: another kind or number would be another one.
            for name in ("kind", "lrn"):
                del self.fields[name]
        for name in ("documents", "containers", "seals", "items"):
            self.fields[name].widget.attrs |= {"class": "code", "translate": "no", "spellcheck": "false"}
        self.fields["items_file"].widget.attrs["accept"] = ".csv,.txt,text/csv,text/plain"

    @property
    def parties(self) -> list[dict[str, Any]]:
        return [
            {"role": role, "name": ROLE_NAMES[role], "fields": [self[role], self[f"{role}_gln"], self[f"{role}_eori"]]}
            for role in ROLES
        ]

    def clean_items_file(self) -> str | None:
        """Return the file's text: from here on it is what was typed, and is not lost with the file."""
        file: UploadedFile | None = self.cleaned_data["items_file"]
        if file is None:
            return None
        try:
            return read_text(file.read())
        except TableRefused as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if text := cleaned.get("items_file"):
            cleaned["items"] = text
            data = cast(QueryDict, self.data).copy()
            data["items"] = text
            self.data = data
        return cleaned

    def told(self, *, amended: Declaration | None = None) -> dict[str, Any]:
        """
        The content as plain values.

        :raises Refusal: table_refused, or declaration_refused with every fault where the table of items has one
        """
        typed = self.cleaned_data
        read = read_items(typed["items"])
        documents = [line.split(None, 1) for line in typed["documents"].splitlines() if line.strip()]
        content = {
            "kind": amended.kind if amended else typed["kind"],
            "lrn": amended.lrn if amended else typed["lrn"],
            "mrn": typed["mrn"],
            "office": typed["office"],
            "items": read.items,
            "documents": [{"type": parts[0], "number": parts[-1] if len(parts) > 1 else ""} for parts in documents],
            "containers": [line for line in typed["containers"].splitlines() if line.strip()],
            "seals": [line for line in typed["seals"].splitlines() if line.strip()],
        }
        if read.faults:
            # A number that cannot be read is named together with all that is wrong besides, not before it.
            _declared, others = read_declared(content, kinds=DeclarationKind.values)
            raise DeclarationRefused(sorted([*read.faults, *others], key=lambda fault: (fault.item, fault.line)))
        return content

    def parties_named(self) -> dict[str, PartyNamed]:
        typed = self.cleaned_data
        return {
            role: PartyNamed(typed[role], typed[f"{role}_gln"], typed[f"{role}_eori"])
            for role in ROLES
            if typed[role] or typed[f"{role}_gln"] or typed[f"{role}_eori"]
        }


@require_http_methods(["GET", "POST"])
@capability_required(Capability.DECLARE)
def new(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    consignment = get_object_or_404(Consignment.objects.select_related("consignor", "consignee"), pk=consignment_id)
    user, people = cast(User, request.user), _people(request)
    if request.method == "GET":
        return _ask(request, DeclarationForm(people=people, initial=_first(consignment, user)), consignment)
    return _prepare(request, DeclarationForm(request.POST, request.FILES, people=people), consignment)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.DECLARE)
def amend(request: HttpRequest, declaration_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Declaration.objects.select_related("consignment"), pk=declaration_id)
    user, people = cast(User, request.user), _people(request)
    if request.method == "GET":
        form = DeclarationForm(people=people, amending=True, initial=_again(newest_version(found), user))
        return _ask(request, form, found.consignment, amended=found)
    form = DeclarationForm(request.POST, request.FILES, people=people, amending=True)
    return _prepare(request, form, found.consignment, amended=found)


@require_http_methods(["GET", "POST"])
@capability_required(Capability.DECLARE)
def change_draft(request: HttpRequest, draft_id: uuid.UUID) -> HttpResponse:
    """The form again with what a draft holds, also after its last attempt: what is submitted of it is a new draft."""
    draft = get_object_or_404(own_drafts(request), pk=draft_id)
    amended, people = draft.declaration, _people(request)
    if request.method == "GET":
        form = DeclarationForm(people=people, amending=amended is not None, initial=_from_draft(draft))
        return _ask(request, form, draft.consignment, amended=amended)
    form = DeclarationForm(request.POST, request.FILES, people=people, amending=amended is not None)
    return _prepare(request, form, draft.consignment, amended=amended, instead_of=draft)


def own_drafts(request: HttpRequest) -> QuerySet[DeclarationDraft]:
    """The drafts of this account: nobody sees what others prepared and did not submit."""
    joined = ("consignment", "declaration", "person", "verification", "version")
    return DeclarationDraft.objects.filter(opened_by=cast(User, request.user)).select_related(*joined)


def _prepare(
    request: HttpRequest,
    form: DeclarationForm,
    consignment: Consignment,
    *,
    amended: Declaration | None = None,
    instead_of: DeclarationDraft | None = None,
) -> HttpResponse:
    if not form.is_valid():
        return _ask(request, form, consignment, amended=amended)
    try:
        try:
            draft = _draft(request, form, consignment, amended, instead_of, form.cleaned_data["attempt"])
        except AttemptReused:
            # Gone back in the browser, changed and sent again: another content is another draft.
            draft = _draft(request, form, consignment, amended, instead_of, uuid.uuid4())
    except Refusal as refusal:
        return _ask(request, form, consignment, refusal, amended=amended)
    return redirect("declaration_draft", draft.pk)


def _draft(
    request: HttpRequest,
    form: DeclarationForm,
    consignment: Consignment,
    amended: Declaration | None,
    instead_of: DeclarationDraft | None,
    attempt: uuid.UUID,
) -> DeclarationDraft:
    told: dict[str, Any] = {
        "told": form.told(amended=amended),
        "parties": form.parties_named(),
        "person": uuid.UUID(form.cleaned_data["person"]),
        "by": cast(User, request.user),
        "attempt": attempt,
        "instead_of": instead_of,
    }
    if amended is None:
        return draft_declaration(consignment=consignment, **told)
    return draft_amendment(declaration=amended, amends=form.cleaned_data["amends"], **told)


def _ask(
    request: HttpRequest,
    form: DeclarationForm,
    consignment: Consignment,
    refusal: Refusal | None = None,
    *,
    amended: Declaration | None = None,
) -> HttpResponse:
    faults = refusal.faults if isinstance(refusal, DeclarationRefused) else ()
    return render(
        request,
        "custody/declaration_form.html",
        {
            "form": form,
            "shipment": consignment,
            "amended": amended,
            "refusal": refusal,
            "faults": [_fault(fault) for fault in faults[:FAULTS_SHOWN]],
            "faults_more": max(len(faults) - FAULTS_SHOWN, 0),
            "parties": Party.objects.values_list("name", flat=True).distinct()[:PARTIES_OFFERED],
            "most_items": MAX_ITEMS,
        },
        status=422 if refusal or form.errors else 200,
    )


_FIELD_NAMES = CHANGED_FIELDS | {
    "kind": gettext_lazy("Kind"),
    "lrn": gettext_lazy("Local reference (LRN)"),
    "items": gettext_lazy("Goods items"),
    "gross_kg": gettext_lazy("gross mass, kg"),
    "net_kg": gettext_lazy("net mass, kg"),
    "value": gettext_lazy("value"),
    "number": gettext_lazy("item"),
}


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "line": fault.line or "",
        "item": fault.item or "",
        "name": _FIELD_NAMES.get(fault.field, fault.field),
        "sentence": fault.sentence,
        "text": fault.text,
        "code": fault.code,
    }


def _people(request: HttpRequest) -> list[tuple[str, str]]:
    named = with_names(list(people_who_declare(cast(User, request.user))))
    return sorted(
        ((str(one.person.pk), f"{one.name} ({one.person.get_kind_display()})") for one in named), key=lambda one: one[1]
    )


def _own_person(user: User) -> str:
    person = Person.objects.filter(user=user, erased_at=None).first()
    return str(person.pk) if person else ""


def _first(consignment: Consignment, user: User) -> dict[str, Any]:
    """What a new form holds: the parties that the shipment has, and the account's own person."""
    consignor, consignee = consignment.consignor, consignment.consignee
    initial: dict[str, Any] = {"attempt": uuid.uuid4(), "person": _own_person(user), "mrn": consignment.mrn}
    for role, party in (("declarant", consignor), ("exporter", consignor), ("importer", consignee)):
        initial |= _party(role, party)
    return initial


def _again(version: DeclarationVersion, user: User) -> dict[str, Any]:
    """What the form of an amendment holds: the newest version, as it was submitted."""
    document, _problem = document_of(version)
    initial = _written(document) | {"amends": version.number, "person": _own_person(user)}
    for role in ROLES:
        if (party := getattr(version, role)) is not None:
            initial |= _party(role, party)
    return initial


def _from_draft(draft: DeclarationDraft) -> dict[str, Any]:
    try:
        document = content_of(draft)
    except DeclarationNotAsShown:
        document = {}
    initial = _written(document) | {"person": str(draft.person_id)}
    if draft.declaration is not None:
        # Of a version that came meanwhile too: the page behind this form says what would change of it.
        initial["amends"] = draft.declaration.version
    for role, named in parties_of(draft).items():
        initial |= {role: named.name, f"{role}_gln": named.gln, f"{role}_eori": named.eori}
    return initial


def _written(document: dict[str, Any]) -> dict[str, Any]:
    """A document's content as the form has it, for a new attempt."""
    return {
        "attempt": uuid.uuid4(),
        "kind": document.get("kind", ""),
        "lrn": document.get("lrn", ""),
        "mrn": document.get("mrn", ""),
        "office": document.get("office", ""),
        "items": write_items(document.get("items", [])),
        "documents": "\n".join(f"{one['type']} {one['number']}" for one in document.get("documents", [])),
        "containers": "\n".join(document.get("containers", [])),
        "seals": "\n".join(document.get("seals", [])),
    }


def _party(role: str, party: Party) -> dict[str, str]:
    return {role: party.name, f"{role}_gln": party.gln, f"{role}_eori": party.eori}
