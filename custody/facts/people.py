"""Who was enrolled, by which consent."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from biometrics.models import PersonKind
from custody.directory import Directory
from custody.facts.fact import Fact, Parts, Section
from custody.facts.measurements import spread
from custody.narrative import Line


def _enrolment(line: Line, directory: Directory) -> Section:
    body, consent = line.body, line.body["consent"]
    facts = [
        Fact(_("Person"), directory.person(body["person"]) + role(body)),
        Fact(
            _("Template"),
            ngettext("Version %(version)s, from %(k)s photo", "Version %(version)s, from %(k)s photos", body["k"])
            % body,
        ),
        Fact(
            _("Consent"),
            _("Text %(text_version)s, shown in language %(language)s") % consent,
            codes=(consent["purpose"], consent["retention"]),
        ),
        Fact(_("Enrolled by"), directory.account(body["enrolled_by"])),
    ]
    fold = [
        Fact(_("Commitment to the template"), codes=(body["template"],)),
        Fact(_("Commitments to the photos"), codes=tuple(body["photos"])),
        Fact(_("SHA-256 of the consent’s text"), codes=(consent["text"],)),
        Fact(_("Calibration file"), codes=(body["calibration"],)),
        *spread(_("Model"), body["models"]),
        *spread(_("Runtime"), body["runtime"]),
    ]
    return Section(_("Enrolment"), "fingerprint", facts, fold=fold)


def role(party: dict[str, Any]) -> str:
    labels = dict(PersonKind.choices)
    return f" · {labels[party['role']]}" if party.get("role") in labels else ""


PARTS: Parts = {"photos": _enrolment}
