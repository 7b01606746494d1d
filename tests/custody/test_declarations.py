"""Declarations and manifests as people and programs use them: pages, API, roles, the ledger's sentences."""

import re
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from biometrics.consent import ConsentGiven
from biometrics.models import Person, PersonKind
from biometrics.people import register_person
from custody.entries import goods
from custody.errors import ShipmentClosed
from custody.facts import lay_out
from custody.facts.attachments import named_attachments
from custody.manifest_changes import change_manifest
from custody.models import DeclarationDraft
from custody.narrative import shipment_lines
from ledger import append_only, verification_runs
from ledger.models import Attachment, VerificationRun
from ledger.sealing import seal_all
from ledger.submission import submit
from shipments.actors import Actor
from shipments.consignments import ManifestLine, close_consignment, create_consignment, register_party
from shipments.declarations import amend_declaration, submit_declaration
from shipments.manifest_import import read_manifest
from shipments.models import Consignment, Declaration, DeclarationVersion
from tests.shipments.conftest import item_epc
from tests.shipments.declaring import PARTIES, item, told

pytestmark = pytest.mark.django_db

TABLE = (
    "hs,description,packages,package_kind,gross_kg,value,currency,origin\n8544.30,Harnesses,9,CT,412,18540.00,USD,MX\n"
)


@pytest.fixture
def shipment(db: None) -> Consignment:
    return create_consignment(
        reference="LRD-1042",
        ucr="6US0614141LRD1042",
        consignor=register_party(name="Acme Maquila", gln="0614141123452"),
        consignee=register_party(name="Laredo Imports"),
        description="Automotive harnesses",
        manifest=[ManifestLine(epc=item_epc(serial)) for serial in range(1, 6)],
    )


@pytest.fixture
def rita(db: None) -> User:
    """Rita represents traders at customs."""
    return User.objects.create_user("rita", role=Role.REPRESENTATIVE)


@pytest.fixture
def sofia(db: None) -> User:
    return User.objects.create_user("sofia", role=Role.SUPERVISOR)


def person(name: str, kind: str, by: User, user: User | None = None) -> Person:
    consent = ConsentGiven(language="en")
    return register_person(name=name, kind=kind, registered_by=by, consent=consent, user=user)


@pytest.fixture
def ramon(sofia: User) -> Person:
    return person("Ramón Vega", PersonKind.REPRESENTATIVE, sofia)


@pytest.fixture
def desk(client: Client, rita: User) -> Client:
    client.force_login(rita)
    return client


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def typed(who: Person, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "export",
        "lrn": "JRZ-118",
        "person": str(who.pk),
        "declarant": "Acme Maquila",
        "declarant_gln": "0614141123452",
        "items": TABLE,
        "attempt": str(uuid.uuid4()),
    } | changes


def declared(shipment: Consignment, who: Person, by: User, **changes: Any) -> DeclarationVersion:
    return submit_declaration(
        consignment=shipment,
        told=told(**changes),
        parties=PARTIES,
        by=Actor(account=by, person=who.pk),
        attempt=uuid.uuid4(),
    )


def amended(version: DeclarationVersion, **changes: Any) -> DeclarationVersion:
    by = Actor(account=version.submitted_by, person=version.person)
    return amend_declaration(
        declaration=version.declaration, told=told(**changes), parties=PARTIES, by=by, attempt=uuid.uuid4()
    )


# Pages --------------------------------------------------------------------------------------------------------------


