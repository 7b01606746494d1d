"""Declarations: what is sealed of them, what an amendment names, and what is refused whole."""

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.models import User
from ledger import attachments
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.submission import MAX_BODY_BYTES
from ledger.tlog import canonical
from ledger.tlog.attachment_names import named_in
from ledger.tlog.entry import parse_entry
from shipments.actors import Actor, Proof
from shipments.code_lists import CURRENCY_EXPONENTS
from shipments.consignments import PartyRefused, close_consignment, register_party
from shipments.declarations import (
    AttemptReused,
    DeclarationChanged,
    DeclarationExists,
    DeclarationNotAsShown,
    DeclarationRefused,
    NothingAmended,
    amend_declaration,
    declared_last,
    find_declarations,
    prepare_amendment,
    prepare_declaration,
    read_document,
)
from shipments.declared_changes import differences
from shipments.goods_items_csv import read_items, write_items
from shipments.intake import PartyNamed
from shipments.iso6346 import check_digit
from shipments.models import Consignment, Declaration, DeclarationVersion, GoodsItem, Party
from tests.shipments.declaring import PARTIES, PERSON, item, submit, told

MRN = "26MX00080112345AA"
MRN += check_digit(MRN)


@pytest.fixture
def account(db: None) -> User:
    return User.objects.create_user("rita", role="representative")


def amend(version: DeclarationVersion, account: User, **changes: Any) -> DeclarationVersion:
    asked = {
        "declaration": version.declaration,
        "told": told(),
        "parties": PARTIES,
        "by": Actor(account=account, person=PERSON),
        "attempt": uuid.uuid4(),
    }
    return amend_declaration(**asked | changes)


def body(version: DeclarationVersion) -> dict[str, Any]:
    decoded = canonical.decode(bytes(version.statement.body))
    assert isinstance(decoded, dict)
    return decoded


