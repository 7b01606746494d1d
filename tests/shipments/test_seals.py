"""Seals: what may follow what, who did it, and what the ledger says of it."""

import json
import threading
import uuid
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.models import Statement
from refusals import Refusal
from shipments import units
from shipments.actors import Actor
from shipments.consignments import Unit, close_consignment, create_consignment, register_party
from shipments.models import Consignment, LogisticUnit, Seal, SealEvent
from shipments.seals import (
    Act,
    NewSeal,
    affix_seal,
    break_seal,
    check_seal,
    replace_seal,
    seals_in_force,
    seals_part,
)
from tests.shipments.conftest import SSCC, item_epc, sscc

NUMBER = "MX-558201"


@pytest.fixture
def act(operator) -> Act:
    return Act(Actor(operator, uuid.uuid4()))


@pytest.fixture
def pallet(shipment: Consignment) -> LogisticUnit:
    return shipment.units.get()


@pytest.fixture
def seal(pallet, act) -> Seal:
    return affix_seal(unit=pallet, seal=NewSeal(NUMBER, "H", "Aduana de Juárez"), act=act)


def code_of(doing, **asked) -> str:
    with pytest.raises(Refusal) as refusal:
        doing(**asked)
    refusal.value.sentence.encode()
    return refusal.value.code


def bodies(shipment: Consignment) -> list[tuple[str, dict]]:
    made = Statement.objects.filter(subject=shipment.pk.urn).order_by("pk")
    return [(statement.kind, json.loads(bytes(statement.body))) for statement in made]


def test_a_seal_is_put_on_checked_and_broken_and_each_act_is_an_entry(shipment, pallet, operator, door) -> None:
    person = uuid.uuid4()
    at = datetime(2026, 11, 22, 14, 5, 9, tzinfo=UTC)
    act = Act(Actor(operator, person), read_point=door, acted_at=at, note="ab" * 32)
    seal = affix_seal(unit=pallet, seal=NewSeal(" mx-558 201", "H", "Aduana de  Juárez"), act=act)
    assert (seal.number, seal.state) == (NUMBER, "intact")
    check_seal(seal=seal, finding="intact", act=act)
    break_seal(seal=seal, reason="customs_inspection", act=act)

    (kind, applied), (_, checked), (_, broken) = bodies(shipment)
    assert kind == "seal_applied"
    assert applied == {
        "act": "affixed",
        "seal": {"number": NUMBER, "class": "H", "issuer": "Aduana de Juárez"},
        "unit": {"sscc": SSCC},
        "state": "intact",
        "goods": {"reference": "LRD-1042", "ucr": "6US0614141LRD1042"},
        "where": {"site": door.site.gln, "read_point": door.sgln},
        "when": {"acted_at": "2026-11-22T14:05:09.000Z"},
        "by": {"person": person.urn, "operator": operator.pk.urn},
        "note": "ab" * 32,
    }
    assert (checked["act"], checked["state"]) == ("checked", "intact")
    assert (broken["act"], broken["state"], broken["reason"]) == ("broken", "broken", "customs_inspection")
    assert [kind for kind, _ in bodies(shipment)] == ["seal_applied", "seal_checked", "seal_broken"]
    assert [(event.act, event.person) for event in seal.events.all()] == [
        ("affixed", person),
        ("checked", person),
        ("broken", person),
    ]


def test_another_number_is_kept_as_it_was_read(shipment, seal, act) -> None:
    check_seal(seal=seal, finding="number_differs", found_number="mx-558301", act=act)
    assert bodies(shipment)[-1][1]["found_number"] == "MX-558301"
    assert seal.events.last().found_number == "MX-558301"
    assert code_of(check_seal, seal=seal, finding="number_differs", found_number="", act=act) == "seal_refused"
    assert code_of(check_seal, seal=seal, finding="number_differs", found_number=NUMBER, act=act) == "seal_refused"
    # The number may have been misread: a second look may find the seal's own.
    assert check_seal(seal=seal, finding="intact", act=act).state == "intact"


