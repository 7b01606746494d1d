import pytest
from django.db import IntegrityError, transaction

from shipments.consignments import (
    ConsignmentExists,
    ConsignmentRefused,
    ManifestLine,
    ManifestRefused,
    PartyRefused,
    Unit,
    close_consignment,
    create_consignment,
    parse_manifest,
    register_party,
)
from shipments.epc import decode_epc, sscc_to_epc_hex
from shipments.finding import ShipmentUnknown, find_shipment, which_shipment_holds
from shipments.models import Consignment, LogisticUnit, ManifestItem
from tests.shipments.conftest import SSCC, item_epc

pytestmark = pytest.mark.django_db

OTHER_SSCC = "106141412345678915"


def make(reference: str = "LRD-1043", **given):
    values = {
        "reference": reference,
        "consignor": register_party(name="Consignor"),
        "consignee": register_party(name="Consignee"),
        "description": "Goods",
        "manifest": [ManifestLine(epc=item_epc(900))],
        **given,
    }
    return create_consignment(**values)


def test_a_shipment_has_its_manifest_decoded(shipment) -> None:
    item = shipment.manifest.first()
    assert item.epc_hex == item_epc(1)
    assert item.epc_uri == "urn:epc:id:sgtin:0614141.812345.1"
    assert (item.gtin, item.description) == ("80614141123458", "Box 1")
    assert shipment.units.get().epc_hex == sscc_to_epc_hex(SSCC, 7)


@pytest.mark.parametrize(
    "code",
    [
        "LRD-1042",
        " lrd-1042\r\n",
        "6US0614141LRD1042",
        "6us0614141lrd1042",
        SSCC,
        f"(00){SSCC}",
        f"(00) {SSCC}",
        f"00{SSCC}",
        f"]C100{SSCC}",
        f"]C1\x1d00{SSCC}\x1d",
        f"\x1d00{SSCC}",
        f"]d200{SSCC}",
        "(00) 1 0614141 234567890 8",
        "urn:epc:id:sscc:0614141.1234567890",
        f"https://id.gs1.org/00/{SSCC}",
        f"https://example.org/track/00/{SSCC}?linkType=all",
        sscc_to_epc_hex(SSCC, 7),
        # The same SSCC under another filter value is the same pallet.
        "3174257BF4499602D2000000",
        item_epc(3),
        item_epc(3).lower(),
        " ".join([item_epc(3)[:12], item_epc(3)[12:]]),
        "urn:epc:id:sgtin:0614141.812345.3",
    ],
)
def test_every_code_of_a_shipment_finds_it(shipment, code) -> None:
    make()
    assert find_shipment(code=code) == shipment


@pytest.mark.parametrize(
    "code",
    [
        "",
        " ",
        "LRD-9999",
        OTHER_SSCC,
        "(00)106141412345678909",
        item_epc(77),
        "urn:epc:id:sgtin:0614141.812345.77",
        "urn:epc:id:sscc:0614141.1",
        "urn:epc:raw:96.xE2801160600002084E1D2B7C",
        "urn:epc:raw:96.x",
        "١٠٦١٤١٤١٢٣٤٥٦٧٨٩٠٨",
        "\x00",
        "\ud800",
        "%(scanned)s",
        "x" * 10_000,
    ],
)
def test_an_unknown_code_is_refused_with_what_was_scanned(shipment, code) -> None:
    with pytest.raises(ShipmentUnknown) as refused:
        find_shipment(code=code)
    assert refused.value.code == "shipment_unknown"
    assert "No shipment has the code" in refused.value.sentence
    assert len(refused.value.sentence) < 250


def test_a_tag_that_is_no_gs1_tag_is_found_by_its_raw_uri() -> None:
    made = make(manifest=[ManifestLine(epc="E2801160600002084E1D2B7C")])
    assert find_shipment(code="urn:epc:raw:96.xE2801160600002084E1D2B7C") == made


def test_which_shipment_holds_a_tag(shipment) -> None:
    other = make(units=[Unit(sscc=OTHER_SSCC, epc=sscc_to_epc_hex(OTHER_SSCC, 7))])
    assert which_shipment_holds(item_epc(2)) == shipment
    assert which_shipment_holds(item_epc(900)) == other
    assert which_shipment_holds(sscc_to_epc_hex(OTHER_SSCC, 7)) == other
    assert which_shipment_holds(item_epc(77)) is None
    assert which_shipment_holds("") is None
    assert which_shipment_holds("no tag") is None


def test_a_unit_without_a_tag_holds_no_tag() -> None:
    make(units=[Unit(sscc=OTHER_SSCC)])
    assert LogisticUnit.objects.get().epc_hex == ""
    assert which_shipment_holds("") is None


