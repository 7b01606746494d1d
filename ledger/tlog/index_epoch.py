"""
The ``index_epoch`` entry: a commitment to how many entries each subject has, so that one subject's chain can be shown
to be whole without showing the others.

It covers exactly the entries before itself. The tree is that of RFC 6962 section 2.1; its leaves are
``SHA-256(subject) ‖ count (8 bytes, big-endian) ‖ leaf hash of the subject's newest entry``, sorted by their bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ledger.tlog.entry import Entry
from ledger.tlog.errors import EpochMalformed, excerpt
from ledger.tlog.merkle import HASH_BYTES, Frontier, leaf_hash, verify_inclusion

KIND = "index_epoch"
LEAF_BYTES = HASH_BYTES + 8 + HASH_BYTES
_FIELDS = frozenset({"root", "subjects"})


@dataclass(frozen=True, order=True)
class SubjectHead:
    """One leaf: the subject by its hash (32 bytes), how many entries it has, the newest one's leaf hash (32 bytes)."""

    subject: bytes
    count: int
    head: bytes

    def __post_init__(self) -> None:
        # With another length of one field and of its neighbour, the same 72 bytes would read as another subject.
        if len(self.subject) != HASH_BYTES or len(self.head) != HASH_BYTES:
            raise EpochMalformed(
                "leaf",
                expected=f"a subject and a head of {HASH_BYTES} bytes each",
                found=f"{len(self.subject)} and {len(self.head)} bytes",
            )
        if not 1 <= self.count < 2**64:
            raise EpochMalformed("count", expected="1 to 2^64 - 1", found=excerpt(self.count))

    @classmethod
    def of(cls, subject: str, count: int, head: bytes) -> "SubjectHead":
        return cls(subject_hash(subject), count, head)

    @classmethod
    def decode(cls, data: bytes) -> "SubjectHead":
        """
        Read a leaf.

        :raises EpochMalformed: if it has another length
        """
        if len(data) != LEAF_BYTES:
            raise EpochMalformed("leaf", expected=f"{LEAF_BYTES} bytes", found=f"{len(data)} bytes")
        return cls(data[:HASH_BYTES], int.from_bytes(data[HASH_BYTES:-HASH_BYTES], "big"), data[-HASH_BYTES:])

    def encode(self) -> bytes:
        """Return the leaf's 72 bytes."""
        return self.subject + self.count.to_bytes(8, "big") + self.head


def subject_hash(subject: str) -> bytes:
    """Return by what a subject is named in the tree."""
    return sha256(subject.encode()).digest()


def epoch_body(heads: Iterable[SubjectHead]) -> dict[str, Any]:
    """
    Return the body that commits to ``heads``, which come sorted.

    :raises EpochMalformed: if they are not sorted, or a subject stands twice
    """
    tree, last = Frontier(), b""
    for head in heads:
        if head.subject <= last:
            raise EpochMalformed("subjects", expected="ascending, each once", found=head.subject.hex())
        tree.append(leaf_hash(head.encode()))
        last = head.subject
    return {"root": tree.root().hex(), "subjects": tree.size}


def read_epoch(entry: Entry) -> tuple[bytes, int]:
    """
    Return the root and the number of subjects that an ``index_epoch`` entry commits to.

    :raises EpochMalformed: if the body is of another form
    """
    root, subjects = entry.body.get("root"), entry.body.get("subjects")
    hexadecimal = isinstance(root, str) and len(root) == 64 and not set(root) - set("0123456789abcdef")
    if entry.body.keys() != _FIELDS or not hexadecimal or type(subjects) is not int or subjects < 1:
        raise EpochMalformed("index_epoch", expected="root (64 hex digits) and subjects", found=excerpt(entry.body))
    return bytes.fromhex(str(root)), subjects


@dataclass(frozen=True)
class EpochLeaf:
    """One leaf of the epoch's tree, its place, and its audit path from the leaf up."""

    place: int
    head: SubjectHead
    path: tuple[bytes, ...]


def verify_present(subject: str, leaf: EpochLeaf, *, root: bytes, subjects: int) -> SubjectHead:
    """
    Check that the epoch has ``leaf`` for ``subject``, and return it.

    :raises EpochMalformed: if the leaf is another subject's
    :raises ProofNotVerified: if the path does not lead to ``root``
    """
    if leaf.head.subject != subject_hash(subject):
        raise EpochMalformed("subject", expected=subject_hash(subject).hex(), found=leaf.head.subject.hex())
    _verify(leaf, root, subjects)
    return leaf.head


def verify_absent(subject: str, neighbours: Sequence[EpochLeaf], *, root: bytes, subjects: int) -> None:
    """
    Check that the epoch has no leaf for ``subject``: the one before and the one after it stand side by side.

    At either end of the tree there is one neighbour.

    :raises EpochMalformed: if the neighbours leave room for it
    :raises ProofNotVerified: if a path does not lead to ``root``
    """
    sought = subject_hash(subject)
    for leaf in neighbours:
        _verify(leaf, root, subjects)
    before = [leaf for leaf in neighbours if leaf.head.subject < sought]
    after = [leaf for leaf in neighbours if leaf.head.subject > sought]
    room = len(before) + len(after) != len(neighbours) or not neighbours or len(before) > 1 or len(after) > 1
    left, right = (before[0].place if before else -1), (after[0].place if after else subjects)
    if room or right - left != 1:
        raise EpochMalformed(
            "absence", expected="the two neighbours, side by side", found=f"places {left} and {right} of {subjects}"
        )


def _verify(leaf: EpochLeaf, root: bytes, subjects: int) -> None:
    verify_inclusion(leaf=leaf_hash(leaf.head.encode()), index=leaf.place, size=subjects, proof=leaf.path, root=root)
