"""The checks in the background: what each finds, at its boundaries, once, and what it leaves alone."""

import json
import uuid
from datetime import UTC, datetime, time, timedelta

import pytest
from django.conf import settings as live_settings
from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from biometrics.consent import ConsentGiven
from biometrics.models import PersonKind
from biometrics.people import register_person
from custody import errors, handoffs
from custody.discrepancies import resolve_discrepancy
from custody.discrepancy_checks.alerts import check_alerts
from custody.discrepancy_checks.dwell import check_dwell
from custody.discrepancy_checks.places import travel_time
from custody.discrepancy_checks.reads import SETTLED_AFTER, check_new_reads
from custody.discrepancy_checks.sealed import check_new_entries
from custody.models import Discrepancy, Handoff, SiteWatch
from custody.routes import RouteNotYours, RouteRefused, plan_route
from ledger import append_only
from ledger.models import Entry, VerificationRun
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry
from shipments.actors import Actor
from shipments.consignments import ManifestLine, create_consignment, register_party
from shipments.declarations import submit_declaration
from shipments.ingest import record_report
from shipments.models import AlertCode, Consignment, ManifestItem, Reader, ReaderAlert, Site
from shipments.places import create_read_point, create_reader, create_site
from shipments.reader_alerts import raise_alert
from shipments.seals import Act, NewSeal, affix_seal, break_seal, check_seal
from tests.custody.test_discrepancies import PASSWORD, officer  # noqa: F401
from tests.shipments.conftest import item_epc
from tests.shipments.declaring import PARTIES, item, told

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def codes() -> list[str]:
    return sorted(Discrepancy.objects.values_list("code", flat=True))


def look() -> None:
    seal_all()
    check_new_entries()


def tell(reader: Reader, *epcs: str, at: datetime, tid: str = "", received: datetime | None = None) -> None:
    """Let a reader report these tags as read at one moment, and the check look at it."""
    reads = [{"epc": epc, "read_at": at.isoformat()} | ({"tid": tid} if tid else {}) for epc in epcs]
    received = received or at
    record_report(
        reader=reader, body=json.dumps({"reads": reads}).encode(), content_type="application/json", received_at=received
    )
    check_new_reads(now=received + SETTLED_AFTER)


@pytest.fixture
def elp(db) -> Reader:
    site = create_site(code="ELP", name="El Paso warehouse", gln="0614141000029")
    return create_reader(
        read_point=create_read_point(site=site, name="Dock 1", direction="in", extension="1"), name="elp-dock-1"
    )


@pytest.fixture
def jrz(db) -> Reader:
    site = create_site(code="JRZ", name="Ciudad Juárez yard", gln="0614141000012")
    return create_reader(
        read_point=create_read_point(site=site, name="Dock 1", direction="in", extension="1"), name="jrz-dock-1"
    )


@pytest.fixture
def shipment(db) -> Consignment:
    return create_consignment(
        reference="LRD-1042",
        consignor=register_party(name="Acme Maquila", gln="0614141123452"),
        consignee=register_party(name="Laredo Imports"),
        description="Harnesses",
        manifest=[ManifestLine(epc=item_epc(serial), hs_code="854430", origin="MX") for serial in range(1, 6)],
    )


@pytest.fixture
def sofia(db) -> User:
    return User.objects.create_user("sofia", role=Role.SUPERVISOR)


def watch(site: Site, by: User, **fields) -> SiteWatch:
    return SiteWatch.objects.create(site=site, set_by=by, **fields)


# Refusals and seals ---------------------------------------------------------------------------------------------------


def test_three_faces_that_do_not_match_are_one_finding_and_the_first_two_are_none(dock, officer):  # noqa: F811
    handoff = dock.reconciled()
    for expected in ([], [], ["face_mismatch"]):
        with pytest.raises((errors.FaceNotMatched, errors.FaceNotMatchedFinally)):
            dock.show_face(handoff, dock.elenas_face)
        look()
        assert codes() == expected
    look()
    [found] = Discrepancy.objects.all()
    assert found.severity == "high" and found.opened_by == dock.beto
    assert found.evidence["persons"] == [dock.marco.pk.urn] and found.handoff == handoff
    resolve_discrepancy(discrepancy=found, outcome="explained", note="Light", by=officer, password=PASSWORD)
    look()
    assert codes() == ["face_mismatch"]