def test_a_version_is_shown_with_what_it_changed(desk: Client, shipment, sofia: User, ramon: Person) -> None:
    version = declared(shipment, ramon, sofia)
    seal_all()
    form = text(desk.get(reverse("declaration_amend", args=[version.declaration_id])))
    assert "1,854430,2022,Wiring harnesses,9,CT,412.000,18540.00,USD,MX" in form.replace("400.500,", "")
    amended(version, items=[item(hs="853690")])
    seal_all()
    page = text(desk.get(reverse("declaration", args=[version.declaration_id])))
    assert "version 2 of 2" in page
    assert '<span class="code is-changed" translate="no">853690</span>' in page
    assert "<del>854430</del>" in page
    assert "<ins>853690</ins>" in page
    assert "Ramón Vega" in page
    assert "18,540.00 USD" in page
    # Submitted by a program, with nobody before a camera: that is said, and nothing is made up.
    assert page.count("<dt>Face</dt><dd>not verified") == 2
    assert "Odd, and declared so" not in page
    earlier = text(desk.get(reverse("declaration_version", args=[version.declaration_id, 1])))
    assert "This is an earlier version" in earlier
    assert "is-changed" not in earlier


def test_what_cannot_be_used_comes_back_as_typed_with_its_line(desk: Client, shipment, ramon: Person) -> None:
    wrong = TABLE + '77,Box,1,CT,"1,234",,,MX\n'
    response = desk.post(
        reverse("declaration_new", args=[shipment.pk]),
        typed(ramon, items="", items_file=SimpleUploadedFile("i.csv", wrong.encode())),
    )
    assert response.status_code == 422
    page = text(response)
    assert '<td class="num">3</td><td>gross mass, kg' in page
    assert "8544.30,Harnesses" in page
    assert "A commodity code has 6, 8 or 10 digits." in page
    response = desk.post(
        reverse("declaration_new", args=[shipment.pk]), typed(ramon, items=wrong.replace('"1,234"', "1"))
    )
    assert "A commodity code has 6, 8 or 10 digits." in text(response)
    assert not Declaration.objects.exists()


def test_a_form_sent_twice_is_one_draft_and_nothing_is_declared_yet(desk: Client, shipment, ramon: Person) -> None:
    sent = typed(ramon)
    for _ in range(2):
        assert desk.post(reverse("declaration_new", args=[shipment.pk]), sent).status_code == 302
    draft = DeclarationDraft.objects.get()
    assert not DeclarationVersion.objects.exists()
    assert "Ramón Vega is not enrolled" in text(desk.get(reverse("declaration_draft", args=[draft.pk])))


def test_a_representative_names_themselves_alone_or_other_representatives(
    desk: Client,
    shipment,
    rita: User,
    sofia: User,
    ramon: Person,
) -> None:
    driver = person("Marco Ruiz", PersonKind.DRIVER, sofia)
    address = reverse("declaration_new", args=[shipment.pk])
    assert "Marco Ruiz" not in text(desk.get(address))
    assert desk.post(address, typed(driver)).status_code == 422
    own = person("Rita Soto", PersonKind.REPRESENTATIVE, sofia, user=rita)
    page = text(desk.get(address))
    assert f'<option value="{own.pk}" selected>' in page
    assert "Ramón Vega" not in page
    assert not Declaration.objects.exists()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.OFFICER, Role.AUDITOR])
def test_others_read_and_do_not_declare(
    client: Client,
    shipment,
    role: str,
    sofia: User,
    ramon: Person,
) -> None:
    version = declared(shipment, ramon, sofia)
    client.force_login(User.objects.create_user("reader", role=role))
    page = text(client.get(reverse("shipment_declarations", args=[shipment.pk]), follow=True))
    assert "JRZ-118" in page
    assert "Amend" not in page
    assert client.get(reverse("declaration_new", args=[shipment.pk])).status_code == 403
    assert client.post(reverse("declaration_amend", args=[version.declaration_id])).status_code == 403
    assert client.get(reverse("manifest_import")).status_code == 403


def test_a_witness_reads_no_declaration(client: Client) -> None:
    client.force_login(User.objects.create_user("program", role=Role.WITNESS))
    assert client.get(reverse("declarations")).status_code == 403


