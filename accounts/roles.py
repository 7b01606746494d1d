"""Who may do what: seven roles, each a fixed set of capabilities. Views name a capability, never a role."""

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
    REPRESENTATIVE = "representative", _("Representative")


class Capability(StrEnum):
    HAND_OFF = "hand_off"
    SEE_GOODS = "see_goods"
    MANAGE_GOODS = "manage_goods"
    WATCH_READERS = "watch_readers"
    KEEP_SEALS = "keep_seals"
    CAPTURE_EVENTS = "capture_events"
    DECLARE = "declare"
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
    MANAGE_ZONES = "manage_zones"
    WATCH_ZONES = "watch_zones"
    INTERVENE = "intervene"
    APPROVE_HANDOFFS = "approve_handoffs"
    SEE_PASSAGES = "see_passages"
    CHECK_PASSAGES = "check_passages"
    SEE_AUTHORISATIONS = "see_authorisations"
    GRANT_AUTHORISATIONS = "grant_authorisations"
    SEE_DISCREPANCIES = "see_discrepancies"
    SETTLE_DISCREPANCIES = "settle_discrepancies"


CAPABILITIES: dict[str, frozenset[Capability]] = {
    Role.OPERATOR: frozenset({Capability.HAND_OFF, Capability.SEE_GOODS, Capability.KEEP_SEALS, Capability.SEE_PEOPLE}),
    Role.SUPERVISOR: frozenset(
        {
            Capability.HAND_OFF,
            Capability.SEE_GOODS,
            Capability.MANAGE_GOODS,
            Capability.WATCH_READERS,
            Capability.KEEP_SEALS,
            Capability.CAPTURE_EVENTS,
            Capability.DECLARE,
            Capability.SEE_PEOPLE,
            Capability.MANAGE_PEOPLE,
            Capability.MANAGE_ZONES,
            Capability.SEE_REFUSALS,
            Capability.SEE_AUTHORISATIONS,
            Capability.GRANT_AUTHORISATIONS,
            Capability.SEE_DISCREPANCIES,
        }
    ),
    Role.OFFICER: frozenset(
        {
            Capability.SEE_GOODS,
            Capability.WATCH_READERS,
            # Customs breaks seals to look inside, and puts its own in their place.
            Capability.KEEP_SEALS,
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
            Capability.WATCH_ZONES,
            Capability.INTERVENE,
            # In place of a face, of who hands over, or of goods that do not fit: another person than whoever acts.
            Capability.APPROVE_HANDOFFS,
            Capability.SEE_PASSAGES,
            Capability.CHECK_PASSAGES,
            Capability.SEE_AUTHORISATIONS,
            Capability.SEE_DISCREPANCIES,
            Capability.SETTLE_DISCREPANCIES,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            Capability.SEE_GOODS,
            Capability.SEE_REFUSALS,
            Capability.SEE_DISCREPANCIES,
            Capability.READ_LEDGER,
            Capability.READ_ENTRIES,
            Capability.VERIFY_LEDGER,
            Capability.SEE_RETENTION,
            Capability.SEE_PASSAGES,
            Capability.SEE_AUTHORISATIONS,
        }
    ),
    # An administrator keeps people and places, and accounts in Django's admin, which asks for is_staff; custody itself
    # is not theirs to take or give.
    Role.ADMINISTRATOR: frozenset(
        {
            Capability.SEE_GOODS,
            Capability.MANAGE_GOODS,
            Capability.WATCH_READERS,
            Capability.CAPTURE_EVENTS,
            Capability.DECLARE,
            Capability.SEE_PEOPLE,
            Capability.MANAGE_PEOPLE,
            Capability.MANAGE_ZONES,
            Capability.ERASE_PEOPLE,
            Capability.SEE_RETENTION,
            Capability.SEE_AUTHORISATIONS,
            Capability.GRANT_AUTHORISATIONS,
        }
    ),
    # Declares to customs in a trader's name; of the people on file they see themselves and other representatives alone.
    Role.REPRESENTATIVE: frozenset({Capability.SEE_GOODS, Capability.DECLARE}),
    # A program elsewhere that mirrors the log: the sealed entries under /log/, and no page.
    Role.WITNESS: frozenset({Capability.READ_ENTRIES}),
}
