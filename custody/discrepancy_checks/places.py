"""Where and when a shipment was: against the places that were planned for it, and against a site's opening hours."""

import math
import zoneinfo
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings

from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_codes import Code
from custody.hours import within_hours
from custody.models import Handoff, HandoffState, PlannedRoute, SiteWatch
from custody.routes import route_at
from shipments.models import Consignment, Site

_EARTH_KM = 6371


def check_route(consignment: Consignment, site: Site, at: datetime, evidence: Evidence) -> None:
    """Open *wrong_route* where the shipment had a plan then and the site is no part of it; once for site and plan."""
    route = route_at(consignment, at)
    if route is None or site.pk in positions(route):
        return
    open_discrepancy(
        code=Code.WRONG_ROUTE,
        consignment=consignment,
        key=f"wrong_route:{consignment.pk}:{site.pk}:{route.number}",
        evidence=replace(evidence, site=site, figures={"route_number": route.number}),
        until=at,
        once=True,
    )


def check_hours(consignment: Consignment, site: Site, at: datetime, evidence: Evidence) -> None:
    """Open *after_hours* where the site is closed at that moment; once for shipment, site and day of the site."""
    watch = SiteWatch.objects.filter(site=site).first()
    if watch is None or within_hours(watch, at):
        return
    day = at.astimezone(zoneinfo.ZoneInfo(watch.time_zone)).date()
    open_discrepancy(
        code=Code.AFTER_HOURS,
        consignment=consignment,
        key=f"after_hours:{consignment.pk}:{site.pk}:{day.isoformat()}",
        evidence=replace(evidence, site=site),
        until=at,
        once=True,
    )


def check_order(handoff: Handoff, at: datetime, leaf: str) -> None:
    """Open *out_of_sequence* where a handoff goes back to an earlier planned place, or leaves one out."""
    route = route_at(handoff.consignment, at)
    if route is None:
        return
    planned = positions(route)
    here = planned.get(handoff.read_point.site_id)
    if here is None:
        return
    before = Handoff.objects.filter(
        consignment=handoff.consignment,
        state=HandoffState.ACCEPTED,
        statement_id__lt=handoff.statement_id,
        read_point__site__in=list(planned),
    )
    last = before.select_related("read_point").order_by("-statement_id").first()
    reached = planned[last.read_point.site_id] if last is not None else 0
    if reached <= here <= reached + 1:
        return
    open_discrepancy(
        code=Code.OUT_OF_SEQUENCE,
        consignment=handoff.consignment,
        key=f"out_of_sequence:{handoff.pk}",
        evidence=Evidence(
            entries=(leaf,),
            read_point=handoff.read_point,
            handoff=handoff,
            figures={"route_number": route.number, "planned_position": here, "reached_position": reached},
        ),
        until=at,
        once=True,
    )


def positions(route: PlannedRoute) -> dict[object, int]:
    """The planned sites by their identifier, each with its place in the order, from 1."""
    return {place.site_id: place.position for place in route.places.all()}


def travel_time(one: Site, other: Site) -> timedelta:
    """
    The least time between two sites: as the crow flies at the top speed where both say where they are, else the least
    that settings name. Zero within one site.
    """
    if one.pk == other.pk:
        return timedelta(0)
    watches = {
        watch.site_id: watch for watch in SiteWatch.objects.filter(site__in=[one, other], latitude_e6__isnull=False)
    }
    if len(watches) < 2:
        return timedelta(minutes=settings.DISCREPANCY_MIN_TRAVEL_MIN)
    hours = _distance_km(watches[one.pk], watches[other.pk]) / settings.DISCREPANCY_TOP_SPEED_KMH
    return timedelta(hours=hours)


def _distance_km(one: SiteWatch, other: SiteWatch) -> float:
    """Haversine."""
    assert one.latitude_e6 is not None and one.longitude_e6 is not None
    assert other.latitude_e6 is not None and other.longitude_e6 is not None
    here, there = math.radians(one.latitude_e6 / 1e6), math.radians(other.latitude_e6 / 1e6)
    north, east = there - here, math.radians((other.longitude_e6 - one.longitude_e6) / 1e6)
    chord = math.sin(north / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(east / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(chord)))
