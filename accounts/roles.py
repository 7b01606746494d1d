"""Who may do what: six roles, each a fixed set of capabilities. Views name a capability, never a role."""

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    OPERATOR = "operator", _("Operator")
    SUPERVISOR = "supervisor", _("Supervisor")
    OFFICER = "officer", _("Officer")
    AUDITOR = "auditor", _("Auditor")
    ADMINISTRATOR = "administrator", _("Administrator")
    WITNESS = "witness", _("Witness")


class Capability(StrEnum):
    HAND_OFF = "hand_off"
    SEE_GOODS = "see_goods"
    MANAGE_GOODS = "manage_goods"
    CAPTURE_EVENTS = "capture_events"
    SEE_PEOPLE = "see_people"
    MANAGE_PEOPLE = "manage_people"
    READ_LEDGER = "read_ledger"
    READ_ENTRIES = "read_entries"
    VERIFY_LEDGER = "verify_ledger"
    DISCLOSE = "disclose"
    SEE_REFUSALS = "see_refusals"
    DECIDE_DUPLICATES = "decide_duplicates"
    KEEP_WATCHLIST = "keep_watchlist"
    LOOK_AT_EVIDENCE = "look_at_evidence"
    ERASE_PEOPLE = "erase_people"
    SEE_RETENTION = "see_retention"


CAPABILITIES: dict[str, frozenset[Capability]] = {
    Role.OPERATOR: frozenset({Capability.HAND_OFF, Capability.SEE_GOODS, Capability.SEE_PEOPLE}),
    Role.SUPERVISOR: frozenset(
        {
            Capability.HAND_OFF,
            Capability.SEE_GOODS,
            Capability.MANAGE_GOODS,
            Capability.CAPTURE_EVENTS,
            Capability.SEE_PEOPLE,
            Capability.MANAGE_PEOPLE,
            Capability.SEE_REFUSALS,
        }
    ),
    Role.OFFICER: frozenset(
        {
            Capability.SEE_GOODS,
            Capability.SEE_PEOPLE,
            Capability.SEE_REFUSALS,
            Capability.READ_LEDGER,
            Capability.READ_ENTRIES,
            # They act under a law that says when evidence is opened; auditors check without opening.
            Capability.DISCLOSE,
            Capability.DECIDE_DUPLICATES,
            Capability.KEEP_WATCHLIST,
            Capability.LOOK_AT_EVIDENCE,
            Capability.SEE_RETENTION,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            Capability.SEE_GOODS,
            Capability.SEE_REFUSALS,
            Capability.READ_LEDGER,
            Capability.READ_ENTRIES,
            Capability.VERIFY_LEDGER,
            Capability.SEE_RETENTION,
        }
    ),
    # An administrator keeps people and places, and accounts in Django's admin, which asks for is_staff; custody itself
    # is not theirs to take or give.
    Role.ADMINISTRATOR: frozenset(
        {
            Capability.SEE_GOODS,
            Capability.MANAGE_GOODS,
            Capability.CAPTURE_EVENTS,
            Capability.SEE_PEOPLE,
            Capability.MANAGE_PEOPLE,
            Capability.ERASE_PEOPLE,
            Capability.SEE_RETENTION,
        }
    ),
    # A program elsewhere that mirrors the log: the sealed entries under /log/, and no page.
    Role.WITNESS: frozenset({Capability.READ_ENTRIES}),
}
