"""The index of subjects: who stands in it with how many entries, who does not, and no way to claim otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import merkle
from ledger.tlog.entry import ZERO_HASH, Entry
from ledger.tlog.errors import EpochMalformed, ProofNotVerified
from ledger.tlog.index_epoch import (
    KIND,
    EpochLeaf,
    SubjectHead,
    epoch_body,
    read_epoch,
    subject_hash,
    verify_absent,
    verify_present,
)
from ledger.tlog.merkle import leaf_hash


def heads_of(count: int) -> dict[str, SubjectHead]:
    """Make ``count`` subjects' heads, in the order of the tree."""
    made = {
        name: SubjectHead.of(name, number + 1, leaf_hash(name.encode()))
        for number, name in enumerate(f"urn:uuid:{n}" for n in range(count))
    }
    return dict(sorted(made.items(), key=lambda item: item[1]))


class Epoch:
    def __init__(self, count: int) -> None:
        self.heads = heads_of(count)
        self.names = list(self.heads)
        self.leaves = [leaf_hash(head.encode()) for head in self.heads.values()]
        self.root, self.subjects = merkle.root(self.leaves), count

    def leaf(self, place: int) -> EpochLeaf:
        head = self.heads[self.names[place]]
        return EpochLeaf(place, head, tuple(merkle.inclusion_proof(self.leaves, place)))

    def present(self, name: str, leaf: EpochLeaf) -> SubjectHead:
        return verify_present(name, leaf, root=self.root, subjects=self.subjects)

    def absent(self, name: str, *places: int) -> None:
        verify_absent(name, [self.leaf(place) for place in places], root=self.root, subjects=self.subjects)

    def gap(self, name: str) -> list[int]:
        """The places on both sides of where ``name`` would stand."""
        before = sum(head.subject < subject_hash(name) for head in self.heads.values())
        return [place for place in (before - 1, before) if 0 <= place < self.subjects]


EPOCH = Epoch(23)


def entry(**body: object) -> Entry:
    return Entry("example.org/log", 9, KIND, "urn:uuid:", 0, ZERO_HASH, ZERO_HASH, "2026-11-22T14:05:09.123Z", body)


@pytest.mark.parametrize("count", [1, 2, 3, 23, 256, 257])
def test_the_body_is_the_root_over_the_sorted_leaves(count):
    epoch = Epoch(count)
    body = epoch_body(epoch.heads.values())
    assert body == {"root": epoch.root.hex(), "subjects": count}
    assert read_epoch(entry(**body)) == (epoch.root, count)


def test_a_leaf_is_the_hash_of_the_subject_its_count_and_its_head():
    head = SubjectHead.of("urn:uuid:x", 258, bytes(range(32)))
    assert head.encode() == subject_hash("urn:uuid:x") + b"\0\0\0\0\0\0\x01\x02" + bytes(range(32))
    assert SubjectHead.decode(head.encode()) == head


def test_leaves_out_of_order_or_twice_make_no_body():
    heads = list(EPOCH.heads.values())
    for bad in (heads[::-1], [heads[0], heads[0]], [*heads[:5], heads[2]]):
        with pytest.raises(EpochMalformed, match="ascending"):
            epoch_body(bad)


@pytest.mark.parametrize("length", [0, 71, 73])
def test_a_leaf_of_another_length_is_none(length):
    with pytest.raises(EpochMalformed, match="72 bytes"):
        SubjectHead.decode(bytes(length))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"root": "00" * 32},
        {"root": "00" * 32, "subjects": 1, "more": 1},
        {"root": "00" * 31, "subjects": 1},
        {"root": "AB" * 32, "subjects": 1},
        {"root": "0x" + "00" * 31, "subjects": 1},
        {"root": 5, "subjects": 1},
        {"root": "00" * 32, "subjects": 0},
        {"root": "00" * 32, "subjects": -1},
        {"root": "00" * 32, "subjects": True},
        {"root": "00" * 32, "subjects": "1"},
    ],
)
def test_another_body_is_no_epoch(body):
    with pytest.raises(EpochMalformed):
        read_epoch(entry(**body))


