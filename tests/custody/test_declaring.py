"""Declaring by face: the entry names its author as verified, for that document alone, and nothing typed is lost."""

import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from biometrics.liveness import issue_challenge
from biometrics.models import CaptureSource, Person, Verification
from biometrics.people import name_account
from biometrics.verification import Still
from custody import interventions
from custody.declarants import DeclarantUnknown
from custody.declaring import (
    discard_draft,
    draft_amendment,
    draft_declaration,
    liveness_context,
    submit_draft,
    verify_author,
)
from custody.entry_checks import check_entry
from custody.errors import FaceMissing, FaceTooOld
from custody.faces_shown import (
    ActClosed,
    ActNotYours,
    CaptureRefused,
    FaceNotTheirs,
    FaceNotTheirsFinally,
)
from custody.models import DeclarationDraft
from custody.narrative import shipment_lines
from ledger import attachments, verification_runs
from ledger.models import Statement, VerificationRun
from ledger.sealing import seal_all
from ledger.tlog import canonical
from shipments.declarations import (
    AttemptReused,
    DeclarationChanged,
    DeclarationExists,
    DeclarationNotAsShown,
)
from shipments.models import DeclarationVersion
from tests.custody.conftest import PIN, Dock
from tests.shipments.declaring import PARTIES, item, told

TABLE = "hs,description,packages,package_kind,gross_kg,value,currency,origin\n{hs},Parts,9,CT,412,18540.00,USD,MX\n"


@pytest.fixture
def rita(dock: Dock) -> User:
    """Rita's account; Marco's record and face are hers."""
    user = User.objects.create_user("rita", role=Role.REPRESENTATIVE)
    name_account(person=dock.marco, user=user)
    return user


@pytest.fixture
def sofia(db) -> User:
    """A supervisor at the desk, who may name anybody; the named one shows their own face."""
    return User.objects.create_user("sofia", role=Role.SUPERVISOR)


def prepare(dock: Dock, by: User, *, person: Person | None = None, **changes: Any) -> DeclarationDraft:
    return draft_declaration(
        consignment=dock.shipment,
        told=told(**changes),
        parties=PARTIES,
        person=(person or dock.marco).pk,
        by=by,
        attempt=uuid.uuid4(),
    )


def show(draft: DeclarationDraft, by: User, photo: bytes) -> Verification:
    return verify_author(draft=draft, capture=Still(photo, timezone.now()), source=CaptureSource.WEBCAM, by=by)


def declare(dock: Dock, by: User) -> DeclarationVersion:
    draft = prepare(dock, by)
    show(draft, by, dock.marcos_face)
    return submit_draft(draft=draft, by=by, pin=PIN)


def bodies(kind: str) -> list[dict[str, Any]]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind=kind).order_by("pk")]


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


# The entry ----------------------------------------------------------------------------------------------------------


def test_a_declaration_embeds_its_authors_verification_whole(dock, rita):
    version = declare(dock, rita)
    [body] = bodies("declaration")
    verification = version.draft.verification
    assert body["face"] == verification.record
    assert (body["face"]["outcome"], body["face"]["person"]) == ("match", dock.marco.pk.urn)
    assert body["by"] == {"person": dock.marco.pk.urn, "operator": rita.pk.urn}
    assert body["second_factor"] == "pin"
    assert body["face"]["about"] == body["document"] == version.document_sha256
    assert version.draft.state == "done"


