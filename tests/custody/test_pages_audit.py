"""What auditors and officers see: the ledger, an entry, a shipment's custody, the verification, the refusals."""

import hashlib
import json
from io import StringIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from accounts.models import User
from custody import handoffs
from custody.errors import FaceNotMatched, SamePersonOnBothSides, TagOfAnotherShipment
from custody.narrative import custody_windows, shipment_lines
from ledger import append_only, verification_runs
from ledger.keys import load_vkeys
from ledger.models import Attachment, Checkpoint, Cosignature, Entry, Statement, VerificationRun, WitnessState
from ledger.own_policy import own_policy
from ledger.sealing import seal_all, seal_epoch
from ledger.tlog import note
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import parse_entry
from ledger.tlog.times import parse_time
from ledger.witnessing import ask_witnesses

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor(client: Client, ana: User) -> Client:
    client.force_login(ana)
    return client


@pytest.fixture
def officer(olga: User) -> Client:
    client = Client()
    client.force_login(olga)
    return client


@pytest.fixture
def handed_over(dock):
    """Marco took LRD-1042 in, then Elena took it over; both sealed."""
    dock.accepted()
    dock.accepted(receiver=dock.elena)
    seal_all()
    return dock


def page(client: Client, name: str, *args: object, query: str = "", status: int = 200) -> str:
    response = client.get(reverse(name, args=args) + query)
    assert response.status_code == status
    return response.content.decode()


def of_kind(kind: str) -> list[Entry]:
    return list(Entry.objects.filter(kind=kind).order_by("index"))


