"""Both sides of a handoff, and the officer who stands in where a face, a holder or the goods cannot serve."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from biometrics.errors import SecondFactorRefused
from biometrics.models import PersonKind
from biometrics.people import register_person
from biometrics.second_factor import set_pin
from custody import errors, handoffs
from custody.approvals import (
    ApprovalByParty,
    ApprovalNotYours,
    ApprovalOutdated,
    ApprovalRefused,
    NothingToApprove,
    approve,
    shown,
)
from custody.countersigning import release_custody
from custody.models import Approval, Handoff, HandoffState
from custody.officers import OfficerNotOnFile
from ledger.models import Entry, Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry
from ledger.verification import verify_log
from shipments.actors import Actor
from shipments.seals import Act, NewSeal, affix_seal, check_seal
from tests.custody.conftest import PIN, Dock, authorise

pytestmark = pytest.mark.django_db


def last_handoff_body() -> dict:
    seal_all()
    return parse_entry(bytes(Entry.objects.filter(kind="handoff").latest("index").note)).body


def accept(dock: Dock, handoff: Handoff) -> Handoff:
    return handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)


def short_of(dock: Dock, *missing: str) -> Handoff:
    """A handoff of which two sessions did not see ``missing``."""
    handoff = dock.open()
    rest = [tag for tag in dock.tags() if tag not in missing]
    dock.read(*rest)
    handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    handoffs.read_again(handoff=handoff, by=dock.beto)
    dock.read(*rest)
    return handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)


# The one who hands over --------------------------------------------------------------------------------------------


def test_nobody_takes_a_shipment_from_a_holder_who_did_not_give_it(dock):
    dock.accepted()
    handoff = dock.reconciled(receiver=dock.elena)
    dock.show_face(handoff, dock.elenas_face)
    with pytest.raises(errors.NotReleased, match="Marco Ruiz holds custody and confirms first"):
        accept(dock, handoff)
    with pytest.raises(SecondFactorRefused):
        release_custody(handoff=handoff, pin="000001")
    release_custody(handoff=handoff, pin=PIN)
    assert accept(dock, handoff).state == HandoffState.ACCEPTED


def test_at_first_intake_nobody_hands_over(dock):
    with pytest.raises(errors.NobodyHandsOver):
        dock.release(dock.reconciled())


def test_released_twice_it_is_released_once(dock):
    dock.accepted()
    handoff = dock.reconciled(receiver=dock.elena)
    first = dock.release(handoff)
    assert dock.release(handoff).released_at == first.released_at


def test_what_was_given_is_what_was_matched(dock):
    """Read again, the goods are others perhaps: the holder confirms anew."""
    dock.accepted()
    handoff = dock.release(dock.reconciled(receiver=dock.elena))
    handoffs.read_again(handoff=handoff, by=dock.beto)
    dock.read(*dock.tags())
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    dock.show_face(handoff, dock.elenas_face)
    with pytest.raises(errors.NotReleased):
        accept(dock, handoff)


def test_an_officer_stands_in_for_a_holder_who_is_gone(dock, ana):
    dock.accepted()
    handoff = dock.reconciled(receiver=dock.elena)
    dock.approve(handoff, "release", "holder_absent", document="port_badge", note="He left for Chihuahua at noon")
    dock.show_face(handoff, dock.elenas_face)
    accept(dock, handoff)
    body = last_handoff_body()
    told = body["from"]["dual_control"]
    assert (told["officer"], told["reason"], told["document_checked"]) == (
        dock.officer.pk.urn,
        "holder_absent",
        "port_badge",
    )
    assert "released_at" not in body["from"]
    assert "Chihuahua" not in str(body)
    assert verify_log(policy=own_policy()).intact
    client = Client()
    client.force_login(ana)
    page = client.get(reverse("entry", args=[Entry.objects.latest("index").index])).content.decode()
    assert "An officer stood in for who handed over" in page
    assert "Who holds custody is not there" in page


# In place of the face ----------------------------------------------------------------------------------------------


def test_where_the_camera_fails_the_entry_names_the_officer_in_place_of_the_face(dock, ana):
    handoff = dock.reconciled()
    with pytest.raises(errors.FaceMissing):
        accept(dock, handoff)
    dock.approve(handoff, "dual_control", "camera_failed", document="passport", note="Rain in the lens")
    assert accept(dock, handoff).dual_control is not None
    body = last_handoff_body()
    assert "face" not in body
    given = body["dual_control"]
    note = given.pop("note")
    assert len(bytes.fromhex(note)) == 32
    assert given.pop("given_at") >= body["when"]["reconciled_at"]
    assert given == {
        "officer": dock.officer.pk.urn,
        "operator": dock.sofia.pk.urn,
        "reason": "camera_failed",
        "document_checked": "passport",
        "second_factor": "pin",
        "faces_refused": 0,
    }
    assert body["second_factor"] == "pin"
    client = Client()
    client.force_login(ana)
    page = client.get(reverse("entry", args=[Entry.objects.latest("index").index])).content.decode()
    assert "Sofía Luna stood in for the face" in page
    assert "Rain in the lens" not in page


def test_a_person_who_is_exempt_is_received_without_a_photo(dock, ana):
    exempt = register_person(
        name="Inés Prado", kind=PersonKind.DRIVER, registered_by=dock.beto, consent=None, exempt=True
    )
    set_pin(person=exempt, pin=PIN)
    authorise(exempt, by=dock.rosa)
    client = Client()
    client.force_login(dock.beto)
    assert "Inés Prado" in client.get(reverse("handoff_new"), {"shipment": "LRD-1042"}).content.decode()
    handoff = dock.reconciled(receiver=exempt)
    page = client.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "Inés Prado is exempt from face comparison" in page
    assert reverse("handoff_face", args=[handoff.pk]) not in page
    dock.approve(handoff, "dual_control", "declined_biometric", document="identity_card")
    accept(dock, handoff)
    assert last_handoff_body()["dual_control"]["reason"] == "declined_biometric"


def test_faces_that_did_not_match_stand_beside_the_officer_who_stood_in(dock):
    handoff = dock.reconciled()
    with pytest.raises(errors.FaceNotMatched):
        dock.show_face(handoff, dock.elenas_face)
    dock.approve(handoff, "dual_control", "face_not_visible", document="driving_licence")
    accept(dock, handoff)
    assert last_handoff_body()["dual_control"]["faces_refused"] == 1


def test_a_face_that_matched_needs_no_officer_in_the_entry(dock):
    handoff = dock.reconciled()
    dock.approve(handoff, "dual_control", "camera_failed", document="passport")
    dock.show_face(handoff, dock.marcos_face)
    assert accept(dock, handoff).dual_control is None
    body = last_handoff_body()
    assert "dual_control" not in body
    assert body["face"]["outcome"] == "match"


def test_an_officer_s_word_holds_for_ten_minutes_and_for_these_tags(dock):
    handoff = dock.reconciled()
    given = dock.approve(handoff, "dual_control", "camera_failed", document="passport")
    Approval.objects.filter(pk=given.pk).update(given_at=timezone.now() - timedelta(minutes=10, seconds=1))
    with pytest.raises(errors.FaceMissing):
        accept(dock, handoff)
    dock.approve(handoff, "dual_control", "camera_failed", document="passport")
    handoffs.read_again(handoff=handoff, by=dock.beto)
    dock.read(*dock.tags())
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    with pytest.raises(errors.FaceMissing):
        accept(dock, handoff)


# Who may stand in --------------------------------------------------------------------------------------------------


def test_only_an_officer_with_a_person_on_file_stands_in(dock):
    handoff = dock.reconciled()
    told = {
        "handoff": handoff,
        "purpose": "dual_control",
        "reason": "camera_failed",
        "document": "passport",
        "seen": shown(handoff),
        "pin": PIN,
    }
    for role in (Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR, Role.AUDITOR, Role.REPRESENTATIVE):
        with pytest.raises(ApprovalNotYours):
            approve(**told, by=User.objects.create_user(f"some-{role}", role=role))
    with pytest.raises(OfficerNotOnFile):
        approve(**told, by=User.objects.create_user("nobody", role=Role.OFFICER))
    with pytest.raises(SecondFactorRefused):
        approve(**told | {"pin": "000001"}, by=dock.sofia)
    assert not Approval.objects.exists()


def test_no_officer_stands_in_for_a_handoff_of_their_own(dock):
    """The officer's own exception: not as receiver, not as who hands over, not where they opened it."""
    authorise(dock.officer, by=dock.rosa)
    received = dock.reconciled(receiver=dock.officer)
    with pytest.raises(ApprovalByParty):
        dock.approve(received, "dual_control", "camera_failed", document="passport")
    handoffs.cancel_handoff(handoff=received, by=dock.beto)
    opened = dock.reconciled(receiver=dock.elena)
    Handoff.objects.filter(pk=opened.pk).update(opened_by=dock.sofia)
    with pytest.raises(ApprovalByParty):
        dock.approve(opened, "dual_control", "camera_failed", document="passport")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"purpose": "kindness"}, "purpose"),
        ({"reason": "shortage"}, "reason"),
        ({"document": ""}, "document"),
        ({"document": "library_card"}, "document"),
        ({"reason": "other"}, "note"),
        ({"note": "x" * 501}, "500"),
    ],
)
def test_an_approval_says_why_and_which_document(dock, told, problem):
    handoff = dock.reconciled()
    given = {"purpose": "dual_control", "reason": "camera_failed", "document": "passport"} | told
    with pytest.raises(ApprovalRefused, match=problem):
        dock.approve(handoff, **given)


