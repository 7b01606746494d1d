"""Passages of a border on real faces: a document, a live face or an officer's eye, and an entry that says which."""

import uuid
from dataclasses import replace
from datetime import UTC, date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import User
from biometrics import document_match
from biometrics.errors import (
    DocumentNumberUnusable,
    DocumentPhotoRefused,
    PersonErased,
    PinRefused,
    PortraitMissing,
)
from biometrics.liveness import issue_challenge
from biometrics.models import CaptureSource, DocumentMatch, Evidence, Person, PersonKey, PersonKind
from biometrics.people import name_account
from biometrics.retention import purge_due
from biometrics.vault import open_evidence
from biometrics.verification import Burst, Still
from biometrics.watchlist import confirm_watchlisted, propose_watchlisted
from custody import passage_errors as errors
from custody.crossings import CrossingNotYours, close_crossing, open_crossing
from custody.entry_checks import check_entry
from custody.facts import lay_out
from custody.granting import Terms, grant_authorisation
from custody.interventions import ShipmentHeld, begin_intervention, confirm_officer
from custody.models import Crossing, Passage
from custody.narrative import shipment_lines, tell
from custody.officers import OfficerNotOnFile
from custody.passage_decisions import advise, decide_passage
from custody.passage_search import count_shares, find_passages
from custody.passages import (
    Presented,
    cancel_passage,
    compare_traveller,
    decline_face,
    liveness_context,
    open_passage,
    show_portrait,
)
from custody.travel_documents import IssuerUnknown
from demo.portraits import portrait
from demo.reframing import reframe
from ledger.models import Entry, Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.verification import verify_log
from tests.biometrics.turning import film, wait_for_film
from tests.custody.conftest import PIN, Dock

PASSPORT = Presented("passport", "MEX", "G 1234-5678", date(2090, 1, 31))


@pytest.fixture
def officer(dock: Dock, olga: User) -> User:
    """Olga's account, and Elena's record as hers."""
    name_account(person=dock.elena, user=olga)
    return olga


@pytest.fixture
def bridge(dock: Dock) -> Crossing:
    return open_crossing(read_point=dock.reader.read_point, by=dock.rosa)


def begin(bridge: Crossing, by: User, **also) -> Passage:
    fields = {"direction": "exit", "document": PASSPORT, "attempt": uuid.uuid4(), "shipment": "LRD-1042"} | also
    return open_passage(crossing=bridge, by=by, **fields)


def show(dock: Dock, passage: Passage, by: User, face: bytes | None = None) -> DocumentMatch:
    """Show Marco's document, where it was not shown yet, and a live face: his own where no other is given."""
    if Passage.objects.get(pk=passage.pk).document.portrait is None:
        show_portrait(passage=passage, photo=dock.photo("obama_partial_face2.jpg"), by=by)
    return compare_traveller(
        passage=passage,
        capture=Still(face or dock.marcos_face, timezone.now()),
        source=CaptureSource.WEBCAM,
        camera="Lane 1",
        by=by,
    )


def decide(passage: Passage, by: User, decision: str = "passed", **also) -> Passage:
    return decide_passage(passage=Passage.objects.get(pk=passage.pk), decision=decision, by=by, **also)


def body_of(passage: Passage) -> dict:
    passage.refresh_from_db()
    return canonical.decode(bytes(passage.statement.body))


def hold(dock: Dock, by: User) -> None:
    intervention = begin_intervention(
        consignment=dock.shipment, act="hold", reason="documents", read_point=dock.reader.read_point, by=by,
        attempt=uuid.uuid4(),
    )  # fmt: skip
    confirm_officer(
        intervention=intervention, capture=Still(dock.elenas_face, timezone.now()), source=CaptureSource.WEBCAM, by=by
    )