def faults(account: User, shipment: Consignment, **changes: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(DeclarationRefused) as caught:
        submit(shipment, account, told=told(**changes))
    assert not Declaration.objects.exists()
    assert not Statement.objects.exists()
    return [(fault.item, fault.field, fault.code) for fault in caught.value.faults]


# Submit -------------------------------------------------------------------------------------------------------------


def test_a_declaration_is_an_entry_in_the_shipments_chain(shipment: Consignment, account: User) -> None:
    version = submit(shipment, account, told=told(mrn=MRN.lower(), office="es000801"))
    seal_all()
    entry = parse_entry(bytes(Entry.objects.get(kind="declaration").note))
    assert entry.subject == shipment.pk.urn
    declarant = Party.objects.get(gln="0614141123452")
    importer = Party.objects.get(name="Laredo Imports")
    assert entry.body == {
        "declaration": version.declaration_id.urn,
        "version": 1,
        "attempt": version.attempt.urn,
        "kind": "export",
        "lrn": "JRZ-118",
        "mrn": MRN,
        "office": "ES000801",
        "goods": {"reference": "LRD-1042", "ucr": "6US0614141LRD1042", "mrn": MRN},
        "parties": {"declarant": declarant.gln, "importer": importer.pk.urn},
        "items": {
            "count": 1,
            "hs": ["854430"],
            "hs_total": 1,
            "gross_g": 412_000,
            "net_g": 400_500,
            "packages": 9,
            "values": [{"currency": "USD", "minor": 1_854_000}],
        },
        "document": version.document_sha256,
        "when": entry.body["when"],
        "by": {"person": PERSON.urn, "operator": account.pk.urn},
    }


def test_the_document_holds_all_of_it_and_no_name(shipment: Consignment, account: User) -> None:
    version = submit(
        shipment,
        account,
        told=told(documents=[{"type": "N730", "number": "CMR 118"}], containers=["csqu 305438 3"], seals=["SB-1"]),
    )
    assert list(named_in("declaration", body(version))) == [version.document_sha256]
    content = attachments.load(version.document_sha256)
    assert b"Acme" not in content
    document = read_document(version)
    assert document["items"] == [
        {
            "number": 1,
            "hs": "854430",
            "hs_edition": "2022",
            "description": "Wiring harnesses",
            "gross_g": 412_000,
            "net_g": 400_500,
            "packages": 9,
            "package_kind": "CT",
            "value_minor": 1_854_000,
            "currency": "USD",
            "origin": "MX",
            "procedure": "1000",
        }
    ]
    assert document["documents"] == [{"type": "N730", "number": "CMR 118"}]
    assert (document["containers"], document["seals"]) == (["CSQU3054383"], ["SB-1"])
    assert {number.number for number in version.numbers.all()} == {"CMR 118", "CSQU3054383", "SB-1"}
    assert version.goods.get().hs_code == "854430"


def test_the_shipment_weighs_what_was_declared_last(shipment: Consignment, account: User) -> None:
    first = submit(shipment, account)
    amend(first, account, told=told(mrn=MRN, items=[item(gross_g=413_000)]))
    shipment.refresh_from_db()
    assert (shipment.declared_gross_mass_g, shipment.mrn) == (413_000, MRN)


def test_the_same_attempt_twice_is_one_version(shipment: Consignment, account: User) -> None:
    attempt = uuid.uuid4()
    first, again = (submit(shipment, account, attempt=attempt) for _ in range(2))
    assert first == again
    assert Statement.objects.count() == DeclarationVersion.objects.count() == 1
    with pytest.raises(AttemptReused):
        submit(shipment, account, attempt=attempt, told=told(lrn="JRZ-119"))
    amended = uuid.uuid4()
    second, again = (amend(first, account, attempt=amended, told=told(mrn=MRN)) for _ in range(2))
    assert second == again
    assert Statement.objects.count() == 2


def test_a_second_declaration_needs_a_reference_of_its_own(shipment: Consignment, account: User) -> None:
    submit(shipment, account)
    with pytest.raises(DeclarationExists):
        submit(shipment, account)
    submit(shipment, account, told=told(kind="transit"))
    submit(shipment, account, told=told(lrn="JRZ-119"))
    assert Declaration.objects.count() == 3


def test_every_field_that_cannot_be_used_is_named_at_once(shipment: Consignment, account: User) -> None:
    found = faults(
        account,
        shipment,
        kind="smuggling",
        lrn="x" * 23,
        mrn="26MX",
        office="?",
        colour="red",
        documents=[{"type": "N730"}, "N730 1"],
        containers=["MSKU"],
        seals=["s" * 21],
        items=[
            item(hs="77", description=" ", origin="XYZ", currency="XAU", procedure="?"),
            item(gross_g=0, net_g=1.5, packages=-1, package_kind="CTN", weight=3),
            item(gross_g="412.5", value_minor=None, hs_edition="22", marks="m" * 513),
            item(number=4, package_kind=""),
            item(number=4, currency=""),
            item(number=1000),
            "no item",
        ],
    )
    assert found == [
        (0, "colour", "field_unknown"),
        (0, "kind", "kind_unknown"),
        (0, "lrn", "lrn_malformed"),
        (0, "mrn", "mrn_malformed"),
        (0, "office", "office_malformed"),
        (0, "documents", "document_malformed"),
        (0, "documents", "document_malformed"),
        (0, "containers", "container_malformed"),
        (0, "seals", "seal_malformed"),
        (1, "hs", "hs_malformed"),
        (1, "description", "description_missing"),
        (1, "currency", "currency_unknown"),
        (1, "origin", "country_unknown"),
        (1, "procedure", "procedure_malformed"),
        (2, "net_g", "not_text"),
        (2, "weight", "field_unknown"),
        (2, "packages", "not_a_whole_number"),
        (2, "package_kind", "package_kind_malformed"),
        (2, "gross_g", "not_a_whole_number"),
        (3, "hs_edition", "hs_edition_malformed"),
        (3, "gross_g", "not_a_whole_number"),
        (3, "currency", "value_half"),
        (3, "marks", "text_refused"),
        (4, "package_kind", "package_kind_missing"),
        (5, "number", "item_twice"),
        (5, "currency", "value_half"),
        (6, "number", "not_a_whole_number"),
        (7, "hs", "hs_malformed"),
        (7, "description", "description_missing"),
        (7, "gross_g", "not_a_whole_number"),
    ]


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([], "items_missing"),
        (None, "items_missing"),
        ([item()] * 1000, "too_many_items"),
        ([item(value_minor=10**15, number=n) for n in range(1, 12)], "total_too_large"),
    ],
)
def test_a_declaration_has_items_but_not_too_many(shipment: Consignment, account: User, items: Any, code: str) -> None:
    assert [code for _item, _field, code in faults(account, shipment, items=items)] == [code]


def test_somebody_declares(shipment: Consignment, account: User) -> None:
    with pytest.raises(DeclarationRefused) as caught:
        submit(shipment, account, parties={"importer": PartyNamed(" "), "thief": PartyNamed("X")})
    assert [fault.code for fault in caught.value.faults] == ["declarant_missing", "party_without_name", "role_unknown"]


