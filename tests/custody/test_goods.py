"""Packing and sealing as a clerk and a program do them: pages, API, and what the ledger says of it afterwards."""

import json
import uuid

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts import tokens
from accounts.models import User
from biometrics.consent import ConsentGiven
from biometrics.models import Evidence, EvidenceKind, Person, PersonKind
from biometrics.people import register_person
from biometrics.vault import open_evidence
from custody import handoffs
from custody.facts import lay_out
from custody.facts.attachments import named_attachments
from custody.narrative import shipment_lines
from ledger.models import Entry, Statement
from shipments.actors import Actor
from shipments.consignments import Unit
from shipments.models import Consignment, LogisticUnit, ReadPoint, Seal
from shipments.places import create_read_point, create_site
from shipments.seals import Act, NewSeal, affix_seal, check_seal
from shipments.units import pack, register_unit
from tests.custody.conftest import PIN, shipment_of

BIC = "CSQU3054383"


@pytest.fixture
def marco(beto: User) -> Person:
    return register_person(
        name="Marco Ruiz", kind=PersonKind.DRIVER, registered_by=beto, consent=ConsentGiven(language="en")
    )


@pytest.fixture
def door(db) -> ReadPoint:
    site = create_site(code="JRZ", name="Ciudad Juárez yard", gln="0614141000012")
    return create_read_point(site=site, name="Dock 1", direction="in", extension="1")


@pytest.fixture
def shipment(db) -> Consignment:
    return shipment_of("LRD-1042", 1, 3)


@pytest.fixture
def pallet(shipment: Consignment) -> LogisticUnit:
    return shipment.units.get()


@pytest.fixture
def container(shipment: Consignment) -> LogisticUnit:
    return register_unit(consignment=shipment, unit=Unit(bic=BIC))


@pytest.fixture
def seal(container: LogisticUnit, beto: User, marco: Person) -> Seal:
    return affix_seal(unit=container, seal=NewSeal("MX-558201", "H"), act=Act(Actor(beto, marco.pk)))


@pytest.fixture
def desk(client: Client, beto: User) -> Client:
    client.force_login(beto)
    return client


@pytest.fixture
def program(beto: User) -> Client:
    token = tokens.issue_token(user=beto, purpose="dock program")
    return Client(headers={"Authorization": f"Bearer {token}"})


def tags(shipment: Consignment) -> list[str]:
    return list(shipment.manifest.values_list("epc_hex", flat=True))


def text(response) -> str:
    return response.content.decode()


def sentences(shipment: Consignment) -> list[str]:
    call_command("seal")
    return [line.sentence for line in shipment_lines(shipment)]


# Pages --------------------------------------------------------------------------------------------------------------


def test_a_clerk_packs_seals_and_looks_and_the_timeline_says_who(
    desk: Client, ana: User, shipment, pallet, container, marco, door
) -> None:
    acting = {"person": str(marco.pk), "read_point": str(door.pk)}
    first, second, _third = tags(shipment)
    page = reverse("unit_pack", args=[pallet.pk])
    assert "Marco Ruiz" in text(desk.get(page))
    assert desk.post(page, acting | {"contents": f"{first}\r\n{second}\r\n"}).status_code == 302
    assert desk.post(reverse("unit_pack", args=[container.pk]), acting | {"contents": pallet.sscc}).status_code == 302
    shown = text(desk.get(reverse("unit", args=[pallet.pk])))
    assert first in shown
    assert BIC in shown

    sealing = acting | {"number": "mx-558201", "seal_class": "H", "issuer": "Aduana"}
    assert desk.post(reverse("seal_new", args=[container.pk]), sealing).status_code == 302
    seal = Seal.objects.get()
    looked = acting | {"finding": "number_differs", "found_number": "MX-558301", "note": "The 2 looks like a 3."}
    assert desk.post(reverse("seal_check", args=[seal.pk]), looked).status_code == 302
    broken = acting | {"reason": "customs_inspection"}
    assert desk.post(reverse("seal_break", args=[seal.pk]), broken).status_code == 302
    taken = acting | {"contents": [second]}
    assert desk.post(reverse("unit_unpack", args=[pallet.pk]), taken).status_code == 302

    assert sentences(shipment) == [
        f"Marco Ruiz packed 2 units or tagged pieces into {pallet.sscc} of LRD-1042.",
        f"Marco Ruiz packed 1 unit or tagged piece into {BIC} of LRD-1042.",
        f"Marco Ruiz put the seal MX-558201 (class H) on {BIC} of LRD-1042.",
        f"Marco Ruiz found the seal MX-558301 on {BIC} of LRD-1042 in the place of MX-558201.",
        f"Marco Ruiz broke the seal MX-558201 on {BIC} of LRD-1042. Reason: Customs inspection.",
        f"Marco Ruiz took 1 unit or tagged piece out of {pallet.sscc} of LRD-1042.",
    ]
    history = text(desk.get(reverse("seal", args=[seal.pk])))
    for word in ("Marco Ruiz", "Dock 1", "MX-558301", "Customs inspection"):
        assert word in history
    # The note is kept for those who see refusals; the ledger holds a commitment to it.
    assert "looks like a 3" not in history
    client = Client()
    client.force_login(ana)
    assert "The 2 looks like a 3." in text(client.get(reverse("seal", args=[seal.pk])))
    assert "looks like" not in "".join(bytes(entry.note).decode() for entry in Entry.objects.all())
    note = Evidence.objects.get(kind=EvidenceKind.NOTE)
    assert open_evidence(note).decode() == "The 2 looks like a 3."
    assert note.commitment in "".join(bytes(entry.note).decode() for entry in Entry.objects.all())
    for entry in Entry.objects.filter(subject=shipment.pk.urn):
        assert client.get(reverse("entry", args=[entry.index])).status_code == 200


