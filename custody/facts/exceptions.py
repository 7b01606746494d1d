"""What did not fit at a handoff, who accepted it, and what the goods weighed."""

from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.confirmations import approval_section
from custody.facts.fact import Fact, Parts, Section
from custody.narrative import Line
from custody.sentences.exceptions import EXCEPTIONS, how_much, kilograms


def _exceptions(line: Line, directory: Directory) -> Section:
    facts = [
        Fact(
            str(EXCEPTIONS.get(exception["code"], exception["code"])),
            _("%(items)s, accepted by %(who)s")
            % {
                "items": how_much(exception["code"], exception["items"]),
                "who": _accepted_by(exception["accepted_by"], line, directory),
            },
        )
        for exception in line.body["exceptions"]
    ]
    return Section(_("Exceptions"), "alert-triangle", facts)


def _accepted_by(urn: str, line: Line, directory: Directory) -> str:
    # Where no officer was needed, and in entries from before one was, the account stands there.
    approved = line.body.get("exceptions_approved")
    if approved is not None and approved["officer"] == urn:
        return directory.person(urn)
    return directory.account(urn)


def _exceptions_approved(line: Line, directory: Directory) -> Section:
    return approval_section(_("An officer accepted the exceptions"), line.body["exceptions_approved"], directory)


def _weight(line: Line, directory: Directory) -> Section:
    weight = line.body["weight"]
    facts = [Fact(_("Measured"), kilograms(weight["measured_g"]))]
    if "declared_g" not in weight:
        return Section(_("Weight"), "package", facts)
    facts += [
        Fact(_("Declared"), kilograms(weight["declared_g"])),
        Fact(_("Tolerance"), kilograms(weight["tolerance_g"])),
    ]
    fits = abs(weight["measured_g"] - weight["declared_g"]) <= weight["tolerance_g"]
    chip, tone = (_("Within the tolerance"), "ok") if fits else (_("Beyond the tolerance"), "warn")
    return Section(_("Weight"), "package", facts, chip=chip, tone=tone)


PARTS: Parts = {"exceptions": _exceptions, "exceptions_approved": _exceptions_approved, "weight": _weight}
