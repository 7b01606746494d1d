"""What was declared of the goods, and what an amendment changed."""

import uuid
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from custody.directory import Directory
from custody.facts.acts import shipment
from custody.facts.confirmations import second_factor
from custody.facts.fact import Fact, Parts, Section
from custody.narrative import Line
from ledger.tlog.times import parse_time
from shipments.declared import WARNINGS
from shipments.declared_text import CHANGED_FIELDS, ROLE_NAMES, format_minor
from shipments.models import DeclarationKind


def _declaration(line: Line, directory: Directory) -> Section | None:
    if line.kind not in ("declaration", "declaration_amended"):
        return None
    body, items = line.body, line.body["items"]
    values = " · ".join(format_minor(one["minor"], one["currency"]) for one in items["values"])
    facts = [
        shipment(line),
        Fact(
            _("Declaration"),
            _("%(kind)s, version %(version)s")
            % {"kind": DeclarationKind(body["kind"]).label, "version": body["version"]},
            url=reverse("declaration_version", args=[uuid.UUID(body["declaration"]), body["version"]]),
        ),
        Fact(_("Local reference"), codes=(body["lrn"],)),
        Fact(_("Submitted by"), directory.person(body["by"]["person"])),
        Fact(_("Submitted"), at=parse_time(body["when"]["submitted_at"])),
        _author_verified(body),
        *second_factor(body),
        Fact(
            _("Goods"),
            ngettext("%(count)s item", "%(count)s items", items["count"]) % items
            + " · "
            + _("%(gross)s kg gross, %(packages)s packages")
            % {"gross": number_format(Decimal(items["gross_g"]) / 1000), "packages": items["packages"]},
            codes=tuple(items["hs"][:12]),
        ),
        *([Fact(_("Value"), values)] if values else []),
        *(Fact(str(ROLE_NAMES.get(role, role)), codes=(number,)) for role, number in body["parties"].items()),
        *(Fact(_("To look at"), str(WARNINGS.get(code, code))) for code in body.get("warnings", [])),
    ]
    changes = [_change(change) for change in body.get("changes", [])]
    if (more := body.get("changes_total", 0) - len(changes)) > 0:
        changes.append(Fact(_("Further changes"), str(more)))
    codes = [
        *(
            Fact(name, codes=(body[key],))
            for name, key in (("MRN", "mrn"), (_("Customs office"), "office"))
            if key in body
        ),
        *(Fact("UCR", codes=(body["goods"]["ucr"],)) for key in ("ucr",) if key in body["goods"]),
        *(
            Fact(name, codes=tuple(body[key]))
            for name, key in ((_("Containers"), "containers"), (_("Seals"), "seals"))
            if key in body
        ),
        *(
            Fact(_("Transport documents"), codes=tuple(f"{one['type']} {one['number']}" for one in body[key]))
            for key in ("documents",)
            if key in body
        ),
        Fact(_("Attempt"), codes=(body["attempt"],)),
        Fact(_("Operated by"), directory.account(body["by"]["operator"])),
    ]
    title = _("Declaration") if line.kind == "declaration" else _("Amended declaration")
    return Section(title, line.icon, facts + changes, fold=codes)


def _author_verified(body: dict[str, Any]) -> Fact:
    """Who reads a declaration sees at once whether a face stands behind its author; the record is a section below."""
    if "face" not in body:
        return Fact(_("Face of the author"), _("Not verified"))
    face = body["face"]
    if face.get("about") != body["document"]:
        return Fact(_("Face of the author"), _("Verified, and not for this document"))
    if face["outcome"] != "match" or face["person"] != body["by"]["person"]:
        return Fact(_("Face of the author"), _("Not matched"))
    return Fact(_("Face of the author"), _("Matched, for this document"))


def _change(change: dict[str, Any]) -> Fact:
    named = str(CHANGED_FIELDS.get(change["field"], change["field"]))
    if "item" in change:
        named = _("Item %(number)s: %(field)s") % {"number": change["item"], "field": named}
    none = _("nothing")
    return Fact(named, f"{change.get('from', none)} → {change.get('to', none)}")


PARTS: Parts = {"items": _declaration}
