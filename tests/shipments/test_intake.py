import pytest

from refusals import Refusal
from shipments.consignments import ConsignmentRefused, ManifestRefused, PartyRefused, register_party
from shipments.intake import ManifestMissing, PartyNamed, take_in_shipment
from shipments.models import Consignment, Party
from tests.shipments.conftest import SSCC, gln, item_epc

FRANKLIN = gln("061414100004")


def take_in(**changes) -> Consignment:
    typed = {
        "reference": "NLD-7",
        "consignor": PartyNamed("Azulejos del Norte"),
        "consignee": PartyNamed("Franklin Imports LLC", FRANKLIN),
        "description": "Ceramic tiles",
        "manifest": f"{item_epc(1)},Box 1\n{item_epc(2)},Box 2",
    }
    return take_in_shipment(**typed | changes)


def test_parties_not_yet_known_are_put_on_file_with_the_shipment(db: None) -> None:
    shipment = take_in()
    assert shipment.consignor.name == "Azulejos del Norte"
    assert (shipment.consignee.name, shipment.consignee.gln) == ("Franklin Imports LLC", FRANKLIN)
    assert [item.description for item in shipment.manifest.all()] == ["Box 1", "Box 2"]


def test_parties_on_file_are_found_by_gln_and_by_name_whatever_the_case(db: None) -> None:
    azulejos, franklin = (
        register_party(name="AZULEJOS del Norte"),
        register_party(name="Franklin Imports", gln=FRANKLIN),
    )
    shipment = take_in(consignee=PartyNamed("franklin  imports", FRANKLIN))
    assert (shipment.consignor, shipment.consignee) == (azulejos, franklin)
    assert Party.objects.count() == 2


def test_a_gln_of_another_party_is_told_with_its_holder(db: None) -> None:
    register_party(name="Acme Maquila", gln=FRANKLIN)
    with pytest.raises(PartyRefused, match="belongs to Acme Maquila"):
        take_in()


def test_a_name_that_several_parties_have_needs_the_gln(db: None) -> None:
    for body in ("061414100005", "061414100006"):
        register_party(name="Azulejos del Norte", gln=gln(body))
    with pytest.raises(PartyRefused, match="several parties"):
        take_in()


@pytest.mark.parametrize("text", ["", "\n \n", "# nothing but a remark"])
def test_a_shipment_without_a_tag_is_not_taken(db: None, text: str) -> None:
    with pytest.raises(ManifestMissing):
        take_in(manifest=text)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"manifest": "ZZ"}, ManifestRefused),
        ({"units": "106141412345678900"}, ConsignmentRefused),
        ({"consignee": PartyNamed("Franklin Imports LLC", "123")}, PartyRefused),
        ({"reference": " "}, ConsignmentRefused),
    ],
)
def test_what_is_refused_leaves_nothing_behind(db: None, changes: dict, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        take_in(**changes)
    assert not Consignment.objects.exists()
    assert not Party.objects.exists()


def test_units_are_read_as_labels_spell_them(db: None) -> None:
    tag = "3114257BF4499602D2000000"
    shipment = take_in(units=f"(00) {SSCC[:9]} {SSCC[9:]}\r\n\r\n")
    assert [unit.sscc for unit in shipment.units.all()] == [SSCC]
    with pytest.raises(ConsignmentRefused, match="says SSCC"):
        take_in(reference="NLD-8", manifest=item_epc(9), units=f"106141410000000033,{tag}")
