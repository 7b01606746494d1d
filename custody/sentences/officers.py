"""What officers did, and what cameras showed them."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from custody.directory import Directory
from custody.models import Act, Findings, PassageDirection, Reason, WithoutFace, ZoneAlert
from custody.sentences.discrepancies import resolution_sentence
from custody.sentences.reasons import REASONS
from custody.sentences.sentence import Sentence


def _intervention(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentences = {
        "inspection": _("%(officer)s inspected %(shipment)s at %(place)s. %(findings)s. Reason: %(reason)s."),
        "sampling": _("%(officer)s took a sample of %(shipment)s at %(place)s. %(findings)s. Reason: %(reason)s."),
        "hold": _("%(officer)s held %(shipment)s at %(place)s: nobody may hand it over. Reason: %(reason)s."),
        "release": _("%(officer)s released %(shipment)s at %(place)s. Reason: %(reason)s."),
        "seizure": _("%(officer)s seized %(shipment)s at %(place)s: nobody may hand it over. Reason: %(reason)s."),
    }
    return sentences[body["act"]] % _intervened(body, directory)


def _attended(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(person)s attended the inspection of %(shipment)s by %(officer)s at %(place)s. The face matched.") % {
        "person": directory.person(body["by"]["person"]),
        "shipment": body["goods"]["reference"],
        "officer": directory.person(body["inspection"]["officer"]),
        "place": directory.place(body["where"]["read_point"]),
    }


def _not_by_an_officer(body: dict[str, Any], directory: Directory) -> str:
    sentences = {
        "declaration": _("The declaration %(lrn)s of %(shipment)s in the name of %(person)s was refused: %(why)s."),
        "declaration_amended": _(
            "An amendment of the declaration %(lrn)s of %(shipment)s in the name of %(person)s was refused: %(why)s."
        ),
        "inspection_attended": _(
            "Attending the inspection of %(shipment)s in the name of %(person)s was refused: %(why)s."
        ),
    }
    return sentences[body["act"]] % {
        "lrn": body.get("lrn", ""),
        "shipment": body["goods"]["reference"],
        "person": directory.person(body["by"]["person"]),
        "why": REASONS.get(body["code"], body["code"]),
    }


def _act_refused(body: dict[str, Any], subject: str, directory: Directory) -> str:
    if "intervention" not in body:
        return _not_by_an_officer(body, directory)
    sentence = _("An act on %(shipment)s in the name of %(officer)s was refused at %(place)s (%(act)s): %(why)s.")
    return sentence % (_intervened(body, directory) | {"why": REASONS.get(body["code"], body["code"])})


def _intervened(body: dict[str, Any], directory: Directory) -> dict[str, Any]:
    return {
        "officer": directory.person(body["by"]["person"]),
        "shipment": body["goods"]["reference"],
        "place": directory.place(body["where"]["read_point"]),
        "act": Act(body["act"]).label,
        "findings": Findings(body["findings"]).label if "findings" in body else "",
        "reason": Reason(body["reason"]).label,
    }


def _zone_alert(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentences = {
        "stranger": _("A camera saw a stranger in %(zone)s."),
        "unauthorised": _("A camera saw %(person)s in %(zone)s, who is not authorised there."),
        "outside_hours": _("A camera saw %(person)s in %(zone)s outside the hours."),
        "watchlisted": _("A camera saw somebody in %(zone)s who resembles a face on the watchlist."),
        "unclear": _("A camera kept seeing a face in %(zone)s that it could not compare."),
    }
    named = {"zone": directory.zone(body["zone"])}
    if body["code"] in ("unauthorised", "outside_hours"):
        named["person"] = directory.person(body["person"])
    return sentences[body["code"]] % named


def _passage(body: dict[str, Any], subject: str, directory: Directory) -> str:
    named = {
        "traveller": _("a traveller"),
        "place": directory.place(body["where"]["read_point"]),
        "direction": PassageDirection(body["direction"]).label,
        "check": passage_check(body),
        "goods": _("shipment %(reference)s") % body["goods"] if "goods" in body else _("no shipment"),
    }
    if body["traveller"]["on_file"]:
        named["traveller"] = directory.person(body["traveller"]["person"])
    if body["outcome"] == "abandoned":
        sentence = _(
            "The passage of %(traveller)s at %(place)s with %(goods)s was never decided (%(direction)s). %(check)s"
        )
        return sentence % named
    sentences = {
        "passed": _("%(officer)s let %(traveller)s pass at %(place)s with %(goods)s (%(direction)s). %(check)s"),
        "refused": _(
            "%(officer)s did not let %(traveller)s pass at %(place)s with %(goods)s (%(direction)s). %(check)s"
        ),
        "referred": _(
            "%(officer)s referred %(traveller)s to secondary inspection at %(place)s with %(goods)s (%(direction)s). "
            "%(check)s"
        ),
    }
    return sentences[body["outcome"]] % (named | {"officer": directory.person(body["by"]["person"])})


def passage_check(body: dict[str, Any]) -> str:
    """Say how the traveller was held against the document."""
    if "dual_control" in body:
        reason = {"reason": WithoutFace(body["dual_control"]["reason"]).label}
        if body["dual_control"]["document_checked"]:
            return _("The officer checked the document by eye: %(reason)s.") % reason
        return _("No photo was taken: %(reason)s.") % reason
    if "face" not in body:
        return _("The face was not compared.")
    if body["face"]["outcome"] == "match":
        return _("The face matched the document.")
    return _("The face did not match the document.")


def _resolution(body: dict[str, Any], subject: str, directory: Directory) -> str:
    if "discrepancy" in body:
        return resolution_sentence(body, directory)
    return _("%(by)s decided on an alert in %(zone)s: %(decision)s.") % {
        "by": directory.account(body["by"]),
        "zone": directory.zone(body["zone"]),
        "decision": ZoneAlert.Decision(body["decision"]).label,
    }


SENTENCES = {
    "inspection": Sentence(gettext_lazy("Inspection"), _intervention, "search", "plain"),
    "inspection_attended": Sentence(gettext_lazy("Attendance"), _attended, "user-check", "plain"),
    "hold": Sentence(gettext_lazy("Hold"), _intervention, "lock", "warn"),
    "release": Sentence(gettext_lazy("Release"), _intervention, "circle-check", "ok"),
    "seizure": Sentence(gettext_lazy("Seizure"), _intervention, "gavel", "bad"),
    "passage": Sentence(gettext_lazy("Passage of a border"), _passage, "id-badge-2", "plain"),
    "act_refused": Sentence(gettext_lazy("Refused act"), _act_refused, "ban", "bad"),
    "zone_alert": Sentence(gettext_lazy("Alert in a restricted zone"), _zone_alert, "camera", "bad"),
    "resolution": Sentence(gettext_lazy("Resolution"), _resolution, "gavel", "plain"),
}
