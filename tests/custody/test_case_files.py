"""
Case files: goods go missing, are swapped, or are not what was declared, and the commands that a user has say what can
be said. Each goes through the services, the ledger and real faces.
"""

import json
import time
import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from biometrics.groups import make_group
from biometrics.people import name_account
from biometrics.second_factor import issue_badge
from custody import handoffs
from custody.acts_on_goods import By, affix_seal, check_seal, replace_seal
from custody.errors import FaceNotMatched, FaceNotMatchedFinally, ReadAgainFirst
from custody.models import Camera, Handoff, ZoneAlert
from custody.zone_alerts import decide_alert
from custody.zone_watch import watch_frame
from custody.zones import add_camera, create_zone
from ledger.models import Entry
from ledger.sealing import seal_all
from shipments.actors import Actor
from shipments.declarations import amend_declaration, submit_declaration
from shipments.epc import sgtin_to_epc_hex
from shipments.ingest import record_report
from shipments.models import Reader
from shipments.places import create_read_point, create_reader, create_site
from shipments.reader_alerts import watch_readers
from shipments.readers.report import format_ns
from shipments.seals import NewSeal
from shipments.simulation import Sighting, report_body
from tests.custody.conftest import PIN, Dock
from tests.custody.test_interventions import do as officers_act
from tests.shipments.declaring import PARTIES, item
from tests.shipments.declaring import told as declared

pytestmark = pytest.mark.django_db


def hand_over(dock: Dock, *, to, sessions: list[list[str]], shipment: str = "LRD-1042", reader=None) -> Handoff:
    """One handoff in which the reader sees, session by session, these tags."""
    handoff = handoffs.open_handoff(
        shipment=shipment,
        receiver=to,
        read_point=(reader or dock.reader).read_point,
        opened_by=dock.beto,
        attempt=uuid.uuid4(),
    )
    for place, seen in enumerate(sessions):
        if place:
            handoff = handoffs.read_again(handoff=handoff, by=dock.beto)
        read(reader or dock.reader, *seen)
        handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    dock.countersign(handoff)
    dock.show_face(handoff, dock.marcos_face if to == dock.marco else dock.elenas_face)
    accepted = handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    seal_all()
    return accepted


def read(reader: Reader, *epcs: str) -> None:
    body = report_body(
        "impinj",
        [Sighting(epc, antenna=1, rssi_cdbm=-5500) for epc in epcs],
        first_ns=time.time_ns(),
        spacing_ns=10**6,
    )
    record_report(reader=reader, body=body, content_type="application/json", received_at=timezone.now())


def trace(tag: str, **options: object) -> dict:
    out = StringIO()
    call_command("trace_tag", tag, "--json", stdout=out, **options)
    return json.loads(out.getvalue())


def told(tag: str, **options: object) -> str:
    out = StringIO()
    call_command("trace_tag", tag, stdout=out, **options)
    return out.getvalue()


def other_reader() -> Reader:
    site = create_site(code="ELP", name="El Paso warehouse", gln="0614141000029")
    point = create_read_point(site=site, name="Dock 1", direction="in", extension="1")
    return create_reader(read_point=point, name="elp-dock-1")


def test_a_tag_removed_between_two_handoffs_is_traced_to_who_held_custody(dock: Dock, olga: User) -> None:
    kept, also_kept, taken = dock.tags()
    first = hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    second = hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    found = trace(taken)
    window = found["window"]
    assert (found["shipment"], found["lost"], window["grade"], window["doubts"]) == ("LRD-1042", True, "direct", [])
    assert [one["person"] for one in window["custody"]] == [dock.marco.pk.urn]
    indexes = list(Entry.objects.filter(kind="handoff").order_by("index").values_list("index", flat=True))
    assert [window["last_good"]["entry"], window["first_bad"]["entry"]] == indexes
    assert window["since"] < window["until"]
    assert window["last_good"]["face"]["outcome"] == "match"
    assert window["last_good"]["face"]["distance_e4"] == first.verification.distance_e4
    assert window["first_bad"]["to"]["person"] == second.to_person_id.urn
    # Without an account no name is shown; to an officer, who may see people, it is. "Took" is never said.
    text = told(taken)
    assert f"{dock.marco.pk} held custody during" in text and "Marco" not in text
    assert "Grade: direct." in text
    text = told(taken, username="olga")
    assert "Marco Ruiz held custody during" in text and "Elena" not in text and "took" not in text.split("Grade")[0]
    assert trace(kept)["lost"] is False


