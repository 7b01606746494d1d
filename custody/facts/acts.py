"""Facts of every entry about one person’s act on one shipment."""

import uuid

from django.urls import reverse
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.fact import Fact
from custody.narrative import Line
from ledger.tlog.times import parse_time


def shipment(line: Line) -> Fact:
    url = reverse("shipment_timeline", args=[uuid.UUID(line.entry.subject)])
    return Fact(_("Shipment"), line.body["goods"]["reference"], url=url)


def done(line: Line, directory: Directory) -> list[Fact]:
    """Whose act it was, on which shipment, when and where. What was refused nobody did."""
    body = line.body
    whose, when = (_("In the name of"), _("Refused")) if line.kind == "act_refused" else (_("Done by"), _("Done"))
    facts = [
        shipment(line),
        Fact(whose, directory.person(body["by"]["person"])),
        Fact(_("Operated by"), directory.account(body["by"]["operator"])),
        Fact(when, at=parse_time(body["when"]["acted_at"])),
    ]
    if "where" in body:
        facts.append(Fact(_("Place"), directory.place(body["where"]["read_point"])))
    return facts
