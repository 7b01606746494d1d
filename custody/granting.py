"""
Grant and withdraw authorisations, and record who works for whom: each an entry that names the account behind it.

Nobody gains anything by their own hand: not the person of their own account, and not that person's employer.
Withdrawing gives nobody a right, so that it asks for the capability alone.
"""

import re
import uuid
import zoneinfo
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.models import EvidenceKind, Person
from biometrics.vault import seal_evidence
from custody.authorisations import employment_terms, terms
from custody.hours import as_bits, hours_problem
from custody.models import Authorisation, Employment, Licence, WithdrawalReason
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.commodity_codes import fold_code
from shipments.models import Party, Site

MOST_LISTED = 60
MAX_LICENCE_NUMBER = 60
LONGEST = timedelta(days=366 * 30)
# A chapter, heading or subheading of the HS, or a country's own digits behind it.
_PREFIX = re.compile(r"[0-9]{2}(?:[0-9]{2}){0,4}", re.ASCII)


class GrantingNotYours(Refusal):
    code = "granting_not_yours"
    message = _("Supervisors and administrators say who may take what.")
    status = 403


class GrantedToOneself(Refusal):
    code = "granted_to_oneself"
    message = _(
        "Nothing was saved: it is about yourself, or about those whom you work for. Another supervisor has to do it."
    )
    status = 403


class AuthorisationRefused(Refusal):
    code = "authorisation_refused"
    message = _("Nothing was saved: %(problem)s")
    status = 422


class EmploymentExists(Refusal):
    code = "employment_exists"
    message = _("This person is on file as working for %(employer)s already. End that first, if it is not right.")


class AttemptReused(Refusal):
    code = "attempt_reused"
    message = _("This attempt's number belongs to something else that was saved. Start a new one.")


@dataclass(frozen=True)
class Terms:
    """
    What is allowed; what is left empty is not limited.

    :param hs: first digits of commodity codes: 2, 4, 6, 8 or 10
    :param consignor: with ``consignee``, the ends of the route
    :param days: days of the week, Monday 0; ``opens_at`` and ``closes_at`` are wall time in ``time_zone``
    :param valid_from: today, where it is not given; dates hold to the end of their day in ``time_zone``
    :param licence_number: of a person alone; it is sealed, and the entry holds a commitment
    """

    hs: Sequence[str] = ()
    sites: Collection[Site] = ()
    consignor: Party | None = None
    consignee: Party | None = None
    days: Collection[int] = field(default_factory=lambda: range(7))
    opens_at: time | None = None
    closes_at: time | None = None
    time_zone: str = "UTC"
    valid_from: date | None = None
    valid_until: date | None = None
    licence: str = ""
    licence_until: date | None = None
    licence_number: str = ""


def grant_authorisation(*, to: Person | Party, allowed: Terms, by: User, attempt: uuid.UUID) -> Authorisation:
    """
    Authorise a person, or everybody who works for an employer.

    :param attempt: the idempotency key: the same one returns the same authorisation
    :raises GrantingNotYours, GrantedToOneself, AuthorisationRefused, AttemptReused:
    """
    now = timezone.now()
    _require_anothers(by, to, now)
    authorisation = _worded(to, allowed, by, attempt, now)
    problem = _problem(authorisation, allowed)
    if problem:
        raise AuthorisationRefused(problem=problem)
    known = Authorisation.objects.filter(attempt=attempt).first()
    if known is not None:
        return _same(known, authorisation, allowed, by)
    try:
        with transaction.atomic():
            if number := " ".join(allowed.licence_number.split()):
                assert isinstance(to, Person)
                authorisation.licence_number = seal_evidence(
                    person=to, kind=EvidenceKind.NOTE, value=number.encode("utf-8")
                )
            authorisation.statement = submit(
                kind="authorisation_granted",
                subject=to.pk.urn,
                body={
                    "authorisation": authorisation.pk.urn,
                    "attempt": attempt.urn,
                    "to": _named(to),
                    "terms": terms(authorisation, allowed.sites),
                    "when": {"granted_at": format_time(now)},
                    "by": _by(by),
                },
                key=f"authorisation_granted:{authorisation.pk}",
            )
            authorisation.save(force_insert=True)
            authorisation.sites.set(allowed.sites)
    except IntegrityError:
        # The same attempt, sent twice at once: the first one won.
        return _same(Authorisation.objects.get(attempt=attempt), authorisation, allowed, by)
    return authorisation