def test_the_list_finds_by_what_a_clerk_types(desk: Client, shipment, sofia: User, ramon: Person) -> None:
    assert "Nothing was declared yet" in text(desk.get(reverse("declarations")))
    declared(shipment, ramon, sofia)
    for sought, found in (("", True), ("8544", True), ("acme", True), ("LRD-1042", True), ("9018", False)):
        assert ("JRZ-118" in text(desk.get(reverse("declarations"), {"q": sought}))) is found


def test_a_shipment_without_a_declaration_says_how_to_begin(desk: Client, shipment, ana: User) -> None:
    address = reverse("shipment_declarations", args=[shipment.pk])
    assert reverse("declaration_new", args=[shipment.pk]) in text(desk.get(address))
    desk.force_login(ana)
    assert "A representative, a supervisor or an administrator" in text(desk.get(address))


def test_a_version_after_an_inspection_says_so(desk: Client, shipment, sofia: User, ramon: Person) -> None:
    version = declared(shipment, ramon, sofia)
    submit(kind="inspection", subject=shipment.pk.urn, body={"result": "held"}, key="inspection:1")
    amended(version, items=[item(hs="853690", origin="")])
    seal_all()
    page = text(desk.get(reverse("declaration", args=[version.declaration_id])))
    assert "An item names no country of origin." in page
    inspected = shipment_lines(shipment)[1].entry.index
    assert re.search(rf"Submitted after</dt><dd>[^<]*, entry {inspected}", page)


def test_a_changed_document_is_told_and_not_shown(desk: Client, shipment, sofia: User, ramon: Person) -> None:
    version = declared(shipment, ramon, sofia)
    seal_all()
    append_only.disarm(connection)
    content = bytes(Attachment.objects.get(pk=version.document_sha256).content).replace(b"harnesses", b"hamsters!")
    Attachment.objects.filter(pk=version.document_sha256).update(content=content)
    append_only.arm(connection)
    page = text(desk.get(reverse("declaration", args=[version.declaration_id])))
    assert "changed or removed" in page
    assert "hamsters" not in page
    run = verification_runs.request_run(requested_by=sofia, depth=VerificationRun.Depth.DEEP)
    verification_runs.run_waiting()
    run.refresh_from_db()
    assert (run.verdict["status"], run.verdict["broken_at"]) == ("broken", shipment_lines(shipment)[0].entry.index)


# The ledger's words -------------------------------------------------------------------------------------------------


def test_the_ledger_tells_who_declared_what(client: Client, ana: User, shipment, sofia: User, ramon: Person) -> None:
    version = declared(shipment, ramon, sofia)
    amended(version, mrn="", items=[item(hs="853690", origin="XI")])
    seal_all()
    first, second = shipment_lines(shipment)
    assert first.sentence == ("Ramón Vega submitted the export declaration JRZ-118 for LRD-1042: 1 item, 412 kg.")
    assert second.sentence == (
        "Ramón Vega amended the export declaration JRZ-118 for LRD-1042 (version 2): 2 fields changed. "
        "Item 1: commodity code 854430 → 853690."
    )
    (section,) = lay_out(second)
    facts = {fact.name: fact for fact in section.facts}
    assert facts["Item 1: commodity code"].value == "854430 → 853690"
    assert facts["Face of the author"].value == "Not verified"
    assert facts["Value"].value == "18,540.00 USD"
    assert "ISO 3166" in facts["To look at"].value
    assert [one.state for one in named_attachments(second)] == ["ok"]
    client.force_login(ana)
    page = text(client.get(reverse("entry", args=[second.entry.index])))
    assert "854430 → 853690" in page
    assert reverse("declaration_version", args=[version.declaration_id, 2]) in page


def test_a_handoffs_goods_name_the_declaration_that_counted(shipment, sofia: User, ramon: Person) -> None:
    assert "declaration" not in goods(shipment)
    version = declared(shipment, ramon, sofia)
    assert goods(shipment)["declaration"] == {"declaration": version.declaration_id.urn, "version": 1}
    seal_all()
    (line,) = shipment_lines(shipment)
    assert goods(shipment)["declaration"]["entry"] == line.entry.index