def test_the_shipments_page_shows_units_in_units_with_their_seals(desk, shipment, pallet, container, seal) -> None:
    LogisticUnit.objects.filter(pk=pallet.pk).update(parent=container)
    shown = text(desk.get(reverse("shipment", args=[shipment.pk])))
    assert shown.index(BIC) < shown.index("MX-558201") < shown.index(f">{pallet.sscc}</a>")
    assert shown.count("unit-tree") == 2
    assert "Intact" in shown


def test_a_refused_act_says_why_and_keeps_what_was_typed(desk, shipment, pallet, marco) -> None:
    page = reverse("unit_pack", args=[pallet.pk])
    response = desk.post(page, {"person": str(marco.pk), "contents": f"{tags(shipment)[0]}\n3034257BF7194E4000009999"})
    assert response.status_code == 422
    assert "3034257BF7194E4000009999" in text(response)
    assert "content_unknown" in text(response)
    assert not pallet.items.exists()
    assert not Statement.objects.filter(kind="unit_packed").exists()


def test_nobody_acts_without_a_name(desk, shipment, pallet, container) -> None:
    for sent in ({}, {"person": str(uuid.uuid4())}, {"badge": "no badge"}):
        response = desk.post(reverse("unit_pack", args=[pallet.pk]), sent | {"contents": tags(shipment)[0]})
        assert response.status_code == 422
        response = desk.post(
            reverse("seal_new", args=[container.pk]), sent | {"number": "MX-1", "seal_class": "H", "issuer": ""}
        )
        assert response.status_code == 422
    assert not Statement.objects.filter(subject=shipment.pk.urn).exists()


def test_a_refusal_takes_the_note_back(desk, shipment, container, seal, marco) -> None:
    sent = {"person": str(marco.pk), "number": "MX-558201", "seal_class": "H", "note": "Found on the floor."}
    assert desk.post(reverse("seal_new", args=[container.pk]), sent).status_code == 409
    assert not Evidence.objects.filter(kind=EvidenceKind.NOTE).exists()


def test_a_new_unit_and_its_tag_are_put_on_file(desk, shipment) -> None:
    page = reverse("unit_new", args=[shipment.pk])
    response = desk.post(page, {"code": "csqu 305438-3", "epc": "E2801160600002084E1D2B7C", "tid": ""})
    made = LogisticUnit.objects.get(bic=BIC)
    assert response.url == reverse("unit", args=[made.pk])
    tie = {"epc": "E2801160600002084E1D2B7C", "tid": "E280116020006411B8A10A44"}
    assert desk.post(reverse("unit_tag", args=[made.pk]), tie).status_code == 302
    assert "E280116020006411B8A10A44" in text(desk.get(reverse("unit", args=[made.pk])))
    copy = tie | {"tid": "E280116020006411B8A10A45"}
    assert "tid_mismatch" in text(desk.post(reverse("unit_tag", args=[made.pk]), copy))
    goods = {"epc": tags(shipment)[0], "tid": "E280116020006411B8A10A46"}
    assert desk.post(reverse("goods_tag", args=[shipment.pk]), goods).status_code == 302
    assert "consignment_refused" in text(desk.post(page, {"code": "CSQU3054384", "epc": "", "tid": ""}))