def withdraw_authorisation(*, authorisation: Authorisation, reason: str, by: User) -> Authorisation:
    """
    Withdraw an authorisation: from this moment on nobody may take anything by it.

    Whom it is about may lose it by anybody who grants, themselves included: that gives nobody a right.

    :returns: it, unchanged where it was withdrawn before
    :raises GrantingNotYours, AuthorisationRefused:
    """
    _require_granting(by)
    if reason not in WithdrawalReason.values:
        problem = _("the reason is one of: %(known)s.") % {"known": ", ".join(WithdrawalReason.values)}
        raise AuthorisationRefused(problem=problem)
    with transaction.atomic():
        # Locked: a handoff that is accepted by it now keeps it until the handoff is submitted.
        locked = Authorisation.objects.select_for_update(of=("self",)).get(pk=authorisation.pk)
        if locked.withdrawn_at is not None:
            return locked
        holder = locked.person_id or locked.employer_id
        assert holder
        locked.withdrawn_at, locked.withdrawn_by, locked.withdrawn_for = timezone.now(), by, reason
        locked.withdrawal = submit(
            kind="authorisation_withdrawn",
            subject=holder.urn,
            body={
                "authorisation": locked.pk.urn,
                "to": _named(locked.person or locked.employer),
                "reason": str(reason),
                "when": {"withdrawn_at": format_time(locked.withdrawn_at)},
                "by": _by(by),
            },
            key=f"authorisation_withdrawn:{locked.pk}",
        )
        locked.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_for", "withdrawal"])
    return locked


def record_employment(
    *,
    person: Person,
    employer: Party,
    by: User,
    attempt: uuid.UUID,
    since: date | None = None,
    until: date | None = None,
) -> Employment:
    """
    Record that a person works for an employer, and so may take what the employer may.

    :param since: the first day; it counts from when it was recorded, where that is later or none is given
    :raises GrantingNotYours, GrantedToOneself, AuthorisationRefused, EmploymentExists, AttemptReused:
    """
    now = timezone.now()
    _require_anothers(by, person, now)
    if until is not None and not (since or date.min) <= until <= now.date() + LONGEST:
        raise AuthorisationRefused(problem=_("it ends before it begins, or later than in 30 years."))
    employment = Employment(
        attempt=attempt, person=person, employer=employer, since=since, until=until, recorded_by=by, recorded_at=now
    )
    known = Employment.objects.filter(attempt=attempt).first()
    try:
        with transaction.atomic():
            if known is None:
                employment.statement = submit(
                    kind="employment_recorded",
                    subject=person.pk.urn,
                    body={
                        "employment": employment.pk.urn,
                        "attempt": attempt.urn,
                        "to": _named(person),
                        "terms": employment_terms(employment),
                        "when": {"recorded_at": format_time(now)},
                        "by": _by(by),
                    },
                    key=f"employment_recorded:{employment.pk}",
                )
                employment.save(force_insert=True)
                return employment
    except IntegrityError:
        known = Employment.objects.filter(attempt=attempt).first()
        if known is None:
            raise EmploymentExists(employer=employer.name) from None
    if (known.person_id, known.employer_id, known.recorded_by_id) != (person.pk, employer.pk, by.pk):
        raise AttemptReused
    return known


def end_employment(*, employment: Employment, by: User) -> Employment:
    """End it now: what the employer may take, this person may not any more. :raises GrantingNotYours:"""
    _require_granting(by)
    with transaction.atomic():
        locked = Employment.objects.select_for_update(of=("self",)).get(pk=employment.pk)
        if locked.ended_at is not None:
            return locked
        locked.ended_at, locked.ended_by = timezone.now(), by
        locked.ending = submit(
            kind="employment_ended",
            subject=locked.person_id.urn,
            body={
                "employment": locked.pk.urn,
                "to": _named(locked.person),
                "employer": locked.employer_id.urn,
                "when": {"ended_at": format_time(locked.ended_at)},
                "by": _by(by),
            },
            key=f"employment_ended:{locked.pk}",
        )
        locked.save(update_fields=["ended_at", "ended_by", "ending"])
    return locked


