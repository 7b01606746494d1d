"""Who attended an officer’s inspection, and what was to be declared and was refused."""

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.acts import done
from custody.facts.fact import Fact, Parts, Section
from custody.narrative import Line
from custody.sentences.reasons import REASONS


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


PARTS: Parts = {"inspection": _attendance, "draft": _refused_declaration}
