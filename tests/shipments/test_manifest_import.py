"""Manifests as files: what is taken, what is named, and that a check leaves nothing behind."""

import json

import pytest

from shipments.consignments import ConsignmentExists, ManifestRefused, close_consignment
from shipments.csv_table import TableRefused
from shipments.intake import ManifestMissing, PartyNamed
from shipments.manifest_import import (
    ImportedManifest,
    NewShipment,
    as_report,
    change_manifest,
    import_manifest,
    read_manifest,
)
from shipments.models import Consignment, LogisticUnit, ManifestItem, Party
from tests.shipments.conftest import GTIN, SSCC, item_epc

CONTAINER = "CSQU3054383"
GRAI = "00614141000012" + "A17"
NEW = NewShipment("NLD-7", PartyNamed("Azulejos del Norte"), PartyNamed("Franklin Imports LLC"), "Ceramic tiles")


def bring(
    content: str | bytes, *, check_only: bool = False, shipment: NewShipment = NEW, **reading
) -> ImportedManifest:
    return import_manifest(manifest=read_manifest(content, **reading), shipment=shipment, check_only=check_only)


def refused(content: str | bytes, **reading) -> list[tuple[int, str]]:
    with pytest.raises(ManifestRefused) as caught:
        bring(content, **reading)
    assert not Consignment.objects.filter(reference="NLD-7").exists()
    return [(fault.line, fault.code) for fault in caught.value.lines]


def test_a_sheet_in_spanish_becomes_a_shipment(db: None) -> None:
    sheet = (
        "sep=;\r\nDescripción;Etiqueta;Tarima;Fracción arancelaria;País de origen;Cantidad\r\n"
        f'"Loseta, caja 1";{item_epc(1).lower()};(00){SSCC};6907.21;mx;1\r\n'
        f"Loseta 2;{item_epc(2)};;69072101;MX;1.0\r\n"
    )
    imported = bring(b"\xef\xbb\xbf" + sheet.encode())
    assert (imported.lines, imported.units, imported.ignored) == (2, 1, ())
    first, second = Consignment.objects.get(reference="NLD-7").manifest.all()
    assert (first.epc_hex, first.description, first.hs_code, first.origin) == (
        item_epc(1), "Loseta, caja 1", "690721", "MX",
    )  # fmt: skip
    assert first.logistic_unit is not None
    assert first.logistic_unit.sscc == SSCC
    assert (second.logistic_unit, second.hs_code) == (None, "69072101")


def test_gtin_and_serial_name_a_tag(db: None) -> None:
    bring(f"gtin,serial\n{GTIN},1\n{GTIN[:13]} {GTIN[13]},2\n")
    assert [item.epc_hex for item in ManifestItem.objects.all()] == [item_epc(1), item_epc(2)]


def test_the_company_prefix_may_be_said(db: None) -> None:
    assert refused("gtin,serial\n99999999999997,1") == [(2, "company_prefix_unknown")]
    bring("gtin,serial\n99999999999997,1", company_prefix_length=7)
    assert ManifestItem.objects.get().gtin == "99999999999997"


def test_a_gtin_alone_is_refused_with_what_to_do(db: None) -> None:
    with pytest.raises(ManifestRefused) as caught:
        bring(f"gtin,cantidad\n{GTIN},1\n")
    (fault,) = caught.value.lines
    assert fault.code == "gtin_without_serial"
    assert "no tag can be matched" in str(fault.sentence)
    assert "Give the serial number of each item" in str(fault.sentence)


def test_every_line_that_cannot_be_used_is_named_at_once(db: None, shipment: Consignment) -> None:
    sheet = "\n".join(
        [
            "epc,gtin,serial,description,sscc,grai,bic,hs,origin,quantity,colour",
            f"{item_epc(101)},,,Box,,,,,,1,red",
            ",,,no tag at all,,,,,,,",
            "ZZ,,,,,,,,,,",
            f"{item_epc(101)},,,twice,,,,,,,",
            f"{item_epc(2)},,,of another shipment,,,,,,,",
            f"{item_epc(102)},,,,,,,,,12,",
            f"{item_epc(103)},,,,106141412345678900,,,,,,",
            f"{item_epc(104)},,,,,123,,,,,",
            f"{item_epc(105)},,,,,,CSQU3054384,,,,",
            f"{item_epc(106)},,,,,,,7701,,,",
            f"{item_epc(107)},,,,,,,,Mexico,,",
            f"{item_epc(108)},,,,{SSCC},,{CONTAINER},,,,",
            f"{item_epc(109)},,,,{SSCC},,,,,,",
            f",{GTIN[:13]}0,1,,,,,,,,",
            f",{GTIN},A-1,,,,,,,,",
            f"{item_epc(110)},99999999999997,,,,,,,,,",
            f'{item_epc(111)},"x"y,,,,,,,,,',
            "3000" + item_epc(112) + ",,,,,,,,,,",
        ]
    )
    assert refused(sheet) == [
        (3, "no_tag"),
        (4, "epc_malformed"),
        (5, "tag_twice"),
        (6, "tag_in_other_shipment"),
        (7, "quantity_not_one"),
        (8, "sscc_malformed"),
        (9, "grai_malformed"),
        (10, "bic_malformed"),
        (11, "hs_malformed"),
        (12, "country_unknown"),
        (13, "several_units"),
        (14, "unit_in_other_shipment"),
        (15, "gtin_malformed"),
        (16, "serial_not_numeric"),
        (17, "gtin_differs"),
        (18, "not_csv"),
        (19, "pc_prefixed"),
    ]
    assert Party.objects.count() == 2


