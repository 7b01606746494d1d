"""Units that nest: packed, unpacked, tied to their tags; never in themselves, never in another shipment."""

import json
import threading
import uuid

import pytest
from django.db import connection

from ledger import attachments
from ledger.models import Statement
from refusals import Refusal
from shipments import units
from shipments.actors import Actor
from shipments.consignments import (
    ConsignmentRefused,
    ManifestLine,
    ManifestRefused,
    Unit,
    close_consignment,
    create_consignment,
    parse_manifest,
    register_party,
)
from shipments.epc import grai_to_epc_hex, sscc_plus_to_epc_hex, sscc_to_epc_hex
from shipments.finding import find_shipment, which_shipments_hold
from shipments.models import Consignment, LogisticUnit, ManifestItem
from tests.shipments.conftest import SSCC, item_epc, sscc

GRAI = "00614141123452CRATE7"
OTHER_GRAI = "00614141123452CRATE8"
BIC = "CSQU3054383"
TID, OTHER_TID = "E280116020006411B8A10A44", "E280116020006411B8A10A45"


@pytest.fixture
def actor(operator) -> Actor:
    return Actor(operator, uuid.uuid4())


@pytest.fixture
def pallet(shipment: Consignment) -> LogisticUnit:
    return shipment.units.get()


@pytest.fixture
def crate(shipment: Consignment) -> LogisticUnit:
    return units.register_unit(consignment=shipment, unit=Unit(grai=GRAI))


@pytest.fixture
def container(shipment: Consignment) -> LogisticUnit:
    return units.register_unit(consignment=shipment, unit=Unit(bic=BIC))


def refused(code: str, **asked):
    act = asked.pop("act", units.pack)
    with pytest.raises(Refusal) as refusal:
        act(**asked)
    assert refusal.value.code == code, refusal.value.sentence
    return refusal.value.sentence


def bodies(shipment: Consignment) -> list[dict]:
    made = Statement.objects.filter(kind="unit_packed", subject=shipment.pk.urn).order_by("pk")
    return [json.loads(bytes(statement.body)) for statement in made]


def fresh(row):
    row.refresh_from_db()
    return row


def test_goods_go_into_a_crate_the_crate_on_a_pallet_and_each_act_is_an_entry(
    shipment, pallet, crate, actor, door
) -> None:
    units.pack(unit=crate, contents=[item_epc(1), item_epc(2).lower()], actor=actor, read_point=door)
    units.pack(unit=pallet, contents=[f"(8003){GRAI}"], actor=actor)

    item = shipment.manifest.get(epc_hex=item_epc(1))
    assert [unit.code for unit in units.carriers_of([item])[item.pk]] == [GRAI, SSCC]
    assert units.units_within(pallet) == [crate]
    first, second = bodies(shipment)
    assert first["act"] == "packed"
    assert first["unit"] == {"grai": GRAI}
    assert first["goods"] == {"reference": "LRD-1042", "ucr": "6US0614141LRD1042"}
    assert first["children"] == {"epcs": [item_epc(1), item_epc(2)], "total": 2, "units": [], "unit_kinds": []}
    assert first["where"] == {"read_point": door.sgln, "site": door.site.gln}
    assert first["by"] == {"person": actor.person.urn, "operator": actor.account.pk.urn}
    assert second["children"] == {"epcs": [], "total": 1, "units": [GRAI], "unit_kinds": ["grai"]}
    assert "where" not in second


def test_what_was_unpacked_stands_in_nothing(shipment, pallet, crate, actor) -> None:
    units.pack(unit=crate, contents=[item_epc(1), item_epc(2)], actor=actor)
    units.pack(unit=pallet, contents=[f"8003{GRAI}", item_epc(3)], actor=actor)
    units.unpack(unit=crate, contents=[item_epc(2)], actor=actor)
    assert set(crate.items.values_list("epc_hex", flat=True)) == {item_epc(1)}
    units.unpack(unit=pallet, actor=actor)
    assert fresh(crate).parent is None
    assert not pallet.items.exists()
    assert crate.items.count() == 1
    assert bodies(shipment)[-1]["act"] == "unpacked"
    assert bodies(shipment)[-1]["children"] == {
        "epcs": [item_epc(3)],
        "total": 2,
        "units": [GRAI],
        "unit_kinds": ["grai"],
    }
    refused("nothing_to_unpack", act=units.unpack, unit=pallet, actor=actor)
    refused("not_in_unit", act=units.unpack, unit=pallet, contents=[item_epc(1)], actor=actor)