def test_a_driver_passes_and_the_shipments_chain_says_so(dock, officer, bridge):
    passage = begin(bridge, officer, person=dock.marco)
    assert show(dock, passage, officer).outcome == "match"
    decide(passage, officer)
    seal_all()
    sealed = parse_entry(bytes(Entry.objects.get(kind="passage").note))
    body = sealed.body
    assert sealed.subject == dock.shipment.pk.urn
    assert (body["outcome"], body["direction"]) == ("passed", "exit")
    assert body["traveller"] == {"person": dock.marco.pk.urn, "on_file": True}
    assert body["where"]["read_point"] == dock.reader.read_point.sgln
    assert body["goods"]["reference"] == "LRD-1042"
    assert body["machine"] == {"advice": "pass", "findings": []}
    assert body["by"] == {"person": dock.elena.pk.urn, "operator": officer.pk.urn}
    assert body["authorisation"] == [dock.marcos_right.pk.urn]
    face = body["face"]
    assert (face["outcome"], face["k"], face["m"], face["target_fmr"]) == ("match", 1, 1, "1e-4")
    assert face["distance_e4"] <= face["threshold_e4"]
    assert face["liveness"] == {"method": "none", "outcome": "not_performed"}
    assert "template" not in face and "consent" not in face
    sentence = shipment_lines(dock.shipment)[-1].sentence
    assert "Elena Cortés let Marco Ruiz pass at Dock 1" in sentence
    assert "The face matched the document." in sentence


def test_nothing_personal_stands_in_the_entry_and_no_vector_is_kept(dock, officer, bridge):
    passage = begin(bridge, officer, carrier=dock.shipment.consignor)
    show(dock, passage, officer)
    note = "Knows the road, María vouches"
    decide(passage, officer, "referred", note=note)
    body = body_of(passage)
    text = str(body)
    assert "12345678" not in text and "María" not in text and "Lane 1" not in text and "2090" not in text
    assert body["document"]["issuing_state"] == "MEX" and body["document"]["expired"] is False
    opened = passage.document.number
    assert open_evidence(opened) == b"G12345678" and body["document"]["number"] == opened.commitment
    assert open_evidence(passage.note).decode() == note and body["note"] == passage.note.commitment
    assert body["traveller"]["on_file"] is False
    traveller = Person.objects.get(pk=passage.traveller_id)
    assert traveller.kind == PersonKind.TRAVELLER and not traveller.templates.exists()
    kinds = set(traveller.evidence.values_list("kind", flat=True))
    assert kinds == {"number", "document", "probe", "note"}


def test_another_face_is_not_matched_and_each_attempt_is_on_record(dock, officer, bridge):
    passage = begin(bridge, officer, person=dock.marco)
    for left in (2, 1):
        with pytest.raises(errors.TravellerNotMatched) as refused:
            show(dock, passage, officer, dock.elenas_face)
        assert refused.value.facts["left"] == left
    with pytest.raises(errors.TravellerNotMatchedFinally):
        show(dock, passage, officer, dock.elenas_face)
    with pytest.raises(errors.NoAttemptLeft):
        show(dock, passage, officer, dock.marcos_face)
    decide(passage, officer, "refused")
    body = body_of(passage)
    assert body["machine"] == {"advice": "refuse", "findings": [{"code": "face_mismatch"}]}
    assert body["face"]["outcome"] == "no_match"
    assert [one["attempt"] for one in body["failed_captures"]] == [1, 2, 3]
    assert {one["code"] for one in body["failed_captures"]} == {"face_mismatch"}
    passage.document.refresh_from_db()
    assert passage.document.disputed


def test_overruling_the_machine_takes_a_note_and_the_officers_pin(dock, officer, bridge):
    passage = begin(bridge, officer, person=dock.marco)
    with pytest.raises(errors.TravellerNotMatched):
        show(dock, passage, officer, dock.elenas_face)
    with pytest.raises(errors.NoteMissing):
        decide(passage, officer)
    with pytest.raises(PinRefused):
        decide(passage, officer, note="Old photo", pin="111222")
    decide(passage, officer, note="Old photo", pin=PIN)
    body = body_of(passage)
    assert (body["outcome"], body["machine"]["advice"], body["second_factor"]) == ("passed", "refuse", "pin")
    assert body["face"]["outcome"] == "no_match" and body["note"]