@pytest.mark.parametrize("place", range(23))
def test_every_subject_is_shown_to_be_present(place):
    name = EPOCH.names[place]
    assert EPOCH.present(name, EPOCH.leaf(place)) == EPOCH.heads[name]


@pytest.mark.parametrize("place", [0, 1, 11, 22])
def test_a_presence_with_another_count_head_place_or_path_is_refused(place):
    name, leaf = EPOCH.names[place], EPOCH.leaf(place)
    for forged in (
        replace(leaf, head=replace(leaf.head, count=leaf.head.count + 1)),
        replace(leaf, head=replace(leaf.head, head=bytes(32))),
        replace(leaf, place=(place + 1) % 23),
        replace(leaf, place=-1),
        replace(leaf, place=23),
        replace(leaf, path=leaf.path[:-1]),
        replace(leaf, path=(*leaf.path, bytes(32))),
        replace(leaf, path=(bytes(32), *leaf.path[1:])),
    ):
        with pytest.raises(ProofNotVerified):
            EPOCH.present(name, forged)
    with pytest.raises(EpochMalformed, match="subject"):
        EPOCH.present("urn:uuid:another", leaf)


@given(st.integers(1, 40), st.integers(0, 10**6))
@settings(deadline=None)
def test_every_stranger_is_shown_to_be_absent(count, number):
    epoch, name = Epoch(count), f"urn:uuid:stranger {number}"
    epoch.absent(name, *epoch.gap(name))


@given(st.integers(1, 24), st.data())
@settings(deadline=None)
def test_no_neighbours_show_that_a_subject_that_is_there_is_not(count, data):
    epoch = Epoch(count)
    name = data.draw(st.sampled_from(epoch.names))
    places = data.draw(st.lists(st.integers(0, count - 1), max_size=3))
    with pytest.raises(EpochMalformed):
        epoch.absent(name, *places)


@given(st.integers(2, 40), st.integers(0, 10**6), st.data())
@settings(deadline=None)
def test_only_the_two_beside_it_show_an_absence(count, number, data):
    epoch, name = Epoch(count), f"urn:uuid:stranger {number}"
    places = data.draw(st.lists(st.integers(0, count - 1), max_size=3))
    if sorted(places) == epoch.gap(name):
        epoch.absent(name, *places)
    else:
        with pytest.raises(EpochMalformed):
            epoch.absent(name, *places)


def test_an_absence_needs_paths_that_verify():
    name = "urn:uuid:stranger"
    first, second = (EPOCH.leaf(place) for place in EPOCH.gap(name))
    moved = replace(second, head=replace(second.head, count=99))
    with pytest.raises(ProofNotVerified):
        verify_absent(name, [first, moved], root=EPOCH.root, subjects=23)


def test_one_leaf_cannot_be_cut_into_another_subject():
    """
    A leaf's 72 bytes, cut elsewhere, would read as a subject just before the real one, under the same leaf hash: the
    subject itself and its right neighbour would then show that it is absent.
    """
    place = 11
    name, leaf, after = EPOCH.names[place], EPOCH.leaf(place), EPOCH.leaf(place + 1)
    data = leaf.head.encode()
    # The right neighbour would do the rest: verify_absent() would find the two side by side.
    assert subject_hash(name)[:31] < subject_hash(name) < after.head.subject
    assert leaf.head.subject == subject_hash(name)
    with pytest.raises(EpochMalformed, match="32 bytes each"):
        SubjectHead(data[:31], int.from_bytes(data[31:39], "big"), data[39:])


@pytest.mark.parametrize("count", [-1, 0, 2**64])
def test_a_count_that_no_subject_has_is_refused(count):
    with pytest.raises(EpochMalformed, match="count"):
        SubjectHead(bytes(32), count, bytes(32))
