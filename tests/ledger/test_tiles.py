"""Tiles of the stored log: what is served at every size, and that the sealer builds on no row that was changed."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from ledger import append_only, chaining, tiles
from ledger.errors import TileNotThere, TilesChanged
from ledger.models import Checkpoint, Entry, Statement, Tile
from ledger.sealing import seal_all, seal_pending
from ledger.tlog import merkle
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.tiles import Tile as Place
from ledger.tlog.tiles import bundles_of, decode_bundle, split_hashes, tiles_of
from ledger.tlog.times import parse_time

pytestmark = pytest.mark.django_db


def stored_notes() -> list[bytes]:
    return [bytes(note) for note in Entry.objects.order_by("index").values_list("note", flat=True)]


def sealed_log(submit_one, size: int, *, limit: int = 100) -> list[bytes]:
    """Seal a log of ``size`` entries in batches that end where no tile does; return its leaf hashes."""
    for _ in range(size - 1):
        submit_one()
    while seal_pending(limit=limit):
        pass
    return [leaf_hash(note) for note in stored_notes()]


def test_a_log_across_two_tiles_is_the_tree_of_its_leaves_at_every_size(submit_one):
    leaves = sealed_log(submit_one, 513)
    assert list(Tile.objects.values_list("level", "index")) == [(0, 0), (0, 1)]
    for size in (0, 1, 2, 255, 256, 257, 511, 512, 513):
        tree = tiles.tree(size)
        assert tree.root() == merkle.root(leaves[:size])
        for index in {0, 1, 254, 255, 256, size - 1} & set(range(size)):
            assert tree.inclusion_proof(index) == merkle.inclusion_proof(leaves[:size], index)
        for old in {0, 1, 255, 256, 257, size} & set(range(size + 1)):
            assert tree.consistency_proof(old) == merkle.consistency_proof(leaves[:size], old)
    assert tiles.tree(513).root() == bytes(Checkpoint.objects.first().root)


def test_every_tile_and_bundle_of_a_size_holds_what_the_entries_are(submit_one):
    leaves = sealed_log(submit_one, 258)
    notes = stored_notes()
    for size in (1, 255, 256, 257):
        for place in tiles_of(size):
            if place.level == 0:
                first = place.index * 256
                assert split_hashes(tiles.fetch(place)) == leaves[first : first + place.width]
            else:
                assert split_hashes(tiles.fetch(place)) == [merkle.root(leaves[:256])]
        assert [note for place in bundles_of(size) for note in decode_bundle(tiles.fetch(place))] == notes[:size]


@pytest.mark.parametrize(
    "place",
    [Place(0, 0), Place(0, 0, 4), Place(0, 1, 1), Place(1, 0, 1), Place(63, 0), Place(None, 0), Place(None, 1, 1)],
)
def test_a_tile_beyond_the_log_is_not_there(submit_one, place):
    sealed_log(submit_one, 3)
    with pytest.raises(TileNotThere) as refused:
        tiles.fetch(place)
    assert place.path() in refused.value.sentence
    assert refused.value.status == 404


@pytest.mark.parametrize("place", [Place(0, 0), Place(0, 0, 7), Place(0, 1, 44), Place(1, 0, 1), Place(None, 0)])
def test_a_tile_takes_two_queries_at_most(submit_one, place, django_assert_max_num_queries):
    sealed_log(submit_one, 300)
    with django_assert_max_num_queries(2):
        tiles.fetch(place)


def test_a_log_of_65537_entries_has_a_full_tile_of_the_second_level():
    notes = [b"%d" % index for index in range(65_537)]
    leaves = [leaf_hash(note) for note in notes]
    moment = connection.ops.adapt_datetimefield_value(parse_time("2026-11-22T14:05:09.123Z"))
    chaining._insert_entries(
        [
            (note, leaf, at, "handoff", f"s{at}", 0, moment)
            for at, (note, leaf) in enumerate(zip(notes, leaves, strict=True))
        ]
    )
    Tile.objects.bulk_create(tiles.full_tiles(Frontier(), leaves[:65_535]))
    assert Tile.objects.count() == 255
    before = Frontier()
    for leaf in leaves[:65_535]:
        before.append(leaf)
    filled = list(tiles.full_tiles(before, leaves[65_535:]))
    assert [(tile.level, tile.index) for tile in filled] == [(0, 255), (1, 0)]
    assert filled[1].root == merkle.root(leaves[:65_536])
    Tile.objects.bulk_create(filled)
    for size in (65_535, 65_536, 65_537):
        tree = tiles.tree(size)
        root = merkle.root(leaves[:size])
        assert tree.root() == root
        for index in (0, 65_279, size - 1):
            merkle.verify_inclusion(
                leaf=leaves[index], index=index, size=size, proof=tree.inclusion_proof(index), root=root
            )
        merkle.verify_consistency(
            old_size=257, old_root=merkle.root(leaves[:257]), size=size, root=root, proof=tree.consistency_proof(257)
        )
    # The tile that a higher one continues is checked like the leaves are.
    append_only.disarm(connection)
    Tile.objects.filter(level=0, index=7).update(root=b"x" * 32)
    append_only.arm(connection)
    with pytest.raises(TilesChanged, match=r"tile/1/000\.p/255"):
        list(tiles.full_tiles(before, leaves[65_535:]))


def test_no_tile_is_made_of_a_leaf_hash_that_was_changed(submit_one):
    sealed_log(submit_one, 255)
    append_only.disarm(connection)
    Entry.objects.filter(index=17).update(leaf_hash=b"x" * 32)
    append_only.arm(connection)
    submit_one()
    with pytest.raises(TilesChanged, match=r"tile/0/000\.p/255"):
        seal_all()
    assert Entry.objects.count() == 255
    assert not Tile.objects.exists()
    assert Statement.objects.filter(entry=None).count() == 1


def test_a_log_begun_before_tiles_gets_those_that_sealing_would_have_made(submit_one):
    sealed_log(submit_one, 520)
    made = list(Tile.objects.values_list("level", "index", "hashes", "root"))
    assert len(made) == 2
    migration = import_module("ledger.migrations.0004_arm_new_tables")
    editor = SimpleNamespace(connection=connection)
    migration.disarm(apps, editor)
    migration.empty_tiles(apps, editor)
    migration.fill_tiles(apps, editor)
    migration.arm(apps, editor)
    assert list(Tile.objects.values_list("level", "index", "hashes", "root")) == made


def test_the_backfill_climbs_to_the_second_level():
    leaves = [leaf_hash(b"%d" % index) for index in range(65_536 + 300)]
    migration = import_module("ledger.migrations.0004_arm_new_tables")
    filled = [(tile["level"], tile["index"], tile["hashes"]) for tile in migration._full_tiles(leaves)]
    expected = [(tile.level, tile.index, tile.hashes) for tile in tiles.full_tiles(Frontier(), leaves)]
    assert sorted(filled) == sorted(expected)
    assert (1, 0) in [(level, index) for level, index, _ in filled]
