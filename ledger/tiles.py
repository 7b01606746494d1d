"""
The stored log as tiles (c2sp.org/tlog-tiles): what the sealer adds to them, and what is served of them.

Only full tiles are rows of their own; partial ones are read from what they are made of. Serving believes the rows: who
uses a tile checks it against a signed root. Sealing checks them against the compact range first.
"""

from collections.abc import Iterable, Iterator, Sequence

from django.db import connection
from django.db.models import QuerySet

from ledger import models
from ledger.attachments import as_bytes
from ledger.errors import TileNotThere, TilesChanged
from ledger.models import Entry
from ledger.tlog.merkle import HASH_BYTES, Frontier, root
from ledger.tlog.tiles import WIDTH, Tile, TileTree, encode_bundle


def fetch(tile: Tile) -> bytes:
    """
    Return a tile's or an entry bundle's bytes, full or partial: a partial one is the first ``width`` of what there is.

    One query and at most 256 rows, however long the log is.

    :raises TileNotThere: if the stored log does not reach so far
    """
    if tile.level is None:
        found = [as_bytes(note) for note in _entries(tile).values_list("note", flat=True)]
        if len(found) == tile.width:
            return encode_bundle(found)
    elif tile.width < WIDTH:
        # What it is made of is there whether the tile has filled up since or not.
        if len(hashes := _parts(tile)) == tile.width:
            return b"".join(hashes)
    elif rows := _query('SELECT hashes FROM ledger_tile WHERE level = %s AND "index" = %s', tile.level, tile.index):
        return rows[0]
    raise TileNotThere(path=tile.path())


def tree(size: int) -> TileTree:
    """Return the tree over the first ``size`` stored entries; it raises :exc:`TileNotThere` where there are fewer."""
    return TileTree(size, fetch)


def full_tiles(before: Frontier, leaves: Sequence[bytes]) -> Iterator[models.Tile]:
    """
    Yield the rows of the tiles that fill up when ``leaves`` join the tree that ``before`` stands for.

    Reads at most 255 hashes a level, and only of the levels that fill, so that the cost does not grow with the log.

    :raises TilesChanged: if what is stored of a tile's beginning does not add up to ``before``
    """
    level, size, new = 0, before.size, list(leaves)
    while size // WIDTH < (size + len(new)) // WIDTH:
        hashes = [*_checked_edge(before, level), *new]
        level, size, new = level + 1, size // WIDTH, []
        for at in range(0, len(hashes) - WIDTH + 1, WIDTH):
            tile = hashes[at : at + WIDTH]
            whole = root(tile)
            yield models.Tile(level=level - 1, index=size + len(new), hashes=b"".join(tile), root=whole)
            new.append(whole)


def insert_tiles(tiles: Iterable[models.Tile]) -> None:
    """Insert full tiles, inside the sealer's transaction."""
    if rows := [(tile.level, tile.index, as_bytes(tile.hashes), as_bytes(tile.root)) for tile in tiles]:
        with connection.cursor() as cursor:
            cursor.executemany('INSERT INTO ledger_tile (level, "index", hashes, root) VALUES (%s, %s, %s, %s)', rows)


def _checked_edge(before: Frontier, level: int) -> list[bytes]:
    """Return the hashes of the level's partial tile, once they are those that the compact range is made of."""
    index, width = divmod(before.size >> (8 * level), WIDTH)
    if not width:
        return []
    tile = Tile(level, index, width)
    hashes, own = _parts(tile), Frontier()
    for one in hashes:
        own.append(one)
    # The compact range has a node for each bit of the size: this level's are those of bits 8 * level to 8 * level + 7.
    below = (before.size & ((1 << (8 * level)) - 1)).bit_count()
    nodes = before.to_bytes()
    end = len(nodes) - below * HASH_BYTES
    expected = nodes[end - width.bit_count() * HASH_BYTES : end]
    if own.to_bytes() != expected:
        raise TilesChanged(tile=tile.path(), expected=expected.hex(), found=own.to_bytes().hex())
    return hashes


def _parts(tile: Tile) -> list[bytes]:
    """Read the first ``width`` hashes of a hash tile from the entries, or from the tiles one level down."""
    first = tile.index * WIDTH
    if not tile.level:
        return _query(
            'SELECT leaf_hash FROM ledger_entry WHERE "index" >= %s AND "index" < %s ORDER BY "index"',
            first,
            first + tile.width,
        )
    return _query(
        'SELECT root FROM ledger_tile WHERE level = %s AND "index" >= %s AND "index" < %s ORDER BY "index"',
        tile.level - 1,
        first,
        first + tile.width,
    )


def _query(sql: str, *values: int) -> list[bytes]:
    """Return the one column of bytes. Plain SQL: a proof asks some times, and building a queryset costs it more."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [as_bytes(value) for (value,) in cursor.fetchall()]


def _entries(tile: Tile) -> QuerySet[Entry]:
    first = tile.index * WIDTH
    return Entry.objects.filter(index__gte=first, index__lt=first + tile.width).order_by("index")