def test_turning_somebody_back_for_nothing_takes_a_note(dock, officer, bridge):
    passage = begin(bridge, officer, person=dock.marco)
    show(dock, passage, officer)
    with pytest.raises(errors.NoteMissing):
        decide(passage, officer, "refused")
    decide(passage, officer, "refused", note="Brakes do not work")


def test_a_face_that_came_near_is_captured_once_more_and_both_are_decided_on(dock, officer, bridge):
    passage = begin(bridge, officer, shipment="")
    near = reframe(dock.photo("obama2.jpg"), squeeze=1.45)
    assert show(dock, passage, officer, near).outcome == "second_capture"
    passage.refresh_from_db()
    assert passage.face_attempts == 0
    with pytest.raises(errors.FaceNotCompared):
        decide(passage, officer, note="Near enough", pin=PIN)
    with pytest.raises(errors.CaptureRefused):
        show(dock, passage, officer, near)
    passage = begin(bridge, officer, shipment="")
    show(dock, passage, officer, near)
    assert show(dock, passage, officer, reframe(dock.photo("obama.jpg"), squeeze=1.3)).outcome == "match"
    decide(passage, officer)
    face = body_of(passage)["face"]
    assert (face["k"], face["m"], face["attempt"]) == (2, 1, 1)
    first = face["first_capture"]
    assert first["distance_e4"] > first["threshold_e4"] > face["threshold_e4"] >= face["distance_e4"]
    seal_all()
    row = Entry.objects.get(kind="passage")
    assert [check.name for check in check_entry(row) if check.holds is False] == []
    [facts] = [one for one in lay_out(tell(row)) if one.title == "Face verification"]
    assert "2 live photos with the portrait in the document" in str(facts)


def test_head_turns_stand_in_the_entry_and_go_with_the_photos(dock, officer, bridge, settings, monkeypatch):
    settings.BIOMETRICS_LIVENESS = "required"
    passage = begin(bridge, officer, shipment="", exemption="under_age")
    show_portrait(passage=passage, photo=dock.photo("obama_partial_face2.jpg"), by=officer)
    context = liveness_context(passage)
    still = portrait("biden", dock.photos).live
    turning = reframe(dock.photo("obama.jpg"), squeeze=0.75)
    for turns, shown, expected in ((["front"] * 3, still, "liveness_failed"), (None, turning, "passed")):
        challenge = issue_challenge(person=passage.traveller, context=context, issued_to=officer)
        frames = film(shown, turns or challenge.turns)
        wait_for_film(challenge.pk)
        capture = Burst(challenge.pk, challenge.nonce, context, frames, timezone.now())
        face = {"passage": passage, "capture": capture, "source": CaptureSource.WEBCAM, "by": officer}
        if expected == "passed":
            assert compare_traveller(**face).outcome == "match"
            continue
        with pytest.raises(errors.CaptureRefused) as refused:
            compare_traveller(**face)
        assert refused.value.facts["reason_code"] == expected
    decide(passage, officer)
    body = body_of(passage)
    assert body["face"]["liveness"]["outcome"] == "passed" and len(body["face"]["liveness"]["transcript"]) == 64
    assert [one["code"] for one in body["failed_captures"]] == ["liveness_failed"]
    _at(monkeypatch, timezone.now() + timedelta(hours=11, minutes=10))
    purge_due()
    assert not Evidence.objects.filter(person=passage.traveller, destroyed_at=None).exists()
    # A challenge of a passage that is over leads nowhere.
    with pytest.raises(PersonErased):
        issue_challenge(person=Person.objects.get(pk=passage.traveller_id), context=context, issued_to=officer)


# Without a face ------------------------------------------------------------------------------------------------------