def behind_the_triggers(sql: str, values: list) -> None:
    append_only.disarm(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
    append_only.arm(connection)


def change_a_byte(entry: Entry) -> None:
    note = bytearray(entry.note)
    at = note.index(b'"seen":') + len(b'"seen":')
    note[at] ^= 1
    behind_the_triggers('UPDATE ledger_entry SET note = %s WHERE "index" = %s', [bytes(note), entry.index])


def verify(client: Client, depth: str = "deep") -> int:
    """Press the button, and let whoever does waiting runs come by."""
    status = client.post(reverse("verification"), {"depth": depth}).status_code
    verification_runs.run_waiting()
    return status


PAGES = [
    ("ledger", ()),
    ("entry", (0,)),
    ("entry_note", (0,)),
    ("attachment", ("0" * 64,)),
    ("verification", ()),
    ("refusals", ()),
    ("shipment_timeline", ("6f1c7f1e-0000-4000-8000-000000000000",)),
]


@pytest.mark.parametrize(("name", "args"), PAGES)
def test_who_is_not_logged_in_is_asked_to(client, db, name, args):
    address = reverse(name, args=args)
    response = client.get(address)
    assert response.status_code == 302
    assert response.url == f"{reverse('login')}?next={address}"


@pytest.mark.parametrize(("name", "args"), PAGES)
def test_the_clerk_and_the_administrator_may_open_none_of_them(client, beto, carla, name, args):
    for user in (beto, carla):
        client.force_login(user)
        assert client.get(reverse(name, args=args)).status_code == 403


def test_an_officer_reads_the_ledger_and_does_not_verify_it(officer):
    assert reverse("verification") not in page(officer, "ledger")
    assert officer.post(reverse("verification")).status_code == 403
    assert not VerificationRun.objects.exists()


def test_an_empty_ledger_says_so(auditor):
    assert "The ledger is empty" in page(auditor, "ledger")
    assert "Nothing is sealed yet" in page(auditor, "ledger")


def test_the_ledger_tells_each_entry_in_a_sentence_newest_first(auditor, handed_over):
    text = page(auditor, "ledger")
    taken_in = "Marco Ruiz took over custody of LRD-1042 from the consignor at Dock 1, Ciudad Juárez yard."
    passed_on = "Elena Cortés took over custody of LRD-1042 from Marco Ruiz at Dock 1, Ciudad Juárez yard."
    assert text.index(passed_on) < text.index(taken_in) < text.index("The log begins.")
    assert "3 of 3 tags read; face matched." in text
    assert "Marco Ruiz was enrolled from 3 photos, with consent." in text
    newest = Checkpoint.objects.first()
    assert f"{newest.size} entries" in text
    assert bytes(newest.root).hex() in text
    assert "Altered" not in text


def test_an_entry_is_found_by_shipment_number_and_hash(auditor, handed_over):
    first, second = of_kind("handoff")
    enrolled = of_kind("enrolment")[0]
    sscc = handed_over.shipment.units.get().sscc
    for sought in ("LRD-1042", "lrd-1042", sscc, handed_over.tags()[0]):
        text = page(auditor, "ledger", query=f"?q={sought}")
        assert "2 entries found" in text
        assert reverse("entry", args=[first.index]) in text
        assert reverse("entry", args=[second.index]) in text
        assert reverse("entry", args=[enrolled.index]) not in text
    digest = bytes(first.leaf_hash).hex()
    for sought in (str(first.index), digest, digest[:8], digest[:9].upper()):
        text = page(auditor, "ledger", query=f"?q={sought}")
        assert "1 entry found" in text
        assert reverse("entry", args=[first.index]) in text


def test_the_ledger_is_filtered_by_kind(auditor, handed_over):
    text = page(auditor, "ledger", query="?kind=enrolment")
    assert "2 entries found" in text
    assert "took over custody" not in text


@pytest.mark.parametrize("sought", ["LRD-9999", "deadbeef", "99999999999999999999", "%00", "٣", "a" * 300])
def test_what_fits_no_entry_says_so(auditor, handed_over, sought):
    assert "No entry fits" in page(auditor, "ledger", query=f"?q={sought}")


def test_the_ledger_looks_each_name_up_once(auditor, handed_over, django_assert_max_num_queries):
    for _ in range(2):
        handed_over.accepted(receiver=handed_over.marco)
        handed_over.accepted(receiver=handed_over.elena)
    seal_all()
    with django_assert_max_num_queries(24):
        page(auditor, "ledger")


def test_statements_that_wait_are_counted_and_a_sealer_that_stands_still_is_named(auditor, handed_over, own_log):
    handed_over.accepted(receiver=handed_over.marco)
    assert "1 statement" in page(auditor, "ledger")
    assert "1 statement about this shipment waits" in page(auditor, "shipment_timeline", handed_over.shipment.pk)
    Statement.objects.filter(entry__isnull=True).update(submitted_at="2026-01-01T00:00:00Z")
    assert "is not being sealed" in page(auditor, "ledger")
    (own_log / "last-signed" / "last-signed").unlink()
    assert "The last-signed store is gone" in page(auditor, "ledger")


def test_a_database_that_went_back_is_named(auditor, handed_over):
    size = Checkpoint.objects.first().size
    behind_the_triggers("UPDATE ledger_loghead SET size = %s", [size - 1])
    text = page(auditor, "ledger")
    assert f"The database holds {size - 1} entries, but {size} were signed" in text


def test_an_entry_shows_what_it_holds_and_that_it_holds(auditor, handed_over):
    first, second = of_kind("handoff")
    text = page(auditor, "entry", first.index)
    assert "Marco Ruiz took over custody of LRD-1042" in text
    assert "Marco Ruiz · Driver" in text
    assert "Camera of the page" in text
    body = parse_entry(bytes(first.note)).body
    distance = body["face"]["distance_e4"] / 10_000
    assert f"Distance {distance:.4f} is within the threshold of {body['face']['threshold_e4'] / 10_000:.4f}." in text
    assert "No more than 1 in 10,000 strangers would match, as measured on LFW 250 px." in text
    assert "the rate is a claim, to be measured again" in text
    assert "Not checked" in text  # liveness
    assert "Direct: every expected tag was read" in text
    assert bytes(first.leaf_hash).hex() in text
    assert reverse("entry", args=[second.index]) in text
    assert reverse("shipment_timeline", args=[handed_over.shipment.pk]) in text
    assert "does not hold" not in text
    assert escape(bytes(first.note).decode()) in text


def test_no_picture_stands_on_an_entry(auditor, handed_over):
    for entry in Entry.objects.all():
        assert "<img" not in page(auditor, "entry", entry.index)


def test_the_note_is_downloaded_byte_for_byte(auditor, handed_over):
    (first, _second) = of_kind("handoff")
    response = auditor.get(reverse("entry_note", args=[first.index]))
    assert response.content == bytes(first.note)
    assert response["Content-Disposition"] == f'attachment; filename="entry-{first.index}.note"'
    assert response["X-Content-Type-Options"] == "nosniff"


def test_an_attachment_is_downloaded_under_its_hash(auditor, handed_over):
    reads = parse_entry(bytes(of_kind("handoff")[0].note)).body["reads"]
    for sha256 in (reads["document"], reads["reconciliation"]):
        response = auditor.get(reverse("attachment", args=[sha256]))
        assert hashlib.sha256(response.content).hexdigest() == sha256
        assert json.loads(response.content)
        assert response["Content-Disposition"].startswith("attachment; ")
    assert auditor.get(reverse("attachment", args=["0" * 64])).status_code == 404


def test_a_changed_attachment_is_not_handed_out(auditor, handed_over):
    first = of_kind("handoff")[0]
    sha256 = parse_entry(bytes(first.note)).body["reads"]["document"]
    behind_the_triggers("UPDATE ledger_attachment SET content = %s WHERE sha256 = %s", [b"{}", sha256])
    assert "Changed since" in page(auditor, "entry", first.index)
    response = auditor.get(reverse("attachment", args=[sha256]), follow=True)
    assert f"The attachment {sha256} now hashes to {hashlib.sha256(b'{}').hexdigest()}" in response.content.decode()
    behind_the_triggers("DELETE FROM ledger_attachment WHERE sha256 = %s", [sha256])
    assert not Attachment.objects.filter(pk=sha256).exists()
    assert "Not here" in page(auditor, "entry", first.index)


def test_tags_that_were_not_read_or_not_expected_are_named(auditor, dock):
    handoff = dock.open()
    stranger = "3034257BF7194E4000001A85"
    dock.read(dock.tags()[0], stranger)
    handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    handoffs.read_again(handoff=handoff, by=dock.beto)
    dock.read(dock.tags()[0], stranger)
    handoffs.reconcile_handoff(handoff=handoff, by=dock.beto)
    dock.approve(handoff, "exceptions", "other", note="The lorry waits on the bridge")
    dock.show_face(handoff, dock.marcos_face)
    handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin="804215")
    seal_all()
    text = page(auditor, "entry", of_kind("handoff")[0].index)
    assert "An officer accepted the exceptions" in text
    assert "2, accepted by Sofía Luna" in text
    assert "on the bridge" not in text
    assert "1 of 3 expected tags read" in text
    assert "which alone proves nothing" in text
    assert "Carton 2" in text
    assert "Carton 3" in text
    assert stranger in text
    assert "Unknown tag" in text