def test_an_unknown_tag_is_refused_by_its_number_and_nothing_is_packed(shipment, pallet, actor) -> None:
    sentence = refused("content_unknown", unit=pallet, contents=[item_epc(1), item_epc(777)], actor=actor)
    assert item_epc(777) in sentence
    assert not ManifestItem.objects.filter(epc_hex=item_epc(777)).exists()
    assert not pallet.items.exists()
    assert bodies(shipment) == []
    refused("content_unknown", unit=pallet, contents=["no code at all"], actor=actor)
    refused("content_unknown", unit=pallet, contents=["3000" + item_epc(1)], actor=actor)


def test_goods_and_units_of_another_shipment_stay_out(shipment, pallet, actor) -> None:
    other = _shipment("LRD-1043", [item_epc(50)], [Unit(sscc=sscc(77))])
    for scanned in (item_epc(50), sscc(77)):
        sentence = refused("wrong_consignment", unit=pallet, contents=[scanned], actor=actor)
        assert "LRD-1043" in sentence
    assert other.units.get().parent is None


def test_what_a_scanner_adds_to_a_label_does_not_matter(shipment, pallet, crate, container, actor) -> None:
    units.pack(unit=container, contents=[f"]C100{SSCC}\x1d", f"]C18003{GRAI}\r"], actor=actor)
    assert {unit.code for unit in units.units_within(container)} == {SSCC, GRAI}


def test_a_unit_is_never_in_itself_at_any_depth(shipment, pallet, crate, container, actor) -> None:
    refused("unit_in_itself", unit=pallet, contents=[SSCC], actor=actor)
    units.pack(unit=container, contents=[SSCC], actor=actor)
    units.pack(unit=pallet, contents=[f"8003{GRAI}"], actor=actor)
    refused("unit_in_itself", unit=crate, contents=[BIC], actor=actor)
    refused("unit_in_itself", unit=pallet, contents=[BIC], actor=actor)
    refused("unit_in_itself", unit=crate, contents=[SSCC], actor=actor)


def test_units_nest_to_a_bounded_depth(shipment, pallet, actor) -> None:
    chain = [pallet]
    for number in range(units.MAX_DEPTH - 1):
        inner = units.register_unit(consignment=shipment, unit=Unit(sscc=sscc(number)))
        units.pack(unit=chain[-1], contents=[inner.sscc], actor=actor)
        chain.append(inner)
    too_deep = units.register_unit(consignment=shipment, unit=Unit(sscc=sscc(99)))
    refused("unit_too_deep", unit=chain[-1], contents=[too_deep.sscc], actor=actor)
    # Whatever holds something already goes in whole, and counts whole.
    units.pack(unit=too_deep, contents=[item_epc(1)], actor=actor)
    outer = units.register_unit(consignment=shipment, unit=Unit(sscc=sscc(100)))
    refused("unit_too_deep", unit=outer, contents=[pallet.sscc], actor=actor)
    assert len(units.carriers_of([_put(chain[-1], actor)]).popitem()[1]) == units.MAX_DEPTH


def _put(unit: LogisticUnit, actor: Actor) -> ManifestItem:
    units.pack(unit=unit, contents=[item_epc(5)], actor=actor)
    return ManifestItem.objects.get(epc_hex=item_epc(5))


def test_what_is_in_a_unit_is_unpacked_there_first(shipment, pallet, crate, actor) -> None:
    units.pack(unit=crate, contents=[item_epc(1)], actor=actor)
    assert GRAI in refused("packed_elsewhere", unit=pallet, contents=[item_epc(1)], actor=actor)
    # The same scan again changes nothing, and is told.
    refused("nothing_to_pack", unit=crate, contents=[item_epc(1)], actor=actor)
    refused("nothing_to_pack", unit=crate, contents=[], actor=actor)
    assert units.pack(unit=crate, contents=[item_epc(1), item_epc(2)], actor=actor) == [
        shipment.manifest.get(epc_hex=item_epc(2))
    ]