def read_prefixes(text: str) -> list[str]:
    """Return the commodity codes in what somebody typed: between commas, spaces or lines, with points or without."""
    return list(dict.fromkeys(folded for part in re.split(r"[,;\s]+", text) if (folded := fold_code(part))))


def _require_granting(by: User) -> None:
    if not by.may(Capability.GRANT_AUTHORISATIONS):
        raise GrantingNotYours


def _require_anothers(by: User, to: Person | Party, now: datetime) -> None:
    _require_granting(by)
    own = Person.objects.filter(user=by).first()
    if own is None:
        return
    employers = Employment.objects.filter(person=own, ended_at=None).values_list("employer", flat=True)
    if to.pk == own.pk or to.pk in employers:
        raise GrantedToOneself


def _worded(to: Person | Party, allowed: Terms, by: User, attempt: uuid.UUID, now: datetime) -> Authorisation:
    known_zone = allowed.time_zone in zoneinfo.available_timezones()
    today = now.astimezone(zoneinfo.ZoneInfo(allowed.time_zone) if known_zone else UTC).date()
    return Authorisation(
        attempt=attempt,
        person=to if isinstance(to, Person) else None,
        employer=to if isinstance(to, Party) else None,
        hs=list(allowed.hs),
        consignor=allowed.consignor,
        consignee=allowed.consignee,
        days=as_bits(allowed.days),
        opens_at=_whole_minute(allowed.opens_at),
        closes_at=_whole_minute(allowed.closes_at),
        time_zone=allowed.time_zone,
        valid_from=allowed.valid_from or today,
        valid_until=allowed.valid_until,
        licence=allowed.licence,
        licence_until=allowed.licence_until,
        granted_by=by,
        granted_at=now,
    )


def _whole_minute(at: time | None) -> time | None:
    return at.replace(second=0, microsecond=0, tzinfo=None) if at else None


def _problem(one: Authorisation, allowed: Terms) -> Any:
    if unknown := [prefix for prefix in one.hs if not _PREFIX.fullmatch(prefix)]:
        return _("%(code)s is no beginning of a commodity code: 2, 4, 6, 8 or 10 digits.") % {"code": unknown[0][:20]}
    if max(len(one.hs), len(allowed.sites)) > MOST_LISTED:
        return _("more than %(limit)s commodities or sites. Grant several.") % {"limit": MOST_LISTED}
    if problem := hours_problem(one):
        return problem
    if one.valid_until is not None and not one.valid_from <= one.valid_until <= one.valid_from + LONGEST:
        return _("it ends before it begins, or later than in 30 years.")
    if one.licence not in ("", *Licence.values):
        return _("the document is one of: %(known)s.") % {"known": ", ".join(Licence.values)}
    if bool(one.licence) != (one.licence_until is not None):
        return _("a licence or badge needs its kind and the day until which it is valid: both, or neither.")
    number = " ".join(allowed.licence_number.split())
    if number and not (one.licence and one.person):
        return _("a number is kept of a person’s licence or badge alone: say which, or leave it empty.")
    if len(number) > MAX_LICENCE_NUMBER or not number.isprintable():
        return _("the number has at most %(limit)s characters that can be printed.") % {"limit": MAX_LICENCE_NUMBER}
    return ""


def _same(known: Authorisation, asked: Authorisation, allowed: Terms, by: User) -> Authorisation:
    if allowed.valid_from is None:
        asked.valid_from = known.valid_from  # sent again behind midnight
    # Each sealing of the same number has a commitment of its own.
    asked.licence_number = known.licence_number
    same = terms(known, known.sites.all()) == terms(asked, allowed.sites)
    holders = {(one.person_id, one.employer_id) for one in (known, asked)}
    if not same or len(holders) > 1 or known.granted_by_id != by.pk:
        raise AttemptReused
    return known


def _named(holder: Person | Party | None) -> dict[str, str]:
    assert holder is not None
    if isinstance(holder, Person):
        return {"person": holder.pk.urn}
    return {"employer": holder.pk.urn} | ({"gln": holder.gln} if holder.gln else {})


def _by(account: User) -> dict[str, str]:
    """Who did it: the account, and the person behind it where one is on file."""
    person = Person.objects.filter(user=account).values_list("pk", flat=True).first()
    return {"operator": account.pk.urn} | ({"person": person.urn} if person else {})