def test_not_read_in_one_session_opens_no_window(dock: Dock) -> None:
    """Weak evidence: custody does not pass on it, so that no entry says of anybody that goods were lost."""
    kept, also_kept, missed = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, missed]])
    with pytest.raises(ReadAgainFirst):
        hand_over(dock, to=dock.elena, sessions=[[kept, also_kept]])
    found = trace(missed)
    assert (found["lost"], found["lapses"]) == (False, [])


def test_a_tag_that_is_seen_again_was_never_gone(dock: Dock) -> None:
    kept, also_kept, missed = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, missed]])
    second = hand_over(dock, to=dock.elena, sessions=[[kept], [kept]])
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, missed]])
    found = trace(missed)
    assert (found["lost"], found["lapses"]) == (False, [Entry.objects.get(statement=second.statement).index])
    assert "did not mean that it was gone" in told(missed)


def test_two_custodians_where_the_one_between_was_merely_inferred(dock: Dock) -> None:
    """Marco to Elena by the pallet's tag alone: whether it was lost with him or with her cannot be told."""
    pallet = dock.shipment.units.get()
    kept, also_kept, taken = dock.tags()
    dock.shipment.manifest.update(logistic_unit=pallet)
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken, pallet.epc_hex]])
    hand_over(dock, to=dock.elena, sessions=[[pallet.epc_hex]])
    dock.shipment.manifest.filter(epc_hex=taken).update(logistic_unit=None)
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert [one["person"] for one in window["custody"]] == [dock.marco.pk.urn, dock.elena.pk.urn]
    assert (window["grade"], window["doubts"]) == ("inferred", ["several_custodians"])


def test_a_copy_of_the_tag_at_another_site(dock: Dock) -> None:
    """The goods go on, and meanwhile the same number answers somewhere that they never were."""
    elsewhere = other_reader()
    tags = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[tags])
    read(elsewhere, tags[2])
    hand_over(dock, to=dock.elena, sessions=[tags])
    found = trace(tags[2])
    assert found["lost"] is False
    assert [one["site"] for one in found["read_elsewhere"]] == ["0614141000029"]
    assert "a copy of the tag is suspected" in told(tags[2])


def test_lost_goods_whose_number_is_read_elsewhere_in_the_window(dock: Dock) -> None:
    elsewhere = other_reader()
    kept, also_kept, taken = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    read(elsewhere, taken)
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert (window["grade"], window["doubts"]) == ("inferred", ["seen_elsewhere"])
    (reads,) = window["read_elsewhere"]
    assert (reads["reader"], reads["reads"]) == ("elp-dock-1", 1)
    assert window["narrowed_to"]["grade"] == "inferred"


def test_a_tag_moved_to_another_chip_is_a_swap(dock: Dock) -> None:
    """The number is copied onto another tag. By number it is still there; the chip tells."""
    tags = dock.tags()
    chip, other_chip = "E2801190200050001234ABCD", "E2801190200050009999FFFF"
    dock.shipment.manifest.filter(epc_hex=tags[0]).update(tid=chip)
    handoff = dock.open(receiver=dock.marco)
    dock.read(*tags[1:])
    read_chip(dock.reader, tags[0], chip)
    hand_on(dock, handoff, dock.marcos_face)
    handoff = dock.open(receiver=dock.elena)
    dock.read(*tags[1:])
    read_chip(dock.reader, tags[0], other_chip)
    hand_on(dock, handoff, dock.elenas_face)
    window = trace(tags[0])["window"]
    assert (window["swapped"], window["grade"], window["doubts"]) == (True, "direct", [])
    assert [one["person"] for one in window["custody"]] == [dock.marco.pk.urn]
    assert "Another chip answered under its number" in told(tags[0])
    assert trace(tags[1])["lost"] is False


