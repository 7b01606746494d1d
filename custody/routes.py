"""
The places that a shipment is planned to come through, in order. A plan is never changed: another one takes its place,
and each is an entry, so that nobody plans a detour after it was made.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from custody.models import PlannedPlace, PlannedRoute
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.entry_parts import goods_of
from shipments.models import Consignment, Site

MOST_PLACES = 20


class RouteNotYours(Refusal):
    code = "route_not_yours"
    message = _("Routes are planned by supervisors.")
    status = 403


class RouteRefused(Refusal):
    code = "route_refused"
    message = _("The route was not planned: %(problem)s")
    status = 422


def plan_route(*, consignment: Consignment, sites: Sequence[Site], by: User) -> PlannedRoute:
    """
    Plan the sites that the shipment is to come through, in this order; the plan before holds until now.

    The same plan again adds nothing.

    :raises RouteNotYours, RouteRefused:
    """
    if not by.may(Capability.MANAGE_GOODS):
        raise RouteNotYours
    if not 1 <= len(sites) <= MOST_PLACES:
        raise RouteRefused(problem=_("it has 1 to %(most)s places.") % {"most": MOST_PLACES})
    if len({site.pk for site in sites}) < len(sites):
        raise RouteRefused(problem=_("a place stands in it twice."))
    with transaction.atomic():
        consignment = Consignment.objects.select_for_update().get(pk=consignment.pk)
        if consignment.closed_at is not None:
            raise RouteRefused(problem=_("the shipment was closed: its journey has ended."))
        last = current_route(consignment)
        if last is not None and [place.site_id for place in last.places.all()] == [site.pk for site in sites]:
            return last
        route = PlannedRoute(
            consignment=consignment,
            number=last.number + 1 if last is not None else 1,
            planned_by=by,
            planned_at=timezone.now(),
        )
        route.statement = submit(
            kind="route_planned",
            subject=consignment.pk.urn,
            body={
                "route": route.pk.urn,
                "number": route.number,
                "goods": goods_of(consignment),
                "sites": [site.gln for site in sites],
                "by": {"operator": by.pk.urn},
                "when": {"planned_at": format_time(route.planned_at)},
            },
            key=f"route_planned:{route.pk}",
        )
        route.save()
        PlannedPlace.objects.bulk_create(
            PlannedPlace(route=route, position=position, site=site) for position, site in enumerate(sites, start=1)
        )
    return route


def current_route(consignment: Consignment) -> PlannedRoute | None:
    routes = PlannedRoute.objects.filter(consignment=consignment)
    return routes.prefetch_related("places__site").order_by("-number").first()


def route_at(consignment: Consignment, moment: datetime) -> PlannedRoute | None:
    """Return the plan that held at ``moment``; None where there was none yet."""
    planned = PlannedRoute.objects.filter(consignment=consignment, planned_at__lte=moment)
    return planned.prefetch_related("places__site").order_by("-number").first()
