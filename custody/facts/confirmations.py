"""How people confirmed what they did: a second factor, or an officer who answers for it."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from custody.directory import Directory
from custody.facts.fact import Fact, Section
from custody.models import ApprovalReason, Document
from ledger.tlog.times import parse_time

SECOND_FACTORS = {
    "pin": gettext_lazy("PIN"),
    "badge": gettext_lazy("Badge"),
    "passkey": gettext_lazy("Passkey"),
}


def factor_name(code: str) -> str:
    return str(SECOND_FACTORS.get(code, code))


def second_factor(body: dict[str, Any]) -> list[Fact]:
    if "second_factor" not in body:
        return []
    return [Fact(_("Second factor"), factor_name(body["second_factor"]))]


def approval_section(title: str, approval: dict[str, Any], directory: Directory) -> Section:
    reasons, documents = dict(ApprovalReason.choices), dict(Document.choices)
    facts = [
        Fact(_("Officer"), directory.person(approval["officer"])),
        Fact(_("Reason"), str(reasons.get(approval["reason"], approval["reason"]))),
        Fact(_("Confirmed by"), factor_name(approval["second_factor"])),
        Fact(_("When"), at=parse_time(approval["given_at"])),
        Fact(_("Account"), directory.account(approval["operator"])),
    ]
    if "document_checked" in approval:
        checked = approval["document_checked"]
        facts.insert(2, Fact(_("Document checked"), str(documents.get(checked, checked))))
    fold = [Fact(_("Commitment to the note"), codes=(approval["note"],))] if "note" in approval else []
    return Section(title, "user-check", facts, fold=fold, chip=_("Dual control"), tone="warn")
