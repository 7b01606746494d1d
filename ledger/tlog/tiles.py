"""
Tiles as in c2sp.org/tlog-tiles@v0.1.0: the tree and the entries as static files of 256, and proofs built from them.

Works on what a caller fetches: :class:`TileTree` asks for tiles and believes none of them; whoever uses a proof
verifies it against a signed root.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ledger.tlog.errors import TileMalformed, excerpt
from ledger.tlog.merkle import EMPTY_ROOT, HASH_BYTES, node_hash, root

WIDTH = 256
TILE_BYTES = WIDTH * HASH_BYTES
MAX_LEVEL = 63

_LENGTH = struct.Struct(">H")
# Seven groups reach beyond 2^63 entries; more digits than any log has are refused before int(), which is slow on them.
_INDEX = r"(?:x[0-9]{3}/){0,6}[0-9]{3}"
_PATH = re.compile(rf"tile/(entries|0|[1-9][0-9]?)/({_INDEX})(?:\.p/([1-9][0-9]{{0,2}}))?")


@dataclass(frozen=True)
class Tile:
    """Where a tile stands. ``level`` is None for an entry bundle; ``width`` is 256 for a full one."""

    level: int | None
    index: int
    width: int = WIDTH

    def path(self) -> str:
        """Return ``tile/<L>/<N>[.p/<W>]``, relative to the log's prefix."""
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_encode_index(self.index)}{partial}"


def parse_path(path: str) -> Tile:
    """
    Read a tile's path.

    :raises TileMalformed: if it is not exactly what :meth:`Tile.path` writes
    """
    match = _PATH.fullmatch(path)
    if not match:
        raise TileMalformed("tile path", expected="tile/<L>/<N>[.p/<W>]", found=excerpt(path))
    level, index, width = match.groups()
    tile = Tile(
        None if level == "entries" else int(level),
        int(index.replace("x", "").replace("/", "")),
        WIDTH if width is None else int(width),
    )
    if tile.path() != path or (tile.level or 0) > MAX_LEVEL or tile.width > WIDTH:
        raise TileMalformed(
            "tile path",
            expected=f"levels to {MAX_LEVEL}, widths to {WIDTH - 1}, no leading groups",
            found=excerpt(path),
        )
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every hash tile of a tree of ``size`` leaves, lowest level first; each level ends in its partial tile."""
    level = 0
    while size:
        full, rest = divmod(size, WIDTH)
        for index in range(full):
            yield Tile(level, index)
        if rest:
            yield Tile(level, full, rest)
        size, level = full, level + 1


def bundles_of(size: int) -> Iterator[Tile]:
    """Yield every entry bundle of a log of ``size`` entries."""
    full, rest = divmod(size, WIDTH)
    for index in range(full):
        yield Tile(None, index)
    if rest:
        yield Tile(None, full, rest)


def width_at(size: int, level: int, index: int) -> int:
    """Return how many hashes tile ``index`` of ``level`` has in a tree of ``size`` leaves; 0 where there is none."""
    return max(0, min(WIDTH, (size >> (8 * level)) - index * WIDTH))


def split_hashes(data: bytes) -> list[bytes]:
    """
    Split a tile into its hashes.

    :raises TileMalformed: if it is not 1 to 256 hashes
    """
    if not data or len(data) % HASH_BYTES or len(data) > TILE_BYTES:
        raise TileMalformed("tile", expected="1 to 256 hashes of 32 bytes", found=f"{len(data)} bytes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each entry behind its length, two bytes, big-endian."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """
    Split an entry bundle into its entries.

    :raises TileMalformed: if it ends inside an entry, or holds none or more than 256
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + _LENGTH.size
        length = _LENGTH.unpack(data[at:end])[0] if end <= len(data) else 0
        if end + length > len(data) or end > len(data):
            raise TileMalformed("entry bundle", expected="whole entries", found=f"an end inside entry {len(entries)}")
        entries.append(data[end : end + length])
        at = end + length
    if not 1 <= len(entries) <= WIDTH:
        raise TileMalformed("entry bundle", expected="1 to 256 entries", found=str(len(entries)))
    return entries