def test_a_party_is_known_by_its_eori(shipment: Consignment, account: User) -> None:
    parties = {
        "declarant": PartyNamed("Aduanas del Norte", eori="es b 12345678"),
        "exporter": PartyNamed("Acme Maquila"),
    }
    version = submit(shipment, account, parties=parties)
    assert body(version)["parties"] == {"declarant": "ESB12345678", "exporter": "0614141123452"}
    assert read_document(version)["parties"]["declarant"]["eori"] == "ESB12345678"
    with pytest.raises(PartyRefused, match="EORI ESB12345678 belongs to Aduanas"):
        submit(shipment, account, parties={"declarant": PartyNamed("Somebody", eori="ESB12345678")})
    with pytest.raises(PartyRefused, match="4 to 17"):
        register_party(name="X", eori="?")


def test_what_is_odd_is_warned_of_and_declared(shipment: Consignment, account: User) -> None:
    Consignment.objects.update(ucr="LRD/1042")
    wrong = MRN[:-1] + str((int(MRN[-1]) + 1) % 10)
    odd = [item(hs="98020001", hs_edition="2023", net_g=500_000, origin="XI"), item(origin="")]
    version = submit(shipment, account, told=told(kind="transit", mrn=wrong, containers=["CSQU3054384"], items=odd))
    expected = [
        "ucr_unusual",
        "mrn_check_character",
        "mrn_category_differs",
        "hs_national_chapter",
        "hs_edition_unknown",
        "net_above_gross",
        "country_user_assigned",
        "container_check_digit",
        "origin_missing",
    ]
    assert version.warnings == body(version)["warnings"] == expected


# Amend --------------------------------------------------------------------------------------------------------------


def test_an_amendment_names_each_field_that_changed(shipment: Consignment, account: User) -> None:
    items = [item(), item(hs="853690", description="Connectors"), item(description="Clips")]
    first = submit(shipment, account, told=told(items=items, seals=["SB-1"]))
    items = [item(hs="8544300000", value_minor=None, currency=""), item(hs="853690", description="Connectors")]
    second = amend(
        first,
        account,
        told=told(items=items, mrn=MRN, seals=["SB-2"]),
        parties=PARTIES | {"representative": PartyNamed("Aduanas", eori="MXA1")},
        amends=1,
    )
    changes = [
        {"field": "mrn", "to": MRN},
        {"field": "representative", "to": "MXA1"},
        {"field": "seals", "from": "SB-1"},
        {"field": "seals", "to": "SB-2"},
        {"item": 1, "field": "hs", "from": "854430", "to": "8544300000"},
        {"item": 1, "field": "value_minor", "from": "1854000"},
        {"item": 1, "field": "currency", "from": "USD"},
        {"item": 3, "field": "item", "from": "854430 Clips"},
    ]
    assert second.changes == body(second)["changes"] == changes
    assert body(second)["changes_total"] == 8
    assert (second.number, second.statement.kind, body(second)["version"]) == (2, "declaration_amended", 2)
    # The version before is as it was.
    assert read_document(first)["seals"] == ["SB-1"]
    assert first.goods.count() == 3


def test_an_amendment_that_changes_nothing_is_none(shipment: Consignment, account: User) -> None:
    first = submit(shipment, account)
    with pytest.raises(NothingAmended):
        amend(first, account)
    assert Statement.objects.count() == 1


def test_an_amendment_of_a_version_that_is_no_longer_the_newest_is_told(shipment: Consignment, account: User) -> None:
    first = submit(shipment, account)
    amend(first, account, told=told(mrn=MRN), amends=1)
    with pytest.raises(DeclarationChanged):
        amend(first, account, told=told(office="ES000801"), amends=1)
    assert first.declaration.versions.count() == 2


def test_an_amendment_stays_possible_after_a_control_and_the_shipments_end(
    shipment: Consignment, account: User
) -> None:
    first = submit(shipment, account)
    close_consignment(consignment=shipment)
    assert amend(first, account, told=told(mrn=MRN)).number == 2


def test_what_the_person_was_not_verified_for_is_not_submitted(shipment: Consignment, account: User) -> None:
    shown = prepare_declaration(consignment=shipment, told=told(), parties=PARTIES)
    proof = Proof(document=shown.sha256, parts={"face": {}})
    with pytest.raises(DeclarationNotAsShown):
        submit(shipment, account, told=told(items=[item(hs="2402.20")]), proof=proof)
    assert not Declaration.objects.exists()
    assert submit(shipment, account, proof=proof).document_sha256 == shown.sha256


