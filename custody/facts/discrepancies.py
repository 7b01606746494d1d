"""What does not fit, how it was resolved, and the rules and planned places that it is held against."""

from django.urls import reverse
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.discrepancy_codes import ABOUT, Code, Severity
from custody.facts.fact import Fact, Parts, Section
from custody.models import Outcome
from custody.narrative import Line
from ledger.tlog.times import parse_time


def _discrepancy(line: Line, directory: Directory) -> Section | None:
    if line.kind != "discrepancy":
        return None
    body, evidence, window = line.body, line.body["evidence"], line.body["window"]
    about = ABOUT[Code(body["code"])]
    facts = [
        Fact(_("What it is"), str(Code(body["code"]).label), codes=(body["code"],)),
        Fact(_("Severity"), str(Severity(body["severity"]).label)),
    ]
    if "since" in window:
        facts.append(Fact(_("As it should be until"), at=parse_time(window["since"])))
    facts.append(Fact(_("Found"), at=parse_time(window["until"])))
    persons = [("custodians", _("Held custody then")), ("persons", _("Concerned besides"))]
    for name, label in persons:
        if named := (window | evidence).get(name):
            facts.append(Fact(label, ", ".join(directory.person(person) for person in named)))
    if "read_point" in evidence:
        facts.append(Fact(_("Place"), directory.place(evidence["read_point"])))
    elif "site" in evidence:
        facts.append(Fact(_("Site"), directory.site(evidence["site"])))
    if "reader" in evidence:
        facts.append(Fact(_("Reader"), directory.reader(evidence["reader"])))
    facts += [Fact(name, str(value)) for name, value in evidence.get("figures", {}).items()]
    fold = [
        Fact(label, codes=tuple(evidence[name]))
        for name, label in (
            ("items", _("Tags")),
            ("seals", _("Seals")),
            ("entries", _("Entries")),
            ("sessions", _("Read sessions")),
        )
        if name in evidence
    ]
    fold.append(Fact(_("Discrepancy"), codes=(body["discrepancy"],)))
    return Section(_("Discrepancy"), line.icon, facts, note=f"{about.meaning} {about.to_do}", fold=fold)


def _resolved(line: Line, directory: Directory) -> Section | None:
    body = line.body
    if line.kind != "resolution":
        return None
    facts = [
        Fact(_("What it was"), str(Code(body["code"]).label), codes=(body["code"],)),
        Fact(_("Outcome"), str(Outcome(body["outcome"]).label)),
        Fact(_("Resolved by"), directory.person(body["by"]["person"])),
        Fact(_("Resolved"), at=parse_time(body["when"]["resolved_at"])),
    ]
    for name, label in (("opened_entry", _("Opened by")), ("entry", _("Settled by"))):
        if name in body:
            facts.append(
                Fact(label, _("Entry %(n)s") % {"n": body[name]}, url=reverse("entry", args=[int(body[name])]))
            )
    fold = [Fact(_("Notes"), codes=(body["note"], *body.get("notes", ())))]
    return Section(_("Resolution"), line.icon, facts, fold=fold)


def _route(line: Line, directory: Directory) -> Section | None:
    if line.kind != "route_planned":
        return None
    sites = line.body["sites"]
    facts = [Fact(str(number), directory.site(gln)) for number, gln in enumerate(sites, start=1)]
    facts.append(Fact(_("Planned by"), directory.account(line.body["by"]["operator"])))
    return Section(_("Planned places"), line.icon, facts, fold=[Fact(_("GLN"), codes=tuple(sites))])


def _site_watched(line: Line, directory: Directory) -> Section:
    facts = [Fact(_("Site"), directory.site(line.body["site"]))]
    facts += [Fact(name, str(value)) for name, value in line.body["watch"].items()]
    facts.append(Fact(_("Set by"), directory.account(line.body["by"]["operator"])))
    return Section(_("Rules of a site"), line.icon, facts)


PARTS: Parts = {"evidence": _discrepancy, "outcome": _resolved, "sites": _route, "watch": _site_watched}