@pytest.mark.parametrize("found", ["tampered", "missing"])
def test_a_seal_found_tampered_with_or_gone_is_not_intact_again(seal, act, found) -> None:
    check_seal(seal=seal, finding=found, act=act)
    assert code_of(check_seal, seal=seal, finding="intact", act=act) == "seal_found_otherwise"
    # Nor by way of another finding.
    check_seal(seal=seal, finding="number_differs", found_number="X1", act=act)
    assert code_of(check_seal, seal=seal, finding="intact", act=act) == "seal_found_otherwise"
    assert SealEvent.objects.filter(seal=seal).count() == 3


def test_a_broken_seal_is_neither_checked_nor_broken_again(seal, act) -> None:
    break_seal(seal=seal, reason="loading", act=act)
    for finding in ("intact", "tampered", "missing"):
        assert code_of(check_seal, seal=seal, finding=finding, act=act) == "seal_not_in_force"
    assert code_of(break_seal, seal=seal, reason="loading", act=act) == "seal_not_in_force"
    new = NewSeal("MX-1", "H")
    assert code_of(replace_seal, seal=seal, by=new, reason="damaged", act=act) == "seal_not_in_force"


def test_a_replacement_is_one_entry_that_names_both(shipment, seal, act, settings) -> None:
    new = replace_seal(seal=seal, by=NewSeal("MX-558999", "S"), reason="damaged", act=act)
    kind, body = bodies(shipment)[-1]
    assert kind == "seal_replaced"
    assert body["act"] == "replaced"
    assert body["seal"] == {"number": "MX-558999", "class": "S"}
    assert body["replaces"]["number"] == NUMBER
    assert body["reason"] == "damaged"
    assert len(bodies(shipment)) == 2
    old = Seal.objects.get(pk=seal.pk)
    assert (old.state, new.replaces, list(seals_in_force(shipment))) == ("broken", old, [new])
    assert old.events.last().statement == new.events.get().statement
    assert code_of(replace_seal, seal=new, by=NewSeal("MX-558999", "S"), reason="damaged", act=act) == "seal_refused"


def test_a_number_is_in_force_once(shipment, seal, pallet, act) -> None:
    assert code_of(affix_seal, unit=pallet, seal=NewSeal("mx-558201", "I"), act=act) == "seal_number_taken"
    break_seal(seal=seal, reason="delivery", act=act)
    assert affix_seal(unit=pallet, seal=NewSeal(NUMBER, "I"), act=act).state == "intact"
    with pytest.raises(IntegrityError), transaction.atomic():
        Seal.objects.filter(pk=seal.pk).update(ended_at=None, state="intact")


@pytest.mark.parametrize(
    ("number", "seal_class", "issuer"),
    [
        ("", "H", ""),
        ("x" * 33, "H", ""),
        ("MX 55é", "H", ""),
        ("-1", "H", ""),
        ("MX-1", "X", ""),
        ("MX-1", "H", "x" * 61),
    ],
)
def test_a_seal_that_cannot_be_one_is_refused(pallet, act, number, seal_class, issuer) -> None:
    assert code_of(affix_seal, unit=pallet, seal=NewSeal(number, seal_class, issuer), act=act) == "seal_refused"
    assert not Seal.objects.exists()


def test_a_reason_is_one_of_the_list(seal, act) -> None:
    assert code_of(break_seal, seal=seal, reason="", act=act) == "seal_reason_missing"
    assert code_of(break_seal, seal=seal, reason="because", act=act) == "seal_reason_missing"
    assert code_of(check_seal, seal=seal, finding="fine", act=act) == "seal_finding_unknown"


def test_a_seal_belongs_to_a_unit_of_the_shipment_that_was_named(shipment, act) -> None:
    other = create_consignment(
        reference="LRD-1043",
        consignor=register_party(name="A"),
        consignee=register_party(name="B"),
        description="Goods",
        manifest=[],
        units=[Unit(sscc=sscc(77))],
    )
    asked = {"unit": other.units.get(), "seal": NewSeal("MX-1", "H"), "act": act, "consignment": shipment}
    assert code_of(affix_seal, **asked) == "unit_of_another_shipment"