def test_a_swap_is_inferred_where_the_take_over_told_no_chip(dock: Dock) -> None:
    tags = dock.tags()
    dock.shipment.manifest.filter(epc_hex=tags[0]).update(tid="E2801190200050001234ABCD")
    hand_over(dock, to=dock.marco, sessions=[tags])
    handoff = dock.open(receiver=dock.elena)
    dock.read(*tags[1:])
    read_chip(dock.reader, tags[0], "E2801190200050009999FFFF")
    hand_on(dock, handoff, dock.elenas_face)
    window = trace(tags[0])["window"]
    assert (window["grade"], window["doubts"]) == ("inferred", ["chip_not_told"])


def test_goods_that_nobody_declared_travel_along(dock: Dock) -> None:
    tags, stowaway = dock.tags(), sgtin_to_epc_hex("80614141999992", 7, 7)
    hand_over(dock, to=dock.marco, sessions=[tags])
    hand_over(dock, to=dock.elena, sessions=[[*tags, stowaway]])
    found = shipment_trace(dock)
    (one,) = found["undeclared"]
    assert (one["epc"], one["grade"], one["held_before"]["person"]) == (stowaway, "inconclusive", dock.marco.pk.urn)
    hand_over(dock, to=dock.marco, sessions=[[*tags, stowaway]])
    (one,) = shipment_trace(dock)["undeclared"]
    assert (one["grade"], len(one["seen"])) == ("inferred", 2)
    assert found["losses"] == [] == shipment_trace(dock)["losses"]


def test_an_impostor_with_a_stolen_badge_takes_nothing_over_and_is_told(dock: Dock) -> None:
    """Whoever has Elena's badge and not her face is refused. What is missing afterwards is not laid on Marco alone."""
    kept, also_kept, taken = dock.tags()
    issue_badge(person=dock.elena)
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    handoff = dock.reconciled(receiver=dock.elena)
    for _attempt in range(3):
        with pytest.raises((FaceNotMatched, FaceNotMatchedFinally)):
            dock.show_face(handoff, dock.marcos_face)
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert [one["person"] for one in window["custody"]] == [dock.marco.pk.urn]
    assert (window["grade"], "refused_attempt" in window["doubts"]) == ("inferred", True)
    assert [act["kind"] for act in window["acts"]] == ["handoff_refused"] * 3


def test_a_face_that_matched_at_the_second_try_casts_no_doubt(dock: Dock) -> None:
    kept, also_kept, taken = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    handoff = dock.open(receiver=dock.elena)
    for place in range(2):
        handoff = handoffs.read_again(handoff=handoff, by=dock.beto) if place else handoff
        dock.read(kept, also_kept)
        handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    with pytest.raises(FaceNotMatched):
        dock.show_face(handoff, dock.marcos_face)
    dock.show_face(handoff, dock.elenas_face)
    dock.countersign(handoff)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    seal_all()
    window = trace(taken)["window"]
    assert (window["grade"], len(window["acts"])) == ("direct", 1)


def test_lost_reads_at_the_end_are_inconclusive(dock: Dock) -> None:
    kept, also_kept, missed = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, missed]])
    handoff = dock.open(receiver=dock.elena)
    lose_reads(dock.reader)
    dock.read(kept, also_kept)
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    handoff = handoffs.read_again(handoff=handoff, by=dock.beto)
    dock.read(kept, also_kept)
    hand_on(dock, handoff, dock.elenas_face)
    window = trace(missed)["window"]
    assert (window["grade"], window["doubts"]) == ("inconclusive", ["lost_reads"])
    assert [gap["kind"] for gap in window["reader_gaps"]] == ["overflow"]


def test_a_reader_that_was_silent_at_the_end_is_inconclusive(dock: Dock) -> None:
    """The second reader of the dock is off while the goods are counted: it might have seen what the first did not."""
    kept, also_kept, missed = dock.tags()
    second = create_reader(read_point=dock.reader.read_point, name="jrz-dock-1-left")
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, missed]])
    Reader.objects.filter(pk=second.pk).update(last_seen_at=timezone.now() - timedelta(seconds=301))
    watch_readers()
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(missed)["window"]
    assert (window["grade"], window["doubts"]) == ("inconclusive", ["reader_silent"])
    (gap,) = window["reader_gaps"]
    assert (gap["kind"], gap["reader"], gap["grade"]) == ("silent", "jrz-dock-1-left", "inconclusive")