def test_hs_amended_after_an_inspection_names_author_and_amender(dock, rita, sofia, olga, client: Client):
    """The misdeclaration: who declared cables, who made transmissions of them once customs had looked."""
    version = declare(dock, rita)
    oscar = User.objects.create_user("oscar", role=Role.OFFICER)
    name_account(person=dock.elena, user=oscar)
    inspection = interventions.begin_intervention(
        consignment=dock.shipment, act="inspection", reason="risk_profile", findings="differs", by=oscar,
        read_point=dock.reader.read_point, attempt=uuid.uuid4(),
    )  # fmt: skip
    still = Still(dock.elenas_face, timezone.now())
    interventions.confirm_officer(intervention=inspection, capture=still, source=CaptureSource.WEBCAM, by=oscar)
    name_account(person=dock.elena, user=None)
    amendment = draft_amendment(
        declaration=version.declaration, told=told(items=[item(hs="8708.99")]), parties=PARTIES,
        person=dock.elena.pk, by=sofia, attempt=uuid.uuid4(),
    )  # fmt: skip
    show(amendment, sofia, dock.elenas_face)
    submit_draft(draft=amendment, by=sofia, pin=PIN)
    seal_all()

    [first], [second] = bodies("declaration"), bodies("declaration_amended")
    assert (first["by"]["person"], second["by"]["person"]) == (dock.marco.pk.urn, dock.elena.pk.urn)
    assert first["face"]["person"] == dock.marco.pk.urn
    assert second["face"]["person"] == dock.elena.pk.urn
    assert second["face"]["about"] == second["document"] != first["document"]
    assert second["changes"] == [{"field": "hs", "from": "854430", "item": 1, "to": "870899"}]

    lines = [line for line in shipment_lines(dock.shipment) if line.kind.startswith("declaration")]
    assert lines[0].sentence.endswith("Their face matched.")
    assert lines[1].sentence == (
        "Elena Cortés amended the export declaration JRZ-118 for LRD-1042 (version 2): 1 field changed. "
        "Item 1: commodity code 854430 → 870899. Their face matched."
    )
    held = [check for line in lines for check in check_entry(line.entry)]
    assert all(check.holds is not False for check in held)
    assert [check.holds for check in held if check.name == "The face was shown for this document"] == [True, True]
    assert [check.holds for check in held if check.name == "The face is of the person who acted"] == [True, True]
    client.force_login(olga)
    page = text(client.get(reverse("declaration", args=[version.declaration_id])))
    assert "Amended after a control" in page and "Submitted after</dt>" in page
    assert page.count("<dt>Face</dt><dd>matched") == 2
    assert "Elena Cortés" in page and "Marco Ruiz" in page and "<ins>870899</ins>" in page
    entry = text(client.get(reverse("entry", args=[lines[1].entry.index])))
    assert "Matched, for this document" in entry and "854430 → 870899" in entry and "Elena Cortés" in entry


def test_what_was_tried_in_vain_stands_beside_what_was_declared_then(dock, rita, client: Client):
    """Tried to declare X with another's face, then declared Y: both are on record, and what differs is told."""
    tried = prepare(dock, rita, items=[item(hs="2402.20")])
    with pytest.raises(FaceNotTheirs):
        show(tried, rita, dock.elenas_face)
    version = declare(dock, rita)
    seal_all()
    [refused], [declared] = bodies("act_refused"), bodies("declaration")
    assert (refused["act"], refused["code"], refused["lrn"]) == ("declaration", "face_mismatch", "JRZ-118")
    assert refused["document"] == refused["face"]["about"] == tried.content_sha256 != declared["document"]
    assert canonical.decode(attachments.load(refused["document"]))["items"][0]["hs"] == "240220"
    assert refused["by"]["person"] == dock.marco.pk.urn and refused["attempt_number"] == 1

    client.force_login(rita)
    page = text(client.get(reverse("declaration", args=[version.declaration_id])))
    assert "The declaration JRZ-118 of LRD-1042 in the name of Marco Ruiz was refused" in page
    assert "<del>240220</del>" in page
    run = verification_runs.request_run(requested_by=rita, depth=VerificationRun.Depth.DEEP)
    verification_runs.run_waiting()
    run.refresh_from_db()
    assert run.verdict["status"] == "intact_unwitnessed"


# Bound to what is declared ------------------------------------------------------------------------------------------


