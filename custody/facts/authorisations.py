"""Who may take what, and who works for whom."""

import uuid
from typing import Any

from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.fact import Fact, Parts, Section
from custody.models import Licence, WithdrawalReason
from custody.narrative import Line
from custody.sentences.authorisations import holder
from ledger.tlog.times import parse_time


def _authorisation(line: Line, directory: Directory) -> Section | None:
    """Whom it is granted to, or taken from, and on what terms; what is not limited is said to be."""
    body = line.body
    if line.kind not in ("authorisation_granted", "authorisation_withdrawn"):
        return None
    facts = [
        Fact(
            _("For"),
            holder(body["to"], directory),
            url=reverse("authorisation", args=[uuid.UUID(body["authorisation"])]),
        )
    ]
    if "terms" in body:
        facts += _terms(body["terms"], directory)
    if "reason" in body:
        facts.append(Fact(_("Reason"), str(WithdrawalReason(body["reason"]).label)))
    facts += _granted_by(body, directory)
    codes = [Fact(_("Authorisation"), codes=(body["authorisation"],))]
    codes += [Fact(_("Attempt"), codes=(body[key],)) for key in ("attempt",) if key in body]
    number = body.get("terms", {}).get("licence", {}).get("number")
    codes += [Fact(_("Commitment to the number of the licence"), codes=(number,))] if number else []
    return Section(line.kind_name, line.icon, facts, fold=codes)


def _employment(line: Line, directory: Directory) -> Section:
    body = line.body
    terms = body.get("terms", {})
    facts = [
        Fact(_("Person"), directory.person(body["to"]["person"])),
        Fact(_("Employer"), directory.party(terms["employer"] if terms else body["employer"])),
        *([Fact(_("Valid"), _valid(terms["valid"]))] if "valid" in terms else []),
        *_granted_by(body, directory),
    ]
    return Section(line.kind_name, line.icon, facts, fold=[Fact(_("Employment"), codes=(body["employment"],))])


def _terms(terms: dict[str, Any], directory: Directory) -> list[Fact]:
    hours, route = terms["hours"], terms.get("route", {})
    ends = {end: directory.party(urn) for end, urn in route.items()}
    span = _("from %(from)s to %(until)s") % hours if "from" in hours else _("the whole day")
    days = ", ".join(str(WEEKDAYS_ABBR[day]) for day in hours["days"]) if "days" in hours else _("every day")
    facts = [
        Fact(_("Commodities"), "" if "hs" in terms else _("any"), codes=tuple(terms.get("hs", ()))),
        Fact(_("Sites"), ", ".join(map(directory.site, terms["sites"])) if "sites" in terms else _("any")),
        Fact(_("Goods from"), ends.get("consignor", _("anybody"))),
        Fact(_("Goods to"), ends.get("consignee", _("anybody"))),
        Fact(_("Hours"), f"{days}, {span}, {hours['time_zone']}"),
        Fact(_("Valid"), _valid(terms["valid"])),
    ]
    if "licence" in terms:
        until = _("%(licence)s, valid until %(until)s") % {
            "licence": Licence(terms["licence"]["kind"]).label,
            "until": terms["licence"]["until"],
        }
        facts.append(Fact(_("Rests on"), until))
    return facts


def _valid(span: dict[str, str]) -> str:
    if "from" not in span:
        return _("until %(until)s") % span
    return (_("%(from)s to %(until)s") if "until" in span else _("from %(from)s on")) % span


def _granted_by(body: dict[str, Any], directory: Directory) -> list[Fact]:
    facts = [Fact(_("Done by"), directory.account(body["by"]["operator"]))]
    if "person" in body["by"]:
        facts.append(Fact(_("Who is"), directory.person(body["by"]["person"])))
    return facts + [Fact(_("When"), at=parse_time(at)) for at in body["when"].values()]


PARTS: Parts = {"authorisation": _authorisation, "employment": _employment}