def test_who_declines_is_never_photographed_and_differs_in_nothing_else(dock, officer, bridge, monkeypatch):
    faced = begin(bridge, officer, person=dock.marco)
    show(dock, faced, officer)
    decide(faced, officer)

    def looked(*arguments, **named):
        raise AssertionError("a face was looked at")

    monkeypatch.setattr(document_match, "analyse_bytes", looked)
    monkeypatch.setattr(document_match, "search_watchlist", looked)
    passage = begin(bridge, officer, person=dock.marco, without_face="declined")
    with pytest.raises(errors.FaceDeclined):
        show_portrait(passage=passage, photo=dock.photo("obama.jpg"), by=officer)
    with pytest.raises(errors.FaceDeclined):
        compare_traveller(
            passage=passage,
            capture=Still(dock.photo("obama.jpg"), timezone.now()),
            source=CaptureSource.API,
            by=officer,
        )
    with pytest.raises(errors.DocumentNotChecked):
        decide(passage, officer, pin=PIN)
    with pytest.raises(PinRefused):
        decide(passage, officer, document_checked=True, pin="111222")
    decide(passage, officer, document_checked=True, pin=PIN)
    body = body_of(passage)
    assert body["dual_control"] == {"officer": dock.elena.pk.urn, "reason": "declined", "document_checked": True}
    assert "face" not in body and body["machine"] == {"advice": "pass", "findings": []}
    assert set(body) ^ set(body_of(faced)) == {"face", "dual_control", "second_factor"}
    kinds = Evidence.objects.filter(created_at__gte=passage.opened_at).values_list("kind", flat=True)
    assert set(kinds) <= {"number"}
    assert count_shares(find_passages(crossing=bridge)).without_face == 1
    assert count_shares(find_passages(crossing=bridge)).percent == 50


def test_declining_after_the_documents_photo_destroys_it(dock, officer, bridge):
    passage = begin(bridge, officer)
    show_portrait(passage=passage, photo=dock.photo("obama_partial_face2.jpg"), by=officer)
    portrait = Evidence.objects.get(person=passage.traveller, kind="document")
    decline_face(passage=passage, reason="medical", by=officer)
    portrait.refresh_from_db()
    assert bytes(portrait.ciphertext) == b"" and portrait.destroyed_at is not None
    passage.document.refresh_from_db()
    assert passage.document.portrait is None


def test_a_comparison_that_failed_is_not_undone_by_declining_or_cancelling_it(dock, officer, bridge):
    passage = begin(bridge, officer)
    with pytest.raises(errors.TravellerNotMatched):
        show(dock, passage, officer, dock.elenas_face)
    with pytest.raises(errors.TooLateToDecline):
        decline_face(passage=passage, reason="declined", by=officer)
    with pytest.raises(errors.TooLateToDecline):
        cancel_passage(passage=passage, by=officer)


def test_the_database_holds_no_comparison_of_somebody_who_declined(dock, officer, bridge):
    passage = begin(bridge, officer)
    show(dock, passage, officer)
    with pytest.raises(IntegrityError), transaction.atomic():
        Passage.objects.filter(pk=passage.pk).update(without_face="declined")


def test_walking_away_leaves_an_entry(dock, officer, bridge):
    passage = begin(bridge, officer)
    with pytest.raises(errors.TravellerNotMatched):
        show(dock, passage, officer, dock.elenas_face)
    Passage.objects.filter(pk=passage.pk).update(opened_at=timezone.now() - timedelta(hours=3))
    with pytest.raises(errors.PassageExpired):
        decide(passage, officer, "refused")
    begin(bridge, officer)
    passage.refresh_from_db()
    assert passage.state == "abandoned"
    body = body_of(passage)
    assert body["outcome"] == "abandoned" and body["failed_captures"][0]["code"] == "face_mismatch"
    assert "person" not in body["by"] and "machine" not in body


def test_what_was_begun_by_mistake_leaves_none(officer, bridge):
    passage = begin(bridge, officer)
    cancel_passage(passage=passage, by=officer)
    with pytest.raises(errors.PassageClosed):
        decide(passage, officer, "refused", note="x")
    assert not Statement.objects.filter(kind="passage").exists()


# What speaks against it ----------------------------------------------------------------------------------------------


def test_nobody_passes_unchecked(officer, bridge):
    passage = begin(bridge, officer, shipment="")
    with pytest.raises(errors.FaceNotCompared):
        decide(passage, officer, note="In a hurry", pin=PIN)
    decide(passage, officer, "referred")
    assert body_of(passage)["machine"]["findings"] == [{"code": "face_not_compared"}]


