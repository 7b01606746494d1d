"""
Whether somebody may take a shipment, at a site, at a moment: nobody may who was not authorised.

Each declared commodity code must be covered by an authorisation that fits in everything else too: the moment, the
licence, the site, the route. Different codes may be covered by different ones: each was granted, and each is an entry.
Rows are not trusted beyond the ledger: one that differs from its entry authorises nobody.
"""

import uuid
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Q
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _

from biometrics.models import Person
from biometrics.people import display_name
from custody.hours import days_of, within_hours
from custody.models import Authorisation, Employment, Licence
from custody.models.hours import EVERY_DAY
from custody.unauthorised import (
    AuthorisationAltered,
    AuthorisationExpired,
    AuthorisationNotBegun,
    AuthorisationWithdrawn,
    CommodityNotCovered,
    LicenceExpired,
    NoAuthorisation,
    NothingDeclared,
    OutsideHours,
    RouteNotCovered,
    SiteNotCovered,
    UnauthorisedCustodian,
)
from ledger.models import Statement
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from ledger.tlog.times import format_time, parse_time
from shipments.declarations import newest_versions
from shipments.models import Consignment, GoodsItem, Party, Site

__all__ = [
    "Authorised",
    "UnauthorisedCustodian",
    "declared_codes",
    "employment_terms",
    "hours_in_words",
    "require_authorised",
    "standing",
    "terms",
    "who_may_not",
]

CODES_NAMED = 8
IN_FORCE = "in_force"


# From what is farthest from a right to what is nearest: of several that do not fit, the nearest is told.
_FARTHEST_FIRST: tuple[type[UnauthorisedCustodian], ...] = (
    AuthorisationAltered,
    AuthorisationWithdrawn,
    AuthorisationExpired,
    AuthorisationNotBegun,
    LicenceExpired,
    SiteNotCovered,
    RouteNotCovered,
    OutsideHours,
)
_OVER = (AuthorisationAltered, AuthorisationWithdrawn, AuthorisationExpired, LicenceExpired)


@dataclass(frozen=True)
class Authorised:
    """By which authorisations somebody may take the shipment: as few as cover everything declared."""

    authorisations: tuple[uuid.UUID, ...]

    def body(self) -> list[str]:
        """The ``authorisation`` of an entry's body."""
        return [one.urn for one in self.authorisations]


def require_authorised(
    *,
    person: Person | None,
    employer: Party | None,
    consignment: Consignment,
    site: Site,
    at: datetime,
    lock: bool = False,
) -> Authorised:
    """
    Return by what the person, or somebody of the employer's, may take the shipment at ``site`` at the moment ``at``.

    A person may by their own authorisations and by those of whom they work for; where ``employer`` is named as well, by
    that employer's alone. Without a person, somebody not on file acts for the employer.

    :param lock: keep what it rests on from being withdrawn before the caller's transaction ends
    :raises UnauthorisedCustodian:
    """
    name = display_name(person) if person else employer.name if employer else _("Somebody who is not on file")
    asked = _Asked(person, employer, consignment, site, at, declared_codes(consignment), name)
    people = [person] if person else []
    return _decide(asked, _on_file(people, employer, at, lock=lock))


def who_may_not(
    *, people: Mapping[Person, str], consignment: Consignment, site: Site, at: datetime
) -> dict[uuid.UUID, UnauthorisedCustodian]:
    """
    Tell who of ``people`` may not take the shipment, and why: for a list on a screen, where nothing is refused yet.

    :param people: with their names, as the screen has them
    """
    codes, rows = declared_codes(consignment), _on_file(list(people), None, at, lock=False)
    refusals = {}
    for person, name in people.items():
        try:
            _decide(_Asked(person, None, consignment, site, at, codes, name), rows)
        except UnauthorisedCustodian as refusal:
            refusals[person.pk] = refusal
    return refusals