def test_the_timeline_shows_unbroken_custody(auditor, handed_over):
    text = page(auditor, "shipment_timeline", handed_over.shipment.pk)
    marco, elena = custody_windows(shipment_lines(handed_over.shipment))
    accepted = [parse_entry(bytes(entry.note)).body["when"]["accepted_at"] for entry in of_kind("handoff")]
    assert [marco.since, elena.since] == [parse_time(at) for at in accepted]
    assert marco.until == elena.since
    assert elena.until is None
    assert text.count('class="is-open"') == 1
    assert text.index(">Marco Ruiz</a>") < text.index(">Elena Cortés</a>") < text.index("– now")
    assert "is not known" not in text


def test_a_shipment_that_nobody_took_has_an_empty_timeline(auditor, dock):
    assert "Nothing is recorded about this shipment yet" in page(auditor, "shipment_timeline", dock.other.pk)


def test_an_altered_entry_is_shown_as_such_everywhere(auditor, handed_over):
    first, second = of_kind("handoff")
    change_a_byte(first)
    fault = "signature does not fit these bytes"
    assert fault in page(auditor, "ledger")
    text = page(auditor, "entry", first.index)
    assert fault in text
    assert "does not hold" in text
    timeline = page(auditor, "shipment_timeline", handed_over.shipment.pk)
    assert f"Entry {first.index} does not hold; who held custody is not known." in timeline
    assert ">Elena Cortés</a>" in timeline
    # The neighbour is sound and says that what it continues is not what stands there now.
    text = page(auditor, "entry", second.index)
    assert "Continues the entry before it" in text
    assert "does not hold" in text


def test_an_entry_that_cannot_be_read_is_shown_with_its_bytes(auditor, handed_over):
    first = of_kind("handoff")[0]
    behind_the_triggers('UPDATE ledger_entry SET note = %s WHERE "index" = %s', [b"<b>gone\xff</b>", first.index])
    text = page(auditor, "entry", first.index)
    assert "This entry cannot be read" in text
    assert "&lt;b&gt;gone" in text
    assert "<b>gone" not in text
    assert "This entry cannot be read" in page(auditor, "ledger")
    assert "does not hold; who held custody is not known" in page(auditor, "shipment_timeline", handed_over.shipment.pk)


