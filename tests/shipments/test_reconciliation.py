"""The rule by which each expected item is seen, inferred or not seen, and how good the whole is as evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipments.reconciliation import Doubts, Inferred, Units, read_result, reconcile

# Boxes A and B in case C1, box C in case C2, both cases on pallet P; box D stands by itself.
PACKED = Units(of_item={"A": "C1", "B": "C1", "C": "C2"}, parents={"C1": "P", "C2": "P"})
MANIFEST = ["A", "B", "C", "D"]


def result(read: str = "", *, units: str = "", **more: object):
    return reconcile(manifest=MANIFEST, read=list(read), holders={}, units=PACKED, units_read=units.split(), **more)


def test_everything_read_is_direct() -> None:
    found = result("ABCD")
    assert (found.seen, found.inferred, found.not_seen, found.grade) == (list("ABCD"), [], [], "direct")


def test_what_was_not_read_is_inferred_by_the_nearest_unit_that_was() -> None:
    found = result("AD", units="C1 P")
    assert found.inferred == [Inferred("B", "C1"), Inferred("C", "P")]
    assert (found.seen, found.not_seen, found.grade) == (["A", "D"], [], "inferred")
    assert found.summary()["inferred_by"] == ["C1", "P"]


def test_what_lies_in_no_unit_is_not_inferred() -> None:
    found = result("", units="P")
    assert found.not_seen == ["D"]
    assert found.grade == "inconclusive"
    assert (found.expected, found.accounted, found.seen_now) == (4, 3, 3)


def test_a_case_does_not_vouch_for_the_pallet_or_its_neighbours() -> None:
    assert [item.epc_hex for item in result("", units="C1").inferred] == ["A", "B"]


def test_an_earlier_session_of_the_same_act_counts_for_units_too() -> None:
    found = result("ABD", units_read_earlier=["C2"])
    assert found.inferred == [Inferred("C", "C2")]
    assert found.seen_now == 3


@pytest.mark.parametrize("doubts", [Doubts(skewed=["A"]), Doubts(tid_mismatch=["A"])])
def test_a_doubtful_read_proves_nothing_by_itself(doubts: Doubts) -> None:
    assert result("ABCD", doubts=doubts).grade == "inconclusive"


def test_nothing_expected_and_nothing_read_is_no_evidence() -> None:
    assert reconcile(manifest=[], read=[], holders={}).grade == "inconclusive"


def test_weak_tags_are_told_and_not_dropped() -> None:
    found = result("ABC", doubts=Doubts(weak=["D", "X"]))
    assert (found.not_seen, found.weak, found.strays) == (["D"], ["D", "X"], [])
    assert found.summary()["weak"] == 2


def test_an_entry_lists_a_few_and_the_document_all() -> None:
    many = [f"{serial:04d}" for serial in range(300)]
    packed = Units(of_item={epc: f"C{epc}" for epc in many[100:]})
    found = reconcile(
        manifest=many,
        read=many[:100],
        holders={},
        units=packed,
        units_read=[f"C{epc}" for epc in many[100:]],
        doubts=Doubts(tid_mismatch=many[:50]),
    )
    summary = found.summary()
    assert (len(summary["inferred_by"]), summary["inferred"]) == (20, 200)
    assert (len(summary["tid_mismatch"]), summary["tid_mismatch_total"]) == (20, 50)
    document = found.document(units=[])
    assert (len(document["inferred"]), len(document["tid_mismatch"])) == (200, 50)


def test_what_does_not_apply_is_absent_from_the_summary() -> None:
    assert set(result("ABCD").summary()) == {
        "expected", "grade", "inferred", "not_seen", "seen", "unexpected", "unexpected_total", "skewed",
    }  # fmt: skip


def test_units_in_a_ring_hang_nothing() -> None:
    ring = Units(of_item={"A": "C1"}, parents={"C1": "C2", "C2": "C1"})
    found = reconcile(manifest=["A"], read=[], holders={}, units=ring, units_read=["P"])
    assert found.not_seen == ["A"]


def test_a_document_of_the_version_before_is_still_read() -> None:
    old = {
        "expected": 2, "grade": "inconclusive", "not_seen": ["B"], "seen": ["A"], "skewed": [], "sscc": [],
        "unexpected": [{"epc": "X", "shipment": "LRD-1043"}, {"epc": "Y"}],
    }  # fmt: skip
    found = read_result(old)
    assert (found.seen, found.not_seen, found.inferred, found.grade) == (["A"], ["B"], [], "inconclusive")
    assert [(stray.epc_hex, stray.shipment) for stray in found.strays] == [("X", "LRD-1043"), ("Y", None)]


items = st.sets(st.sampled_from("ABCDEF"))
codes = st.sets(st.sampled_from(["C1", "C2", "P"]))


@given(manifest=items, read=items, earlier=items, units=codes, weak=items, skewed=items, gaps=st.integers(0, 2))
def test_each_expected_item_is_in_exactly_one_class(manifest, read, earlier, units, weak, skewed, gaps) -> None:
    found = reconcile(
        manifest=manifest,
        read=read,
        read_earlier=earlier,
        holders={},
        units=PACKED,
        units_read=units,
        doubts=Doubts(weak=weak, skewed=skewed, gaps=gaps),
    )
    classes = [*found.seen, *(item.epc_hex for item in found.inferred), *found.not_seen]
    assert sorted(classes) == sorted(manifest)
    assert {stray.epc_hex for stray in found.strays} == read - manifest
    # Nothing that was read or heard is left out.
    told = {*classes, *found.weak, *(stray.epc_hex for stray in found.strays)}
    assert read | weak <= told | (weak & earlier)
    assert (found.grade == "direct") == (bool(manifest) and manifest <= read | earlier and not skewed & manifest)
    if found.grade == "inferred":
        assert found.inferred
        assert not found.not_seen
    assert read_result(found.document(units=[])).document(units=[]) == found.document(units=[])