def test_a_tag_of_another_shipment_and_one_person_on_both_sides_are_found(dock):
    dock.accepted()
    with pytest.raises(errors.SamePersonOnBothSides):
        dock.open()
    handoff = dock.open(receiver=dock.elena)
    stray = dock.tags(dock.other)[0]
    dock.read(*dock.tags(), stray)
    with pytest.raises(errors.TagOfAnotherShipment):
        handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    look()
    assert codes() == ["same_person_both_sides", "wrong_consignment"]
    found = Discrepancy.objects.get(code="wrong_consignment")
    assert found.evidence["items"] == [stray] and found.evidence["sessions"]
    assert list(found.custodians.all()) == [dock.marco]


def test_seals_broken_by_custodians_are_found_and_those_that_customs_breaks_are_not(dock, olga):
    pallet, elena = dock.shipment.units.get(), dock.elena.pk

    def seal(number: str):
        return affix_seal(unit=pallet, seal=NewSeal(number, "H"), act=Act(Actor(dock.beto, dock.marco.pk)))

    break_seal(seal=seal("MX-1"), reason="customs_inspection", act=Act(Actor(olga, elena)))
    look()
    assert codes() == []
    break_seal(seal=seal("MX-2"), reason="customs_inspection", act=Act(Actor(dock.beto, elena)))
    break_seal(seal=seal("MX-3"), reason="delivery", act=Act(Actor(dock.beto, elena)))
    look()
    assert list(Discrepancy.objects.order_by("opened_at").values_list("code", "severity")) == [
        ("seal_broken", "high"),
        ("seal_broken", "low"),
    ]
    assert Discrepancy.objects.first().evidence["persons"] == [elena.urn]


def test_what_is_found_of_a_seal_is_one_finding_until_it_is_resolved(dock, officer):  # noqa: F811
    pallet, by = dock.shipment.units.get(), Act(Actor(dock.beto, dock.marco.pk))
    seal = affix_seal(unit=pallet, seal=NewSeal("MX-1", "H"), act=by)
    for finding, number in (("intact", ""), ("number_differs", "MX-7"), ("number_differs", "MX-7"), ("missing", "")):
        check_seal(seal=seal, finding=finding, found_number=number, act=by)
    look()
    assert codes() == ["seal_mismatch", "seal_missing"]
    mismatch = Discrepancy.objects.get(code="seal_mismatch")
    assert mismatch.evidence["seals"] == ["MX-1", "MX-7"]
    resolve_discrepancy(discrepancy=mismatch, outcome="false_alarm", note="Misread", by=officer, password=PASSWORD)
    check_seal(seal=seal, finding="number_differs", found_number="MX-7", act=by)
    look()
    assert Discrepancy.objects.get(reopens=mismatch).code == "seal_mismatch"


def test_what_an_officer_accepted_at_a_handoff_stays_open_and_names_who_held_custody(dock):
    """Goods missing and too light: custody passed with it, and the desk follows it up, once."""
    Consignment.objects.filter(pk=dock.shipment.pk).update(declared_gross_mass_g=100_000)
    dock.accepted()
    missing, *rest = dock.tags()
    for receiver, face in ((dock.elena, dock.elenas_face), (dock.marco, dock.marcos_face)):
        handoff = dock.open(receiver=receiver)
        for place in range(2):
            handoff = handoffs.read_again(handoff=handoff, by=dock.beto) if place else handoff
            dock.read(*rest)
            handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
        if receiver == dock.elena:
            handoff = handoffs.weigh_shipment(handoff=handoff, measured_g=66_000)
        dock.countersign(handoff)
        dock.show_face(handoff, face)
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin="804215")
        look()
    assert codes() == ["missing_tag", "weight_mismatch"]
    lost, light = (Discrepancy.objects.get(code=code) for code in ("missing_tag", "weight_mismatch"))
    bodies = [parse_entry(bytes(one.statement.entry.note)).body for one in (lost, light)]
    assert [body["window"]["custodians"] for body in bodies] == [[dock.marco.pk.urn]] * 2
    assert bodies[0]["evidence"]["items"] == [missing]
    assert bodies[1]["evidence"]["figures"] == {"declared_g": 100_000, "measured_g": 66_000, "tolerance_g": 2_000}


def test_an_entry_that_was_changed_is_a_finding_and_stops_nothing(dock):
    dock.accepted()
    with pytest.raises(errors.SamePersonOnBothSides):
        dock.open()
    seal_all()
    append_only.disarm(connection)
    changed = Entry.objects.order_by("index")[2]
    Entry.objects.filter(pk=changed.pk).update(note=bytes(changed.note).replace(b'"v":1', b'"v":1 '))
    check_new_entries()
    assert codes() == ["chain_broken", "same_person_both_sides"]
    assert Discrepancy.objects.get(code="chain_broken").evidence["figures"] == {"entry_index": 2}