def test_bad_lines_are_all_named_and_nothing_is_saved(shipment) -> None:
    lines = parse_manifest(
        "epc,description,sscc\n"
        f"{item_epc(900)},Good\n"
        "3074257BF7194E4000001A8\n"
        "not-hex,A box\n"
        f"{item_epc(900)},Twice\n"
        "\n"
        "# a remark\n"
        f"{item_epc(2)},Belongs to LRD-1042\n"
        "30003074257BF7194E4000001A85,With its PC word\n"
        f"{item_epc(901)},On a pallet that is not there,{OTHER_SSCC}\n"
    )
    with pytest.raises(ManifestRefused) as refused:
        make(manifest=lines)
    assert [(fault.line, fault.code) for fault in refused.value.lines] == [
        (3, "epc_malformed"),
        (4, "epc_malformed"),
        (5, "tag_twice"),
        (8, "tag_in_other_shipment"),
        (9, "pc_prefixed"),
        (10, "unit_unknown"),
    ]
    assert "cannot be used: 6." in refused.value.sentence
    told = {fault["line"]: fault["sentence"] for fault in refused.value.facts["lines"]}
    assert "“not-hex” is no tag number" in told[4]
    assert told[5] == "This tag is on line 2 already."
    assert told[8] == "This tag is on the manifest of shipment LRD-1042."
    assert not Consignment.objects.filter(reference="LRD-1043").exists()
    assert ManifestItem.objects.count() == 5


def test_a_manifest_as_typed_or_exported() -> None:
    text = f'\ufeff{item_epc(1)}\r\n  {item_epc(2)} , "Harness, left",{SSCC}\r\n{item_epc(3)},\n'
    assert parse_manifest(text) == [
        ManifestLine(epc=item_epc(1), line=1),
        ManifestLine(epc=item_epc(2), description="Harness, left", line=2, unit=SSCC),
        ManifestLine(epc=item_epc(3), line=3),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [('3074,"open', "not_csv"), ("3074,a,b,c", "too_many_fields"), ('3074,"a"b', "not_csv")],
)
def test_lines_that_are_no_csv(line, code) -> None:
    with pytest.raises(ManifestRefused) as refused:
        parse_manifest(f"{item_epc(1)}\n{line}\n")
    assert [(fault.line, fault.code) for fault in refused.value.lines] == [(2, code)]


def test_a_manifest_without_end_is_refused() -> None:
    with pytest.raises(ManifestRefused) as refused:
        parse_manifest("3074\n" * 100_001)
    assert refused.value.lines[-1].code == "too_many_lines"


def test_items_lie_on_the_pallet_that_their_line_names() -> None:
    made = make(
        manifest=[ManifestLine(epc=item_epc(901), unit=OTHER_SSCC), ManifestLine(epc=item_epc(902))],
        units=[Unit(sscc=OTHER_SSCC)],
    )
    assert [item.logistic_unit and item.logistic_unit.sscc for item in made.manifest.all()] == [OTHER_SSCC, None]


@pytest.mark.parametrize(
    "given",
    [
        {"reference": " "},
        {"reference": "x" * 41},
        {"reference": "LRD\x001"},
        {"ucr": "x" * 36},
        {"mrn": "x" * 19},
        {"description": "nul \x00"},
        {"declared_gross_mass_g": 0},
        {"declared_gross_mass_g": -5},
        {"units": [Unit(sscc="106141412345678909")]},
        {"units": [Unit(sscc=OTHER_SSCC, company_prefix_length=13)]},
        {"units": [Unit(sscc=OTHER_SSCC, epc="zz")]},
        {"units": [Unit(sscc=OTHER_SSCC, epc=sscc_to_epc_hex(SSCC, 7))]},
        {"units": [Unit(sscc=OTHER_SSCC), Unit(sscc=OTHER_SSCC)]},
    ],
)
def test_a_shipment_that_cannot_be_saved_says_why(given) -> None:
    with pytest.raises(ConsignmentRefused) as refused:
        make(**given)
    assert refused.value.sentence.startswith("The shipment was not saved: ")
    assert Consignment.objects.count() == 0


@pytest.mark.parametrize(
    "given", [{"reference": "lrd-1042"}, {"ucr": "6us0614141lrd1042"}, {"units": [Unit(sscc=SSCC)]}]
)
def test_what_another_shipment_has_is_refused(shipment, given) -> None:
    with pytest.raises(ConsignmentExists):
        make(**given)
    assert Consignment.objects.count() == 1
    assert ManifestItem.objects.count() == 5


def test_a_tag_is_in_one_open_shipment_and_may_travel_again_after_it_closed(shipment) -> None:
    with pytest.raises(ManifestRefused):
        make(manifest=[ManifestLine(epc=item_epc(1))])
    close_consignment(consignment=shipment)
    again = make(manifest=[ManifestLine(epc=item_epc(1))])
    assert which_shipment_holds(item_epc(1)) == again
    assert find_shipment(code="urn:epc:id:sgtin:0614141.812345.1") == again
    assert which_shipment_holds(item_epc(2)) == shipment
    with pytest.raises(IntegrityError), transaction.atomic():
        ManifestItem.objects.filter(consignment=shipment).update(released_at=None)


def test_a_rare_flag_does_not_keep_a_tag_from_a_manifest() -> None:
    made = make(manifest=[ManifestLine(epc="3174257BF4499602D2000001")])
    assert decode_epc(made.manifest.get().epc_hex).flags == ("trailing_bits",)


@pytest.mark.parametrize(
    ("name", "gln"), [(" ", ""), ("Acme\x00", ""), ("x" * 201, ""), ("Acme", "0614141123453"), ("Acme", "x")]
)
def test_a_party_with_a_wrong_gln_is_refused(name, gln) -> None:
    with pytest.raises(PartyRefused):
        register_party(name=name, gln=gln)


def test_a_gln_names_one_party(shipment) -> None:
    with pytest.raises(PartyRefused) as refused:
        register_party(name="Acme again", gln="0614141123452")
    assert "another party" in refused.value.sentence
