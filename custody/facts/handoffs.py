"""The handoff itself, done or refused, and how who held custody gave it up."""

import uuid
from collections.abc import Iterator

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.acts import shipment
from custody.facts.confirmations import approval_section, factor_name, second_factor
from custody.facts.fact import Fact, Parts, Section
from custody.facts.people import role
from custody.facts.reads import listed_tags
from custody.narrative import Line
from custody.sentences.reasons import why
from ledger.tlog.times import parse_time


def _handoff(line: Line, directory: Directory) -> Section:
    body, refused = line.body, line.kind == "handoff_refused"
    goods = body["goods"]
    facts = [shipment(line)]
    if refused:
        codes_of = (body["code"], body["reason"]) if "reason" in body else (body["code"],)
        facts.insert(0, Fact(_("Reason"), capfirst(str(why(body))), codes=codes_of))
    if "from" in body:
        facts.append(Fact(_("Released by"), capfirst(directory.releaser(body)) + role(body["from"])))
    to = _("To be received by") if refused else _("Accepted by")
    facts.append(Fact(to, directory.person(body["to"]["person"]) + role(body["to"])))
    facts += [
        Fact(_("By the authorisation"), codes=(urn,), url=reverse("authorisation", args=[uuid.UUID(urn)]))
        for urn in body.get("authorisation", ())
    ]
    facts.append(Fact(_("Place"), directory.place(body["where"]["read_point"])))
    names = {
        "opened_at": _("Opened"),
        "reconciled_at": _("Tags matched"),
        "accepted_at": _("Accepted"),
        "refused_at": _("Refused"),
    }
    facts += [Fact(names[key], at=parse_time(at)) for key, at in _in_order(body["when"], names)]
    facts += second_factor(body)
    if "operator" in body:
        facts.append(Fact(_("Operated by"), directory.account(body["operator"])))
    codes = [
        Fact(name, codes=tuple(goods[key]))
        for name, key in (("SSCC", "sscc"), ("GRAI", "grai"), (_("Container"), "bic"))
        if goods.get(key)
    ]
    codes += [Fact(name, codes=(goods[key],)) for name, key in (("UCR", "ucr"), ("MRN", "mrn")) if key in goods]
    codes += [
        Fact(_("Read point"), codes=(body["where"]["read_point"],)),
        Fact(_("Site"), codes=(body["where"]["site"],)),
        *(
            Fact(name, codes=(body[key],))
            for name, key in ((_("Handoff"), "handoff"), (_("Attempt"), "attempt"))
            if key in body
        ),
        Fact(_("Receiver"), codes=(body["to"]["person"],)),
    ]
    tags = listed_tags(line, "elsewhere", body.get("items", []))
    return Section(_("Refused handoff") if refused else _("Handoff"), line.icon, facts, tags=tags, fold=codes)


def _in_order(when: dict[str, str], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((key, when[key]) for key in names if key in when)


def _handed_over(line: Line, directory: Directory) -> Section | None:
    """How who held custody gave it up; nothing at first intake, and in entries from before it was asked."""
    given = line.body["from"]
    if "dual_control" in given:
        return approval_section(_("An officer stood in for who handed over"), given["dual_control"], directory)
    if "released_at" not in given:
        return None
    facts = [
        Fact(_("Handed over by"), directory.person(given["person"])),
        Fact(_("Confirmed by"), factor_name(given["second_factor"])),
        Fact(_("When"), at=parse_time(given["released_at"])),
    ]
    return Section(_("Handed over"), "arrows-exchange", facts)


PARTS: Parts = {"goods": _handoff, "from": _handed_over}
