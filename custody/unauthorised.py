"""Why somebody may not take a shipment: one code for all, a reason for each, and a sentence that says what to do."""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class UnauthorisedCustodian(Refusal):
    """``reason_code`` among the facts says what does not fit; ``who`` is a name, for a screen alone."""

    code = "unauthorised_custodian"
    reason_code: ClassVar[str]

    def __init__(self, **facts: Any) -> None:
        super().__init__(reason_code=self.reason_code, **facts)


class NoAuthorisation(UnauthorisedCustodian):
    reason_code = "no_authorisation"
    message = _(
        "%(who)s may not take %(reference)s: no authorisation is on file. Somebody else must take it, or a supervisor "
        "grants one."
    )


class NothingDeclared(UnauthorisedCustodian):
    reason_code = "nothing_declared"
    message = _(
        "%(who)s may not take %(reference)s: nothing is declared of it yet, and what %(who)s may take is limited to "
        "certain commodities. Have it declared first, or let somebody take it who may take any commodity."
    )


class CommodityNotCovered(UnauthorisedCustodian):
    reason_code = "commodity_not_covered"
    message = _(
        "%(who)s may not take %(reference)s: no authorisation covers what is declared under %(codes)s. Somebody else "
        "must take it, or a supervisor grants one for these commodities."
    )


class AuthorisationAltered(UnauthorisedCustodian):
    reason_code = "authorisation_altered"
    message = _(
        "%(who)s may not take %(reference)s: the authorisation is not what its entry in the ledger says. Tell an "
        "auditor; a supervisor grants it anew."
    )


class AuthorisationWithdrawn(UnauthorisedCustodian):
    reason_code = "authorisation_withdrawn"
    message = _(
        "%(who)s may not take %(reference)s: the authorisation was withdrawn on %(date)s. Somebody else must take it, "
        "or a supervisor grants another."
    )


class AuthorisationNotBegun(UnauthorisedCustodian):
    reason_code = "authorisation_not_begun"
    message = _(
        "%(who)s may not take %(reference)s yet: the authorisation begins on %(date)s. Somebody else must take it."
    )


class AuthorisationExpired(UnauthorisedCustodian):
    reason_code = "authorisation_expired"
    message = _(
        "%(who)s may not take %(reference)s: the authorisation ended with %(date)s. Somebody else must take it, or a "
        "supervisor grants another."
    )


class LicenceExpired(UnauthorisedCustodian):
    reason_code = "licence_expired"
    message = _(
        "%(who)s may not take %(reference)s: the authorisation rests on a document that was valid until %(date)s "
        "(%(licence)s). When it is renewed, a supervisor grants the authorisation anew."
    )


class SiteNotCovered(UnauthorisedCustodian):
    reason_code = "site_not_covered"
    message = _(
        "%(who)s may not take %(reference)s at %(site)s: the authorisation is for %(sites)s. Somebody else must take "
        "it here."
    )


class RouteNotCovered(UnauthorisedCustodian):
    reason_code = "route_not_covered"
    message = _(
        "%(who)s may not take %(reference)s, which goes from %(consignor)s to %(consignee)s: the authorisation is for "
        "goods from %(route_from)s to %(route_to)s. Somebody else must take it."
    )


class OutsideHours(UnauthorisedCustodian):
    reason_code = "outside_hours"
    message = _(
        "%(who)s may not take %(reference)s now: the authorisation is for %(hours)s (%(time_zone)s), and there it is "
        "%(now)s. Wait, or let somebody else take it."
    )