def test_a_face_shown_for_one_content_submits_no_other(dock, rita):
    shown, other = prepare(dock, rita), prepare(dock, rita, lrn="JRZ-119", items=[item(hs="2402.20")])
    show(shown, rita, dock.marcos_face)
    with pytest.raises(FaceMissing):
        submit_draft(draft=other, by=rita, pin=PIN)
    shown.refresh_from_db()
    # Somebody with the database moves the face to the other draft.
    DeclarationDraft.objects.filter(pk=shown.pk).update(verification=None)
    DeclarationDraft.objects.filter(pk=other.pk).update(verification=shown.verification)
    with pytest.raises(DeclarationNotAsShown):
        submit_draft(draft=other, by=rita, pin=PIN)
    # Or the other content under the draft that was shown.
    DeclarationDraft.objects.filter(pk=other.pk).update(verification=None)
    DeclarationDraft.objects.filter(pk=shown.pk).update(verification=shown.verification, content=other.content)
    with pytest.raises(DeclarationNotAsShown):
        submit_draft(draft=shown, by=rita, pin=PIN)
    # With its digest put right as well.
    DeclarationDraft.objects.filter(pk=shown.pk).update(content_sha256=other.content_sha256)
    with pytest.raises(DeclarationNotAsShown):
        submit_draft(draft=shown, by=rita, pin=PIN)
    # Or other organisations under the same goods.
    DeclarationDraft.objects.filter(pk=shown.pk).update(
        content=shown.content,
        content_sha256=shown.content_sha256,
        parties={"declarant": {"name": "Somebody Else", "gln": "", "eori": ""}},
    )
    with pytest.raises(DeclarationNotAsShown):
        submit_draft(draft=shown, by=rita, pin=PIN)
    assert not DeclarationVersion.objects.exists() and not bodies("declaration")


def test_a_challenge_for_one_draft_answers_no_other(dock, rita):
    draft = prepare(dock, rita)
    challenge = issue_challenge(person=dock.marco, context=liveness_context(draft), issued_to=rita)
    assert draft.content_sha256[:16] in challenge.context
    assert liveness_context(prepare(dock, rita, items=[item(hs="2402.20")])) != challenge.context


def test_a_face_holds_for_ten_minutes(dock, rita):
    draft = prepare(dock, rita)
    verification = show(draft, rita, dock.marcos_face)
    Verification.objects.filter(pk=verification.pk).update(created_at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(FaceTooOld):
        submit_draft(draft=draft, by=rita, pin=PIN)
    show(draft, rita, dock.marcos_face)
    assert submit_draft(draft=draft, by=rita, pin=PIN).number == 1


# Attempts, accounts, races -----------------------------------------------------------------------------------------


def test_three_other_faces_close_the_draft_and_each_is_an_entry(dock, rita):
    draft = prepare(dock, rita)
    for _ in range(2):
        with pytest.raises(FaceNotTheirs):
            show(draft, rita, dock.elenas_face)
    with pytest.raises(FaceNotTheirsFinally):
        show(draft, rita, dock.elenas_face)
    assert [body["attempt_number"] for body in bodies("act_refused")] == [1, 2, 3]
    with pytest.raises(ActClosed):
        show(draft, rita, dock.marcos_face)
    with pytest.raises(ActClosed):
        submit_draft(draft=draft, by=rita, pin=PIN)


def test_a_photo_shown_before_is_refused_and_one_without_a_face_costs_nothing(dock, rita):
    draft = prepare(dock, rita)
    file = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 90, 90)).save(file, "JPEG")
    with pytest.raises(Exception, match="face"):
        show(draft, rita, file.getvalue())
    draft.refresh_from_db()
    assert draft.face_attempts == 0 and not bodies("act_refused")
    photo = dock.marcos_face
    show(draft, rita, photo)
    with pytest.raises(CaptureRefused):
        show(draft, rita, photo)
    assert [body["code"] for body in bodies("act_refused")] == ["photo_resubmitted"]


def test_face_and_pin_are_both_needed_and_a_wrong_pin_loses_nothing(dock, rita):
    draft = prepare(dock, rita)
    with pytest.raises(FaceMissing):
        submit_draft(draft=draft, by=rita, pin=PIN)
    show(draft, rita, dock.marcos_face)
    for factor in ({}, {"pin": "111222"}, {"badge": "AAAAA"}):
        with pytest.raises(Exception, match=r"PIN|badge"):
            submit_draft(draft=draft, by=rita, **factor)
    assert not bodies("declaration")
    version = submit_draft(draft=draft, by=rita, pin=PIN)
    assert submit_draft(draft=draft, by=rita, pin=PIN) == version
    assert len(bodies("declaration")) == 1


def test_another_account_ends_nothing_that_it_did_not_begin(dock, rita, sofia):
    draft = prepare(dock, rita)
    show(draft, rita, dock.marcos_face)
    for act in (
        lambda: show(draft, sofia, dock.marcos_face),
        lambda: submit_draft(draft=draft, by=sofia, pin=PIN),
        lambda: discard_draft(draft=draft, by=sofia),
    ):
        with pytest.raises(ActNotYours):
            act()
    assert not bodies("declaration")