def test_the_largest_amendment_fits_an_entry(shipment: Consignment, account: User) -> None:
    currencies = list(CURRENCY_EXPONENTS)

    def large(letter: str) -> dict[str, Any]:
        return told(
            items=[
                item(
                    number=n,
                    hs=f"8544{n:06d}",
                    description=letter * 512,
                    marks=letter * 512,
                    value_minor=10**14,
                    currency=currencies[n % len(currencies)],
                )
                for n in range(1, 1000)
            ],
            mrn=MRN,
            documents=[{"type": "N7305", "number": f"{n:070d}"} for n in range(999)],
            containers=[f"CSQU{n:07d}" for n in range(999)],
            seals=[f"{n:020d}" for n in range(999)],
        )

    first = submit(shipment, account, told=large("𐍈"))
    prepared = prepare_amendment(declaration=first.declaration, told=large("𝔘"), parties=PARTIES)
    # As long as a face's whole record, of two captures with head turns.
    proof = Proof(document=prepared.sha256, parts={"face": {"record": "x" * 4_000}, "second_factor": "badge"})
    second = amend(first, account, told=large("𝔘"), proof=proof)
    assert body(second)["second_factor"] == "badge"
    assert 50_000 < len(bytes(second.statement.body)) <= MAX_BODY_BYTES
    assert [len(body(second)[name]) for name in ("changes", "documents", "containers", "seals")] == [100] * 4
    assert body(second)["changes_total"] == len(second.changes) == 2 * 999
    assert second.changes[-1]["to"] == "𝔘" * 512


def test_differences_of_a_document_with_itself_are_none(shipment: Consignment, account: User) -> None:
    document = read_document(submit(shipment, account))
    assert differences(document, document) == []


# Find ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, True),
        ({"mrn": MRN}, True),
        ({"mrn": MRN[:-1]}, False),
        ({"lrn": "JRZ-118"}, True),
        ({"hs": "8544"}, True),
        ({"hs": "9018"}, False),
        ({"party": "acme"}, True),
        ({"party": "0614141123452"}, True),
        ({"party": "Franklin"}, False),
        ({"hs": "8544", "party": "Franklin"}, False),
        ({"text": "8544.30"}, True),
        ({"text": "jrz-1"}, True),
        ({"text": "lrd-1042"}, True),
        ({"text": MRN.lower()}, True),
        ({"text": "laredo imp"}, True),
        ({"text": "nothing"}, False),
    ],
)
def test_a_declaration_is_found_by_what_it_says_now(
    shipment: Consignment, account: User, asked: dict[str, str], found: bool
) -> None:
    first = submit(shipment, account, told=told(items=[item(hs="901890"), item(hs="901890")]))
    newest = amend(first, account, told=told(mrn=MRN, items=[item(), item(), item()]))
    assert list(find_declarations(**asked)) == ([newest] if found else [])


def test_what_was_declared_last_is_known_across_declarations(shipment: Consignment, account: User) -> None:
    assert declared_last(shipment) is None
    first = submit(shipment, account)
    other = submit(shipment, account, told=told(kind="transit"))
    assert declared_last(shipment) == other
    assert declared_last(shipment) == other
    assert declared_last(shipment) != first


def test_the_database_keeps_a_version_once(shipment: Consignment, account: User) -> None:
    version = submit(shipment, account)
    for changes in ({"value_minor": 1, "currency": ""}, {"gross_g": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            GoodsItem.objects.filter(version=version).update(**changes)


# Items as a table ---------------------------------------------------------------------------------------------------


def test_items_are_pasted_from_a_sheet() -> None:
    read = read_items(
        "Fracción;Descripción;Bultos;Tipo de bultos;Peso bruto;Peso neto;Valor;Moneda;Origen\n"
        "8544.30;Arneses;9;CT;412,5;400;18540,00;MXN;MX\n"
        "8536.90;Conectores;2;CT;24.125;;1980;JPY;MX\n"
    )
    assert read.faults == []
    first, second = read.items
    assert (first["gross_g"], first["net_g"], first["value_minor"], first["currency"]) == (
        412_500,
        400_000,
        1_854_000,
        "MXN",
    )
    assert (second["gross_g"], second["value_minor"], second["line"]) == (24_125, 1980, 3)


@pytest.mark.parametrize("number", ["1,234", "1.234.5", "1e3", "-1", "0.0001", "a", "٣"])
def test_a_number_that_could_be_read_two_ways_is_asked_for_again(number: str) -> None:
    (fault,) = read_items(f'hs,description,gross_kg\n854430,Box,"{number}"').faults
    assert (fault.line, fault.field, fault.code, fault.text) == (2, "gross_kg", "not_a_number", number)


def test_a_table_written_is_read_back_the_same(shipment: Consignment, account: User) -> None:
    items = [item(), item(hs="853690", description='Clips, "large"', currency="JPY", net_g=None, origin="", packages=0)]
    document = read_document(submit(shipment, account, told=told(items=items)))
    again = read_items(write_items(document["items"]))
    assert again.faults == []
    second = submit(shipment, account, told=told(lrn="JRZ-119", items=again.items))
    assert read_document(second)["items"] == document["items"]
