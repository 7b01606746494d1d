"""RFC 6962 trees: the known answers of Certificate Transparency's reference implementation, and a naive second one."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import merkle
from ledger.tlog.errors import FrontierMalformed, ProofNotVerified
from ledger.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash

# merkle_tree_test.cc of google/certificate-transparency: eight leaves, the roots over the first 0 to 8 of them.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (leaf, tree size): its path.
CT_INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
# (old size, new size): its proof.
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_HASHES = [leaf_hash(leaf) for leaf in CT_LEAVES]

SIZES = [0, 1, 2, 255, 256, 257]


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def naive_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it stands there."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def grown(size: int) -> Frontier:
    frontier = Frontier()
    for leaf in leaves(size):
        frontier.append(leaf)
    return frontier


@pytest.mark.parametrize("size", range(9))
def test_the_roots_of_certificate_transparency(size):
    assert merkle.root(CT_HASHES[:size]).hex() == CT_ROOTS[size]
    assert naive_root(CT_LEAVES[:size]).hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("index", "size"), CT_INCLUSION)
def test_the_inclusion_proofs_of_certificate_transparency(index, size):
    proof = merkle.inclusion_proof(CT_HASHES[:size], index)
    assert [step.hex() for step in proof] == CT_INCLUSION[index, size]
    root = bytes.fromhex(CT_ROOTS[size])
    merkle.verify_inclusion(leaf=CT_HASHES[index], index=index, size=size, proof=proof, root=root)


@pytest.mark.parametrize(("old", "new"), CT_CONSISTENCY)
def test_the_consistency_proofs_of_certificate_transparency(old, new):
    proof = merkle.consistency_proof(CT_HASHES[:new], old)
    assert [step.hex() for step in proof] == CT_CONSISTENCY[old, new]
    merkle.verify_consistency(
        old_size=old,
        old_root=bytes.fromhex(CT_ROOTS[old]),
        size=new,
        root=bytes.fromhex(CT_ROOTS[new]),
        proof=proof,
    )


@pytest.mark.parametrize("size", SIZES)
def test_the_root_is_the_naive_one(size):
    assert merkle.root(leaves(size)) == naive_root([str(number).encode() for number in range(size)])
    assert merkle.root(leaves(size)) == grown(size).root()


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_any_leaves_have_the_naive_root(entries):
    assert merkle.root(map(leaf_hash, entries)) == naive_root(entries)


def test_an_empty_tree_hashes_nothing():
    assert merkle.root([]) == EMPTY_ROOT == Frontier().root() == sha256(b"").digest()


def test_a_leaf_is_never_a_node():
    one, other = leaves(2)
    assert leaf_hash(one + other) != merkle.node_hash(one, other)


@pytest.mark.parametrize("size", SIZES)
def test_a_frontier_is_kept_in_one_hash_per_bit_and_grows_on(size):
    frontier = grown(size)
    data = frontier.to_bytes()
    assert len(data) == 32 * bin(size).count("1")
    again = Frontier.from_bytes(size, data)
    for leaf in leaves(3):
        frontier.append(leaf)
        again.append(leaf)
    assert (again.size, again.root()) == (frontier.size, frontier.root()) == (size + 3, again.root())


@pytest.mark.parametrize(
    ("size", "length"), [(0, 32), (1, 0), (1, 31), (1, 64), (3, 32), (256, 64), (255, 7 * 32), (-1, 0)]
)
def test_bytes_of_another_size_are_no_frontier(size, length):
    with pytest.raises(FrontierMalformed):
        Frontier.from_bytes(size, bytes(length))


@pytest.mark.parametrize("size", SIZES[1:])
def test_every_leaf_is_proved(size):
    hashes = leaves(size)
    root = merkle.root(hashes)
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        proof = merkle.inclusion_proof(hashes, index)
        assert len(proof) <= (size - 1).bit_length()
        merkle.verify_inclusion(leaf=hashes[index], index=index, size=size, proof=proof, root=root)


@pytest.mark.parametrize("size", SIZES)
def test_every_earlier_tree_is_a_prefix(size):
    hashes = leaves(size)
    root = merkle.root(hashes)
    for old in {0, 1, 2, 127, 128, 129, 254, 255, 256, 257} & set(range(size + 1)):
        proof = merkle.consistency_proof(hashes, old)
        merkle.verify_consistency(old_size=old, old_root=merkle.root(hashes[:old]), size=size, root=root, proof=proof)


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index):
    with pytest.raises(IndexError):
        merkle.inclusion_proof(leaves(5), index)


@pytest.mark.parametrize("old", [-1, 6])
def test_there_is_no_proof_of_a_tree_that_never_was(old):
    with pytest.raises(IndexError):
        merkle.consistency_proof(leaves(5), old)


@st.composite
def inclusions(draw):
    size = draw(st.integers(1, 40))
    index = draw(st.integers(0, size - 1))
    hashes = leaves(size)
    proof = merkle.inclusion_proof(hashes, index)
    return {"leaf": hashes[index], "index": index, "size": size, "proof": proof, "root": merkle.root(hashes)}


@st.composite
def consistencies(draw):
    size = draw(st.integers(1, 40))
    old = draw(st.integers(0, size))
    hashes = leaves(size)
    return {
        "old_size": old,
        "old_root": merkle.root(hashes[:old]),
        "size": size,
        "root": merkle.root(hashes),
        "proof": merkle.consistency_proof(hashes, old),
    }


def bent(draw, proof: list[bytes]) -> list[bytes]:
    """Change, drop, double or add one step."""
    stranger = sha256(b"stranger").digest()
    ways = [[*proof, stranger], [stranger, *proof]]
    for at in range(len(proof)):
        ways += [proof[:at] + proof[at + 1 :], [*proof[:at], stranger, *proof[at + 1 :]], [*proof, proof[at]]]
        ways.append([*proof[:at], proof[at][:31], *proof[at + 1 :]])
    return draw(st.sampled_from(ways))


@given(inclusions(), st.data())
def test_a_bent_inclusion_proof_is_refused(claim, data):
    merkle.verify_inclusion(**claim)
    changes = [
        {"proof": bent(data.draw, claim["proof"])},
        {"leaf": sha256(b"another").digest()},
        {"root": sha256(b"another").digest()},
        {"index": -1},
        {"index": claim["size"]},
        {"size": 0},
    ]
    # Where the tree has one leaf more or less, or the leaf is its neighbour, the same path never fits.
    if claim["index"] + 1 < claim["size"]:
        changes.append({"index": claim["index"] + 1})
    with pytest.raises(ProofNotVerified):
        merkle.verify_inclusion(**claim | data.draw(st.sampled_from(changes)))


@given(consistencies(), st.data())
def test_a_bent_consistency_proof_is_refused(claim, data):
    merkle.verify_consistency(**claim)
    changes = [
        {"proof": bent(data.draw, claim["proof"])},
        {"old_root": sha256(b"another").digest()},
        {"old_size": -1},
        {"old_size": claim["size"] + 1},
    ]
    if claim["old_size"]:  # an empty tree is the beginning of every tree
        changes.append({"root": sha256(b"another").digest()})
    with pytest.raises(ProofNotVerified):
        merkle.verify_consistency(**claim | data.draw(st.sampled_from(changes)))