def test_a_representative_declares_as_themselves_alone(dock, rita, sofia):
    with pytest.raises(DeclarantUnknown):
        prepare(dock, rita, person=dock.elena)
    draft = prepare(dock, sofia, person=dock.elena)
    with pytest.raises(FaceNotTheirs):
        show(draft, sofia, dock.marcos_face)
    # Whose record is another's by now declares no more in their name.
    own = prepare(dock, rita)
    show(own, rita, dock.marcos_face)
    name_account(person=dock.marco, user=None)
    name_account(person=dock.elena, user=rita)
    with pytest.raises(DeclarantUnknown):
        submit_draft(draft=own, by=rita, pin=PIN)


def test_the_same_attempt_is_the_same_draft_and_another_content_is_not(dock, rita):
    attempt = uuid.uuid4()
    fields = {"consignment": dock.shipment, "parties": PARTIES, "person": dock.marco.pk, "by": rita, "attempt": attempt}
    first = draft_declaration(told=told(), **fields)
    assert draft_declaration(told=told(), **fields) == first
    with pytest.raises(AttemptReused):
        draft_declaration(told=told(items=[item(hs="2402.20")]), **fields)


def test_of_two_drafts_of_one_declaration_the_second_stays_a_draft(dock, rita):
    first, second = prepare(dock, rita), prepare(dock, rita, items=[item(hs="2402.20")])
    for draft in (first, second):
        show(draft, rita, dock.marcos_face)
    version = submit_draft(draft=first, by=rita, pin=PIN)
    with pytest.raises(DeclarationExists):
        submit_draft(draft=second, by=rita, pin=PIN)
    second.refresh_from_db()
    assert second.state == "open"
    fields = {"declaration": version.declaration, "parties": PARTIES, "person": dock.marco.pk, "by": rita}
    third, fourth = (
        draft_amendment(told=told(items=[item(hs=hs)]), attempt=uuid.uuid4(), **fields) for hs in ("853690", "850440")
    )
    for draft in (third, fourth):
        show(draft, rita, dock.marcos_face)
    submit_draft(draft=third, by=rita, pin=PIN)
    # Its author was verified for changes of version 1, and there is a version 2 by now.
    with pytest.raises(DeclarationChanged):
        submit_draft(draft=fourth, by=rita, pin=PIN)


# On the pages and through the API ------------------------------------------------------------------------------------


def typed(dock: Dock, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "export", "lrn": "JRZ-118", "person": str(dock.marco.pk), "declarant": "Acme Maquila",
        "items": TABLE.format(hs="8544.30"), "attempt": str(uuid.uuid4()),
    } | changes  # fmt: skip


