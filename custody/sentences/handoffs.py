"""Handoffs and those that were refused."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from custody.directory import Directory
from custody.sentences.reasons import why
from custody.sentences.sentence import Sentence


def _handoff(body: dict[str, Any], subject: str, directory: Directory) -> str:
    reads = body["reads"]
    facts = {
        "to": directory.person(body["to"]["person"]),
        "from": directory.releaser(body),
        "shipment": body["goods"]["reference"],
        "place": directory.place(body["where"]["read_point"]),
        "tags": _tags_counted(reads),
    }
    if "face" not in body:
        return _("%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. %(tags)s.") % facts
    if body["face"].get("m", 1) > 1:
        return (
            _(
                "%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. "
                "%(tags)s; face matched in a second capture."
            )
            % facts
        )
    return _("%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. %(tags)s; face matched.") % facts


def _tags_counted(reads: dict[str, Any]) -> str:
    if reads.get("inferred"):
        return _("%(seen)s of %(expected)s tags read, %(inferred)s more inferred from a unit’s tag") % reads
    return _("%(seen)s of %(expected)s tags read") % reads


def _refused(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("A handoff of %(shipment)s to %(to)s was refused at %(place)s: %(reason)s.") % {
        "shipment": body["goods"]["reference"],
        "to": directory.person(body["to"]["person"]),
        "place": directory.place(body["where"]["read_point"]),
        "reason": why(body),
    }


SENTENCES = {
    "handoff": Sentence(gettext_lazy("Handoff"), _handoff, "arrows-exchange", "ok"),
    "handoff_refused": Sentence(gettext_lazy("Refused handoff"), _refused, "ban", "bad"),
}