def test_a_hidden_entry_leaves_a_hole_in_the_timeline(auditor, handed_over):
    first = of_kind("handoff")[0]
    moved = "urn:uuid:6f1c7f1e-0000-4000-8000-000000000000"
    behind_the_triggers('UPDATE ledger_entry SET subject = %s WHERE "index" = %s', [moved, first.index])
    text = page(auditor, "shipment_timeline", handed_over.shipment.pk)
    assert "1 entry of this shipment is missing here; who held custody is not known." in text
    assert "The columns stored beside this entry do not say what its bytes say" in page(auditor, "entry", first.index)


def test_an_entry_that_was_removed_is_a_finding(auditor, handed_over):
    first = of_kind("handoff")[0]
    Statement.objects.filter(entry=first).update(entry=None)
    behind_the_triggers('DELETE FROM ledger_entry WHERE "index" = %s', [first.index])
    text = page(auditor, "entry", first.index, status=404)
    assert f"Entry {first.index} was sealed and is no longer in the database." in text
    page(auditor, "entry", 999, status=404)
    verify(auditor)
    assert f"Broken at entry {first.index}" in page(auditor, "verification")


def test_verifying_a_sound_log_says_intact_and_is_kept(auditor, ana, handed_over):
    assert "This log has not been verified here yet" in page(auditor, "verification")
    assert verify(auditor) == 302
    text = page(auditor, "verification")
    assert f"Intact, unwitnessed: all {Entry.objects.count()} entries hold." in text
    assert "No witness outside this system has countersigned it." in text
    assert own_policy().vkeys[0] in text
    assert VerificationRun.objects.get().requested_by == ana
    assert "Intact" in page(auditor, "ledger")


def test_the_quick_check_says_that_it_was_one(auditor, handed_over):
    verify(auditor, "fast")
    assert "This was the quick check" in page(auditor, "verification")


def test_the_logs_own_entries_are_told_in_words(auditor, handed_over):
    seal_epoch()
    call_command("ledger_key", "rotate", stdout=StringIO())
    text = page(auditor, "ledger")
    assert "about each of" in text
    old, new = (key.vkey.split("+")[1] for key in load_vkeys())
    assert f"The log was handed over to the signing key {new}; the key {old} signs nothing after this." in text
    assert "New signing key" in page(auditor, "entry", of_kind("key_rotated")[0].index)
    verify(auditor)
    assert "Intact, unwitnessed" in page(auditor, "verification")


def test_the_page_says_who_watches_the_log(auditor, handed_over, settings):
    assert "Nobody outside this system yet." in page(auditor, "verification")
    key = Ed25519PrivateKey.generate()
    witness = Cosigner("carrier.example/witness", key)
    settings.LEDGER_POLICY_FILE.write_text(f"witness carrier {witness.vkey} http://127.0.0.1:9/\nquorum carrier\n")
    assert "Not asked yet" in page(auditor, "verification")
    ask_witnesses()
    text = page(auditor, "verification")
    assert "carrier" in text
    assert WitnessState.objects.get().trouble
    assert escape(WitnessState.objects.get().trouble) in text
    head = Checkpoint.objects.first()
    line = witness.cosign(note.parse(bytes(head.note)).text, timestamp=1_795_356_309).line()
    Cosignature.objects.create(
        checkpoint=head, witness="carrier", key_id=witness.verifier.key_id.hex(), line=line, witnessed_at=head.signed_at
    )
    verify(auditor)
    text = page(auditor, "verification")
    assert f"Intact and witnessed: all {head.size} entries hold." in text
    assert "Witnesses outside this system signed the same checkpoint: carrier." in text
    settings.LEDGER_POLICY_FILE.write_text("quorum nobody\n")
    assert "cannot be read, so that nothing was verified" in page(auditor, "verification")


def test_a_run_under_way_shows_how_far_it_is_and_can_be_stopped(auditor, handed_over):
    auditor.post(reverse("verification"))
    run = VerificationRun.objects.get()
    text = page(auditor, "verification")
    assert "A verification is under way" in text
    assert "Quick check" not in text
    VerificationRun.objects.update(state="running", checked=2)
    response = auditor.get(reverse("verification_progress", args=[run.pk]))
    assert f"<strong>2 of {run.total}</strong>" in response.content.decode()
    again = auditor.get(reverse("verification_progress", args=[run.pk]), headers={"If-None-Match": response["ETag"]})
    assert again.status_code == 304
    auditor.post(reverse("verification"))
    assert VerificationRun.objects.get() == run
    VerificationRun.objects.update(state="waiting")
    auditor.post(reverse("verification_cancel", args=[run.pk]))
    assert "This verification was stopped before it reached a verdict." in page(auditor, "verification")
    ended = auditor.get(reverse("verification_progress", args=[run.pk]))
    assert ended.headers["HX-Refresh"] == "true"