# The API ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(rita: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=rita, purpose='tests')}")
    return client


def test_a_program_prepares_and_finds(api: APIClient, shipment, sofia: User, ramon: Person) -> None:
    sent = {
        "attempt": str(uuid.uuid4()),
        "person": str(ramon.pk),
        "parties": {"declarant": {"name": "Acme Maquila", "gln": "0614141123452"}},
        "declaration": told(),
    }
    address = f"/api/v1/shipments/{shipment.pk}/declarations"
    first = api.post(address, sent, format="json")
    assert (first.status_code, first.data["state"], first.data["version"]) == (201, "open", None)
    assert api.post(address, sent, format="json").data["id"] == first.data["id"]
    other = api.post(address, sent | {"declaration": told(mrn="26MX0123456789ABC7")}, format="json")
    assert other.data["code"] == "attempt_reused"
    version = declared(shipment, ramon, sofia)
    versions = f"/api/v1/declarations/{version.declaration_id}/versions"
    again = sent | {"attempt": str(uuid.uuid4()), "declaration": {"items": [item(hs="853690")]}, "amends": 1}
    assert api.post(versions, again, format="json").data["amends"]["version"] == 1
    amended(version, items=[item(hs="853690")])
    stale = api.post(versions, again | {"attempt": str(uuid.uuid4())}, format="json")
    assert (stale.status_code, stale.data["code"]) == (409, "declaration_changed")
    seal_all()
    listed = api.get(versions).data
    assert [one["entry"]["index"] for one in listed] == [1, 2]
    assert listed[1]["changes"] == [{"field": "hs", "item": 1, "from": "854430", "to": "853690"}]
    assert [one["verified"] for one in listed] == [None, None]
    assert api.get(f"{versions}/1").data["document"]["items"][0]["hs"] == "854430"
    assert [one["version"] for one in api.get("/api/v1/declarations?hs=8536").data] == [2]
    assert api.get("/api/v1/declarations?hs=8544").data == []
    assert len(api.get(address).data) == 1
    faulty = api.post(address, sent | {"declaration": told(lrn="")}, format="json")
    assert (faulty.status_code, faulty.data["code"]) == (422, "declaration_refused")
    assert faulty.data["facts"]["fields"][0]["code"] == "lrn_malformed"
    exists = api.post(address, sent | {"attempt": str(uuid.uuid4())}, format="json")
    assert exists.data["code"] == "declaration_exists"


def test_the_api_declares_for_nobody_unknown(api: APIClient, shipment, ana: User) -> None:
    sent = {
        "attempt": str(uuid.uuid4()),
        "person": str(uuid.uuid4()),
        "parties": {"declarant": {"name": "Acme Maquila"}},
        "declaration": told(),
    }
    address = f"/api/v1/shipments/{shipment.pk}/declarations"
    assert api.post(address, sent, format="json").data["code"] == "declarant_unknown"
    assert api.post("/api/v1/manifests", {}, format="json").status_code == 403
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=ana, purpose='tests')}")
    assert api.post(address, sent, format="json").status_code == 403
    assert api.get(address).status_code == 200


# Manifests ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def office(sofia: User) -> Client:
    client = Client()
    client.force_login(sofia)
    return client


NEW = {"reference": "NLD-7", "description": "Tiles", "consignor": "Azulejos", "consignee": "Franklin"}