def test_nobody_approves_what_changed_under_their_eyes(dock):
    handoff = short_of(dock, dock.tags()[0])
    seen = shown(handoff)
    handoffs.weigh_shipment(handoff=handoff, measured_g=5_000)
    with pytest.raises(ApprovalOutdated):
        approve(handoff=handoff, purpose="exceptions", reason="shortage", by=dock.sofia, seen=seen, pin=PIN)


def test_where_nothing_is_wrong_there_is_nothing_to_approve(dock):
    handoff = dock.reconciled()
    with pytest.raises(NothingToApprove):
        dock.approve(handoff, "exceptions", "shortage")
    with pytest.raises(NothingToApprove):
        dock.approve(handoff, "release", "holder_absent", document="passport")


# What does not fit -------------------------------------------------------------------------------------------------


def test_custody_of_less_than_the_manifest_passes_only_with_an_officer(dock):
    missing = dock.tags()[0]
    handoff = short_of(dock, missing)
    dock.show_face(handoff, dock.marcos_face)
    with pytest.raises(errors.ExceptionsNotApproved):
        accept(dock, handoff)
    dock.approve(handoff, "exceptions", "shortage", note="One carton torn open")
    accept(dock, handoff)
    body = last_handoff_body()
    assert body["exceptions"] == [{"code": "missing_tag", "items": 1, "accepted_by": dock.officer.pk.urn}]
    assert body["exceptions_approved"]["reason"] == "shortage"
    assert body["reads"]["not_seen"] == [missing]