def test_the_report_names_line_code_sentence_and_text(db: None) -> None:
    with pytest.raises(ManifestRefused) as caught:
        bring("epc\nZZ")
    ((line, code, sentence, text),) = as_report(caught.value.lines)
    assert (line, code, text) == (2, "epc_malformed", "ZZ")
    assert "hexadecimal" in sentence


def test_a_check_says_the_same_and_leaves_nothing_behind(db: None) -> None:
    sheet = f"epc,bic\n{item_epc(1)},{CONTAINER}"
    checked = bring(sheet, check_only=True)
    assert (checked.lines, checked.units, checked.checked, checked.consignment) == (1, 1, True, None)
    assert not Consignment.objects.exists()
    assert not Party.objects.exists()
    assert not LogisticUnit.objects.exists()
    assert bring(sheet).consignment is not None


def test_items_hang_on_their_crates_and_containers(db: None) -> None:
    bring(
        f"epc,grai,bic\n{item_epc(1)},{GRAI},\n{item_epc(2)},,csqu 305438 3\n{item_epc(3)},{GRAI[1:]},\n{item_epc(4)},,"
    )
    units = {item.epc_hex: item.logistic_unit and item.logistic_unit.code for item in ManifestItem.objects.all()}
    assert units == {item_epc(1): GRAI, item_epc(2): CONTAINER, item_epc(3): GRAI, item_epc(4): None}
    assert LogisticUnit.objects.count() == 2


@pytest.mark.parametrize("wrap", [lambda lines: lines, lambda lines: {"lines": lines}])
def test_json_is_read_like_a_table(db: None, wrap) -> None:
    lines = [
        {"epc": item_epc(1), "description": "Box", "quantity": 1, "hs": None},
        {"gtin": GTIN, "serial": 2, "hue": 1},
    ]
    imported = bring(json.dumps(wrap(lines)))
    assert (imported.lines, imported.ignored) == (2, ("hue",))


@pytest.mark.parametrize(
    ("content", "says"), [("[1", "is none"), ("{}", "no list"), ("[" * 100_000, "is none"), ("", "empty")]
)
def test_what_is_no_manifest_at_all_is_refused_whole(db: None, content: str, says: str) -> None:
    with pytest.raises(TableRefused, match=says):
        bring(content)


def test_json_lines_that_are_no_objects_are_named(db: None) -> None:
    assert refused(json.dumps(["AB", {"epc": item_epc(1), "quantity": 1.5}])) == [(1, "not_a_line"), (2, "not_a_line")]


def test_a_lone_surrogate_can_be_told_of(db: None) -> None:
    with pytest.raises(ManifestRefused) as caught:
        bring(r'[{"epc": "\ud800"}, ["\ud800"], {"gtin": "\ud800"}]')
    assert json.dumps(caught.value.facts["lines"], ensure_ascii=False).encode()


def test_a_header_without_lines_is_no_manifest(db: None) -> None:
    with pytest.raises(ManifestMissing):
        bring("epc\n")


def test_a_reference_in_use_is_told_by_the_check_too(shipment: Consignment) -> None:
    with pytest.raises(ConsignmentExists):
        bring(
            f"epc\n{item_epc(50)}",
            check_only=True,
            shipment=NewShipment("lrd-1042", PartyNamed("A"), PartyNamed("B"), "Tiles"),
        )


def test_lines_are_added_to_a_shipment_on_file(shipment: Consignment) -> None:
    manifest = read_manifest(f"epc,sscc,bic\n{item_epc(6)},{SSCC},\n{item_epc(7)},,{CONTAINER}")
    imported = change_manifest(consignment=shipment, manifest=manifest)
    assert (imported.lines, imported.units) == (2, 1)
    assert shipment.manifest.count() == 7
    assert shipment.manifest.get(epc_hex=item_epc(6)).logistic_unit == shipment.units.get(sscc=SSCC)


def test_lines_take_the_place_of_those_on_file(shipment: Consignment) -> None:
    content = f"epc\n{item_epc(1)}\n{item_epc(9)}"
    with pytest.raises(ManifestRefused):
        change_manifest(consignment=shipment, manifest=read_manifest(content))
    change_manifest(consignment=shipment, manifest=read_manifest(content), replace=True, check_only=True)
    assert shipment.manifest.count() == 5
    change_manifest(consignment=shipment, manifest=read_manifest(content), replace=True)
    assert {item.epc_hex for item in shipment.manifest.all()} == {item_epc(1), item_epc(9)}


def test_a_tag_of_a_closed_shipment_travels_again(shipment: Consignment) -> None:
    close_consignment(consignment=shipment)
    assert bring(f"epc\n{item_epc(1)}").lines == 1


def test_many_lines_are_read_in_one_go(db: None, django_assert_max_num_queries) -> None:
    lines = "\n".join(f"{item_epc(serial)},{CONTAINER}" for serial in range(3000))
    with django_assert_max_num_queries(60):
        assert bring(f"epc,bic\n{lines}").lines == 3000