def test_a_sealed_unit_is_not_packed_until_its_seal_is_broken(shipment, pallet, seal, act) -> None:
    inner = units.register_unit(consignment=shipment, unit=Unit(sscc=sscc(1)))
    asked = {"unit": pallet, "contents": [inner.sscc], "actor": act.actor}
    assert code_of(units.pack, **asked) == "unit_sealed"
    break_seal(seal=seal, reason="loading", act=act)
    units.pack(**asked)
    affix_seal(unit=pallet, seal=NewSeal("MX-2", "H"), act=act)
    # What stands in a sealed container is closed too.
    assert code_of(units.pack, unit=inner, contents=[item_epc(1)], actor=act.actor) == "unit_sealed"
    assert code_of(units.unpack, unit=pallet, actor=act.actor) == "unit_sealed"


def test_a_container_is_opened_after_it_has_arrived_and_not_sealed_again(shipment, pallet, seal, act) -> None:
    close_consignment(consignment=shipment)
    check_seal(seal=seal, finding="intact", act=act)
    assert code_of(replace_seal, seal=seal, by=NewSeal("MX-3", "H"), reason="damaged", act=act) == "shipment_closed"
    break_seal(seal=seal, reason="delivery", act=act)
    assert code_of(affix_seal, unit=pallet, seal=NewSeal("MX-3", "H"), act=act) == "shipment_closed"


def test_the_part_for_a_handoff_names_the_seals_in_force(shipment, pallet, act) -> None:
    assert seals_part(shipment) == {}
    seal = affix_seal(unit=pallet, seal=NewSeal(NUMBER, "H"), act=act)
    assert seals_part(shipment) == {"seals": [{"number": NUMBER, "class": "H", "state": "intact"}]}
    check_seal(seal=seal, finding="tampered", act=act)
    assert seals_part(shipment)["seals"][0]["state"] == "tampered"
    break_seal(seal=seal, reason="tampered", act=act)
    assert seals_part(shipment) == {}


ACTS = st.lists(
    st.sampled_from(["affix", "intact", "tampered", "missing", "number_differs", "break", "replace"]), max_size=7
)


@pytest.mark.django_db
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTS)
def test_whatever_is_tried_rows_and_entries_tell_the_same_story(shipment, pallet, act, tried) -> None:
    with transaction.atomic():
        seal, numbers = None, iter(range(1, 100))
        before = Statement.objects.count()
        done, refused = 0, set()
        for doing in tried:
            try:
                with transaction.atomic():
                    if doing == "affix" or seal is None:
                        seal = affix_seal(unit=pallet, seal=NewSeal(f"S{next(numbers)}", "S"), act=act)
                    elif doing == "break":
                        break_seal(seal=seal, reason="loading", act=act)
                    elif doing == "replace":
                        new = NewSeal(f"S{next(numbers)}", "S")
                        seal = replace_seal(seal=seal, by=new, reason="damaged", act=act)
                    else:
                        check_seal(seal=seal, finding=doing, found_number="S99X", act=act)
                    done += 1
            except Refusal as refusal:
                refused.add(refusal.code)
        assert refused <= {"seal_not_in_force", "seal_found_otherwise"}
        assert Statement.objects.count() - before == done
        for row in Seal.objects.all():
            events = list(row.events.all())
            assert events[0].act in ("affixed", "replaced")
            assert [event.act for event in events].count("broken") == (row.state == "broken")
            # After it was seen tampered with or gone, nobody finds it intact.
            states = [event.state for event in events]
            for place, state in enumerate(states):
                assert state not in ("tampered", "missing") or "intact" not in states[place:]
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_break_one_seal_one_does(shipment, pallet, operator) -> None:
    seal = affix_seal(unit=pallet, seal=NewSeal(NUMBER, "H"), act=Act(Actor(operator, uuid.uuid4())))
    together, told = threading.Barrier(2, timeout=20), []

    def do() -> None:
        try:
            together.wait()
            break_seal(seal=seal, reason="loading", act=Act(Actor(operator, uuid.uuid4())))
            told.append("broken")
        except Refusal as refusal:
            told.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=do) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(told) == ["broken", "seal_not_in_force"]
    assert [kind for kind, _ in bodies(shipment)] == ["seal_applied", "seal_broken"]