def standing(authorisation: Authorisation, at: datetime) -> str:
    """Tell whether an authorisation is in force at a moment: ``in_force``, or the code of what it is instead."""
    today = _day(authorisation, at)
    if authorisation.withdrawn_at is not None and authorisation.withdrawn_at <= at:
        return AuthorisationWithdrawn.reason_code
    if today < authorisation.valid_from:
        return AuthorisationNotBegun.reason_code
    if authorisation.valid_until is not None and today > authorisation.valid_until:
        return AuthorisationExpired.reason_code
    if authorisation.licence_until is not None and today > authorisation.licence_until:
        return LicenceExpired.reason_code
    return IN_FORCE


def declared_codes(consignment: Consignment) -> list[str]:
    """The commodity codes in the newest version of each of the shipment's declarations; none where none is declared."""
    in_force = newest_versions().filter(declaration__consignment=consignment).order_by().values("pk")
    return sorted(set(GoodsItem.objects.filter(version__in=in_force).values_list("hs_code", flat=True)))


def terms(authorisation: Authorisation, sites: Iterable[Site]) -> dict[str, Any]:
    """What an authorisation allows, as its entry says it; what is not limited is absent."""
    told: dict[str, Any] = {"valid": _span(authorisation.valid_from, authorisation.valid_until)}
    if authorisation.hs:
        told["hs"] = list(authorisation.hs)
    if codes := sorted(site.gln for site in sites):
        told["sites"] = codes
    route = {"consignor": authorisation.consignor_id, "consignee": authorisation.consignee_id}
    if any(route.values()):
        told["route"] = {end: party.urn for end, party in route.items() if party}
    hours: dict[str, Any] = {"time_zone": authorisation.time_zone}
    if authorisation.days != EVERY_DAY:
        hours["days"] = days_of(authorisation)
    if authorisation.opens_at and authorisation.closes_at:
        hours |= {"from": f"{authorisation.opens_at:%H:%M}", "until": f"{authorisation.closes_at:%H:%M}"}
    told["hours"] = hours
    if authorisation.licence_until is not None:
        told["licence"] = {"kind": str(authorisation.licence), "until": authorisation.licence_until.isoformat()}
        if authorisation.licence_number is not None:
            told["licence"]["number"] = authorisation.licence_number.commitment
    return told


def employment_terms(employment: Employment) -> dict[str, Any]:
    """For whom somebody works and since when, as the entry says it; what was not said is absent."""
    valid = _span(employment.since, employment.until)
    return {"employer": employment.employer_id.urn} | ({"valid": valid} if valid else {})


def hours_in_words(authorisation: Authorisation) -> str:
    """Days and hours, as a line of a screen."""
    days = ", ".join(str(WEEKDAYS_ABBR[day]) for day in days_of(authorisation))
    if authorisation.days == EVERY_DAY:
        days = _("every day")
    if authorisation.opens_at is None or authorisation.closes_at is None:
        return days
    return _("%(days)s from %(opens)s to %(closes)s") % {
        "days": days,
        "opens": f"{authorisation.opens_at:%H:%M}",
        "closes": f"{authorisation.closes_at:%H:%M}",
    }


@dataclass(frozen=True)
class _Asked:
    person: Person | None
    employer: Party | None
    consignment: Consignment
    site: Site
    at: datetime
    codes: list[str]
    name: str

    @property
    def named(self) -> dict[str, str]:
        return {"who": self.name, "reference": self.consignment.reference}


@dataclass(frozen=True)
class _OnFile:
    """What may bear on a decision, the oldest first, and when what of it was withdrawn or ended by the ledger."""

    employments: list[Employment]
    authorisations: list[Authorisation]
    ended: dict[uuid.UUID, datetime]