# Places ---------------------------------------------------------------------------------------------------------------


def test_a_handoff_off_the_plan_and_one_out_of_its_order_are_found(dock, elp, sofia):
    here = dock.reader.read_point.site
    other = create_site(code="LRD", name="Laredo", gln="0614141000036")
    plan_route(consignment=dock.shipment, sites=[other, elp.read_point.site], by=sofia)
    plan_route(consignment=dock.other, sites=[other, here], by=sofia)
    dock.accepted()
    dock.accepted(shipment="LRD-1043", receiver=dock.elena)
    look()
    assert codes() == ["out_of_sequence", "wrong_route"]
    wrong = Discrepancy.objects.get(code="wrong_route")
    assert wrong.consignment == dock.shipment and wrong.site == here
    order = Discrepancy.objects.get(code="out_of_sequence")
    assert order.evidence["figures"] == {"planned_position": 2, "reached_position": 0, "route_number": 1}


def test_a_plan_made_afterwards_accuses_nobody_and_a_handoff_on_the_plan_neither(dock, elp, sofia):
    dock.accepted()
    plan_route(consignment=dock.shipment, sites=[elp.read_point.site], by=sofia)
    look()
    assert codes() == []
    plan_route(consignment=dock.shipment, sites=[dock.reader.read_point.site, elp.read_point.site], by=sofia)
    dock.accepted(receiver=dock.elena)
    look()
    assert codes() == []


def test_a_route_is_an_entry_and_planned_by_those_who_keep_goods(shipment, jrz, elp, sofia, beto, olga):
    sites = [jrz.read_point.site, elp.read_point.site]
    first = plan_route(consignment=shipment, sites=sites, by=sofia)
    assert plan_route(consignment=shipment, sites=sites, by=sofia) == first
    second = plan_route(consignment=shipment, sites=sites[::-1], by=sofia)
    assert (first.number, second.number) == (1, 2)
    seal_all()
    assert Entry.objects.filter(kind="route_planned", subject=shipment.pk.urn).count() == 2
    for by in (beto, olga):
        with pytest.raises(RouteNotYours):
            plan_route(consignment=shipment, sites=sites, by=by)
    for wrong in ([], [sites[0], sites[0]]):
        with pytest.raises(RouteRefused):
            plan_route(consignment=shipment, sites=wrong, by=sofia)


@pytest.mark.parametrize(("clock", "found"), [("07:59", True), ("08:00", False), ("17:59", False), ("18:00", True)])
def test_reads_outside_a_sites_hours_are_one_finding_a_day(shipment, jrz, sofia, clock, found):
    watch(jrz.read_point.site, sofia, opens_at=time(8), closes_at=time(18))
    at = datetime.fromisoformat(f"2026-11-25T{clock}:00+00:00")
    tell(jrz, item_epc(1), item_epc(2), at=at)
    tell(jrz, item_epc(1), at=at + timedelta(seconds=10))
    assert codes() == (["after_hours"] if found else [])


def test_a_read_off_the_plan_is_found_once(shipment, jrz, elp, sofia):
    plan_route(consignment=shipment, sites=[elp.read_point.site], by=sofia)
    later = timezone.now() + timedelta(seconds=5)
    tell(jrz, item_epc(1), at=later)
    tell(jrz, item_epc(2), at=later + timedelta(seconds=1))
    tell(elp, item_epc(3), at=later)
    assert codes() == ["wrong_route"]


# Clones ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("apart", "found"), [(0, True), (599, True), (600, False), (3600, False)])
def test_one_number_at_two_sites_sooner_than_it_can_travel_is_a_clone(shipment, jrz, elp, apart, found):
    assert live_settings.DISCREPANCY_MIN_TRAVEL_MIN == 10
    tell(jrz, item_epc(1), at=NOON)
    tell(elp, item_epc(1), item_epc(2), at=NOON + timedelta(seconds=apart))
    assert codes() == (["clone_suspected"] if found else [])
    if found:
        one = Discrepancy.objects.get()
        assert one.evidence["items"] == [item_epc(1)]
        assert one.evidence["figures"] == {"apart_s": apart, "travel_s": 600}
        assert (one.since, one.until) == (NOON, NOON + timedelta(seconds=apart))


def test_a_pallet_of_clones_is_one_finding(shipment, jrz, elp):
    tags = [item_epc(serial) for serial in range(1, 6)]
    tell(jrz, *tags, at=NOON)
    tell(elp, *tags, at=NOON + timedelta(seconds=60))
    tell(elp, *tags, at=NOON + timedelta(seconds=90))
    assert sorted(Discrepancy.objects.get().evidence["items"]) == sorted(tags)