def test_an_expired_document_is_advised_against(dock, officer, bridge):
    passage = begin(bridge, officer, shipment="", document=replace(PASSPORT, expires_on=date(2020, 1, 1)))
    show(dock, passage, officer)
    with pytest.raises(errors.NoteMissing):
        decide(passage, officer)
    decide(passage, officer, "refused")
    body = body_of(passage)
    assert body["document"]["expired"] is True and body["machine"]["findings"] == [{"code": "document_expired"}]
    assert body["face"]["outcome"] == "match"


def test_the_last_day_of_a_document_counts(officer, bridge):
    today = timezone.now().astimezone(UTC).date()
    passage = begin(bridge, officer, shipment="", document=replace(PASSPORT, expires_on=today))
    assert [one.code for one in advise(passage).findings] == ["face_not_compared"]
    nothing = begin(bridge, officer, shipment="", document=replace(PASSPORT, expires_on=None))
    assert [one.code for one in advise(nothing).findings] == ["face_not_compared"]


def test_nobody_passes_with_a_held_shipment(dock, officer, bridge):
    passage = begin(bridge, officer, person=dock.marco)
    show(dock, passage, officer)
    hold(dock, officer)
    with pytest.raises(ShipmentHeld):
        decide(passage, officer, note="Let it go", pin=PIN)
    decide(passage, officer, "refused")
    assert body_of(passage)["machine"] == {"advice": "refuse", "findings": [{"code": "shipment_held"}]}


def test_a_driver_whom_nobody_authorised_for_the_goods(dock, officer, bridge):
    unknown = begin(bridge, officer)
    show(dock, unknown, officer)
    decide(unknown, officer, "refused")
    body = body_of(unknown)
    assert body["machine"]["findings"] == [{"code": "unauthorised_custodian", "reason_code": "no_authorisation"}]
    assert "authorisation" not in body
    carrier = dock.shipment.consignor
    right = grant_authorisation(to=carrier, allowed=Terms(), by=dock.rosa, attempt=uuid.uuid4())
    passage = begin(bridge, officer, carrier=carrier)
    show(dock, passage, officer)
    decide(passage, officer)
    body = body_of(passage)
    assert body["authorisation"] == [right.pk.urn] and body["carrier"] == carrier.pk.urn


def test_an_empty_truck_is_about_the_traveller_alone(dock, officer, bridge):
    passage = begin(bridge, officer, shipment="")
    show(dock, passage, officer)
    decide(passage, officer)
    assert passage.statement is None  # the row in hand is the old one
    assert "goods" not in body_of(passage)
    assert passage.statement.subject == passage.traveller_id.urn


def test_a_face_on_the_watchlist_is_told_to_the_officer(dock, officer, bridge):
    entry = propose_watchlisted(
        photos=[dock.photo("obama.jpg")], reason="Wanted", authority="Court 7", proposed_by=officer,
        expires_at=timezone.now() + timedelta(days=9),
    )  # fmt: skip
    confirm_watchlisted(entry=entry, confirmed_by=User.objects.create_user("otto", role="officer"))
    passage = begin(bridge, officer, shipment="")
    match = show(dock, passage, officer, dock.photo("obama2.jpg"))
    [lead] = match.leads.all()
    advised = advise(Passage.objects.get(pk=passage.pk))
    assert "watchlisted" in [one.code for one in advised.findings]
    assert lead.person_id == passage.traveller_id
    decide(passage, officer, "referred")
    assert body_of(passage)["leads"] == [lead.pk.urn]


# What is shown twice, sent twice, or by somebody else ----------------------------------------------------------------


def test_a_picture_of_the_document_is_no_live_face(dock, officer, bridge):
    passage = begin(bridge, officer)
    with pytest.raises(errors.CaptureRefused):
        show(dock, passage, officer, dock.photo("obama_partial_face2.jpg"))
    passage.refresh_from_db()
    assert passage.failed_captures == [{"attempt": 1, "code": "photo_resubmitted"}]


