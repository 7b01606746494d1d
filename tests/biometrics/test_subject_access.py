"""The archive of what is held about a person: whole, openable against the ledger, and recorded as looks."""

import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import User
from biometrics.erasure import erase_person
from biometrics.errors import EvidenceNotOpened, LookNotAllowed, PersonErased
from biometrics.looks import look_at
from biometrics.models import Evidence, EvidenceKind, EvidenceLook, Person
from biometrics.second_factor import issue_badge, set_pin
from biometrics.subject_access import export_person
from biometrics.vault import destroy_evidence, open_evidence, seal_evidence
from ledger.models import Statement
from ledger.sealing import seal_all
from ledger.tlog.commitment import opens


def unpack(packed: bytes) -> tuple[dict, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("held.json")), files


def test_everything_held_is_in_it_and_opens_the_commitments(enrolled: Person, olga: User, beto: User) -> None:
    set_pin(person=enrolled, pin="280519")
    issue_badge(person=enrolled)
    gone = seal_evidence(person=enrolled, kind=EvidenceKind.PROBE, value=b"gone")
    destroy_evidence(evidence=gone, destroyed_for="unmatched_probes")
    seal_all()
    held, files = unpack(export_person(person=enrolled, asked_by=olga))
    assert held["name"] == "Ignacio Peralta Quintanilla"
    assert held["person"] == enrolled.pk.urn
    assert [consent["language"] for consent in held["consents"]] == ["es"]
    assert held["templates"][0]["active"]
    assert held["pin_set_at"]
    assert len(held["badges"]) == 1
    rows = {row.commitment: row for row in enrolled.evidence.exclude(looks__isnull=False, kind="note")}
    assert {fact["commitment"] for fact in held["evidence"]} == set(rows)
    for fact in held["evidence"]:
        row = rows[fact["commitment"]]
        assert fact["kind"] == row.kind
        if row.pk == gone.pk:
            assert (fact["destroyed_for"], "file" in fact, "salt" in fact) == ("unmatched_probes", False, False)
            continue
        value = files.pop(fact["file"]) if "file" in fact else fact["text"].encode()
        assert value == open_evidence(row)
        assert opens(row.commitment, salt=bytes.fromhex(fact["salt"]), value=value)
    assert files == {}
    indexes = {entry["kind"] for entry in held["ledger_entries"]}
    assert "enrolment" in indexes
    # Neither the name of a file nor anything of PIN and badge tells more than it must.
    assert "280519" not in json.dumps(held)


def test_a_template_is_readable_numbers_and_photos_have_their_type(enrolled: Person, olga: User) -> None:
    held, files = unpack(export_person(person=enrolled, asked_by=olga))
    by_kind = {fact["kind"]: fact for fact in held["evidence"]}
    vector = np.frombuffer(files[by_kind["template"]["file"]], dtype="<f8")
    assert vector.shape == (128,)
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert Path(by_kind["photo"]["file"]).suffix in (".jpg", ".png", ".webp")


def test_each_value_is_recorded_as_looked_at(enrolled: Person, olga: User) -> None:
    export_person(person=enrolled, asked_by=olga)
    biometric = Evidence.objects.filter(person=enrolled).exclude(kind__in=["name", "note"])
    assert EvidenceLook.objects.filter(reason="subject_request", looked_by=olga).count() == biometric.count() > 5
    assert Statement.objects.filter(kind="evidence_opened").count() == biometric.count()


def test_it_tells_who_looked_before_and_leaves_out_what_officers_wrote(enrolled: Person, olga: User) -> None:
    photo = enrolled.evidence.filter(kind="photo").first()
    look_at(evidence=photo, looked_by=olga, reason="investigation", note="Is this the man of file 7?")
    look_at(evidence=photo, looked_by=olga, reason="quality_check", note="Too dark?")
    held, _files = unpack(export_person(person=enrolled, asked_by=olga))
    assert {look["reason"] for look in held["looks"]} == {"investigation", "quality_check", "subject_request"}
    texts = [fact.get("text", "") for fact in held["evidence"]]
    assert "Too dark?" in texts
    assert not any("file 7" in text for text in texts)
    assert any("watchlist" in sentence for sentence in held["left_out"])


def test_only_an_officer_makes_it_and_nothing_is_opened_otherwise(enrolled, ana, beto, carla, olga) -> None:
    for user in (ana, beto, carla):
        with pytest.raises(LookNotAllowed):
            export_person(person=enrolled, asked_by=user)
    Evidence.objects.filter(person=enrolled, kind="photo").update(nonce=b"x" * 12)
    with pytest.raises(EvidenceNotOpened):
        export_person(person=enrolled, asked_by=olga)
    assert not EvidenceLook.objects.exists()
    erased = erase_person(person=enrolled, erased_by=carla, right="erasure")
    with pytest.raises(PersonErased):
        export_person(person=erased, asked_by=olga)


def test_the_command_writes_for_its_owner_alone_and_over_nothing(enrolled, olga, beto, tmp_path: Path) -> None:
    target = tmp_path / "held.zip"
    with pytest.raises(CommandError, match="An officer may"):
        call_command("export_person", str(enrolled.pk), str(target), "--as", "beto")
    assert not target.exists()
    call_command("export_person", str(enrolled.pk), str(target), "--as", "olga")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    held, _files = unpack(target.read_bytes())
    assert held["person"] == enrolled.pk.urn
    looked = EvidenceLook.objects.count()
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_person", str(enrolled.pk), str(target), "--as", "olga")
    assert EvidenceLook.objects.count() == looked


def test_the_page_and_the_api_answer_with_the_archive(client, enrolled: Person, olga: User, carla: User) -> None:
    for address in (reverse("person_export", args=[enrolled.pk]), f"/api/v1/people/{enrolled.pk}/export"):
        client.force_login(carla)
        assert client.post(address).status_code == 403
        client.force_login(olga)
        answer = client.post(address)
        assert answer.headers["Content-Type"] == "application/zip"
        assert "no-store" in answer.headers["Cache-Control"]
        assert "Ignacio" not in answer.headers["Content-Disposition"]
        assert unpack(answer.content)[0]["name"] == "Ignacio Peralta Quintanilla"