def _on_file(people: Sequence[Person], employer: Party | None, at: datetime, *, lock: bool) -> _OnFile:
    employments = Employment.objects.filter(person__in=people, recorded_at__lte=at).order_by("recorded_at", "pk")
    if employer is not None:
        employments = employments.filter(employer=employer)
    if lock:
        employments = employments.select_for_update(of=("self",))
    employed = list(employments.select_related("statement__entry"))
    employers = {one.employer_id for one in employed}
    if employer is not None and not people:
        employers = {employer.pk}
    # What was granted later says nothing of this moment, whatever day it was made to begin on.
    found = Authorisation.objects.filter(Q(person__in=people) | Q(employer__in=employers), granted_at__lte=at)
    if lock:
        found = found.select_for_update(of=("self",))
    found = found.select_related("statement__entry", "licence_number", "consignor", "consignee")
    granted = list(found.prefetch_related("sites").order_by("granted_at", "pk"))
    keys = {f"authorisation_withdrawn:{row.pk}": row.pk for row in granted}
    keys |= {f"employment_ended:{row.pk}": row.pk for row in employed}
    ended = {keys[one.key]: _ended_at(one) for one in Statement.objects.select_related("entry").filter(key__in=keys)}
    return _OnFile(employed, granted, ended)


def _decide(asked: _Asked, on_file: _OnFile) -> Authorised:
    found = [one for one in on_file.authorisations if _is_about(one, asked, on_file)]
    if not found:
        raise NoAuthorisation(**asked.named)
    misfits = {one.pk: _misfit(asked, one, on_file) for one in found}
    fitting = [one for one in found if misfits[one.pk] is None]
    whole = next((one for one in fitting if _covers_all(one, asked.codes)), None)
    if whole is not None:
        return Authorised((whole.pk,))
    if not asked.codes:
        raise _nearest(found, [one for one in found if not one.hs], misfits) or NothingDeclared(**asked.named)
    used: dict[uuid.UUID, None] = {}
    for code in asked.codes:
        covering = next((one for one in fitting if _covers(one, code)), None)
        if covering is None:
            raise _not_covered(asked, code, found, misfits)
        used[covering.pk] = None
    return Authorised(tuple(used))


def _is_about(one: Authorisation, asked: _Asked, on_file: _OnFile) -> bool:
    """Tell whether it is the person's own, or that of an employer for whom they worked at the moment."""
    if asked.person is None or one.person_id is not None:
        return asked.person is None or one.person_id == asked.person.pk
    today = _day(one, asked.at)
    return any(
        employment.person_id == asked.person.pk
        and employment.employer_id == one.employer_id
        and (employment.since is None or employment.since <= today)
        and (employment.until is None or today <= employment.until)
        and (employment.ended_at is None or asked.at < employment.ended_at)
        and _agrees(employment, on_file)
        for employment in on_file.employments
    )


def _misfit(asked: _Asked, one: Authorisation, on_file: _OnFile) -> UnauthorisedCustodian | None:
    """What keeps this authorisation from serving here and now; the commodity is asked elsewhere."""
    named = asked.named | {"authorisation": str(one.pk)}
    sites = list(one.sites.all())
    if not _agrees(one, on_file):
        return AuthorisationAltered(**named)
    state = standing(one, asked.at)
    if state == AuthorisationWithdrawn.reason_code and one.withdrawn_at:
        return AuthorisationWithdrawn(date=_day(one, one.withdrawn_at).isoformat(), **named)
    if state == AuthorisationNotBegun.reason_code:
        return AuthorisationNotBegun(date=one.valid_from.isoformat(), **named)
    if state == AuthorisationExpired.reason_code and one.valid_until:
        return AuthorisationExpired(date=one.valid_until.isoformat(), **named)
    if state == LicenceExpired.reason_code and one.licence_until:
        return LicenceExpired(licence=Licence(one.licence).label, date=one.licence_until.isoformat(), **named)
    if sites and asked.site not in sites:
        return SiteNotCovered(site=asked.site.name, sites=", ".join(site.name for site in sites), **named)
    if one.consignor_id not in (None, asked.consignment.consignor_id) or one.consignee_id not in (
        None,
        asked.consignment.consignee_id,
    ):
        anybody = _("anybody")
        return RouteNotCovered(
            consignor=asked.consignment.consignor.name,
            consignee=asked.consignment.consignee.name,
            route_from=one.consignor.name if one.consignor else anybody,
            route_to=one.consignee.name if one.consignee else anybody,
            **named,
        )
    if not within_hours(one, asked.at):
        local = asked.at.astimezone(zoneinfo.ZoneInfo(one.time_zone))
        now = f"{WEEKDAYS_ABBR[local.weekday()]} {local:%H:%M}"
        return OutsideHours(hours=hours_in_words(one), time_zone=one.time_zone, now=now, **named)
    return None