def test_a_photo_that_was_shown_before_is_no_live_face(dock, officer, bridge):
    passage = begin(bridge, officer)
    face = dock.elenas_face
    with pytest.raises(errors.TravellerNotMatched):
        show(dock, passage, officer, face)
    with pytest.raises(errors.CaptureRefused):
        show(dock, passage, officer, face)


def test_liveness_is_asked_for_where_it_is_required(dock, officer, bridge, settings):
    settings.BIOMETRICS_LIVENESS = "required"
    passage = begin(bridge, officer)
    with pytest.raises(Exception, match="liveness_missing"):
        show(dock, passage, officer)
    passage.refresh_from_db()
    assert passage.face_attempts == 0 and not DocumentMatch.objects.exists()


def test_the_same_attempt_is_the_same_passage(dock, officer, bridge):
    attempt = uuid.uuid4()
    first = begin(bridge, officer, attempt=attempt)
    assert begin(bridge, officer, attempt=attempt) == first
    assert Person.objects.filter(kind=PersonKind.TRAVELLER).count() == 1
    with pytest.raises(errors.AttemptReused):
        begin(bridge, officer, attempt=attempt, shipment="LRD-1043")
    show(dock, first, officer)
    with pytest.raises(errors.ComparedAlready):
        show(dock, first, officer)
    decide(first, officer, "refused")
    with pytest.raises(errors.PassageClosed):
        decide(first, officer)
    assert Statement.objects.filter(kind="passage").count() == 1


def test_a_decision_does_not_overtake_a_comparison(dock, officer, bridge):
    passage = begin(bridge, officer)
    show(dock, passage, officer)
    Passage.objects.filter(pk=passage.pk).update(comparing_since=timezone.now())
    with pytest.raises(errors.ComparisonUnderWay):
        decide(passage, officer, "refused")


def test_only_officers_on_file_and_each_their_own(dock, olga, ana, bridge):
    with pytest.raises(OfficerNotOnFile):
        begin(bridge, olga)
    for who in (dock.beto, ana, dock.rosa):
        with pytest.raises(errors.PassageNotYours):
            begin(bridge, who)
    name_account(person=dock.elena, user=olga)
    passage = begin(bridge, olga)
    otto = User.objects.create_user("otto", role="officer")
    for act in (
        lambda: show_portrait(passage=passage, photo=dock.photo("obama.jpg"), by=otto),
        lambda: show(dock, passage, otto),
        lambda: cancel_passage(passage=passage, by=otto),
        lambda: decline_face(passage=passage, reason="declined", by=otto),
    ):
        with pytest.raises(errors.PassageNotYours):
            act()
    with pytest.raises(CrossingNotYours):
        close_crossing(crossing=bridge, by=olga)


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"direction": "up"}, errors.PassageRefused),
        ({"without_face": "because"}, errors.PassageRefused),
        ({"exemption": "rich"}, errors.PassageRefused),
        ({"document": replace(PASSPORT, type="napkin")}, errors.PassageRefused),
        ({"document": replace(PASSPORT, issuing_state="MX")}, IssuerUnknown),
        ({"document": replace(PASSPORT, number="")}, DocumentNumberUnusable),
        ({"document": replace(PASSPORT, number="１２３")}, DocumentNumberUnusable),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(officer, bridge, wrong, refusal):
    with pytest.raises(refusal):
        begin(bridge, officer, **wrong)
    assert not Passage.objects.exists() and not Person.objects.filter(kind=PersonKind.TRAVELLER).exists()


def test_a_closed_crossing_begins_nothing(dock, officer, bridge):
    close_crossing(crossing=bridge, by=dock.rosa)
    with pytest.raises(errors.CrossingClosed):
        begin(bridge, officer)
    assert open_crossing(read_point=dock.reader.read_point, by=dock.rosa) == bridge