def test_a_closed_shipment_is_not_packed_any_more(shipment, pallet, actor) -> None:
    close_consignment(consignment=shipment)
    refused("shipment_closed", unit=pallet, contents=[item_epc(1)], actor=actor)
    refused("shipment_closed", act=units.unpack, unit=pallet, actor=actor)
    refused("shipment_closed", act=units.register_unit, consignment=shipment, unit=Unit(grai=GRAI))
    refused("shipment_closed", act=units.bind_tag, consignment=shipment, epc=item_epc(1), tid=TID)


def test_a_crate_and_a_container_travel_again_and_an_sscc_does_not(shipment, crate, container) -> None:
    refused("unit_exists", act=units.register_unit, consignment=shipment, unit=Unit(grai=GRAI))
    close_consignment(consignment=shipment)
    later = _shipment("LRD-2000", [], [Unit(grai=GRAI), Unit(bic=BIC)])
    assert find_shipment(code=f"https://id.gs1.org/8003/{GRAI}") == later
    assert find_shipment(code="CSQU 305438-3") == later
    sentence = refused("unit_exists", act=units.register_unit, consignment=later, unit=Unit(sscc=SSCC))
    assert "LRD-1042" in sentence


def test_more_than_an_entry_lists_goes_into_an_attachment(operator, actor) -> None:
    many = [item_epc(serial) for serial in range(1000, 1150)]
    shipment = _shipment("LRD-3000", many, [Unit(bic=BIC)])
    units.pack(unit=shipment.units.get(), contents=many, actor=actor)
    [body] = bodies(shipment)
    assert len(body["children"]["epcs"]) == units.LISTED
    assert body["children"]["total"] == 150
    assert json.loads(attachments.load(body["children"]["document"])) == {
        "epcs": sorted(many),
        "units": [],
        "unit_kinds": [],
    }


@pytest.mark.parametrize(
    "unit", [Unit(), Unit(sscc="106141412345678909"), Unit(grai="00614141123452"), Unit(bic="CSQU3054384")]
)
def test_a_unit_without_a_code_that_holds_is_refused(shipment, unit) -> None:
    with pytest.raises(ConsignmentRefused):
        units.register_unit(consignment=shipment, unit=unit)


# Tags ---------------------------------------------------------------------------------------------------------------


def test_a_chip_is_tied_to_its_tag_and_a_copy_is_told(shipment, operator) -> None:
    units.bind_tag(consignment=shipment, epc=item_epc(1), tid=TID.lower())
    assert shipment.manifest.get(epc_hex=item_epc(1)).tid == TID
    assert units.check_tid(epc=item_epc(1), tid=TID.lower()).state == "match"
    copy = units.check_tid(epc=item_epc(1), tid=OTHER_TID)
    assert (copy.state, copy.bound, copy.read) == ("mismatch", TID, OTHER_TID)
    assert units.check_tid(epc=item_epc(2), tid=TID).state == "unbound"
    assert units.check_tid(epc=item_epc(1), tid="").state == "unbound"
    units.bind_tag(consignment=shipment, epc=item_epc(1), tid=TID)
    sentence = refused("tid_mismatch", act=units.bind_tag, consignment=shipment, epc=item_epc(1), tid=OTHER_TID)
    assert TID in sentence
    refused("tid_malformed", act=units.bind_tag, consignment=shipment, epc=item_epc(2), tid="E2 80 1G")
    refused("tid_malformed", act=units.bind_tag, consignment=shipment, epc=item_epc(2), tid="E280")
    refused("content_unknown", act=units.bind_tag, consignment=shipment, epc=item_epc(777), tid=TID)


def test_chips_are_checked_for_many_tags_at_once(shipment, crate) -> None:
    tag = grai_to_epc_hex(GRAI, 7)
    units.bind_tag(consignment=shipment, unit=crate, epc=tag, tid=TID)
    checks = units.check_tids({tag: OTHER_TID, item_epc(1): TID})
    assert {epc: check.state for epc, check in checks.items()} == {tag: "mismatch", item_epc(1): "unbound"}


