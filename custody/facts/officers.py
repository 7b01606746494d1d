"""What officers did to a shipment, who attended, and what was to be declared and was refused."""

import uuid

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.acts import done
from custody.facts.fact import Fact, Parts, Section
from custody.models import Act, Findings, Intervention, Reason
from custody.narrative import Line
from custody.sentences.reasons import REASONS


def _intervention(line: Line, directory: Directory) -> Section:
    """An officer’s act, done or refused; a refused one has a reason of its own beside that of the act."""
    body = line.body
    facts = [Fact(_("Act"), str(Act(body["act"]).label))]
    if "ends" in body:
        facts.append(_ended(body["ends"]))
    facts.append(Fact(_("Reason"), str(Reason(body["reason"]).label)))
    if "findings" in body:
        facts.append(Fact(_("Findings"), str(Findings(body["findings"]).label)))
    if "code" in body:
        why = capfirst(str(REASONS.get(body["code"], body["code"])))
        facts.append(Fact(_("Refused because"), why, codes=(body["code"],)))
        facts.append(Fact(_("Attempt"), str(body["attempt_number"])))
    facts += done(line, directory)
    fold = [Fact(_("Intervention"), codes=(body["intervention"],))]
    if "note" in body:
        fold.append(Fact(_("Commitment to the note"), codes=(body["note"],)))
    return Section(line.kind_name, line.icon, facts, fold=fold)


def _ended(urn: str) -> Fact:
    """The hold or seizure that a release ends, by its entry where that is sealed."""
    ended = Intervention.objects.select_related("statement").filter(pk=uuid.UUID(urn)).first()
    if ended is None or ended.statement is None or ended.statement.entry_id is None:
        return Fact(_("Ends"), codes=(urn,))
    named = _("%(act)s, entry %(n)s") % {"act": ended.get_act_display(), "n": ended.statement.entry_id}
    return Fact(_("Ends"), named, url=reverse("entry", args=[ended.statement.entry_id]))


def _attendance(line: Line, directory: Directory) -> Section:
    body, inspection = line.body, line.body["inspection"]
    url = reverse("entry", args=[inspection["entry"]]) if "entry" in inspection else ""
    facts = [
        Fact(
            _("Inspection"),
            _("Entry %(index)s") % {"index": inspection["entry"]} if url else _("Not sealed at that time"),
            url=url,
        ),
        Fact(_("Officer"), directory.person(inspection["officer"])),
        *done(line, directory),
    ]
    fold = [
        Fact(_("Intervention"), codes=(inspection["intervention"],)),
        Fact(_("Attendance"), codes=(body["attendance"],)),
    ]
    return Section(_("Attendance"), "user-check", facts, fold=fold)


def _refused_declaration(line: Line, directory: Directory) -> Section:
    body = line.body
    facts = [
        Fact(_("Reason"), capfirst(str(REASONS.get(body["code"], body["code"]))), codes=(body["code"],)),
        Fact(_("Attempt"), str(body["attempt_number"])),
        Fact(_("Local reference"), codes=(body["lrn"],)),
        *done(line, directory),
    ]
    fold = [Fact(_("Draft"), codes=(body["draft"],))]
    return Section(_("Refused declaration"), "ban", facts, fold=fold)


PARTS: Parts = {"intervention": _intervention, "inspection": _attendance, "draft": _refused_declaration}