def test_a_portrait_without_a_face_costs_no_attempt(dock, officer, bridge):
    passage = begin(bridge, officer)
    with pytest.raises(DocumentPhotoRefused):
        show_portrait(passage=passage, photo=b"no photo", by=officer)
    with pytest.raises(PortraitMissing):
        compare_traveller(
            passage=passage, capture=Still(dock.marcos_face, timezone.now()), source=CaptureSource.WEBCAM, by=officer
        )
    passage.refresh_from_db()
    assert passage.face_attempts == 0 and passage.comparing_since is None


# How long it is kept -------------------------------------------------------------------------------------------------


def _at(monkeypatch, moment) -> None:
    monkeypatch.setattr(timezone, "now", lambda: moment)


def test_an_exempt_travellers_photos_and_key_are_gone_within_twelve_hours(dock, officer, bridge, monkeypatch):
    passage = begin(bridge, officer, shipment="", exemption="own_citizen")
    show(dock, passage, officer)
    decide(passage, officer)
    body = body_of(passage)
    live, printed = body["face"]["probe"], body["face"]["portrait"]
    began = timezone.now()
    assert body["exempt"]["reason"] == "own_citizen"
    seal_all()
    _at(monkeypatch, began + timedelta(hours=10))
    purge_due()
    assert PersonKey.objects.filter(person=passage.traveller).exists()
    sealed = {row.commitment: bytes(row.ciphertext) for row in passage.traveller.evidence.all()}
    assert len(sealed[live]) > 10_000
    _at(monkeypatch, began + timedelta(hours=11, minutes=10))
    purge_due()
    kept = Evidence.objects.filter(person=passage.traveller)
    assert {bytes(row.ciphertext) for row in kept} == {b""} and {live, printed} <= {row.commitment for row in kept}
    assert not PersonKey.objects.filter(person=passage.traveller).exists()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            [(stored,)] = cursor.execute(
                "SELECT COUNT(*) FROM biometrics_evidence WHERE ciphertext = %s", [sealed[live]]
            ).fetchall()
        assert stored == 0
    seal_all()
    erased = parse_entry(bytes(Entry.objects.filter(kind="erasure").latest("index").note)).body
    assert (erased["rule"], erased["after_hours"], erased["key"]) == ("exempt_passages", 11, "destroyed")
    assert {live, printed, body["document"]["number"]} <= set(erased["destroyed"])
    # The passage is still told and still verifies; who it was can be shown to nobody.
    again = parse_entry(bytes(Entry.objects.get(kind="passage").note)).body
    assert again == body and again["traveller"]["person"] == erased["person"]
    assert verify_log(policy=own_policy()).intact


def test_an_exempt_person_on_file_keeps_what_is_not_of_the_passage(dock, officer, bridge, monkeypatch):
    before = set(dock.marco.evidence.filter(destroyed_at=None).values_list("pk", flat=True))
    passage = begin(bridge, officer, person=dock.marco, exemption="diplomat")
    show(dock, passage, officer)
    decide(passage, officer)
    _at(monkeypatch, timezone.now() + timedelta(hours=11, minutes=10))
    purge_due()
    assert set(dock.marco.evidence.filter(destroyed_at=None).values_list("pk", flat=True)) == before
    assert PersonKey.objects.filter(person=dock.marco).exists()


def test_others_are_kept_for_two_weeks_and_longer_only_in_dispute(dock, officer, bridge, monkeypatch):
    passed, refused = begin(bridge, officer, shipment=""), begin(bridge, officer, shipment="")
    show(dock, passed, officer)
    decide(passed, officer)
    with pytest.raises(errors.TravellerNotMatched):
        show(dock, refused, officer, dock.elenas_face)
    decide(refused, officer, "refused")
    began = timezone.now()

    def kept(passage: Passage) -> bool:
        return Evidence.objects.filter(person=passage.traveller, destroyed_at=None).exists()

    for days, expected in ((13, (True, True)), (15, (False, True)), (91, (False, False))):
        _at(monkeypatch, began + timedelta(days=days))
        purge_due()
        assert (kept(passed), kept(refused)) == expected
    assert not PersonKey.objects.filter(person__kind=PersonKind.TRAVELLER).exists()