def test_reads_that_arrive_late_are_held_against_their_own_time(shipment, jrz, elp):
    tell(elp, item_epc(1), at=NOON)
    tell(jrz, item_epc(1), at=NOON - timedelta(hours=2), received=NOON + timedelta(minutes=1))
    assert codes() == []
    tell(jrz, item_epc(1), at=NOON - timedelta(minutes=5), received=NOON + timedelta(minutes=2))
    assert codes() == ["clone_suspected"]


def test_coordinates_say_how_long_the_way_takes(jrz, elp, sofia):
    here, there = jrz.read_point.site, elp.read_point.site
    watch(here, sofia, latitude_e6=31_690_000, longitude_e6=-106_424_000)
    assert travel_time(here, there) == timedelta(minutes=10)
    watch(there, sofia, latitude_e6=32_690_000, longitude_e6=-106_424_000)
    # One degree of latitude is 111 km: 55 minutes at 120 km/h.
    assert timedelta(minutes=55) < travel_time(here, there) < timedelta(minutes=56)
    assert travel_time(here, here) == timedelta(0)


def test_a_reader_whose_clock_is_wrong_accuses_nobody(shipment, jrz, elp):
    Reader.objects.filter(pk=elp.pk).update(clock_skew_ms=600_000)
    tell(jrz, item_epc(1), at=NOON)
    tell(elp, item_epc(1), at=NOON)
    tell(elp, item_epc(2), at=NOON + timedelta(hours=1), received=NOON)
    assert codes() == []


def test_tags_of_no_open_shipment_are_not_followed(shipment, jrz, elp):
    for reader in (jrz, elp):
        tell(reader, item_epc(99), at=NOON)
    assert codes() == []


def test_another_chip_than_the_bound_one_and_two_chips_with_one_number(shipment, jrz):
    ManifestItem.objects.filter(epc_hex=item_epc(1)).update(tid="E280116020001111")
    tell(jrz, item_epc(1), at=NOON, tid="E2801160")
    tell(jrz, item_epc(1), at=NOON + timedelta(seconds=1), tid="E28011602000111122")
    tell(jrz, item_epc(2), at=NOON, tid="E280116020002222")
    tell(jrz, item_epc(2), at=NOON + timedelta(seconds=1))
    tell(jrz, item_epc(2), at=NOON + timedelta(seconds=2), tid="E280116020002222")
    assert codes() == []
    tell(jrz, item_epc(1), at=NOON + timedelta(seconds=3), tid="E280116020009999")
    tell(jrz, item_epc(2), at=NOON + timedelta(seconds=3), tid="E280116020003333")
    assert codes() == ["duplicate_epc", "tid_mismatch"]


def test_a_report_that_may_not_be_the_last_of_its_moment_waits(shipment, jrz):
    record_report(
        reader=jrz,
        body=json.dumps({"reads": [{"epc": item_epc(1), "read_at": NOON.isoformat()}]}).encode(),
        content_type="application/json",
        received_at=NOON,
    )
    assert check_new_reads(now=NOON + SETTLED_AFTER - timedelta(seconds=1)) == 0
    assert check_new_reads(now=NOON + SETTLED_AFTER) == 1
    assert check_new_reads(now=NOON + timedelta(hours=1)) == 0


# Dwell, declarations, alerts, verifications ---------------------------------------------------------------------------


def test_a_shipment_that_stands_longer_than_the_limit_is_found_and_again_after_another(
    dock,
    officer,  # noqa: F811
    settings,
):
    settings.DISCREPANCY_DWELL_H = 24
    held = dock.accepted()
    limit = held.closed_at + timedelta(hours=24)
    check_dwell(now=limit)
    assert codes() == []
    for _twice in range(2):
        check_dwell(now=limit + timedelta(seconds=1))
    [found] = Discrepancy.objects.all()
    assert found.evidence["figures"] == {"held_min": 1440, "limit_min": 1440}
    assert list(found.custodians.all()) == [dock.marco]
    resolve_discrepancy(discrepancy=found, outcome="explained", note="Holiday", by=officer)
    check_dwell(now=Discrepancy.objects.get().resolved_at + timedelta(hours=24))
    assert Discrepancy.objects.count() == 1
    check_dwell(now=Discrepancy.objects.get().resolved_at + timedelta(hours=24, seconds=1))
    assert Discrepancy.objects.filter(reopens=found).exists()