def test_two_custodians_who_collude(dock: Dock) -> None:
    """
    Marco has taken the goods and cut off their tag; Elena lets the tag alone be read, and signs for it.

    What is provable: Elena confirmed by face and PIN that it was there, and it was not there when she handed over. What
    is not: that it had gone before, with Marco, whom nothing names. The weight of the whole would have shown it.
    """
    kept, also_kept, taken = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept, taken]])
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert [one["person"] for one in window["custody"]] == [dock.elena.pk.urn]
    assert (window["grade"], window["doubts"]) == ("direct", [])


def test_weight_changed_with_the_seal_intact(dock: Dock) -> None:
    """Every tag is read and the seal is whole, and a third of the mass is gone: a wall of the container was opened."""
    affix_seal(unit=dock.shipment.units.get(), seal=NewSeal("MX-7", "H"), by=By(person=dock.marco, account=dock.beto))
    for receiver, grams in ((dock.marco, 90_000), (dock.elena, 60_000), (dock.marco, 60_500)):
        handoff = handoffs.weigh_shipment(handoff=dock.reconciled(receiver=receiver), measured_g=grams)
        dock.countersign(handoff)
        dock.show_face(handoff, dock.marcos_face if receiver == dock.marco else dock.elenas_face)
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    seal_all()
    found = shipment_trace(dock)
    assert (found["lost"], found["misdeclared"]) == (0, [])
    (change,) = found["weights"]
    assert (change["before_g"], change["after_g"], change["seals_same"]) == (90_000, 60_000, True)
    assert [one["person"] for one in change["held_custody"]] == [dock.marco.pk.urn]
    assert change["grade"] == "inferred"
    assert "look at the walls" in change["sentence"]


def test_the_officers_own_exception(dock: Dock) -> None:
    """An officer lets a shipment pass short of one carton: the trace names who held custody, and who accepted that."""
    kept, also_kept, taken = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    end = shipment_trace(dock)["handoffs"][-1]
    assert end["exceptions_approved"]["officer"] == dock.officer.pk.urn
    assert end["exceptions"] == [{"accepted_by": dock.officer.pk.urn, "code": "missing_tag", "items": 1}]
    assert [one["person"] for one in trace(taken)["window"]["custody"]] == [dock.marco.pk.urn]


def test_a_stranger_in_the_zone_during_the_window(dock: Dock, olga: User) -> None:
    kept, also_kept, taken = dock.tags()
    group = make_group(name="Yard", made_by=dock.beto)
    zone = create_zone(site=dock.reader.read_point.site, name="Yard", group=group, made_by=dock.beto)
    camera, _token = add_camera(zone=zone, name="Yard, gate", added_by=dock.beto)
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    watch_frame(
        camera=Camera.objects.select_related("zone__group").get(pk=camera.pk),
        data=dock.photo("grace_hopper.jpg"),
        received_at=timezone.now(),
    )
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert (window["grade"], window["doubts"]) == ("inferred", ["stranger_near"])
    (alert,) = window["zone_alerts"]
    assert (alert["code"], alert["fault"]) == ("stranger", "")
    assert Entry.objects.get(index=alert["entry"]).kind == "zone_alert"
    # From the alert's page there is a way to what was handed over there, and from an officer's word the doubt goes.
    client = Client()
    client.force_login(olga)
    row = ZoneAlert.objects.get()
    told_there = client.get(reverse("zone_alert", args=[row.pk])).content.decode()
    assert reverse("shipment_trace", args=[dock.shipment.pk]) in told_there
    decide_alert(alert=row, decision="mistaken", decided_by=olga, note="A poster on the wall")
    assert trace(taken)["window"]["grade"] == "direct"


