"""
The declarations' pages: find one, read a version with what it changed. :mod:`custody.views.declaring` submits them.

A version is shown as it was submitted, from its document: the rows beside it only find it.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.models import User
from accounts.roles import Capability
from custody.declarants import Author, author_of
from custody.declaring import open_drafts
from custody.directory import Directory
from custody.facts.confirmations import SECOND_FACTORS
from custody.facts.measurements import decimal_e4
from custody.narrative import tell_all
from custody.sentences import SENTENCES
from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment, Entry
from ledger.tlog import canonical
from ledger.tlog.errors import NotCanonical, TimeMalformed
from ledger.tlog.times import parse_time
from shipments.declarations import (
    find_declarations,
    read_document,
)
from shipments.declared import ROLES, WARNINGS
from shipments.declared_changes import differences
from shipments.declared_text import CHANGED_FIELDS, ROLE_NAMES, format_kilograms, format_minor
from shipments.models import Consignment, Declaration, DeclarationVersion

PER_PAGE = 50
CHANGES_SHOWN = 200
REFUSALS_READ = 200
# What an inspection does to goods: a version behind one of these is said to be later.
CONTROLS = ("inspection", "hold", "seizure", "discrepancy")


# The list -----------------------------------------------------------------------------------------------------------


@require_GET
@capability_required(Capability.SEE_GOODS)
def declaration_list(request: HttpRequest) -> HttpResponse:
    """The newest version of each declaration, the last submitted first."""
    sought = "".join(letter for letter in request.GET.get("q", "")[:200] if letter.isprintable()).strip()
    found = find_declarations(text=sought).select_related("declaration__consignment", "declarant")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "custody/declaration_list.html",
        {
            "page": page,
            "rows": [_row(version) for version in page.object_list],
            "sought": sought,
            "any": bool(page.object_list) or Declaration.objects.exists(),
            "query": urlencode({"q": sought}) if sought else "",
        },
    )


@require_GET
@capability_required(Capability.SEE_GOODS)
def shipment_declarations(request: HttpRequest, consignment_id: uuid.UUID) -> HttpResponse:
    """What was declared of one shipment; a single declaration is shown at once."""
    consignment = get_object_or_404(Consignment, pk=consignment_id)
    found = find_declarations().filter(declaration__consignment=consignment).select_related("declaration", "declarant")
    rows = [_row(version) for version in found[:PER_PAGE]]
    if len(rows) == 1:
        return redirect("declaration", rows[0]["version"].declaration_id)
    return render(
        request,
        "custody/shipment_declarations.html",
        {
            "shipment": consignment,
            "rows": rows,
            "drafts": open_drafts(cast(User, request.user), consignment)[:PER_PAGE],
            "may_declare": _may_declare(request),
        },
    )


def _row(version: DeclarationVersion) -> dict[str, Any]:
    return {"version": version, "mass": format_kilograms(version.gross_g)}


# One version --------------------------------------------------------------------------------------------------------


@require_GET
@capability_required(Capability.SEE_GOODS)
def declaration(request: HttpRequest, declaration_id: uuid.UUID, number: int | None = None) -> HttpResponse:
    found = get_object_or_404(Declaration.objects.select_related("consignment"), pk=declaration_id)
    versions = list(found.versions.select_related("statement__entry", "submitted_by", *ROLES).order_by("-number"))
    shown = next((version for version in versions if version.number == (number or found.version)), None)
    if shown is None:
        return redirect("declaration", found.pk)
    document, problem = document_of(shown)
    changed = {(change.get("item", 0), change["field"]) for change in shown.changes}
    directory = Directory()
    user = cast(User, request.user)
    return render(
        request,
        "custody/declaration.html",
        {
            "declaration": found,
            "shipment": found.consignment,
            "shown": shown,
            "newest": shown.number == found.version,
            "document": document,
            "problem": problem,
            "items": [item_told(item, changed) for item in document.get("items", [])],
            "totals": _totals(shown, document),
            "parties": [
                {"role": ROLE_NAMES[role], "party": party, "changed": (0, role) in changed}
                for role in ROLES
                if (party := getattr(shown, role)) is not None
            ],
            "changed": {field for item, field in changed if not item},
            "warnings": [WARNINGS.get(code, code) for code in shown.warnings],
            "history": _history(versions, directory),
            "tried": _tried(found, document),
            "drafts": open_drafts(user, found.consignment)[:PER_PAGE],
            "may_read_ledger": user.may(Capability.READ_LEDGER),
            "may_declare": _may_declare(request),
        },
    )


def document_of(version: DeclarationVersion) -> tuple[dict[str, Any], str]:
    """Return the version's document, empty where it is not what was sealed, and then a sentence that says so."""
    try:
        return read_document(version), ""
    except (AttachmentChanged, Attachment.DoesNotExist):
        return {}, _("The document of this version is not the one that its entry names: it was changed or removed.")


