"""Who may take what, and who works for whom."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from custody.directory import Directory
from custody.models import WithdrawalReason
from custody.sentences.sentence import Sentence


def holder(to: dict[str, str], directory: Directory) -> str:
    """Name whom an authorisation is granted to."""
    return directory.person(to["person"]) if "person" in to else directory.party(to["employer"])


def _granted(body: dict[str, Any], subject: str, directory: Directory) -> str:
    terms, facts = body["terms"], _who(body, directory)
    facts["since"] = terms["valid"]["from"]
    if "hs" in terms:
        facts["hs"] = ", ".join(terms["hs"])
        return _("%(by)s authorised %(to)s from %(since)s on to take goods declared under %(hs)s.") % facts
    return _("%(by)s authorised %(to)s from %(since)s on to take any commodity.") % facts


def _withdrawn(body: dict[str, Any], subject: str, directory: Directory) -> str:
    reason = WithdrawalReason(body["reason"]).label
    sentence = _("%(by)s withdrew an authorisation from %(to)s. Reason: %(reason)s.")
    return sentence % (_who(body, directory) | {"reason": reason})


def _employed(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentence = _("%(by)s recorded that %(to)s works for %(employer)s.")
    return sentence % (_who(body, directory) | {"employer": directory.party(body["terms"]["employer"])})


def _employment_ended(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentence = _("%(by)s recorded that %(to)s does not work for %(employer)s any more.")
    return sentence % (_who(body, directory) | {"employer": directory.party(body["employer"])})


def _who(body: dict[str, Any], directory: Directory) -> dict[str, str]:
    return {"by": directory.account(body["by"]["operator"]), "to": holder(body["to"], directory)}


SENTENCES = {
    "authorisation_granted": Sentence(gettext_lazy("Authorisation"), _granted, "id-badge-2", "plain"),
    "authorisation_withdrawn": Sentence(gettext_lazy("Authorisation withdrawn"), _withdrawn, "ban", "warn"),
    "employment_recorded": Sentence(gettext_lazy("Employment"), _employed, "users", "plain"),
    "employment_ended": Sentence(gettext_lazy("Employment ended"), _employment_ended, "users", "warn"),
}
