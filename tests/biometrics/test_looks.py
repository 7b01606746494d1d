"""Looks at evidence: who may, for which reason, and the entry that stands before the value is shown."""

import pytest
from django.db import connection, transaction
from django.urls import reverse

from accounts.models import User
from biometrics.errors import EvidenceDestroyed, EvidenceNotOpened, LookNotAllowed, LookReasonMissing
from biometrics.looks import look_at
from biometrics.models import Evidence, EvidenceKind, EvidenceLook, Person
from biometrics.vault import destroy_evidence, open_evidence, seal_evidence
from ledger.models import Statement
from ledger.tlog import canonical


@pytest.fixture
def photo(ignacio: Person, photos) -> Evidence:
    return seal_evidence(person=ignacio, kind=EvidenceKind.PHOTO, value=(photos / "obama.jpg").read_bytes())


def test_a_look_is_an_entry_before_the_value_is_there(photo: Evidence, olga: User, photos) -> None:
    value = look_at(evidence=photo, looked_by=olga, reason="quality_check", note="Blurred in the list?")
    assert value == (photos / "obama.jpg").read_bytes()
    look = EvidenceLook.objects.get()
    assert (look.evidence, look.looked_by, look.reason) == (photo, olga, "quality_check")
    assert look.note is not None
    assert open_evidence(look.note) == b"Blurred in the list?"
    statement = Statement.objects.get(kind="evidence_opened")
    assert look.statement == statement
    assert statement.subject == photo.person_id.urn
    assert canonical.decode(bytes(statement.body)) == {
        "look": look.pk.urn,
        "person": photo.person_id.urn,
        "evidence": photo.commitment,
        "evidence_kind": "photo",
        "reason": "quality_check",
        "by": olga.pk.urn,
        "note": look.note.commitment,
    }
    assert b"Blurred" not in bytes(statement.body)


def test_without_a_note_none_is_in_the_entry(photo: Evidence, olga: User) -> None:
    look_at(evidence=photo, looked_by=olga, reason="investigation", note="  ")
    assert "note" not in canonical.decode(bytes(Statement.objects.get(kind="evidence_opened").body))


def test_only_an_officer_looks_and_only_for_a_reason_of_the_list(photo, olga, ana, beto, carla) -> None:
    for user in (ana, beto, carla):
        with pytest.raises(LookNotAllowed):
            look_at(evidence=photo, looked_by=user, reason="investigation")
    for reason in ("", "curiosity"):
        with pytest.raises(LookReasonMissing):
            look_at(evidence=photo, looked_by=olga, reason=reason)
    assert not EvidenceLook.objects.exists()
    assert not Statement.objects.filter(kind="evidence_opened").exists()


def test_what_does_not_open_or_was_destroyed_is_no_look(photo: Evidence, olga: User) -> None:
    changed = Evidence.objects.get(pk=photo.pk)
    changed.commitment = "0" * 64
    with pytest.raises(EvidenceNotOpened):
        look_at(evidence=changed, looked_by=olga, reason="investigation")
    destroy_evidence(evidence=photo, destroyed_for="x")
    with pytest.raises(EvidenceDestroyed):
        look_at(evidence=photo, looked_by=olga, reason="investigation")
    assert not EvidenceLook.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_look_inside_a_transaction_that_could_be_rolled_back_is_refused(photo: Evidence, olga: User) -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        look_at(evidence=photo, looked_by=olga, reason="investigation")
    assert not connection.in_atomic_block
    assert not EvidenceLook.objects.exists()


# Pages --------------------------------------------------------------------------------------------------------------


def _look_page(photo: Evidence) -> str:
    return reverse("evidence_look", args=[photo.person_id, photo.pk])


def test_the_page_asks_for_the_reason_and_then_shows_the_photo_once(client, photo: Evidence, olga: User) -> None:
    client.force_login(olga)
    asked = client.get(_look_page(photo))
    assert asked.status_code == 200
    assert b"data:image" not in asked.content
    assert not EvidenceLook.objects.exists()
    refused = client.post(_look_page(photo), {"reason": ""})
    assert refused.status_code == 400
    assert b"data:image" not in refused.content
    shown = client.post(_look_page(photo), {"reason": "investigation", "note": "File 7"})
    assert b"data:image/jpeg;base64," in shown.content
    assert "no-store" in shown.headers["Cache-Control"]
    assert EvidenceLook.objects.count() == 1


def test_whoever_may_not_look_sees_neither_form_nor_photo(client, photo, ana, beto, carla) -> None:
    for user in (ana, beto, carla):
        client.force_login(user)
        assert client.get(_look_page(photo)).status_code == 403
        assert client.post(_look_page(photo), {"reason": "investigation"}).status_code == 403
    assert not EvidenceLook.objects.exists()


def test_evidence_of_another_person_is_not_found_under_this_one(client, photo, lucia, olga) -> None:
    client.force_login(olga)
    assert (
        client.post(reverse("evidence_look", args=[lucia.pk, photo.pk]), {"reason": "investigation"}).status_code == 404
    )


def test_a_destroyed_photo_says_so(client, photo: Evidence, olga: User) -> None:
    destroy_evidence(evidence=photo, destroyed_for="matched_probes")
    client.force_login(olga)
    answer = client.post(_look_page(photo), {"reason": "investigation"})
    assert answer.status_code == 410
    assert b"evidence_destroyed" in answer.content


def test_the_persons_evidence_page_and_the_auditors_list_show_the_looks(client, photo, ignacio, olga, ana) -> None:
    look_at(evidence=photo, looked_by=olga, reason="investigation", note="File 7")
    client.force_login(olga)
    page = client.get(reverse("person_evidence", args=[ignacio.pk])).content.decode()
    assert "Investigation" in page
    assert "olga" in page
    client.force_login(ana)
    assert client.get(reverse("person_evidence", args=[ignacio.pk])).status_code == 403
    listed = client.get(reverse("looks")).content.decode()
    assert "Investigation" in listed
    assert ignacio.pk.urn in listed
    assert "Ignacio" not in listed
    assert "File 7" not in listed


def test_a_program_looks_with_a_reason_too(client, photo: Evidence, olga: User, beto: User, photos) -> None:
    address = f"/api/v1/people/{photo.person_id}/evidence/{photo.pk}/look"
    client.force_login(beto)
    assert client.post(address, {"reason": "investigation"}).status_code == 403
    client.force_login(olga)
    assert client.post(address, {}).status_code == 400
    answer = client.post(address, {"reason": "investigation"})
    assert answer.content == (photos / "obama.jpg").read_bytes()
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "no-store" in answer.headers["Cache-Control"]
    assert EvidenceLook.objects.count() == 1
