"""What waits on the demo's officer's desk: two seals, sites with their places, a plan of places."""

from accounts.models import User
from custody.discrepancies import assign_discrepancy, note_discrepancy
from custody.discrepancy_checks.sealed import check_new_entries
from custody.models import (
    Discrepancy,
)
from custody.routes import plan_route
from custody.site_watch import watch_site
from ledger.sealing import seal_all
from shipments.actors import Actor
from shipments.models import Consignment, ReadPoint, Site
from shipments.seals import Act, NewSeal, affix_seal, break_seal, check_seal


def leave_discrepancies(consignment: Consignment, *, seen_by: Actor) -> None:
    """Leave two seals for the officer's desk, found by the check in the background, and sites with their places."""
    officer, supervisor = (User.objects.get(username=role) for role in ("officer", "supervisor"))
    juarez, el_paso = (Site.objects.get(code=code) for code in ("JRZ", "ELP"))
    watch_site(
        site=juarez, by=supervisor, time_zone="America/Ciudad_Juarez", latitude_e6=31_690_400, longitude_e6=-106_424_500
    )
    watch_site(
        site=el_paso, by=supervisor, time_zone="America/Denver", latitude_e6=31_761_900, longitude_e6=-106_485_000
    )
    second = Consignment.objects.get(reference="LRD-1043")
    plan_route(consignment=second, sites=[juarez, el_paso], by=supervisor)
    dock = ReadPoint.objects.get(site=el_paso, name="Dock 1")
    act = Act(seen_by, dock)
    for shipment, number in ((second, "MX-558201"), (consignment, "MX-558202")):
        seal = affix_seal(unit=shipment.units.get(), seal=NewSeal(number, "H"), act=act)
        if shipment == consignment:
            check_seal(seal=seal, finding="number_differs", found_number="MX-558207", act=act)
        else:
            break_seal(seal=seal, reason="delivery", act=act)
    seal_all()
    check_new_entries()
    for found in Discrepancy.objects.filter(severity="high"):
        assign_discrepancy(discrepancy=found, assignee=officer, by=officer)
        note_discrepancy(discrepancy=found, note="The yard was asked for its seal book.", by=officer)
