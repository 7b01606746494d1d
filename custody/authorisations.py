"""
Whether somebody may take a shipment, at a site, at a moment: nobody may who was not authorised.

Each declared commodity code must be covered by an authorisation that fits in everything else too: the moment, the
licence, the site, the route. Different codes may be covered by different ones: each was granted, and each is an entry.
Rows are not trusted beyond the ledger: one that differs from its entry authorises nobody.
"""

import uuid
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from biometrics.models import Person
from biometrics.people import display_name
from custody.hours import days_of, within_hours
from custody.models import Authorisation, Employment, Licence
from custody.models.hours import EVERY_DAY
from ledger.models import Statement
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from refusals import Refusal
from shipments.declarations import newest_versions
from shipments.models import Consignment, GoodsItem, Party, Site

CODES_NAMED = 8


class UnauthorisedCustodian(Refusal):
    """``reason_code`` among the facts says what does not fit; ``who`` is a name, for a screen alone."""

    code = "unauthorised_custodian"
    status = 403
    reason_code: ClassVar[str]

    def __init__(self, **facts: Any) -> None:
        super().__init__(reason_code=self.reason_code, **facts)


class NoAuthorisation(UnauthorisedCustodian):
    reason_code = "no_authorisation"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: no authorisation is on file. Somebody else must take it, or a supervisor "
        "grants one."
    )


class NothingDeclared(UnauthorisedCustodian):
    reason_code = "nothing_declared"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: nothing is declared of it yet, and what %(who)s may take is limited to "
        "certain commodities. Have it declared first, or let somebody take it who may take any commodity."
    )


class CommodityNotCovered(UnauthorisedCustodian):
    reason_code = "commodity_not_covered"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: no authorisation covers what is declared under %(codes)s. Somebody else "
        "must take it, or a supervisor grants one for these commodities."
    )


class AuthorisationAltered(UnauthorisedCustodian):
    reason_code = "authorisation_altered"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: the authorisation is not what its entry in the ledger says. Tell an "
        "auditor; a supervisor grants it anew."
    )


class AuthorisationWithdrawn(UnauthorisedCustodian):
    reason_code = "authorisation_withdrawn"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: the authorisation was withdrawn on %(date)s. Somebody else must take it, "
        "or a supervisor grants another."
    )


class AuthorisationNotBegun(UnauthorisedCustodian):
    reason_code = "authorisation_not_begun"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s yet: the authorisation begins on %(date)s. Somebody else must take it."
    )


class AuthorisationExpired(UnauthorisedCustodian):
    reason_code = "authorisation_expired"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: the authorisation ended with %(date)s. Somebody else must take it, or a "
        "supervisor grants another."
    )


class LicenceExpired(UnauthorisedCustodian):
    reason_code = "licence_expired"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s: the authorisation rests on a document that was valid until %(date)s "
        "(%(licence)s). When it is renewed, a supervisor grants the authorisation anew."
    )


class SiteNotCovered(UnauthorisedCustodian):
    reason_code = "site_not_covered"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s at %(site)s: the authorisation is for %(sites)s. Somebody else must take "
        "it here."
    )


class RouteNotCovered(UnauthorisedCustodian):
    reason_code = "route_not_covered"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s, which goes from %(consignor)s to %(consignee)s: the authorisation is for "
        "goods from %(route_from)s to %(route_to)s. Somebody else must take it."
    )


class OutsideHours(UnauthorisedCustodian):
    reason_code = "outside_hours"
    message = gettext_lazy(
        "%(who)s may not take %(reference)s now: the authorisation is for %(hours)s (%(time_zone)s), and there it is "
        "%(now)s. Wait, or let somebody else take it."
    )


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
    asked = _Asked(person, employer, consignment, site, at, declared_codes(consignment))
    found = _candidates(asked, lock=lock)
    if not found:
        raise NoAuthorisation(**asked.named)
    misfits = _misfits(asked, found)
    fitting = [one for one in found if misfits[one.pk] is None]
    whole = next((one for one in fitting if _covers_all(one, asked.codes)), None)
    if whole is not None:
        return Authorised((whole.pk,))
    if not asked.codes:
        raise _nearest(asked, [one for one in found if not one.hs], misfits) or NothingDeclared(**asked.named)
    used: dict[uuid.UUID, None] = {}
    for code in asked.codes:
        covering = next((one for one in fitting if _covers(one, code)), None)
        if covering is None:
            raise _not_covered(asked, code, found, fitting, misfits)
        used[covering.pk] = None
    return Authorised(tuple(used))


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
    """For whom somebody works and since when, as the entry says it."""
    return {"employer": employment.employer_id.urn, "valid": _span(employment.since, employment.until)}


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
    codes: list[str] = field(default_factory=list)

    @cached_property
    def named(self) -> dict[str, str]:
        if self.person is not None:
            who = display_name(self.person)
        else:
            who = self.employer.name if self.employer else _("Somebody who is not on file")
        return {"who": who, "reference": self.consignment.reference}


def _candidates(asked: _Asked, *, lock: bool) -> list[Authorisation]:
    """Every authorisation that is about the one who asks, in force or not, the oldest first."""
    employments = list(_employments(asked, lock=lock))
    employers = {one.employer_id for one in employments}
    if asked.person is None and asked.employer is not None:
        employers = {asked.employer.pk}
    about = Q(employer__in=employers)
    if asked.person is not None:
        about |= Q(person=asked.person)
    # What was granted later says nothing of this moment, whatever day it was made to begin on.
    found = Authorisation.objects.filter(about, granted_at__lte=asked.at).order_by("granted_at", "pk")
    if lock:
        found = found.select_for_update(of=("self",))
    found = found.select_related("statement__entry", "licence_number", "consignor", "consignee")
    return [one for one in found.prefetch_related("sites") if _is_about(one, asked, employments)]


