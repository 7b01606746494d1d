"""The handoff as the clerk meets it: from the scan to the sealed entry, and every way in which it is refused."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from biometrics.errors import NotEnrolled, SecondFactorLocked, SecondFactorRefused
from biometrics.models import Verification
from custody import errors, handoffs
from custody.models import Handoff, HandoffState, Refused
from ledger.models import Attachment, Entry, Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.verification import verify_log
from refusals import Refusal
from shipments.finding import ShipmentUnknown
from tests.custody.conftest import PIN, authorise

pytestmark = pytest.mark.django_db


def entries(kind: str) -> list:
    seal_all()
    return [parse_entry(bytes(entry.note)) for entry in Entry.objects.filter(kind=kind)]


def test_a_handoff_ends_as_one_sealed_entry_that_holds_all_its_evidence(dock):
    handoff = dock.accepted()
    (entry,) = entries("handoff")
    body = entry.body
    assert entry.subject == dock.shipment.pk.urn
    assert body["handoff"] == handoff.pk.urn
    assert body["goods"]["reference"] == "LRD-1042"
    assert body["from"] == {"role": "consignor"}
    assert body["to"] == {"person": dock.marco.pk.urn, "role": "driver"}
    assert body["where"] == {"read_point": "urn:epc:id:sgln:0614141.00001.1", "site": "0614141000012"}
    assert (body["reads"]["seen"], body["reads"]["expected"], body["reads"]["grade"]) == (3, 3, "direct")
    face = body["face"]
    assert face["outcome"] == "match"
    assert face["distance_e4"] < face["threshold_e4"]
    assert (face["k"], face["m"], face["target_fmr"], face["dataset"]) == (3, 1, "1e-4", "LFW 250 px")
    assert body["second_factor"] == "pin"
    assert verify_log(policy=own_policy()).intact


def test_the_entry_names_its_attachments_by_digest_and_they_are_there(dock):
    dock.accepted()
    (entry,) = entries("handoff")
    for name in ("document", "reconciliation"):
        content = bytes(Attachment.objects.get(pk=entry.body["reads"][name]).content)
        assert canonical.decode(content)
    reconciliation = canonical.decode(bytes(Attachment.objects.get(pk=entry.body["reads"]["reconciliation"]).content))
    assert reconciliation["seen"] == sorted(dock.tags())


def test_no_name_photo_or_descriptor_stands_in_any_entry(dock):
    dock.accepted()
    seal_all()
    log = b"".join(bytes(entry.note) for entry in Entry.objects.all())
    assert b"Marco" not in log
    assert PIN.encode() not in log
    assert b"Vargas" not in log  # what the camera called itself
    assert max(len(entry.note) for entry in Entry.objects.all()) < 8_000


def test_the_next_handoff_names_the_custodian_who_releases(dock):
    dock.accepted()
    dock.accepted(receiver=dock.elena)
    first, second = entries("handoff")
    assert second.body["from"] == {"person": dock.marco.pk.urn, "role": "driver"}
    assert second.subject_prev == bytes(Entry.objects.get(index=first.index).leaf_hash).hex()


def test_an_unknown_shipment_is_said_and_leaves_nothing(dock):
    with pytest.raises(ShipmentUnknown) as refused:
        dock.open(shipment="LRD-9999")
    assert "LRD-9999" in refused.value.sentence
    assert not Handoff.objects.exists()


def test_the_same_person_on_both_sides_is_refused_and_sealed(dock):
    dock.accepted()
    with pytest.raises(errors.SamePersonOnBothSides) as refused:
        dock.open()
    assert "Marco Ruiz already holds custody" in refused.value.sentence
    (entry,) = entries("handoff_refused")
    assert entry.body["code"] == "same_person_both_sides"
    with pytest.raises(IntegrityError), transaction.atomic():
        Handoff.objects.update(from_person=dock.marco)


def test_a_second_handoff_of_the_same_shipment_waits_for_the_first(dock):
    dock.open()
    with pytest.raises(errors.HandoffAlreadyOpen, match="Marco Ruiz"):
        dock.open(receiver=dock.elena)


def test_opening_the_same_attempt_twice_is_one_handoff(dock):
    attempt = uuid.uuid4()
    assert dock.open(attempt=attempt) == dock.open(attempt=attempt)
    assert Handoff.objects.count() == 1


def test_another_face_is_refused_sealed_and_counted(dock):
    handoff = dock.reconciled()
    with pytest.raises(errors.FaceNotMatched, match="Attempts left: 2"):
        dock.show_face(handoff, dock.elenas_face)
    (entry,) = entries("handoff_refused")
    assert entry.body["face"]["outcome"] == "no_match"
    assert entry.body["face"]["distance_e4"] > entry.body["face"]["threshold_e4"]
    with pytest.raises(errors.FaceMissing):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    dock.show_face(handoff, dock.marcos_face)
    assert handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN).state == HandoffState.ACCEPTED


def test_the_third_mismatch_closes_the_handoff(dock):
    handoff = dock.reconciled()
    for _ in range(2):
        with pytest.raises(errors.FaceNotMatched):
            dock.show_face(handoff, dock.elenas_face)
    with pytest.raises(errors.FaceNotMatchedFinally):
        dock.show_face(handoff, dock.elenas_face)
    handoff.refresh_from_db()
    assert handoff.state == HandoffState.REFUSED
    with pytest.raises(errors.WrongState):
        dock.show_face(handoff, dock.marcos_face)
    assert len(entries("handoff_refused")) == 3
    assert dock.open(receiver=dock.elena).state == HandoffState.READING


def test_a_match_does_not_outlive_a_later_mismatch(dock):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    with pytest.raises(errors.FaceNotMatched):
        dock.show_face(handoff, dock.elenas_face)
    with pytest.raises(errors.FaceMissing):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)


@pytest.mark.parametrize(
    ("picture", "code"),
    [("nobody", "no_face"), ("two", "several_faces"), ("empty", "photo_empty"), ("text", "photo_not_an_image")],
)
def test_a_capture_that_cannot_be_used_counts_as_no_attempt(dock, picture, code):
    import io

    from PIL import Image

    def encoded(image: Image.Image) -> bytes:
        out = io.BytesIO()
        image.save(out, "JPEG")
        return out.getvalue()

    pictures = {"empty": b"", "text": b"not a photo", "nobody": encoded(Image.new("RGB", (640, 480), "grey"))}
    if picture == "two":
        faces = [
            Image.open(dock.photos / name).convert("RGB").resize((600, 750)) for name in ("obama.jpg", "obama.jpg")
        ]
        pair = Image.new("RGB", (1200, 750))
        for at, face in enumerate(faces):
            pair.paste(face, (600 * at, 0))
        pictures["two"] = encoded(pair)
    handoff = dock.reconciled()
    with pytest.raises(Refusal) as refused:
        dock.show_face(handoff, pictures[picture])
    assert refused.value.code == code
    assert not Refused.objects.exists()
    assert not Verification.objects.exists()


def test_a_tag_of_another_shipment_is_refused_sealed_and_can_be_sorted_out(dock):
    handoff = dock.open()
    dock.read(*dock.tags(), dock.tags(dock.other)[0])
    with pytest.raises(errors.TagOfAnotherShipment, match="LRD-1043"):
        handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    (entry,) = entries("handoff_refused")
    assert entry.body["code"] == "wrong_consignment"
    assert entry.body["items"] == [dock.tags(dock.other)[0]]
    dock.read(*dock.tags())
    assert handoffs.reconcile_handoff(handoff=handoff, by=dock.beto).state == HandoffState.RECONCILED


def test_scanning_by_hand_names_the_shipment_that_a_tag_belongs_to(dock):
    handoff = dock.open()
    assert handoffs.scan_tag(handoff=handoff, code=dock.tags()[0]) == dock.tags()[0]
    with pytest.raises(errors.ScannedTagOfAnotherShipment) as refused:
        handoffs.scan_tag(handoff=handoff, code=dock.tags(dock.other)[0])
    assert refused.value.sentence == "This tag belongs to shipment LRD-1043. Scan a tag from LRD-1042."
    with pytest.raises(errors.ScannedTagUnknown):
        handoffs.scan_tag(handoff=handoff, code="3074257BF7194E40000FFFFF")


def test_the_pallets_own_tag_is_no_stray(dock):
    handoff = dock.open()
    dock.read(*dock.tags(), dock.shipment.units.get().epc_hex)
    assert not handoffs.match_tags(handoff).strays


def test_nothing_read_cannot_be_matched(dock):
    with pytest.raises(errors.NothingRead):
        handoffs.reconcile_handoff(handoff=dock.open(), by=dock.beto)


def test_a_tag_not_read_is_an_exception_only_after_a_second_session(dock):
    first, *rest = dock.tags()
    once = dock.open()
    dock.read(*rest)
    once = handoffs.reconcile_handoff(handoff=once, by=dock.beto)
    assert once.reconciliation["not_seen"] == [first]
    assert once.reconciliation["grade"] == "inconclusive"
    again = handoffs.read_again(handoff=once, by=dock.beto)
    dock.read(*rest)
    again = handoffs.reconcile_handoff(handoff=again, by=dock.beto)
    dock.show_face(again, dock.marcos_face)
    handoffs.accept_handoff(handoff=again, by=dock.beto, pin=PIN)
    (entry,) = entries("handoff")
    assert entry.body["reads"]["not_seen"] == [first]
    assert entry.body["exceptions"] == [{"accepted_by": dock.beto.pk.urn, "code": "missing_tag", "items": 1}]


def test_what_is_read_after_matching_changes_nothing(dock):
    handoff = dock.reconciled()
    dock.read(dock.tags(dock.other)[0])
    assert not handoffs.match_tags(handoff).strays


def test_accepting_twice_is_one_entry_and_the_same_answer(dock):
    handoff = dock.accepted()
    again = handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    assert again.statement == handoff.statement
    assert len(entries("handoff")) == 1


def test_a_wrong_pin_is_refused_and_five_of_them_lock(dock):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    for _ in range(4):
        with pytest.raises(SecondFactorRefused):
            handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin="000001")
    with pytest.raises((SecondFactorRefused, SecondFactorLocked)):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin="000001")
    with pytest.raises(SecondFactorLocked):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    assert not entries("handoff")


def test_a_face_of_eleven_minutes_ago_is_too_old(dock):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    seen = Verification.objects.get()
    Verification.objects.update(created_at=seen.created_at - timedelta(minutes=11))
    Handoff.objects.update(reconciled_at=seen.created_at - timedelta(minutes=12))
    with pytest.raises(errors.FaceTooOld):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)


def test_a_badge_serves_as_the_other_factor(dock):
    from biometrics.second_factor import issue_badge

    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, badge=issue_badge(person=dock.marco))
    (entry,) = entries("handoff")
    assert entry.body["second_factor"] == "badge"


def test_somebody_elses_badge_does_not(dock):
    from biometrics.second_factor import issue_badge

    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    with pytest.raises(SecondFactorRefused):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, badge=issue_badge(person=dock.elena))


def test_declining_is_an_entry_and_frees_the_dock(dock):
    handoff = dock.open()
    handoffs.refuse_handoff(handoff=handoff, reason="two cartons are crushed", by=dock.beto)
    (entry,) = entries("handoff_refused")
    assert entry.body["code"] == "declined"
    assert dock.open(receiver=dock.elena).state == HandoffState.READING


def test_cancelling_seals_nothing_and_frees_the_dock(dock):
    handoffs.cancel_handoff(handoff=dock.open(), by=dock.beto)
    assert not Statement.objects.filter(kind__startswith="handoff").exists()
    dock.open()


def test_somebody_who_is_not_enrolled_cannot_confirm(dock):
    from biometrics.consent import ConsentGiven
    from biometrics.people import register_person

    nobody = register_person(
        name="Nadia", kind="driver", registered_by=dock.beto, consent=ConsentGiven(language="en", text_version="1")
    )
    authorise(nobody, by=dock.rosa)
    handoff = dock.reconciled(receiver=nobody)
    with pytest.raises(NotEnrolled):
        dock.show_face(handoff, dock.marcos_face)


def test_a_database_will_not_hold_an_accepted_handoff_without_its_evidence(dock):
    handoff = dock.open()
    with pytest.raises(IntegrityError), transaction.atomic():
        Handoff.objects.filter(pk=handoff.pk).update(state=HandoffState.ACCEPTED)


def test_a_closed_shipment_is_not_handed_over(dock):
    from shipments.consignments import close_consignment

    close_consignment(consignment=dock.shipment)
    with pytest.raises(errors.ShipmentClosed):
        dock.open()


def test_matching_asks_the_database_as_often_for_many_strays_as_for_one(dock, django_assert_max_num_queries):
    handoff = dock.open()
    dock.read(*dock.tags(), *(f"3074257BF7194E40000{serial:05X}" for serial in range(200)))
    with django_assert_max_num_queries(10):
        assert len(handoffs.match_tags(handoff).strays) == 200


def test_nothing_read_leaves_the_session_reading(dock):
    handoff = dock.open()
    with pytest.raises(errors.NothingRead):
        handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    dock.read(*dock.tags())
    assert handoffs.reconcile_handoff(handoff=handoff, by=dock.beto).state == HandoffState.RECONCILED


def read_some(dock, handoff, *tags):
    dock.read(*tags)
    return handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)


def accept(dock, handoff):
    dock.show_face(handoff, dock.marcos_face)
    return handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)


def test_a_tag_that_any_session_read_is_not_missing_and_every_session_is_in_the_entry(dock):
    a, b, c = dock.tags()
    handoff = read_some(dock, dock.open(), a, b)
    first = handoff.session
    handoff = handoffs.read_again(handoff=handoff, by=dock.beto)
    accept(dock, read_some(dock, handoff, c))
    (entry,) = entries("handoff")
    reads = entry.body["reads"]
    assert (reads["seen"], reads["not_seen"], reads["grade"], reads["sessions"]) == (3, [], "direct", 2)
    assert "exceptions" not in entry.body
    assert reads["earlier"] == [
        {"session": first.pk.urn, "document": first.document_sha256, "reports_root": first.reports_root}
    ]


def test_a_session_refused_for_a_stray_makes_no_tag_missing_and_stands_behind_the_refusal(dock):
    a, b, _ = dock.tags()
    handoff = dock.open()
    with pytest.raises(errors.TagOfAnotherShipment):
        read_some(dock, handoff, a, dock.tags(dock.other)[0])
    accept(dock, read_some(dock, handoff, a, b))
    (refused,) = entries("handoff_refused")
    document = canonical.decode(bytes(Attachment.objects.get(pk=refused.body["reads"]["document"]).content))
    assert dock.tags(dock.other)[0] in [tag["epc"] for tag in document["tags"]]
    (entry,) = entries("handoff")
    assert entry.body["reads"]["sessions"] == 1
    assert "exceptions" not in entry.body


def test_what_the_camera_calls_itself_is_sealed_and_not_in_the_entry(dock):
    from biometrics.vault import open_evidence

    dock.accepted()
    (entry,) = entries("handoff")
    verification = Verification.objects.get()
    assert entry.body["face"]["device"] == "webcam"
    assert entry.body["face"]["camera"] == verification.camera.commitment
    assert open_evidence(verification.camera).decode() == "Beto Vargas's tablet"


def test_the_same_attempt_with_another_content_is_refused(dock):
    attempt = uuid.uuid4()
    dock.open(attempt=attempt)
    with pytest.raises(errors.AttemptReused):
        dock.open(attempt=attempt, receiver=dock.elena)
    with pytest.raises(errors.AttemptReused):
        dock.open(attempt=attempt, shipment="LRD-1043")


def test_a_refused_opening_sent_again_adds_no_entry(dock):
    dock.accepted()
    attempt = uuid.uuid4()
    for _ in range(3):
        with pytest.raises(errors.SamePersonOnBothSides):
            dock.open(attempt=attempt)
    (entry,) = entries("handoff_refused")
    assert entry.body["attempt"] == attempt.urn


def test_reading_again_takes_the_confirmed_face_back(dock):
    handoff = read_some(dock, dock.open(), *dock.tags()[:2])
    dock.show_face(handoff, dock.marcos_face)
    handoff = handoffs.read_again(handoff=handoff, by=dock.beto)
    handoff = read_some(dock, handoff, *dock.tags())
    with pytest.raises(errors.FaceMissing):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)


def test_a_shipment_closed_meanwhile_does_not_change_hands(dock):
    from shipments.consignments import close_consignment

    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    close_consignment(consignment=dock.shipment)
    with pytest.raises(errors.ShipmentClosed):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)


def test_reads_of_three_days_ago_are_seen_but_prove_little(dock):
    handoff = dock.open()
    dock.read(*dock.tags(), ago=timedelta(days=3))
    accept(dock, handoffs.reconcile_handoff(handoff=handoff, by=dock.beto))
    (entry,) = entries("handoff")
    assert (entry.body["reads"]["seen"], entry.body["reads"]["grade"]) == (3, "inconclusive")
    assert entry.body["exceptions"] == [{"accepted_by": dock.beto.pk.urn, "code": "clock_skew", "items": 3}]


@pytest.mark.django_db(transaction=True)
def test_faces_shown_at_once_share_no_attempt_and_each_mismatch_is_an_entry(dock):
    handoff = dock.reconciled()
    said: list[str] = []

    def show() -> None:
        try:
            dock.show_face(handoff, dock.elenas_face)
        except Refusal as refusal:
            said.append(refusal.code)
        finally:
            connection.close()

    together(show, 6)
    assert sorted(said) == ["face_mismatch"] * 3 + [code for code in sorted(said) if code != "face_mismatch"]
    assert len(said) == 6
    assert sorted(entry.body["face"]["attempt"] for entry in entries("handoff_refused")) == [1, 2, 3]
    assert Verification.objects.count() == 3
    handoff.refresh_from_db()
    assert handoff.state == HandoffState.REFUSED


@pytest.mark.django_db(transaction=True)
def test_the_same_acceptance_sent_at_once_is_one_entry(dock):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    answers: list[str] = []

    def accept_it() -> None:
        try:
            answers.append(handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN).state)
        finally:
            connection.close()

    together(accept_it, 5)
    assert answers == [HandoffState.ACCEPTED] * 5
    assert len(entries("handoff")) == 1


@pytest.mark.django_db(transaction=True)
def test_opening_at_once_makes_one_handoff(dock):
    attempts = [uuid.uuid4() for _ in range(4)] * 2
    opened: list[uuid.UUID] = []
    refused: list[str] = []

    def open_it() -> None:
        try:
            opened.append(dock.open(attempt=attempts.pop()).pk)
        except Refusal as refusal:
            refused.append(refusal.code)
        finally:
            connection.close()

    together(open_it, 8)
    assert len(set(opened)) == 1
    assert set(refused) <= {"handoff_already_open", "read_point_busy"}
    assert Handoff.objects.count() == 1


def together(act, times: int) -> None:
    threads = [threading.Thread(target=act) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