def item_told(item: dict[str, Any], changed: Collection[tuple[int, str]] = ()) -> dict[str, Any]:
    """One item as a table shows it; ``changed`` are the fields that its version changed, by item and name."""
    number = item["number"]
    return item | {
        "gross": format_kilograms(item["gross_g"]),
        "net": format_kilograms(item["net_g"]) if "net_g" in item else "",
        "value": format_minor(item["value_minor"], item["currency"]) if "value_minor" in item else "",
        "changed": {field for of, field in changed if of == number},
    }


def _totals(version: DeclarationVersion, document: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, int] = {}
    for item in document.get("items", []):
        if "value_minor" in item:
            values[item["currency"]] = values.get(item["currency"], 0) + item["value_minor"]
    return {
        "gross": format_kilograms(version.gross_g),
        "packages": sum(item.get("packages", 0) for item in document.get("items", [])),
        "values": [format_minor(minor, currency) for currency, minor in sorted(values.items())],
    }


@dataclass(frozen=True)
class Past:
    """A version in the declaration's history, with what it changed and the controls that it came after."""

    version: DeclarationVersion
    person: str
    verified: dict[str, Any]
    entry: Entry | None
    changes: list[dict[str, str]]
    more: int
    after: list[dict[str, Any]]


def _history(versions: list[DeclarationVersion], directory: Directory) -> list[Past]:
    """Newest first."""
    subject = versions[0].declaration.consignment_id.urn
    controls = list(Entry.objects.filter(subject=subject, kind__in=CONTROLS).order_by("index").values("index", "kind"))
    past, before = [], -1
    for version in reversed(versions):
        entry = version.statement.entry
        index = entry.index if entry else None
        changes = [change_told(change) for change in version.changes]
        author = author_of(version)
        past.append(
            Past(
                version=version,
                person=directory.person(author.person),
                verified=_verified(author),
                entry=entry,
                changes=changes[:CHANGES_SHOWN],
                more=max(len(changes) - CHANGES_SHOWN, 0),
                after=[
                    {"index": control["index"], "name": SENTENCES[control["kind"]].name}
                    for control in controls
                    if version.number > 1 and before < control["index"] and (index is None or control["index"] < index)
                ],
            )
        )
        before = index if index is not None else before
    return list(reversed(past))


def _verified(author: Author) -> dict[str, Any]:
    """How the author was verified; ``at`` is the camera's clock. Empty where no face was."""
    if not author.face:
        return {}
    try:
        return {
            "matched": author.face["outcome"] == "match",
            "at": parse_time(author.face["captured_at"]),
            "distance": decimal_e4(author.face["distance_e4"]),
            "threshold": decimal_e4(author.face["threshold_e4"]),
            "second_factor": SECOND_FACTORS.get(author.second_factor, ""),
        }
    except (KeyError, TypeError, TimeMalformed):
        return {}


def _tried(found: Declaration, document: dict[str, Any]) -> list[dict[str, Any]]:
    """
    The refused attempts to declare under this reference, the newest first: what they would have said otherwise than the
    version that is shown.
    """
    entries = Entry.objects.filter(subject=found.consignment_id.urn, kind="act_refused").order_by("-index")
    tried = []
    for line in tell_all(entries[:REFUSALS_READ]):
        if line.body.get("lrn") != found.lrn:
            continue
        try:
            said = canonical.decode(attachments.load(line.body["document"]))
            changes = [change_told(change.as_json()) for change in differences(said, document)] if document else None
        except (Attachment.DoesNotExist, AttachmentChanged, NotCanonical, KeyError, TypeError):
            changes = None
        known = changes is not None
        tried.append({"line": line, "known": known, "changes": (changes or [])[:CHANGES_SHOWN]})
    return tried


def change_told(change: dict[str, Any]) -> dict[str, str]:
    name = str(CHANGED_FIELDS.get(change["field"], change["field"]))
    if "item" in change:
        name = _("Item %(number)s: %(field)s") % {"number": change["item"], "field": name}
    return {"name": name, "before": change.get("from", ""), "after": change.get("to", "")}


def _may_declare(request: HttpRequest) -> bool:
    return cast(User, request.user).may(Capability.DECLARE)