def test_everything_is_taken_out_only_where_it_was_said(desk, shipment, pallet, marco) -> None:
    acting = {"person": str(marco.pk)}
    desk.post(reverse("unit_pack", args=[pallet.pk]), acting | {"contents": "\n".join(tags(shipment))})
    page = reverse("unit_unpack", args=[pallet.pk])
    assert desk.post(page, acting).status_code == 422
    assert pallet.items.count() == 3
    assert desk.post(page, acting | {"everything": "on"}).status_code == 302
    assert pallet.items.count() == 0


@pytest.mark.parametrize("name", ["seal_check", "seal_break", "seal_replace"])
def test_each_seal_page_opens_for_an_officer_and_not_for_an_auditor(
    client, olga: User, ana: User, seal, name: str
) -> None:
    address = reverse(name, args=[seal.pk])
    client.force_login(olga)
    assert "MX-558201" in text(client.get(address))
    client.force_login(ana)
    assert client.get(address).status_code == 403
    assert client.get(reverse("seal", args=[seal.pk])).status_code == 200


def test_a_packing_and_a_seal_are_laid_out_part_by_part(ana, shipment, seal, beto, marco) -> None:
    check_seal(seal=seal, finding="tampered", act=Act(Actor(beto, marco.pk)))
    call_command("seal")
    lines = shipment_lines(shipment)
    sections = [section for line in lines for section in lay_out(line)]
    assert [(section.title, section.chip, section.tone) for section in sections] == [
        ("Seal", "Intact", "ok"),
        ("Seal", "Tampered with", "bad"),
    ]
    assert [fact.value for fact in sections[0].facts if fact.name == "Done by"] == ["Marco Ruiz"]
    assert [named_attachments(line) for line in lines] == [[], []]
    assert lines[1].tone == "bad"


def test_a_packing_too_long_for_an_entry_names_a_document_that_lists_all_of_it(client, ana: User, beto, marco) -> None:
    long = shipment_of("LRD-2000", 2, 101)
    pack(unit=long.units.get(), contents=tags(long), actor=Actor(beto, marco.pk))
    call_command("seal")
    [line] = shipment_lines(long)
    [section] = lay_out(line)
    assert [fact.value for fact in section.facts if fact.name == "Put into it"] == ["101"]
    assert [len(fact.codes) for fact in section.fold] == [100]
    [document] = named_attachments(line)
    assert (document.name, document.state) == ("All that was packed or unpacked", "ok")
    client.force_login(ana)
    shown = text(client.get(reverse("entry", args=[line.entry.index])))
    assert "All that was packed or unpacked" in shown
    assert "Fits its hash" in shown
    assert reverse("attachment", args=[document.sha256]) in shown
    listed = json.loads(client.get(reverse("attachment", args=[document.sha256])).content)
    assert listed["epcs"] == sorted(tags(long))


# API ----------------------------------------------------------------------------------------------------------------


def test_a_program_packs_and_unpacks(program: Client, shipment, pallet, marco, door) -> None:
    made = program.post(f"/api/v1/shipments/{shipment.pk}/units", {"bic": BIC}, content_type="application/json")
    assert made.status_code == 201
    container = made.json()["id"]
    act = {"person": str(marco.pk), "read_point": str(door.pk)}
    packed = _post(program, f"units/{container}/pack", act | {"contents": [pallet.sscc, tags(shipment)[0]]})
    assert packed.status_code == 200
    assert packed.json()["packed"][0]["sscc"] == pallet.sscc
    listed = {unit["id"]: unit for unit in program.get(f"/api/v1/shipments/{shipment.pk}/units").json()}
    assert listed[str(pallet.pk)]["parent"] == container
    assert listed[container] | {"id": 0} == {
        "id": 0, "bic": BIC, "parent": None, "tags": 1, "epc": None, "tid": None
    }  # fmt: skip
    again = _post(program, f"units/{container}/pack", act | {"contents": [pallet.sscc]})
    assert (again.status_code, again.json()["code"]) == (422, "nothing_to_pack")
    assert _post(program, f"units/{container}/unpack", act).json()["code"] == "fields_refused"
    gone = _post(program, f"units/{container}/unpack", act | {"everything": True})
    assert len(gone.json()["unpacked"]) == 2
    tied = _post(program, f"units/{pallet.pk}/tag", {"epc": pallet.epc_hex, "tid": "E280116020006411"})
    assert tied.json()["digital_link"] == f"https://id.gs1.org/00/{pallet.sscc}"
    tied = _post(program, f"shipments/{shipment.pk}/tags", {"epc": tags(shipment)[0], "tid": "E280116020006412"})
    assert tied.status_code == 200