def _employments(asked: _Asked, *, lock: bool) -> QuerySet[Employment]:
    if asked.person is None:
        return Employment.objects.none()
    found = Employment.objects.filter(person=asked.person, recorded_at__lte=asked.at).order_by("recorded_at", "pk")
    if asked.employer is not None:
        found = found.filter(employer=asked.employer)
    if lock:
        found = found.select_for_update(of=("self",))
    return found.select_related("statement__entry")


def _is_about(one: Authorisation, asked: _Asked, employments: Sequence[Employment]) -> bool:
    if one.employer_id is None or asked.person is None:
        return True
    today = _day(one, asked.at)
    ended = _ended_by_entry(employments, "employment_ended")
    return any(
        employment.employer_id == one.employer_id
        and employment.since <= today
        and (employment.until is None or today <= employment.until)
        and (asked.at < employment.ended_at if employment.ended_at else employment.pk not in ended)
        and _agrees(employment, employment_terms(employment), subject=employment.person_id)
        for employment in employments
    )


def _misfits(asked: _Asked, found: Sequence[Authorisation]) -> dict[uuid.UUID, UnauthorisedCustodian | None]:
    withdrawn = _ended_by_entry(found, "authorisation_withdrawn")
    return {one.pk: _misfit(asked, one, withdrawn) for one in found}


def _misfit(asked: _Asked, one: Authorisation, withdrawn: set[uuid.UUID]) -> UnauthorisedCustodian | None:
    """What keeps this authorisation from serving here and now; the commodity is asked elsewhere."""
    named = asked.named | {"authorisation": str(one.pk)}
    sites, today = list(one.sites.all()), _day(one, asked.at)
    holder = one.person_id or one.employer_id
    assert holder
    if not _agrees(one, terms(one, sites), subject=holder) or (one.pk in withdrawn and not one.withdrawn_at):
        return AuthorisationAltered(**named)
    if one.withdrawn_at is not None and one.withdrawn_at <= asked.at:
        return AuthorisationWithdrawn(date=_day(one, one.withdrawn_at).isoformat(), **named)
    if today < one.valid_from:
        return AuthorisationNotBegun(date=one.valid_from.isoformat(), **named)
    if one.valid_until is not None and today > one.valid_until:
        return AuthorisationExpired(date=one.valid_until.isoformat(), **named)
    if one.licence_until is not None and today > one.licence_until:
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
    fitting: Sequence[Authorisation],
    misfits: dict[uuid.UUID, UnauthorisedCustodian | None],
) -> UnauthorisedCustodian:
    nearest = _nearest(asked, [one for one in found if _covers(one, code)], misfits)
    if nearest is not None:
        return nearest
    without = [one for one in asked.codes if not any(_covers(authorisation, one) for authorisation in found)]
    more = len(without) - CODES_NAMED
    codes = ", ".join(without[:CODES_NAMED])
    if more > 0:
        codes = _("%(codes)s and %(more)s more") % {"codes": codes, "more": more}
    return CommodityNotCovered(codes=codes, **asked.named)


def _nearest(
    asked: _Asked, about: Sequence[Authorisation], misfits: dict[uuid.UUID, UnauthorisedCustodian | None]
) -> UnauthorisedCustodian | None:
    refusals = [refusal for one in about if (refusal := misfits[one.pk]) is not None]
    return max(refusals, key=lambda refusal: _FARTHEST_FIRST.index(type(refusal)), default=None)


def _covers(one: Authorisation, code: str) -> bool:
    return not one.hs or any(code.startswith(prefix) for prefix in one.hs)


def _covers_all(one: Authorisation, codes: Sequence[str]) -> bool:
    # Of what nothing is declared, nothing is known: only who may take anything may take it.
    return all(_covers(one, code) for code in codes) if codes else not one.hs


def _agrees(row: Authorisation | Employment, told: dict[str, Any], *, subject: uuid.UUID) -> bool:
    """Tell whether the entry says what the row says: the note once it is sealed, the statement until then."""
    statement, named = row.statement, "authorisation" if isinstance(row, Authorisation) else "employment"
    said_of, body = statement.subject, bytes(statement.body)
    try:
        if statement.entry is not None:
            entry = parse_entry(bytes(statement.entry.note))
            said_of, said = entry.subject, entry.body
        else:
            said = canonical.decode(body)
    except TlogError:
        return False
    return said_of == subject.urn and said.get(named) == row.pk.urn and said.get("terms") == told


def _ended_by_entry(rows: Iterable[Authorisation | Employment], kind: str) -> set[uuid.UUID]:
    """Those of which the ledger says that they ended, whatever their row says."""
    keys = {f"{kind}:{row.pk}": row.pk for row in rows}
    return {keys[key] for key in Statement.objects.filter(key__in=keys).values_list("key", flat=True)}


def _day(one: Authorisation, moment: datetime) -> date:
    return moment.astimezone(zoneinfo.ZoneInfo(one.time_zone)).date()


def _span(since: date, until: date | None) -> dict[str, str]:
    return {"from": since.isoformat()} | ({"until": until.isoformat()} if until else {})