def test_a_unit_gets_a_tag_that_fits_it(shipment, pallet, crate) -> None:
    other_tag = grai_to_epc_hex(OTHER_GRAI, 7)
    refused("tag_unfit", act=units.bind_tag, consignment=shipment, unit=crate, epc=other_tag)
    refused("tag_taken", act=units.bind_tag, consignment=shipment, unit=crate, epc=item_epc(1))
    refused("unit_tagged", act=units.bind_tag, consignment=shipment, unit=pallet, epc=sscc_plus_to_epc_hex(SSCC))
    refused("tag_unfit", act=units.bind_tag, consignment=shipment, unit=crate, epc="3000" + item_epc(99))
    units.bind_tag(consignment=shipment, unit=crate, epc="E2801160600002084E1D2B7C", tid=TID)
    assert (fresh(crate).epc_hex, crate.tid) == ("E2801160600002084E1D2B7C", TID)
    other = _shipment("LRD-1043", [], [Unit(sscc=sscc(77))])
    refused(
        "unit_of_another_shipment", act=units.bind_tag, consignment=shipment, unit=other.units.get(), epc=item_epc(9)
    )


# Finding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        sscc_plus_to_epc_hex(SSCC),
        sscc_to_epc_hex(SSCC, 9),
        f"https://id.gs1.org/00/{SSCC}",
        f"https://acme.example/p/00/{SSCC}?37=4",
        f"(8003){GRAI}",
        f"https://id.gs1.org/8003/{GRAI}",
        grai_to_epc_hex(GRAI, 7),
        BIC,
        "csqu 305438-3",
        "urn:epc:id:bic:CSQU3054383",
        "https://id.gs1.org/01/80614141123458/21/3",
        "(01)80614141123458(21)3",
    ],
)
def test_every_code_of_a_unit_or_of_the_goods_leads_to_the_shipment(shipment, crate, container, code) -> None:
    assert find_shipment(code=code) == shipment


def test_tags_in_either_scheme_are_held_by_the_units_shipment(shipment, crate) -> None:
    tags = [sscc_plus_to_epc_hex(SSCC), sscc_to_epc_hex(SSCC, 8), grai_to_epc_hex(GRAI, 8)]
    foreign = [sscc_plus_to_epc_hex(sscc(5)), item_epc(900), "E2801160600002084E1D2B7C"]
    # A unit without an SSCC must not answer for every tag that has none.
    units.bind_tag(consignment=shipment, unit=crate, epc="E2801160600002084E1D2B7D")
    holders = which_shipments_hold([*tags, *foreign])
    assert holders == dict.fromkeys(tags, shipment)


def test_a_manifest_names_its_units_by_any_code(operator) -> None:
    lines = parse_manifest(
        f"epc,description,unit\n{item_epc(70)},A,{GRAI}\n{item_epc(71)},B,csqu 305438-3\n{item_epc(72)},C,(00){SSCC}\n"
    )
    made = _shipment("LRD-4000", lines, [Unit(grai=GRAI), Unit(bic=BIC), Unit(sscc=SSCC)])
    held = {item.epc_hex: item.logistic_unit.code for item in made.manifest.select_related("logistic_unit")}
    assert held == {item_epc(70): GRAI, item_epc(71): BIC, item_epc(72): SSCC}
    with pytest.raises(ManifestRefused) as refusal:
        _shipment("LRD-4001", [ManifestLine(epc=item_epc(80), unit=OTHER_GRAI)], [])
    assert [line.code for line in refusal.value.lines] == ["unit_unknown"]


def _shipment(reference: str, lines, held) -> Consignment:
    return create_consignment(
        reference=reference,
        consignor=register_party(name=f"From {reference}"),
        consignee=register_party(name=f"To {reference}"),
        description="Goods",
        manifest=[line if isinstance(line, ManifestLine) else ManifestLine(epc=line) for line in lines],
        units=held,
    )


# At once ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_packings_at_once_make_no_circle(shipment, pallet, actor) -> None:
    crate = units.register_unit(consignment=shipment, unit=Unit(grai=GRAI))
    together, told = threading.Barrier(2, timeout=20), []

    def put(unit: LogisticUnit, content: str) -> None:
        try:
            together.wait()
            units.pack(unit=unit, contents=[content], actor=actor)
            told.append("packed")
        except Refusal as refusal:
            told.append(refusal.code)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=put, args=(pallet, f"8003{GRAI}")),
        threading.Thread(target=put, args=(crate, SSCC)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(told) == ["packed", "unit_in_itself"]
    assert sum(unit.parent_id is not None for unit in shipment.units.all()) == 1
    assert len(bodies(shipment)) == 1