def upload(photo: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("face.jpg", photo, "image/jpeg")


def test_a_representative_declares_on_the_pages_and_nothing_typed_is_lost(dock, rita, client: Client):
    client.force_login(rita)
    new = reverse("declaration_new", args=[dock.shipment.pk])
    page = client.post(new, typed(dock), follow=True)
    draft = DeclarationDraft.objects.get()
    assert "Confirm the face of Marco Ruiz" in text(page) and "Nothing is submitted yet" in text(page)
    own = reverse("declaration_draft", args=[draft.pk])
    face, submit = (reverse(f"declaration_draft_{step}", args=[draft.pk]) for step in ("face", "submit"))
    for left in (2, 1):
        page = text(client.post(face, {"photo": upload(dock.elenas_face)}, follow=True))
        assert f"does not match Marco Ruiz. Attempts left: {left}" in page
    assert reverse("declaration_draft", args=[draft.pk]) in text(
        client.get(reverse("shipment_declarations", args=[dock.shipment.pk]))
    )
    page = text(client.post(face, {"photo": upload(dock.elenas_face)}, follow=True))
    assert "The face was refused three times" in page
    again = reverse("declaration_draft_change", args=[draft.pk])
    assert again in page
    form = text(client.get(again))
    assert "1,854430,2022,Parts,9,CT,412.000,18540.00,USD,MX" in form and 'value="JRZ-118"' in form
    page = text(client.post(again, typed(dock, items=TABLE.format(hs="8536.90")), follow=True))
    assert "853690" in page
    second = DeclarationDraft.objects.latest("opened_at")
    face, submit = (reverse(f"declaration_draft_{step}", args=[second.pk]) for step in ("face", "submit"))
    page = text(client.post(face, {"photo": upload(dock.marcos_face)}, follow=True))
    assert "One step is left" in page
    page = text(client.post(submit, {"pin": "111222"}, follow=True))
    assert "One step is left" in page and not DeclarationVersion.objects.exists()
    page = text(client.post(submit, {"pin": PIN}, follow=True))
    assert "Version 1 of JRZ-118 is submitted" in page and "<dt>Face</dt><dd>matched" in page
    assert "PIN" in page
    assert client.get(reverse("declaration_draft", args=[second.pk])).status_code == 302
    assert client.get(own).status_code == 200


def test_a_draft_is_changed_before_the_face_and_the_old_one_is_gone(dock, rita, client: Client):
    client.force_login(rita)
    sent = typed(dock)
    client.post(reverse("declaration_new", args=[dock.shipment.pk]), sent)
    first = DeclarationDraft.objects.get()
    client.post(reverse("declaration_draft_change", args=[first.pk]), typed(dock, items=TABLE.format(hs="8536.90")))
    first.refresh_from_db()
    second = DeclarationDraft.objects.get(state="open")
    assert first.state == "cancelled" and second.content_sha256 != first.content_sha256
    # Back in the browser, changed, and sent under the old attempt: a draft of its own, and no error.
    page = client.post(
        reverse("declaration_new", args=[dock.shipment.pk]), sent | {"items": TABLE.format(hs="8504.40")}, follow=True
    )
    assert "850440" in text(page)
    client.post(reverse("declaration_draft_discard", args=[second.pk]))
    second.refresh_from_db()
    assert second.state == "cancelled"


def test_nobody_sees_or_ends_what_another_prepared(dock, rita, sofia, olga, client: Client):
    draft = prepare(dock, rita)
    client.force_login(sofia)
    for name in ("", "_change", "_face", "_submit", "_discard"):
        address = reverse(f"declaration_draft{name}", args=[draft.pk])
        assert (client.post if name not in ("", "_change") else client.get)(address).status_code == 404
    assert str(draft.pk) not in text(client.get(reverse("shipment_declarations", args=[dock.shipment.pk])))
    client.force_login(olga)
    assert client.get(reverse("declaration_draft", args=[draft.pk])).status_code == 403


def test_a_program_declares_by_face(dock, rita, client: Client):
    headers = {"Authorization": f"Bearer {issue_token(user=rita, purpose='test')}"}
    sent = {
        "attempt": str(uuid.uuid4()), "person": str(dock.marco.pk), "declaration": told(),
        "parties": {"declarant": {"name": "Acme Maquila"}},
    }  # fmt: skip
    address = f"/api/v1/shipments/{dock.shipment.pk}/declarations"
    draft = client.post(address, sent, content_type="application/json", headers=headers).json()
    assert (draft["state"], draft["face"], draft["attempts_left"]) == ("open", "not_confirmed", 3)
    own = f"/api/v1/declaration-drafts/{draft['id']}"
    challenge = client.post(f"{own}/challenge", headers=headers)
    assert challenge.status_code == 201 and challenge.json()["turns"]
    early = client.post(f"{own}/submit", {"pin": PIN}, headers=headers)
    assert (early.status_code, early.json()["code"]) == (409, "face_missing")
    wrong = client.post(f"{own}/face", {"photo": upload(dock.elenas_face)}, headers=headers)
    assert wrong.json()["code"] == "face_mismatch"
    shown = client.post(f"{own}/face", {"photo": upload(dock.marcos_face)}, headers=headers).json()
    assert (shown["face"], shown["attempts_left"]) == ("confirmed", 2)
    done = client.post(f"{own}/submit", {"pin": PIN}, headers=headers).json()
    assert (done["state"], done["version"]) == ("done", 1)
    version = client.get(f"/api/v1/declarations/{done['declaration']}/versions/1", headers=headers).json()
    assert version["verified"]["outcome"] == "match" and version["verified"]["second_factor"] == "pin"
    other = User.objects.create_user("other", role=Role.REPRESENTATIVE)
    strange = {"Authorization": f"Bearer {issue_token(user=other, purpose='test')}"}
    assert client.get(own, headers=strange).status_code == 404
