"""
Discrepancies: opened where something does not agree, worked on, and resolved by an officer; both ends are entries.

What is found twice is one while it is open. A discrepancy names the window in which it came about and who held custody
then; it never says who did it. Those it names have no say in how it ends.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import CAPABILITIES, Capability
from biometrics.models import Evidence as SealedEvidence
from biometrics.models import EvidenceKind, Person
from biometrics.vault import seal_evidence
from custody.custody_held import CustodySpan, span_before, who_held
from custody.discrepancy_codes import ABOUT, Code, Severity
from custody.entries import goods
from custody.models import Discrepancy, DiscrepancyStep, Handoff, Outcome, StepTaken
from custody.officers import person_of_officer
from ledger.models import Entry
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.models import Consignment, Reader, ReadPoint, Site
from shipments.reconciliation import LISTED

MAX_NOTE = 500
MAX_FIGURE = 2**53 - 1
_FIGURE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


class DiscrepancyNotYours(Refusal):
    code = "discrepancy_not_yours"
    message = _("Discrepancies are settled by officers.")
    status = 403


class HeldCustodyThen(Refusal):
    code = "held_custody_then"
    message = _("You are named in this discrepancy, or opened it yourself. Another officer must resolve it.")
    status = 403


class ResolvedBefore(Refusal):
    code = "discrepancy_resolved_before"
    message = _("This discrepancy was resolved before: %(outcome)s. The first resolution stands.")


class OutcomeUnknown(Refusal):
    code = "outcome_unknown"
    message = _("An outcome is one of: %(known)s.")
    status = 422


class DiscrepancyNoteMissing(Refusal):
    code = "discrepancy_note_missing"
    message = _("Say what it rests on, in 1 to %(limit)s characters that can be printed.")
    status = 422


class PasswordNotConfirmed(Refusal):
    code = "password_not_confirmed"
    message = _("A discrepancy of high severity is resolved with your password. Type it again.")
    status = 422


class LaterEntryUnknown(Refusal):
    code = "later_entry_unknown"
    message = _("The log has no entry %(entry)s that came after this discrepancy’s. Look the number up in the ledger.")
    status = 422


class AssigneeRefused(Refusal):
    code = "assignee_refused"
    message = _("%(account)s settles no discrepancies, or is named in this one. Choose another officer.")
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    What a finding rests on. Identifiers, codes and whole numbers: no name, and no text that anybody wrote.

    :param items: EPCs in hex
    :param entries: leaf hashes in hex, or the keys of statements that are not sealed yet
    :param sessions: read sessions
    :param seals: numbers of seals
    :param persons: who is concerned beside the custodians, such as the one whose face did not match
    :param handoff: the handoff at which it was found; what it hands over does not count into the window
    :param figures: whole numbers with their unit in the name, such as ``measured_g``
    """

    items: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    sessions: tuple[uuid.UUID, ...] = ()
    seals: tuple[str, ...] = ()
    persons: tuple[uuid.UUID, ...] = ()
    reader: Reader | None = None
    read_point: ReadPoint | None = None
    site: Site | None = None
    handoff: Handoff | None = None
    figures: Mapping[str, int] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return it as the entry has it, what does not apply left out."""
        found: dict[str, Any] = {}
        lists = {
            "items": list(self.items),
            "entries": list(self.entries),
            "sessions": [one.urn for one in self.sessions],
            "seals": list(self.seals),
            "persons": [one.urn for one in self.persons],
        }
        for name, values in lists.items():
            if values:
                found[name] = values[:LISTED]
            if len(values) > LISTED:
                found[f"{name}_total"] = len(values)
        if self.reader is not None:
            found["reader"] = self.reader.pk.urn
        if self.read_point is not None:
            found["read_point"] = self.read_point.sgln
        if site := self.at_site():
            found["site"] = site.gln
        if self.handoff is not None:
            found["handoff"] = self.handoff.pk.urn
        if self.figures:
            found["figures"] = {name: _figure(name, value) for name, value in sorted(self.figures.items())}
        return found

    def at_site(self) -> Site | None:
        return self.site or (self.read_point.site if self.read_point is not None else None)


def open_discrepancy(
    *,
    code: str,
    consignment: Consignment | None,
    key: str,
    evidence: Evidence,
    since: datetime | None = None,
    until: datetime | None = None,
    by: User | None = None,
    severity: str = "",
    once: bool = False,
) -> Discrepancy:
    """
    Open a discrepancy, or return the one that is open under ``key``. May be called in somebody else's transaction.

    :param consignment: None where it is about a reader or the log
    :param key: what makes two findings the same one; found anew after it was resolved, it is a new discrepancy that
        names the old one
    :param since: when the goods were last as they should be; without it, the newest accepted handoff before the finding
        at which nothing of the kind was found
    :param until: when it was found; without it, when the evidence's handoff was accepted, or now
    :param by: who found it by an act of their own; None for a check in the background
    :param severity: where it is not the code's own
    :param once: the key names one event: what was resolved is not opened again
    :raises ValueError: where the code is unknown, or evidence that it needs is missing: the caller is wrong
    """
    kind = Code(code)
    grave = Severity(severity) if severity else ABOUT[kind].severity
    part = evidence.body()
    if missing := [name for name in ABOUT[kind].needs if name not in part]:
        raise ValueError(f"{kind.value} is opened with {', '.join(missing)}")
    for _attempt in range(3):
        before = Discrepancy.objects.filter(key=key).order_by("-round").first()
        if before is not None and (before.is_open or once):
            return before
        try:
            with transaction.atomic():
                return _open(kind, grave, consignment, key, evidence, part, since, until, by, before)
        except IntegrityError:
            # Somebody found the same at the same moment: theirs stands, unless it was resolved since.
            if not Discrepancy.objects.filter(key=key, round=before.round + 1 if before else 1).exists():
                raise
    return Discrepancy.objects.filter(key=key).order_by("-round")[0]


def _open(
    code: Code,
    severity: Severity,
    consignment: Consignment | None,
    key: str,
    evidence: Evidence,
    part: dict[str, Any],
    since: datetime | None,
    until: datetime | None,
    by: User | None,
    before: Discrepancy | None,
) -> Discrepancy:
    if consignment is not None:
        # As handoffs lock it, and before the key is taken: the other way round, the two would wait for each other.
        Consignment.objects.select_for_update(of=("self",)).get(pk=consignment.pk)
    now = timezone.now()
    found_at = until or (evidence.handoff.closed_at if evidence.handoff else None) or now
    span = _span(code, consignment, evidence, since, found_at)
    discrepancy = Discrepancy(
        code=code,
        severity=severity,
        key=key,
        round=before.round + 1 if before is not None else 1,
        reopens=before,
        consignment=consignment,
        reader=evidence.reader,
        site=evidence.at_site(),
        handoff=evidence.handoff,
        evidence=part,
        last_good=span.last_good,
        since=span.since,
        until=found_at,
        opened_by=by,
        opened_at=now,
    )
    body: dict[str, Any] = {
        "discrepancy": discrepancy.pk.urn,
        "code": code.value,
        "severity": severity.value,
        "evidence": part,
        "window": _window(span, found_at),
        "when": {"opened_at": format_time(now)},
    }
    if consignment is not None:
        body["goods"] = goods(consignment)
    if by is not None:
        body["by"] = {"operator": by.pk.urn}
    if before is not None:
        body["reopens"] = before.pk.urn
    discrepancy.statement = submit(
        kind="discrepancy", subject=_subject(discrepancy), body=body, key=f"discrepancy:{discrepancy.pk}"
    )
    discrepancy.save(force_insert=True)
    discrepancy.custodians.set(span.custodians)
    return discrepancy


def assign_discrepancy(*, discrepancy: Discrepancy, assignee: User | None, by: User) -> Discrepancy:
    """
    Give a discrepancy to an officer, or back to nobody; assigning it as it is adds nothing.

    :raises DiscrepancyNotYours, ResolvedBefore, AssigneeRefused:
    """
    _require_officer(by)
    with transaction.atomic():
        discrepancy = _locked_open(discrepancy)
        if assignee is not None and (
            not assignee.may(Capability.SETTLE_DISCREPANCIES) or is_named(discrepancy, assignee)
        ):
            raise AssigneeRefused(account=assignee.get_full_name() or assignee.get_username())
        if discrepancy.assignee_id == (assignee.pk if assignee else None):
            return discrepancy
        discrepancy.assignee = assignee
        discrepancy.save(update_fields=["assignee"])
        DiscrepancyStep.objects.create(discrepancy=discrepancy, step=StepTaken.ASSIGNED, by=by, assignee=assignee)
    return discrepancy


def note_discrepancy(*, discrepancy: Discrepancy, note: str, by: User) -> DiscrepancyStep:
    """
    Add a note, sealed under the officer's own key; the resolution's entry commits to every note.

    :raises DiscrepancyNotYours, OfficerNotOnFile, DiscrepancyNoteMissing, ResolvedBefore:
    """
    officer, note = _officer(by), _read_note(note)
    with transaction.atomic():
        discrepancy = _locked_open(discrepancy)
        return DiscrepancyStep.objects.create(
            discrepancy=discrepancy, step=StepTaken.NOTED, by=by, note=_seal(officer, note)
        )


def resolve_discrepancy(
    *,
    discrepancy: Discrepancy,
    outcome: str,
    note: str,
    by: User,
    password: str = "",
    later_entry: int | None = None,
) -> Discrepancy:
    """
    Record what came of a discrepancy, once; nobody who is named in it may.

    :param outcome: one of :class:`custody.models.Outcome`
    :param note: what it rests on, at most 500 characters; sealed, and committed to by the entry
    :param password: the officer's own, where the severity is high
    :param later_entry: the number of an entry that settles it, such as an amended declaration's
    :raises DiscrepancyNotYours, OfficerNotOnFile, HeldCustodyThen, ResolvedBefore, OutcomeUnknown,
        DiscrepancyNoteMissing, LaterEntryUnknown, PasswordNotConfirmed: nothing was recorded
    """
    officer = _officer(by)
    if outcome not in Outcome.values:
        raise OutcomeUnknown(known=", ".join(Outcome.values))
    note = _read_note(note)
    _require_resolvable(discrepancy, by, later_entry)
    confirmed = discrepancy.severity == Severity.HIGH
    if confirmed:
        # Slow on purpose, so outside the lock; the brake on guesses at the login counts these too.
        account = authenticate(None, username=by.get_username(), password=password) if password else None
        if account is None or account.pk != by.pk:
            raise PasswordNotConfirmed
    with transaction.atomic():
        discrepancy = _locked_open(discrepancy)
        _require_resolvable(discrepancy, by, later_entry)
        discrepancy.outcome, discrepancy.resolved_by, discrepancy.resolved_at = outcome, by, timezone.now()
        discrepancy.note, discrepancy.later_entry = _seal(officer, note), later_entry
        body: dict[str, Any] = {
            "discrepancy": discrepancy.pk.urn,
            "code": discrepancy.code,
            "severity": discrepancy.severity,
            "outcome": outcome,
            "by": {"person": officer.pk.urn, "operator": by.pk.urn},
            "when": {"resolved_at": format_time(discrepancy.resolved_at)},
            "note": discrepancy.note.commitment,
        }
        if discrepancy.consignment is not None:
            body["goods"] = goods(discrepancy.consignment)
        if confirmed:
            body["second_factor"] = "password"
        if later_entry is not None:
            body["entry"] = later_entry
        if discrepancy.statement.entry_id is not None:
            body["opened_entry"] = discrepancy.statement.entry_id
        notes = list(
            discrepancy.steps.filter(step=StepTaken.NOTED).order_by("id").values_list("note__commitment", flat=True)
        )
        if notes:
            body["notes"] = notes[:LISTED]
        if len(notes) > LISTED:
            body["notes_total"] = len(notes)
        discrepancy.resolution = submit(
            kind="resolution", subject=_subject(discrepancy), body=body, key=f"resolution:{discrepancy.pk}"
        )
        discrepancy.save()
    return discrepancy


def is_named(discrepancy: Discrepancy, account: User) -> bool:
    """Tell whether the account opened the discrepancy, or belongs to somebody who is named in it."""
    if discrepancy.opened_by_id == account.pk:
        return True
    own = Person.objects.filter(user=account)
    if discrepancy.custodians.filter(pk__in=own.values("pk")).exists():
        return True
    persons = discrepancy.evidence.get("persons", ())
    return any(person.urn in persons for person in own.values_list("pk", flat=True))


def officers() -> QuerySet[User]:
    """The accounts to which a discrepancy may be assigned."""
    roles = [role for role, held in CAPABILITIES.items() if Capability.SETTLE_DISCREPANCIES in held]
    return User.objects.filter(is_active=True, role__in=roles).order_by("username")


def _span(
    code: Code, consignment: Consignment | None, evidence: Evidence, since: datetime | None, until: datetime
) -> CustodySpan:
    if consignment is None:
        return CustodySpan(None, since, [])
    at = evidence.handoff
    if since is not None:
        return CustodySpan(None, min(since, until), who_held(consignment, since, until, leaving_out=at))
    same = Discrepancy.objects.filter(consignment=consignment, code=code, handoff__isnull=False)
    items = set(evidence.items)
    bad = {
        known.handoff_id
        for known in same.exclude(outcome=Outcome.FALSE_ALARM)
        if not items or items & set(known.evidence.get("items", ()))
    }
    return span_before(consignment, until, leaving_out=at, not_good=bad)


def _window(span: CustodySpan, until: datetime) -> dict[str, Any]:
    window: dict[str, Any] = {"until": format_time(until)}
    if span.since is not None:
        window["since"] = format_time(span.since)
    if span.last_good is not None:
        window["from"] = {"handoff": span.last_good.pk.urn}
        statement = span.last_good.statement
        if statement is not None and statement.entry_id is not None:
            window["from"]["entry"] = statement.entry_id
    if span.custodians:
        window["custodians"] = [person.pk.urn for person in span.custodians[:LISTED]]
    if len(span.custodians) > LISTED:
        window["custodians_total"] = len(span.custodians)
    return window


def _subject(discrepancy: Discrepancy) -> str:
    """The shipment's chain, or the reader's; what is about the log has a chain of its own."""
    return str((discrepancy.consignment_id or discrepancy.reader_id or discrepancy.pk).urn)


def _figure(name: str, value: int) -> int:
    if not _FIGURE.fullmatch(name) or type(value) is not int or abs(value) > MAX_FIGURE:
        raise ValueError(f"{name} is a whole number with its unit in its name")
    return value


def _require_officer(by: User) -> None:
    if not by.may(Capability.SETTLE_DISCREPANCIES):
        raise DiscrepancyNotYours


def _officer(by: User) -> Person:
    """Return who acts: without a record of their own nobody could tell whether they are named in what they settle."""
    _require_officer(by)
    return person_of_officer(by)


def _read_note(note: str) -> str:
    note = " ".join(note.split())
    if not note or len(note) > MAX_NOTE or not note.isprintable():
        raise DiscrepancyNoteMissing(limit=MAX_NOTE)
    return note


def _seal(officer: Person, note: str) -> SealedEvidence:
    return seal_evidence(person=officer, kind=EvidenceKind.NOTE, value=note.encode())


def _require_resolvable(discrepancy: Discrepancy, by: User, later_entry: int | None) -> None:
    if discrepancy.outcome:
        raise ResolvedBefore(outcome=discrepancy.get_outcome_display())
    if is_named(discrepancy, by):
        raise HeldCustodyThen
    if later_entry is not None:
        opened = discrepancy.statement.entry_id
        if opened is None or later_entry <= opened or not Entry.objects.filter(index=later_entry).exists():
            raise LaterEntryUnknown(entry=later_entry)


def _locked_open(discrepancy: Discrepancy) -> Discrepancy:
    # The shipment first, as handoffs lock it: what is opened in a handoff holds it too.
    if discrepancy.consignment_id is not None:
        Consignment.objects.select_for_update(of=("self",)).get(pk=discrepancy.consignment_id)
    locked = (
        Discrepancy.objects.select_for_update(of=("self",))
        .select_related("consignment", "reader", "statement", "assignee")
        .get(pk=discrepancy.pk)
    )
    if locked.outcome:
        raise ResolvedBefore(outcome=locked.get_outcome_display())
    return locked