def test_what_turns_up_after_the_officer_looked_needs_the_officer_again(dock):
    pallet = dock.shipment.units.get()
    by = Act(Actor(dock.beto, dock.marco.pk))
    seal = affix_seal(unit=pallet, seal=NewSeal("MX-1", "H"), act=by)
    handoff = short_of(dock, dock.tags()[0])
    dock.approve(handoff, "exceptions", "shortage")
    check_seal(seal=seal, finding="missing", act=by)
    dock.show_face(handoff, dock.marcos_face)
    with pytest.raises(errors.ExceptionsNotApproved):
        accept(dock, handoff)
    dock.approve(handoff, "exceptions", "seal_seen")
    accept(dock, handoff)
    assert [one["code"] for one in last_handoff_body()["exceptions"]] == ["missing_tag", "seal_missing"]


def test_a_weight_within_the_tolerance_is_in_the_entry_and_needs_nobody(dock):
    type(dock.shipment).objects.filter(pk=dock.shipment.pk).update(declared_gross_mass_g=100_000)
    handoff = handoffs.weigh_shipment(handoff=dock.reconciled(), measured_g=102_000)
    dock.show_face(handoff, dock.marcos_face)
    accept(dock, handoff)
    body = last_handoff_body()
    assert body["weight"] == {"measured_g": 102_000, "declared_g": 100_000, "tolerance_g": 2_000}
    assert "exceptions" not in body


