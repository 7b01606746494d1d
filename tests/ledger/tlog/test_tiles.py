"""Tiles: the counts and paths of c2sp.org/tlog-tiles, and proofs from tiles beside proofs from all leaves."""

from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.tlog import merkle
from ledger.tlog.errors import TileMalformed
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.tiles import (
    TILE_BYTES,
    Tile,
    TileTree,
    bundles_of,
    decode_bundle,
    encode_bundle,
    parse_path,
    split_hashes,
    tiles_of,
    width_at,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(1000)]
LARGE = [leaf_hash(str(number).encode()) for number in range(70_000)]


def mth(level: int, number: int, leaves: list[bytes]) -> bytes:
    """Hash ``number`` of ``level``: MTH(D[n * 256^l : (n + 1) * 256^l]), as tlog-tiles defines it."""
    span = 256**level
    return merkle.root(leaves[number * span : (number + 1) * span])


class Store:
    """Every tile of a tree, and what was asked of it."""

    def __init__(self, leaves: list[bytes]) -> None:
        levels = [leaves]
        while len(levels[-1]) >= 256:
            below = levels[-1]
            levels.append([merkle.root(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
        self.tiles = {
            tile: b"".join(levels[tile.level][tile.index * 256 : tile.index * 256 + tile.width])
            for tile in tiles_of(len(leaves))
        }
        self.asked: list[Tile] = []

    def __call__(self, tile: Tile) -> bytes:
        self.asked.append(tile)
        return self.tiles[tile]


STORE = Store(LARGE)


def test_the_tiles_of_70_000_leaves_are_those_of_the_specification():
    tiles = list(tiles_of(70_000))
    widths = {level: [tile.width for tile in tiles if tile.level == level] for level in (0, 1, 2)}
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    assert len(tiles) == 277
    assert len(list(bundles_of(70_000))) == 274


def test_256_leaves_are_one_full_tile_and_the_beginning_of_the_next_level():
    assert [tile.path() for tile in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert [tile.path() for tile in bundles_of(256)] == ["tile/entries/000"]


@pytest.mark.parametrize("size", [0, 1, 255])
def test_small_trees_have_one_partial_tile_or_none(size):
    assert [tile.width for tile in tiles_of(size)] == [size] * bool(size)
    assert [tile.width for tile in bundles_of(size)] == [size] * bool(size)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(63, 999), "tile/63/999"),
        (Tile(1, 1000, 17), "tile/1/x001/000.p/17"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
        (Tile(None, 10**18 - 1), "tile/entries/x999/x999/x999/x999/x999/999"),
    ],
)
def test_paths_are_those_of_the_specification(tile, path):
    assert tile.path() == path
    assert parse_path(path) == tile


@given(st.none() | st.integers(0, 63), st.integers(0, 2**63), st.integers(1, 256))
def test_any_path_reads_back(level, index, width):
    tile = Tile(level, index, width)
    assert parse_path(tile.path()) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/999",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/entries/0",
        "tile/Entries/000",
        "tile/0/../000",
        "tile/0/" + "x001/" * 2000 + "000",
    ],
)
def test_any_other_path_is_refused(path):
    with pytest.raises(TileMalformed):
        parse_path(path)


def test_every_hash_of_every_tile_is_the_specifications():
    for tile, data in STORE.tiles.items():
        hashes = split_hashes(data)
        assert len(hashes) == tile.width == width_at(70_000, tile.level, tile.index)
        if tile.level:
            for at in {0, tile.width // 2, tile.width - 1}:
                assert hashes[at] == mth(tile.level, tile.index * 256 + at, LARGE)


@given(st.integers(0, 10**7), st.integers(0, 4), st.integers(0, 50_000))
def test_a_width_is_that_of_the_listing(size, level, index):
    # floor(s / 256^l) hashes stand at the level in all.
    left = size // 256**level - index * 256
    assert width_at(size, level, index) == min(256, max(0, left))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.data())
@example(size=256, data=None)
@example(size=512, data=None)
def test_proofs_from_tiles_are_the_proofs_from_leaves(size, data):
    leaves = LEAVES[:size]
    tree = TileTree(size, Store(leaves))
    assert tree.root() == merkle.root(leaves)
    places = [0, size // 2, size - 1] if data is None else [data.draw(st.integers(0, max(0, size - 1)))]
    for index in places if size else []:
        assert tree.leaf(index) == leaves[index]
        assert tree.inclusion_proof(index) == merkle.inclusion_proof(leaves, index)
    for old in [0, 1, 255, 256, size] if data is None else [data.draw(st.integers(0, size))]:
        assert tree.consistency_proof(old) == merkle.consistency_proof(leaves, old)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 69_999), st.integers(1, 70_000))
def test_proofs_of_a_large_tree_verify_and_take_few_tiles(index, old):
    STORE.asked.clear()
    tree = TileTree(70_000, STORE)
    root = tree.root()
    proof = tree.inclusion_proof(index)
    assert len(STORE.asked) == len(set(STORE.asked)) <= 6
    merkle.verify_inclusion(leaf=LARGE[index], index=index, size=70_000, proof=proof, root=root)
    old_root = merkle.root(LARGE[:old])
    merkle.verify_consistency(
        old_size=old, old_root=old_root, size=70_000, root=root, proof=tree.consistency_proof(old)
    )


def test_there_is_no_proof_of_what_is_not_there():
    tree = TileTree(5, Store(LEAVES[:5]))
    for index in (-1, 5):
        with pytest.raises(IndexError):
            tree.inclusion_proof(index)
    for old in (-1, 6):
        with pytest.raises(IndexError):
            tree.consistency_proof(old)
    assert TileTree(0, Store([])).root() == merkle.EMPTY_ROOT
    assert TileTree(0, Store([])).consistency_proof(0) == []


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33), bytes(TILE_BYTES + 32)])
def test_bytes_of_another_length_are_no_tile(data):
    with pytest.raises(TileMalformed):
        split_hashes(data)


@pytest.mark.parametrize("width", [1, 4, 6, 256])
def test_a_tile_of_another_width_is_not_taken_for_the_one_asked_for(width):
    tree = TileTree(5, lambda tile: b"".join(LEAVES[:width]))
    with pytest.raises(TileMalformed, match="5 hashes"):
        tree.root()


def test_a_changed_tile_makes_proofs_that_do_not_verify():
    leaves, bad = LEAVES[:300], LEAVES[:300]
    bad[7] = sha256(b"another").digest()
    proof = TileTree(300, Store(bad)).inclusion_proof(6)
    with pytest.raises(merkle.ProofNotVerified):
        merkle.verify_inclusion(leaf=leaves[6], index=6, size=300, proof=proof, root=merkle.root(leaves))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
@example([b""])
@example([bytes(65_535)])
@example([b"x"] * 256)
def test_a_bundle_reads_back(entries):
    assert decode_bundle(encode_bundle(entries)) == entries


def test_a_bundle_is_lengths_and_entries():
    assert encode_bundle([b"ab", b"", b"c" * 258]) == b"\x00\x02ab\x00\x00\x01\x02" + b"c" * 258


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01ab", b"\xff\xff", b"\x00\x00" * 257]
)
def test_other_bytes_are_no_bundle(data):
    with pytest.raises(TileMalformed):
        decode_bundle(data)