def test_a_manifest_is_checked_reported_mended_and_imported(office: Client) -> None:
    address = reverse("manifest_import")
    faulty = f"epc,hs\n{item_epc(1)},690721\n=ZZ,77\n"
    file = SimpleUploadedFile("m.csv", faulty.encode())
    page = text(office.post(address, NEW | {"file": file, "act": "check"}))
    assert '<td class="num">3</td>' in page
    assert "=ZZ,77" in page
    report = office.post(address, NEW | {"manifest": faulty, "act": "report"})
    assert report["Content-Disposition"].endswith('"manifest-report.csv"')
    assert report.content.decode("utf-8-sig").splitlines()[1].startswith("3,hs_malformed,")
    assert not Consignment.objects.exists()
    good = faulty.replace("=ZZ,77", f"{item_epc(2)},690721")
    assert "All 2 lines can be imported" in text(office.post(address, NEW | {"manifest": good, "act": "check"}))
    assert not Consignment.objects.exists()
    response = office.post(address, NEW | {"manifest": good, "act": "import"})
    assert response.url == reverse("shipment", args=[Consignment.objects.get().pk])


def test_lines_are_added_until_the_first_handoff(dock, office: Client) -> None:
    address = reverse("manifest_more", args=[dock.shipment.pk])
    office.post(address, {"manifest": f"epc\n{item_epc(1)}", "mode": "extend", "act": "import"})
    assert dock.shipment.manifest.count() == 4
    dock.open()
    page = office.post(address, {"manifest": f"epc\n{item_epc(2)}", "mode": "replace", "act": "import"})
    assert (page.status_code, "stays as it is" in text(page)) == (422, True)
    assert dock.shipment.manifest.count() == 4
    assert "stays as it is" in text(office.get(address, follow=True))


def test_a_program_imports_a_manifest(sofia: User) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=sofia, purpose='tests')}")
    asked = {"shipment": "NLD-7", "description": "Tiles", "consignor": "Azulejos", "consignee": "Franklin"}
    lines = [{"epc": item_epc(1)}, {"epc": "ZZ"}]
    refused = client.post("/api/v1/manifests", asked | {"lines": lines}, format="json")
    assert (refused.status_code, refused.data["facts"]["lines"][0]["line"]) == (422, 2)
    checked = client.post("/api/v1/manifests", asked | {"lines": lines[:1], "check": True}, format="json")
    assert (checked.status_code, checked.data["shipment"]) == (200, None)
    assert client.post("/api/v1/manifests", asked | {"lines": lines[:1]}, format="json").status_code == 201
    file = SimpleUploadedFile("m.csv", f"epc\n{item_epc(2)}".encode())
    more = client.post("/api/v1/manifests", {"shipment": "nld-7", "mode": "extend", "file": file}, format="multipart")
    assert (more.status_code, more.data["lines"]) == (201, 1)
    assert Consignment.objects.get().manifest.count() == 2
    assert client.post("/api/v1/manifests", {"shipment": "X", "lines": []}, format="json").status_code == 400


def test_the_command_checks_and_imports(shipment, tmp_path, capsys) -> None:
    file, report = tmp_path / "m.csv", tmp_path / "report.csv"
    file.write_text(f"epc;colour\n{item_epc(1)};red\n{item_epc(8)};red\n")
    with pytest.raises(CommandError, match="Nothing was saved"):
        call_command("import_manifest", str(file), "--shipment", "LRD-1042", "--report", str(report))
    assert "line 2: tag_in_other_shipment" in capsys.readouterr().err
    assert "2,tag_in_other_shipment" in report.read_text(encoding="utf-8-sig")
    call_command("import_manifest", str(file), "--shipment", "lrd-1042", "--replace", "--check")
    assert shipment.manifest.count() == 5
    call_command("import_manifest", str(file), "--shipment", "lrd-1042", "--replace")
    assert shipment.manifest.count() == 2
    assert "Columns that were not used: colour." in capsys.readouterr().out
    with pytest.raises(CommandError, match="To make it, name"):
        call_command("import_manifest", str(file), "--shipment", "NLD-7")


def test_a_closed_shipments_manifest_stays(shipment) -> None:
    close_consignment(consignment=shipment)
    with pytest.raises(ShipmentClosed):
        change_manifest(consignment=shipment, manifest=read_manifest(f"epc\n{item_epc(9)}"))