class TileTree:
    """
    Proofs over a tree of ``size`` leaves, from tiles that ``fetch`` returns.

    A proof needs O(log n) tiles. Tiles are kept for the life of this object, so use one for several proofs.
    """

    def __init__(self, size: int, fetch: Callable[[Tile], bytes]) -> None:
        self.size = size
        self._fetch = fetch
        self._kept: dict[tuple[int, int], list[bytes]] = {}

    def root(self) -> bytes:
        """
        Return the root that the tiles add up to.

        :raises TileMalformed: if a tile has another width than the size asks for
        """
        return self.subtree(0, self.size)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """
        Return the audit path of leaf ``index``, from the leaf up (RFC 6962 section 2.1.1).

        :raises IndexError: if there is no such leaf
        :raises TileMalformed: if a tile has another width than the size asks for
        """
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of a tree of {self.size}")
        proof, begin, end = [], 0, self.size
        while end - begin > 1:
            split = begin + _split(end - begin)
            if index < split:
                proof.append(self.subtree(split, end))
                end = split
            else:
                proof.append(self.subtree(begin, split))
                begin = split
        return proof[::-1]

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """
        Prove that the tree of the first ``old_size`` leaves is a prefix of this one (RFC 6962 section 2.1.2).

        :raises IndexError: if the tree never had that size
        :raises TileMalformed: if a tile has another width than the size asks for
        """
        if not 0 <= old_size <= self.size:
            raise IndexError(f"{old_size} leaves of a tree of {self.size}")
        if old_size in (0, self.size):
            return []
        proof, begin, end = [], 0, self.size
        while end != old_size:
            split = begin + _split(end - begin)
            if old_size <= split:
                proof.append(self.subtree(split, end))
                end = split
            else:
                proof.append(self.subtree(begin, split))
                begin = split
        if begin:
            proof.append(self.subtree(begin, end))
        return proof[::-1]

    def leaf(self, index: int) -> bytes:
        """Return the leaf hash of entry ``index``."""
        return self._hashes(0, index // WIDTH)[index % WIDTH]

    def subtree(self, begin: int, end: int) -> bytes:
        """Return the hash over leaves ``begin`` to ``end``, a range as RFC 6962 splits the tree into."""
        if begin == end:
            return EMPTY_ROOT
        # The ragged right edge: complete subtrees, largest first, each within one tile of some level.
        nodes = []
        while begin < end:
            height = min((end - begin).bit_length() - 1, _trailing_zeros(begin) if begin else 64)
            nodes.append(self._complete(begin, height))
            begin += 1 << height
        return _fold(nodes)

    def _complete(self, begin: int, height: int) -> bytes:
        """The root of a complete subtree of 2^height leaves: within a tile, 2^(height mod 8) of its hashes."""
        level, inside = divmod(height, 8)
        first = begin >> (8 * level)
        hashes = self._hashes(level, first // WIDTH)
        at = first % WIDTH
        return root(hashes[at : at + (1 << inside)])

    def _hashes(self, level: int, index: int) -> list[bytes]:
        if (level, index) not in self._kept:
            width = width_at(self.size, level, index)
            hashes = split_hashes(self._fetch(Tile(level, index, width)))
            if len(hashes) != width:
                raise TileMalformed(
                    Tile(level, index, width).path(), expected=f"{width} hashes", found=f"{len(hashes)} hashes"
                )
            self._kept[level, index] = hashes
        return self._kept[level, index]


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _fold(nodes: list[bytes]) -> bytes:
    """Join the roots of neighbouring subtrees, largest first, into the root over them all."""
    *rest, found = nodes
    for node in reversed(rest):
        found = node_hash(node, found)
    return found


def _encode_index(index: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups))