def test_a_seal_replaced_in_the_window(dock: Dock, olga: User) -> None:
    """By the custodian it is a fact; by somebody else it takes from the grade and names them too."""
    kept, also_kept, taken = dock.tags()
    unit = dock.shipment.units.get()
    by_marco, by_elena = (By(person=one, account=dock.beto) for one in (dock.marco, dock.elena))
    seal = affix_seal(unit=unit, seal=NewSeal("MX-1001", "H"), by=by_marco)
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    seal = replace_seal(seal=seal, new=NewSeal("MX-1002", "H"), reason="damaged", by=by_marco)
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert (window["grade"], [act["kind"] for act in window["acts"]]) == ("direct", ["seal_replaced"])
    assert [one["seals"][0]["number"] for one in (window["last_good"], window["first_bad"])] == ["MX-1001", "MX-1002"]
    other = dock.other
    kept, taken = dock.tags(other)
    seal = affix_seal(unit=other.units.get(), seal=NewSeal("MX-2001", "H"), by=by_marco)
    hand_over(dock, to=dock.marco, sessions=[[kept, taken]], shipment="LRD-1043")
    replace_seal(seal=seal, new=NewSeal("MX-2002", "H"), reason="other", by=by_elena)
    hand_over(dock, to=dock.elena, sessions=[[kept], [kept]], shipment="LRD-1043")
    window = trace(taken)["window"]
    assert (window["grade"], window["doubts"]) == ("inferred", ["opened_by_others"])
    (act,) = [act for act in window["acts"] if act["entry"] in window["opened_by_others"]]
    assert act["by"]["person"] == dock.elena.pk.urn


def test_goods_under_a_seal_that_was_found_intact(dock: Dock) -> None:
    kept, also_kept, taken = dock.tags()
    by = By(person=dock.marco, account=dock.beto)
    seal = affix_seal(unit=dock.shipment.units.get(), seal=NewSeal("MX-1001", "H"), by=by)
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    check_seal(seal=seal, finding="intact", by=by)
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    window = trace(taken)["window"]
    assert (window["grade"], window["doubts"]) == ("inferred", ["seal_intact"])


def test_a_commodity_code_amended_after_the_inspection(dock: Dock, olga: User) -> None:
    """Who submitted what, and when the officer had looked, is in signed entries: direct. Why is in none."""
    rita = User.objects.create_user("rita", role="representative")
    declared_by = Actor(account=rita, person=dock.marco.pk)
    name_account(person=dock.elena, user=olga)
    version = submit_declaration(
        consignment=dock.shipment, told=declared(), parties=PARTIES, by=declared_by, attempt=uuid.uuid4()
    )
    officers_act(dock, olga, "inspection", "random_check", findings="differs")
    seal_all()
    assert [one["code"] for one in shipment_trace(dock)["misdeclared"]] == ["inspection_differs"]
    amend_declaration(
        declaration=version.declaration,
        told=declared(items=[item(hs="2402209000")]),
        parties=PARTIES,
        by=declared_by,
        attempt=uuid.uuid4(),
    )
    seal_all()
    found = shipment_trace(dock)
    assert [(one["code"], one["grade"]) for one in found["misdeclared"]] == [
        ("inspection_differs", "direct"),
        ("hs_amended_after_inspection", "direct"),
    ]
    for one in found["misdeclared"]:
        assert [by["person"] for by in one["submitted_by"]] == [dock.marco.pk.urn]
    assert [one["version"] for one in found["declarations"]] == [1, 2]
    client = Client()
    client.force_login(olga)
    page = client.get(reverse("shipment_trace", args=[dock.shipment.pk])).content.decode()
    assert "the commodity code changed" in page and "Submitted by Marco Ruiz" in page


def shipment_trace(dock: Dock) -> dict:
    out = StringIO()
    call_command("trace_shipment", dock.shipment.reference, "--json", stdout=out)
    return json.loads(out.getvalue())


def read_chip(reader: Reader, epc: str, tid: str) -> None:
    body = json.dumps({"reads": [{"epc": epc, "read_at": format_ns(time.time_ns()), "tid": tid}]}).encode()
    record_report(reader=reader, body=body, content_type="", received_at=timezone.now())


def lose_reads(reader: Reader) -> None:
    now = timezone.now().isoformat()
    gap = {"firstEventTimestamp": now, "lastEventTimestamp": now, "eventsPurged": 9}
    body = json.dumps([{"timestamp": now, "eventType": "overflow", "overflowEvent": gap}]).encode()
    record_report(reader=reader, body=body, content_type="", received_at=timezone.now())


def hand_on(dock: Dock, handoff: Handoff, face: bytes) -> None:
    """From the reading to the entry."""
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    dock.countersign(handoff)
    dock.show_face(handoff, face)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    seal_all()
