"""
Merkle trees of RFC 6962 section 2.1 over SHA-256: roots, proofs, and the compact range that a log grows by.

Works on leaf hashes, never on entries, and keeps nothing but what it is given.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from ledger.tlog.errors import FrontierMalformed, ProofNotVerified

HASH_BYTES = 32

# A complete subtree that is hashed level by level.
_BLOCK = 256

# RFC 6962 section 2.1: the hash of an empty tree is the hash of an empty string.
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf: SHA-256(0x00 ‖ data), RFC 6962 section 2.1."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash one inner node: SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """
    The compact range of a tree: the roots of its complete subtrees, largest first; O(log n) in memory.

    A tree of ``size`` leaves has one complete subtree for each bit set in ``size``.
    """

    __slots__ = ("_nodes", "size")

    def __init__(self) -> None:
        self.size = 0
        self._nodes: list[bytes] = []

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """
        Read what :meth:`to_bytes` wrote for a tree of ``size`` leaves.

        :raises FrontierMalformed: if the size asks for another number of hashes
        """
        if size < 0 or len(data) != size.bit_count() * HASH_BYTES:
            raise FrontierMalformed(
                f"compact range of {size} leaves",
                expected=f"{max(size, 0).bit_count() * HASH_BYTES} bytes",
                found=f"{len(data)} bytes",
            )
        frontier = cls()
        frontier.size = size
        frontier._nodes = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        return frontier

    def to_bytes(self) -> bytes:
        """Return the hashes, largest subtree first; the size is kept beside them."""
        return b"".join(self._nodes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf, given by its hash."""
        nodes = self._nodes
        # Each trailing one of the size is a complete subtree as large as the one that now stands to its right.
        size = self.size
        while size & 1:
            leaf = sha256(b"\x01" + nodes.pop() + leaf).digest()
            size >>= 1
        nodes.append(leaf)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves as :meth:`append` does, a whole block of 256 at a time where one begins."""
        at = 0
        while at < len(leaves):
            if self.size % _BLOCK or len(leaves) - at < _BLOCK:
                self.append(leaves[at])
                at += 1
                continue
            row = leaves[at : at + _BLOCK]
            while len(row) > 1:
                row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
            node, size = row[0], self.size // _BLOCK
            while size & 1:
                node = node_hash(self._nodes.pop(), node)
                size >>= 1
            self._nodes.append(node)
            self.size += _BLOCK
            at += _BLOCK

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self._nodes:
            return EMPTY_ROOT
        *rest, found = self._nodes
        for node in reversed(rest):
            found = node_hash(node, found)
        return found


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of the leaves, given by their hashes (RFC 6962 section 2.1)."""
    nodes = list(leaf_hashes)
    if not nodes:
        return EMPTY_ROOT
    # Level by level; a node without a neighbour moves up as it is, which is how the RFC splits an uneven tree.
    while len(nodes) > 1:
        lone = nodes[len(nodes) & ~1 :]
        pairs = zip(nodes[::2], nodes[1::2], strict=False)
        # node_hash(), written out: a proof makes some hundreds of them.
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + lone
    return nodes[0]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """
    Return the audit path of leaf ``index``, from the leaf up (RFC 6962 section 2.1.1).

    :raises IndexError: if there is no such leaf
    """
    size = len(leaf_hashes)
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of a tree of {size}")
    if size == 1:
        return []
    split = _split(size)
    if index < split:
        return [*inclusion_proof(leaf_hashes[:split], index), root(leaf_hashes[split:])]
    return [*inclusion_proof(leaf_hashes[split:], index - split), root(leaf_hashes[:split])]


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """
    Check that the leaf with hash ``leaf`` is number ``index`` in the tree of ``size`` leaves (RFC 9162 2.1.3.2).

    :raises ProofNotVerified: if the proof does not lead to ``root``
    """
    if not 0 <= index < size:
        raise ProofNotVerified("inclusion", expected=f"an index below {size}", found=str(index))
    _check_hashes("inclusion", proof)
    _, found = _climb("inclusion", leaf, index, size - 1, proof)
    if found != root:
        raise ProofNotVerified("inclusion", expected=root.hex(), found=found.hex())


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """
    Prove that the tree of the first ``old_size`` leaves is a prefix of this one (RFC 6962 section 2.1.2).

    Empty where ``old_size`` is 0 or the tree's whole size.

    :raises IndexError: if the tree never had that size
    """
    size = len(leaf_hashes)
    if not 0 <= old_size <= size:
        raise IndexError(f"{old_size} leaves of a tree of {size}")
    return [] if old_size in (0, size) else _subproof(leaf_hashes, old_size, whole=True)


def verify_consistency(*, old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """
    Check that the tree of ``size`` leaves begins with the tree of ``old_size`` leaves (RFC 9162 2.1.4.2).

    :raises ProofNotVerified: if the proof does not lead to both roots
    """
    if not 0 <= old_size <= size:
        raise ProofNotVerified("consistency", expected=f"an old size of at most {size}", found=str(old_size))
    _check_hashes("consistency", proof)
    if old_size in (0, size):
        if proof:
            raise ProofNotVerified("consistency", expected="an empty proof", found=f"{len(proof)} hashes")
        known = EMPTY_ROOT if old_size == 0 else root
        if old_root != known:
            raise ProofNotVerified("consistency, old root", expected=known.hex(), found=old_root.hex())
        return
    path = list(proof)
    # Where the old tree is a complete subtree of the new one, its root is known and the proof leaves it out.
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofNotVerified("consistency", expected="a longer proof", found="no hashes")
    node, last = old_size - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_found, found = _climb("consistency", path[0], node, last, path[1:])
    if old_found != old_root:
        raise ProofNotVerified("consistency, old root", expected=old_root.hex(), found=old_found.hex())
    if found != root:
        raise ProofNotVerified("consistency, new root", expected=root.hex(), found=found.hex())


def _subproof(leaf_hashes: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2; ``whole`` while the old tree is all of what the verifier holds."""
    size = len(leaf_hashes)
    if old_size == size:
        return [] if whole else [root(leaf_hashes)]
    split = _split(size)
    if old_size <= split:
        return [*_subproof(leaf_hashes[:split], old_size, whole=whole), root(leaf_hashes[split:])]
    return [*_subproof(leaf_hashes[split:], old_size - split, whole=False), root(leaf_hashes[:split])]


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _climb(what: str, start: bytes, node: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """
    Climb from node number ``node`` of a level whose last is ``last`` (RFC 9162 2.1.3.2 and 2.1.4.2 share this walk).

    :returns: the root of the tree that ends with this node, and the root of the whole tree
    """
    ending_here = whole = start
    for step in path:
        if last == 0:
            raise ProofNotVerified(what, expected="a shorter proof", found=f"{len(path)} hashes to climb by")
        if node & 1 or node == last:
            ending_here, whole = node_hash(step, ending_here), node_hash(step, whole)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            whole = node_hash(whole, step)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofNotVerified(what, expected="a longer proof", found=f"{len(path)} hashes to climb by")
    return ending_here, whole


def _check_hashes(what: str, proof: Sequence[bytes]) -> None:
    for step in proof:
        if len(step) != HASH_BYTES:
            raise ProofNotVerified(what, expected=f"hashes of {HASH_BYTES} bytes", found=f"{len(step)} bytes")
