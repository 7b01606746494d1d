"""What did not agree, what came of it, and the places that were planned."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from custody.directory import Directory
from custody.discrepancy_codes import Code, Severity
from custody.models import Outcome
from custody.sentences.sentence import Sentence


def _discrepancy(body: dict[str, Any], subject: str, directory: Directory) -> str:
    facts = _named(body, directory) | {"severity": str(Severity(body["severity"]).label).lower()}
    held = [directory.person(person) for person in body["window"].get("custodians", [])]
    if held:
        sentence = _("Discrepancy about %(about)s, severity %(severity)s: %(code)s. Held custody then: %(held)s.")
        return sentence % (facts | {"held": ", ".join(held)})
    return _("Discrepancy about %(about)s, severity %(severity)s: %(code)s.") % facts


def resolution_sentence(body: dict[str, Any], directory: Directory) -> str:
    return _("%(by)s resolved a discrepancy about %(about)s (%(code)s): %(outcome)s.") % (
        _named(body, directory)
        | {"by": directory.person(body["by"]["person"]), "outcome": Outcome(body["outcome"]).label}
    )


def _named(body: dict[str, Any], directory: Directory) -> dict[str, Any]:
    about = _("a reader or the log")
    if "goods" in body:
        about = body["goods"]["reference"]
    elif "reader" in body.get("evidence", {}):
        about = directory.reader(body["evidence"]["reader"])
    return {"about": about, "code": Code(body["code"]).label}


def _route_planned(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(by)s planned the places of %(shipment)s: %(places)s.") % {
        "by": directory.account(body["by"]["operator"]),
        "shipment": body["goods"]["reference"],
        "places": " → ".join(directory.site(gln) for gln in body["sites"]),
    }


def _site_watched(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(by)s changed what %(site)s is watched for: its hours, its limit or its place.") % {
        "by": directory.account(body["by"]["operator"]),
        "site": directory.site(body["site"]),
    }


SENTENCES = {
    "discrepancy": Sentence(gettext_lazy("Discrepancy"), _discrepancy, "alert-triangle", "bad"),
    "route_planned": Sentence(gettext_lazy("Planned places"), _route_planned, "list-details", "plain"),
    "site_watched": Sentence(gettext_lazy("Rules of a site"), _site_watched, "clock", "plain"),
}