def test_verifying_an_altered_log_names_the_first_bad_entry(auditor, handed_over):
    first, _second = of_kind("handoff")
    change_a_byte(first)
    verify(auditor)
    text = page(auditor, "verification")
    assert f"Broken at entry {first.index}: its signature is not by the pinned key over these bytes." in text
    assert "one that does not fit: the text or the signature was changed" in text
    for index in (first.index - 1, first.index, first.index + 1):
        assert reverse("entry", args=[index]) in text
    assert "Broken" in page(auditor, "ledger")


def test_the_verifier_key_alone_is_enough_to_verify(auditor, handed_over, own_log):
    (own_log / "keys" / "ledger.pem").unlink()
    verify(auditor)
    assert "Intact" in page(auditor, "verification")


def test_without_a_key_nothing_is_verified_and_the_page_says_why(auditor, handed_over, own_log):
    (own_log / "keys" / "ledger.pem").unlink()
    (own_log / "keys" / "ledger.pem.vkey").unlink()
    response = auditor.post(reverse("verification"), follow=True)
    text = response.content.decode()
    assert "so that nothing was verified" in text
    assert "ledger.pem.vkey" in text
    assert "The key is not at hand in this process." in text
    assert not VerificationRun.objects.exists()
    assert "the log’s key is not at hand here" in page(auditor, "entry", 0)


def test_verifying_names_the_entry_whose_attachment_was_changed(auditor, handed_over):
    first = of_kind("handoff")[0]
    sha256 = parse_entry(bytes(first.note)).body["reads"]["document"]
    behind_the_triggers("UPDATE ledger_attachment SET content = %s WHERE sha256 = %s", [b"{}", sha256])
    verify(auditor)
    text = page(auditor, "verification")
    assert f"Broken at entry {first.index}: an attachment that it names is not what it was." in text
    assert sha256 in text


def test_a_last_signed_store_that_is_gone_or_of_another_log_is_a_finding(auditor, handed_over, own_log):
    store = own_log / "last-signed" / "last-signed"
    size = Checkpoint.objects.first().size
    store.write_text(f"example.org/other\n{size}\n{'A' * 43}=\n")
    verify(auditor)
    text = page(auditor, "verification")
    assert "Incomplete: the last-signed store is of another log." in text
    assert "The last-signed store is of another log: it names example.org/other" in text
    store.unlink()
    verify(auditor)
    text = page(auditor, "verification")
    assert "Incomplete: the last-signed store is gone." in text
    assert "bring it back and verify again" in text


def test_an_officer_sees_each_refusal_with_its_entry(officer, handed_over):
    with pytest.raises(SamePersonOnBothSides):
        handed_over.open(receiver=handed_over.elena)
    wrong = handed_over.open(receiver=handed_over.marco)
    handed_over.read(*handed_over.tags(), handed_over.tags(handed_over.other)[0])
    with pytest.raises(TagOfAnotherShipment):
        handoffs.reconcile_handoff(handoff=wrong, by=handed_over.beto)
    handed_over.read(*handed_over.tags())
    handoffs.reconcile_handoff(handoff=wrong, by=handed_over.beto)
    with pytest.raises(FaceNotMatched):
        handed_over.show_face(wrong, handed_over.elenas_face)
    assert "Waiting to be sealed" in page(officer, "refusals")
    seal_all()
    text = page(officer, "refusals")
    refused = "A handoff of LRD-1042 to %s was refused at Dock 1, Ciudad Juárez yard: %s."
    face = text.index(refused % ("Marco Ruiz", "the face did not match"))
    stray = text.index(refused % ("Marco Ruiz", "a tag of another shipment was read"))
    same = text.index(refused % ("Elena Cortés", "the same person stood on both sides"))
    assert face < stray < same
    assert handed_over.tags(handed_over.other)[0] in text
    for entry in of_kind("handoff_refused"):
        assert reverse("entry", args=[entry.index]) in text
    # What the comparison measured is in the entry, for those who may read it; not in this list.
    assert "Distance" not in text
    only = page(officer, "refusals", query="?code=face_mismatch")
    assert "the face did not match" in only
    assert "the same person stood on both sides." not in only
    assert "is beyond the threshold" in page(officer, "entry", of_kind("handoff_refused")[-1].index)


def test_no_refusals_says_so(officer):
    assert "Nothing has been refused" in page(officer, "refusals")
    assert "No refusal has this reason" in page(officer, "refusals", query="?code=no_such_code")