def test_a_weight_beyond_the_tolerance_needs_an_officer(dock):
    type(dock.shipment).objects.filter(pk=dock.shipment.pk).update(declared_gross_mass_g=100_000)
    handoff = handoffs.weigh_shipment(handoff=dock.reconciled(), measured_g=97_999)
    dock.show_face(handoff, dock.marcos_face)
    with pytest.raises(errors.ExceptionsNotApproved):
        accept(dock, handoff)
    dock.approve(handoff, "exceptions", "weight_explained")
    accept(dock, handoff)
    assert last_handoff_body()["exceptions"] == [
        {"code": "weight_mismatch", "items": 2_001, "accepted_by": dock.officer.pk.urn}
    ]


def test_weighed_anew_both_sides_confirm_anew(dock):
    dock.accepted()
    handoff = dock.release(dock.reconciled(receiver=dock.elena))
    dock.show_face(handoff, dock.elenas_face)
    handoff = handoffs.weigh_shipment(handoff=handoff, measured_g=1_000)
    with pytest.raises(errors.NotReleased):
        accept(dock, handoff)
    dock.release(handoff)
    with pytest.raises(errors.FaceMissing):
        accept(dock, handoff)


@pytest.mark.parametrize("measured_g", [0, -5, 10**12 + 1])
def test_a_weight_that_cannot_be_is_refused(dock, measured_g):
    with pytest.raises(errors.WeightRefused):
        handoffs.weigh_shipment(handoff=dock.reconciled(), measured_g=measured_g)


# On the screens and through the API --------------------------------------------------------------------------------


def test_the_officers_list_shows_who_waits_and_how_often_a_face_was_missing(dock, ana):
    clerk, officer = Client(), Client()
    clerk.force_login(dock.beto)
    officer.force_login(dock.sofia)
    handoff = dock.reconciled()
    assert "No handoff waits for an officer" in officer.get(reverse("approvals")).content.decode()
    clerk.post(reverse("handoff_ask_officer", args=[handoff.pk]))
    listed = officer.get(reverse("approvals")).content.decode()
    assert reverse("handoff", args=[handoff.pk]) in listed
    page = officer.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "Stand in for the receiver’s face" in page
    sent = {
        "purpose": "dual_control",
        "reason": "camera_failed",
        "document": "passport",
        "seen": shown(handoff),
        "pin": PIN,
    }
    assert clerk.post(reverse("handoff_approve", args=[handoff.pk]), sent).status_code == 403
    officer.post(reverse("handoff_approve", args=[handoff.pk]), sent)
    assert (
        "An officer stood in for the face of Marco Ruiz"
        in clerk.get(reverse("handoff", args=[handoff.pk])).content.decode()
    )
    clerk.post(reverse("handoff_accept", args=[handoff.pk]), {"pin": PIN})
    seal_all()
    receipt = clerk.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "An officer stood in for the face; PIN" in receipt
    assert "Sofía Luna: The camera does not work" in receipt
    counted = officer.get(reverse("approvals")).content.decode()
    assert "1 of 1 accepted handoffs went without a face (100.0 %)" in counted
    auditor = Client()
    auditor.force_login(ana)
    assert "Sofía Luna" in auditor.get(reverse("approvals")).content.decode()


def test_an_officer_who_answered_one_thing_is_asked_anew_for_the_next(dock):
    clerk, officer = Client(), Client()
    clerk.force_login(dock.beto)
    officer.force_login(dock.sofia)
    dock.accepted()
    handoff = dock.reconciled(receiver=dock.elena)
    at = reverse("handoff", args=[handoff.pk])
    asked = "An officer was asked."
    clerk.post(reverse("handoff_ask_officer", args=[handoff.pk]))
    assert asked in clerk.get(at).content.decode()
    sent = {
        "purpose": "release",
        "reason": "holder_absent",
        "document": "passport",
        "seen": shown(handoff),
        "pin": PIN,
    }
    officer.post(reverse("handoff_approve", args=[handoff.pk]), sent)
    # The officer's list has let go of it: nobody would come, and the page must not say so.
    assert at not in officer.get(reverse("approvals")).content.decode()
    page = clerk.get(at).content.decode()
    assert "Confirm the face of Elena Cortés" in page
    assert asked not in page
    clerk.post(reverse("handoff_ask_officer", args=[handoff.pk]))
    assert asked in clerk.get(at).content.decode()
    assert at in officer.get(reverse("approvals")).content.decode()