def test_a_sites_own_limit_goes_first_and_a_closed_shipment_stands_no_longer(dock, sofia):
    watch(dock.reader.read_point.site, sofia, dwell_limit_h=2)
    held = dock.accepted()
    dock.shipment.closed_at = timezone.now()
    dock.shipment.save()
    check_dwell(now=held.closed_at + timedelta(hours=3))
    assert codes() == []
    Consignment.objects.update(closed_at=None)
    check_dwell(now=held.closed_at + timedelta(hours=2, seconds=1))
    assert codes() == ["dwell_overrun"]
    second = dock.accepted(receiver=dock.elena)
    check_dwell(now=second.closed_at + timedelta(hours=2))
    assert Discrepancy.objects.count() == 1 and Handoff.objects.count() == 2


def declare(shipment: Consignment, by: User, **fields) -> None:
    submit_declaration(
        consignment=shipment,
        told=told(items=[item(**fields)]),
        parties=PARTIES,
        by=Actor(by, uuid.uuid4()),
        attempt=uuid.uuid4(),
    )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"hs": "8544300000", "packages": 5, "origin": "MX"}, []),
        ({"hs": "8544300000", "packages": 0, "origin": ""}, []),
        ({"hs": "8544300000", "packages": 4, "origin": "MX"}, ["quantity_mismatch"]),
        ({"hs": "8544300000", "packages": 5, "origin": "US"}, ["origin_mismatch"]),
        ({"hs": "8544420000", "packages": 5, "origin": "MX"}, ["hs_mismatch"]),
        ({"hs": "9018900000", "packages": 5, "origin": "MX"}, ["undeclared_item"]),
    ],
)
def test_what_the_manifest_does_not_bear_out_is_found_once(shipment, sofia, fields, found):
    declare(shipment, sofia, **fields)
    look()
    look()
    assert codes() == found
    if found == ["undeclared_item"]:
        assert Discrepancy.objects.get().evidence["items"] == sorted(item_epc(serial) for serial in range(1, 6))


def test_readers_alerts_are_one_finding_a_source_also_where_somebody_acknowledged_them(
    jrz,
    dock_free_officer,
    sofia,
):
    now = timezone.now()
    raise_alert(code=AlertCode.CLOCK_SKEW, reader=jrz, at=now, facts={"skew_ms": 61_000})
    raise_alert(code=AlertCode.UNAUTHENTICATED, reader=None, at=now, facts={}, source="192.0.2.7", count=4)
    ReaderAlert.objects.update(acknowledged_by=sofia, acknowledged_at=now)
    check_alerts()
    assert codes() == ["clock_skew"]
    raise_alert(code=AlertCode.UNAUTHENTICATED, reader=None, at=now, facts={}, source="192.0.2.7")
    raise_alert(code=AlertCode.OVERFLOW, reader=jrz, at=now, facts={"gaps": 1, "purged": "12"})
    for _twice in range(2):
        check_alerts()
    assert codes() == ["clock_skew", "read_gap", "reader_unauthenticated"]
    assert "192.0.2.7" not in str([one.evidence for one in Discrepancy.objects.all()])
    skew = Discrepancy.objects.get(code="clock_skew")
    assert skew.evidence["figures"] == {"skew_ms": 61_000, "times": 1}
    resolve_discrepancy(discrepancy=skew, outcome="corrected", note="NTP set", by=dock_free_officer)
    check_alerts()
    assert Discrepancy.objects.filter(code="clock_skew").count() == 1
    later = timezone.now() + timedelta(hours=1)
    raise_alert(code=AlertCode.CLOCK_SKEW, reader=jrz, at=later, facts={"skew_ms": 9_000})
    check_alerts()
    assert Discrepancy.objects.get(reopens=skew).evidence["figures"]["skew_ms"] == 9_000


def test_a_verification_that_finds_the_log_broken_opens_one_discrepancy(ana):
    for verdict in (
        {"status": "intact_unwitnessed", "entries": 9},
        {"status": "incomplete", "entries": 0, "check": "empty"},
        {"status": "broken", "entries": 4, "broken_at": 4, "check": "signature"},
        {"status": "broken", "entries": 4, "broken_at": 4, "check": "signature"},
    ):
        VerificationRun.objects.create(requested_by=ana, state="finished", finished_at=timezone.now(), verdict=verdict)
        check_alerts()
    [found] = Discrepancy.objects.all()
    assert found.code == "chain_broken" and found.evidence["figures"] == {"entry_index": 4, "sound_entries": 4}


@pytest.fixture
def dock_free_officer(olga: User, beto: User) -> User:
    consent = ConsentGiven(language="en")
    register_person(name="Olga Reyes", kind=PersonKind.OFFICER, registered_by=beto, consent=consent, user=olga)
    return olga
