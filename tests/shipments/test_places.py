import pytest

from shipments.models import Reader, ReadPoint, Site
from shipments.places import PlaceExists, PlaceRefused, create_read_point, create_reader, create_site

pytestmark = pytest.mark.django_db


def test_a_read_point_has_an_sgln(door) -> None:
    assert door.sgln == "urn:epc:id:sgln:0614141.12345.dock1"
    assert (door.site.gln, door.direction, str(door)) == ("0614141123452", "out", "LRD Dock 1")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"gln": "0614141123453"}, "check digit 3, expected 2"),
        ({"gln": "061414112345"}, "expected 13 digits"),
        ({"gln": "٠614141123452"}, "expected 13 digits"),
        ({"code": " "}, "no name or code"),
        ({"name": ""}, "no name or code"),
        ({"code": "X" * 17}, "more than 16 characters"),
        ({"name": "nul\x00"}, "cannot be printed"),
        ({"company_prefix_length": 5}, "6 to 12 digits"),
    ],
)
def test_a_site_that_cannot_be_saved_says_why(given, told) -> None:
    with pytest.raises(PlaceRefused) as refused:
        create_site(**{"code": "LRD", "name": "Laredo", "gln": "0614141123452", **given})
    assert told in refused.value.sentence
    assert Site.objects.count() == 0


def test_a_code_or_gln_names_one_site(door) -> None:
    with pytest.raises(PlaceExists):
        create_site(code="LRD", name="Again", gln="0614141543212")
    with pytest.raises(PlaceExists):
        create_site(code="XYZ", name="Again", gln=door.site.gln)


@pytest.mark.parametrize("given", [{"direction": "up"}, {"extension": ""}, {"extension": "a b"}, {"name": " "}])
def test_a_read_point_that_cannot_be_saved(door, given) -> None:
    with pytest.raises(PlaceRefused):
        create_read_point(**{"site": door.site, "name": "Dock 2", "direction": "in", "extension": "dock2", **given})
    assert ReadPoint.objects.count() == 1


def test_a_name_or_extension_names_one_read_point(door) -> None:
    for name, extension in (("Dock 1", "2"), ("Dock 2", "dock1")):
        with pytest.raises(PlaceExists):
            create_read_point(site=door.site, name=name, direction="in", extension=extension)


def test_a_reader_of_an_unknown_dialect_or_a_known_name(reader, door) -> None:
    with pytest.raises(PlaceRefused) as refused:
        create_reader(read_point=door, name="R2", dialect="klingon")
    assert "impinj, zebra, zebra_handheld, speedway, custody" in refused.value.sentence
    with pytest.raises(PlaceExists):
        create_reader(read_point=door, name=reader.name)
    assert Reader.objects.count() == 1