def test_a_program_seals_looks_breaks_and_replaces(program, shipment, container, marco) -> None:
    act = {"person": str(marco.pk)}
    sealing = act | {"unit": str(container.pk), "number": "MX-1", "class": "H"}
    made = _post(program, f"shipments/{shipment.pk}/seals", sealing)
    assert (made.status_code, made.json()["state"]) == (201, "intact")
    seal = made.json()["id"]
    assert _post(program, f"shipments/{shipment.pk}/seals", sealing).json()["code"] == "seal_number_taken"
    looked = _post(program, f"seals/{seal}/check", act | {"found": "intact", "note": "Rusty."})
    assert [event["act"] for event in looked.json()["history"]] == ["affixed", "checked"]
    replaced = _post(program, f"seals/{seal}/replace", act | {"number": "MX-2", "class": "S", "reason": "damaged"})
    assert (replaced.status_code, replaced.json()["replaces"]) == (201, seal)
    again = _post(program, f"seals/{seal}/check", act | {"found": "intact"})
    assert (again.status_code, again.json()["code"]) == (409, "seal_not_in_force")
    new = replaced.json()["id"]
    assert _post(program, f"seals/{new}/break", act | {"reason": "delivery"}).json()["state"] == "broken"
    listed = program.get(f"/api/v1/shipments/{shipment.pk}/seals").json()
    assert [(one["number"], one["state"]) for one in listed] == [("MX-1", "broken"), ("MX-2", "broken")]
    assert json.loads(json.dumps(listed))[0]["history"][1]["person"] == str(marco.pk)


def test_who_was_erased_or_is_looked_out_for_acts_on_nothing(program, shipment, pallet, marco) -> None:
    Person.objects.filter(pk=marco.pk).update(kind=PersonKind.WATCHLISTED)
    sent = _post(program, f"units/{pallet.pk}/pack", {"person": str(marco.pk), "contents": tags(shipment)})
    assert sent.status_code == 400
    assert not pallet.items.exists()


def test_an_auditor_reads_and_changes_nothing(ana: User, shipment, pallet, seal, marco) -> None:
    token = tokens.issue_token(user=ana, purpose="audit")
    auditor = Client(headers={"Authorization": f"Bearer {token}"})
    assert auditor.get(f"/api/v1/shipments/{shipment.pk}/units").status_code == 200
    assert auditor.get(f"/api/v1/shipments/{shipment.pk}/seals").status_code == 200
    act = {"person": str(marco.pk), "contents": tags(shipment), "reason": "loading", "found": "intact"}
    for address in (f"units/{pallet.pk}/pack", f"units/{pallet.pk}/unpack", f"seals/{seal.pk}/break"):
        assert _post(auditor, address, act).status_code == 403


def _post(client: Client, address: str, sent: dict):
    return client.post(f"/api/v1/{address}", sent, content_type="application/json")


# The handoff --------------------------------------------------------------------------------------------------------


def test_a_handoff_names_the_seals_in_force_and_the_entry_that_put_each_on(dock) -> None:
    pallet = dock.shipment.units.get()
    by = Act(Actor(dock.beto, dock.marco.pk))
    first = affix_seal(unit=pallet, seal=NewSeal("MX-1", "H"), act=by)
    call_command("seal")
    check_seal(seal=first, finding="tampered", act=by)
    register_unit(consignment=dock.shipment, unit=Unit(bic=BIC))
    handoff = dock.reconciled()
    dock.approve(handoff, "exceptions", "seal_seen")
    dock.show_face(handoff, dock.marcos_face)
    handoff = handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    call_command("seal")
    line = next(line for line in shipment_lines(dock.shipment) if line.kind == "handoff")
    first.statement.refresh_from_db()
    assert line.body["seals"] == [
        {"number": "MX-1", "class": "H", "state": "tampered", "affixed_entry": first.statement.entry_id}
    ]
    assert line.body["goods"]["bic"] == [BIC]
    assert line.body["goods"]["sscc"] == [pallet.sscc]
    section = next(section for section in lay_out(line) if section.title == "Seals in force")
    assert (section.tone, section.facts[0].url) == ("warn", reverse("entry", args=[first.statement.entry_id]))
    assert handoff.state == "accepted"