def _not_covered(
    asked: _Asked,
    code: str,
    found: Sequence[Authorisation],
    misfits: dict[uuid.UUID, UnauthorisedCustodian | None],
) -> UnauthorisedCustodian:
    nearest = _nearest(found, [one for one in found if _covers(one, code)], misfits)
    if nearest is not None:
        return nearest
    without = [one for one in asked.codes if not any(_covers(authorisation, one) for authorisation in found)]
    more = len(without) - CODES_NAMED
    codes = ", ".join(without[:CODES_NAMED])
    if more > 0:
        codes = _("%(codes)s and %(more)s more") % {"codes": codes, "more": more}
    return CommodityNotCovered(codes=codes, **asked.named)


def _nearest(
    found: Sequence[Authorisation],
    covering: Sequence[Authorisation],
    misfits: dict[uuid.UUID, UnauthorisedCustodian | None],
) -> UnauthorisedCustodian | None:
    """The refusal to tell: of those that cover the commodity; where none does and all are over, of any."""
    refusals = [refusal for one in covering if (refusal := misfits[one.pk]) is not None]
    if not covering and all(isinstance(misfits[one.pk], _OVER) for one in found):
        refusals = [refusal for refusal in misfits.values() if refusal is not None]
    return max(refusals, key=lambda refusal: _FARTHEST_FIRST.index(type(refusal)), default=None)


def _covers(one: Authorisation, code: str) -> bool:
    return not one.hs or any(code.startswith(prefix) for prefix in one.hs)


def _covers_all(one: Authorisation, codes: Sequence[str]) -> bool:
    # Of what nothing is declared, nothing is known: only who may take anything may take it.
    return all(_covers(one, code) for code in codes) if codes else not one.hs


def _agrees(row: Authorisation | Employment, on_file: _OnFile) -> bool:
    """Tell whether the ledger says what the row says: to whom, what, since when, and that it has not ended since."""
    said = _said(row.statement)
    if said is None:
        return False
    subject, body = said
    ended_at = on_file.ended.get(row.pk)
    when: dict[str, Any] = body.get("when", {})
    if isinstance(row, Authorisation):
        named, holder, told = body.get("authorisation"), row.person_id or row.employer_id, terms(row, row.sites.all())
        began, ends = when.get("granted_at") == format_time(row.granted_at), row.withdrawn_at
    else:
        named, holder, told = body.get("employment"), row.person_id, employment_terms(row)
        began, ends = when.get("recorded_at") == format_time(row.recorded_at), row.ended_at
    assert holder
    same = (subject, named, body.get("terms")) == (holder.urn, row.pk.urn, told)
    return same and began and (ended_at is None or (ends is not None and format_time(ends) == format_time(ended_at)))


def _ended_at(ending: Statement) -> datetime:
    """When something was withdrawn or ended, as its statement says: from the first, where that cannot be read."""
    said = _said(ending)
    when: dict[str, str] = said[1].get("when", {}) if said else {}
    try:
        return parse_time(when.get("withdrawn_at") or when.get("ended_at") or "")
    except TlogError:
        return datetime.min.replace(tzinfo=UTC)


def _said(statement: Statement) -> tuple[str, dict[str, Any]] | None:
    """The subject and body of the note, once it is sealed, and of the statement until then; None if unreadable."""
    try:
        if statement.entry is not None:
            entry = parse_entry(bytes(statement.entry.note))
            return entry.subject, entry.body
        body = canonical.decode(bytes(statement.body))
    except TlogError:
        return None
    return (statement.subject, body) if isinstance(body, dict) else None


def _day(one: Authorisation, moment: datetime) -> date:
    return moment.astimezone(zoneinfo.ZoneInfo(one.time_zone)).date()


def _span(since: date | None, until: date | None) -> dict[str, str]:
    return {name: day.isoformat() for name, day in (("from", since), ("until", until)) if day is not None}