def test_an_officer_s_page_leads_back_to_where_officers_are_wanted(dock):
    officer = Client()
    officer.force_login(dock.sofia)
    handoff = dock.reconciled()
    page = officer.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert f'class="back-link" href="{reverse("approvals")}"' in page
    assert f'href="{reverse("handoffs")}"' not in page


def test_the_clerk_is_led_through_release_weight_and_second_reading(dock):
    client = Client()
    client.force_login(dock.beto)
    dock.accepted()
    handoff = dock.open(receiver=dock.elena)
    dock.read(*dock.tags()[1:])
    client.post(reverse("handoff_reconcile", args=[handoff.pk]))
    at = reverse("handoff", args=[handoff.pk])
    page = client.get(at).content.decode()
    assert "counts as missing only after a second reading" in page
    assert reverse("handoff_release", args=[handoff.pk]) not in page
    client.post(reverse("handoff_read_again", args=[handoff.pk]))
    dock.read(*dock.tags())
    client.post(reverse("handoff_reconcile", args=[handoff.pk]))
    assert "Marco Ruiz hands over" in client.get(at).content.decode()
    weighed = client.post(reverse("handoff_weigh", args=[handoff.pk]), {"kg": "1,5 t"}, follow=True)
    assert "“1,5 t” is not a weight" in weighed.content.decode()
    assert (
        "1.500 kg"
        in client.post(reverse("handoff_weigh", args=[handoff.pk]), {"kg": "1,5"}, follow=True).content.decode()
    )
    released = client.post(reverse("handoff_release", args=[handoff.pk]), {"pin": PIN}, follow=True).content.decode()
    assert "Marco Ruiz gave custody up." in released
    assert "Confirm the face of Elena Cortés" in released


def test_the_whole_of_it_through_the_api(dock):
    clerk, officer = APIClient(), APIClient()
    for client, user in ((clerk, dock.beto), (officer, dock.sofia)):
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=user, purpose='tests')}")
    dock.accepted()
    handoff = dock.open(receiver=dock.elena)
    at = f"/api/v1/handoffs/{handoff.pk}"
    dock.read(*dock.tags()[1:])
    assert clerk.post(f"{at}/reconcile").data["needs"]["read_again"] is True
    assert clerk.post(f"{at}/accept", {"pin": PIN}, format="json").data["code"] == "read_again_first"
    clerk.post(f"{at}/read-again")
    dock.read(*dock.tags()[1:])
    needs = clerk.post(f"{at}/reconcile").data["needs"]
    assert needs["exceptions"] == [{"code": "missing_tag", "items": 1}]
    assert clerk.post(f"{at}/weigh", {"measured_g": 2_500}, format="json").status_code == 200
    assert clerk.post(f"{at}/ask-officer").status_code == 200
    seen = officer.get(f"{at}/approvals").data["needs"]["shown"]
    told = {"purpose": "exceptions", "reason": "shortage", "seen": seen, "pin": PIN}
    assert clerk.post(f"{at}/approvals", told, format="json").status_code == 403
    assert officer.post(f"{at}/approvals", told, format="json").status_code == 201
    told = {"purpose": "dual_control", "reason": "not_enrolled", "document": "passport", "seen": seen, "pin": PIN}
    assert officer.post(f"{at}/approvals", told | {"seen": "what was before"}, format="json").status_code == 409
    assert officer.post(f"{at}/approvals", told, format="json").data["officer"] == dock.officer.pk
    assert clerk.post(f"{at}/accept", {"pin": PIN}, format="json").data["code"] == "not_released"
    assert clerk.post(f"{at}/release", {"pin": PIN}, format="json").data["needs"]["released"] is True
    accepted = clerk.post(f"{at}/accept", {"pin": PIN}, format="json")
    assert (accepted.status_code, accepted.data["state"], accepted.data["needs"]) == (200, "accepted", None)
    assert officer.post(f"{at}/accept", {"pin": PIN}, format="json").status_code == 403
    assert Statement.objects.filter(kind="handoff").count() == 2
