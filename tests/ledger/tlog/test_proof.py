"""tlog-proofs: the form of c2sp.org/tlog-proof, and every form beside it refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import base64_strict, merkle
from ledger.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.tlog.errors import TlogProofMalformed
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Signer
from ledger.tlog.proof import HEADER, TlogProof, parse_proof

LOG = Signer("example.com/fancylog", Ed25519PrivateKey.from_private_bytes(bytes(32)))
LEAVES = [leaf_hash(str(number).encode()) for number in range(13)]
CHECKPOINT = sign_checkpoint(Checkpoint(LOG.name, 13, merkle.root(LEAVES)), LOG)

# The head of the specification's example; the checkpoint there is cut short.
SPEC = b"""c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
"""


def test_the_specifications_example_reads_and_writes_back():
    proof = parse_proof(SPEC)
    assert (proof.index, len(proof.path)) == (73894, 5)
    assert proof.path[0].hex().startswith("8122b25e8619")
    assert proof.extra.startswith(b"age-v1.2.1-darwin-arm64.tar.gz")
    assert proof.checkpoint.startswith(b"example.com/fancylog\n109482\n")
    assert proof.encode() == SPEC


@pytest.mark.parametrize("index", range(13))
def test_a_proof_carries_all_that_a_verifier_needs(index):
    written = TlogProof(index, tuple(merkle.inclusion_proof(LEAVES, index)), CHECKPOINT).encode()
    proof = parse_proof(written)
    head = open_checkpoint(proof.checkpoint, origin=LOG.name, verifiers=[LOG.verifier])
    merkle.verify_inclusion(leaf=LEAVES[index], index=proof.index, size=head.size, proof=proof.path, root=head.root)


@given(
    st.integers(0, 10**19 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=50),
    st.binary(max_size=60),
)
def test_any_proof_reads_back(index, path, extra, checkpoint):
    proof = TlogProof(index, tuple(path), checkpoint, extra)
    assert parse_proof(proof.encode()) == proof


STEP = base64_strict.encode(bytes(32)) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        f"{HEADER}\n\ncheckpoint",
        f"{HEADER}\nindex 1\n{STEP}",
        f"c2sp.org/tlog-proof@v2\nindex 1\n{STEP}\ncheckpoint",
        f" {HEADER}\nindex 1\n{STEP}\ncheckpoint",
        f"\ufeff{HEADER}\nindex 1\n{STEP}\ncheckpoint",
        f"{HEADER}\r\nindex 1\r\n\r\ncheckpoint",
        f"{HEADER}\nindex 01\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex -1\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex +1\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex  1\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex 1 \n{STEP}\ncheckpoint",
        f"{HEADER}\nindex ١\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex {'9' * 20}\n{STEP}\ncheckpoint",
        f"{HEADER}\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex 1\nextra AAAA\n{STEP}\ncheckpoint",
        f"{HEADER}\nextra AAAA\nextra AAAA\nindex 1\n{STEP}\ncheckpoint",
        f"{HEADER}\nextra AAA\nindex 1\n{STEP}\ncheckpoint",
        f"{HEADER}\nextra  AAAA\nindex 1\n{STEP}\ncheckpoint",
        f"{HEADER}\nindex 1\n{STEP[:-2]}\n\ncheckpoint",
        f"{HEADER}\nindex 1\n{base64_strict.encode(bytes(31))}\n\ncheckpoint",
        f"{HEADER}\nindex 1\n{base64_strict.encode(bytes(33))}\n\ncheckpoint",
        f"{HEADER}\nindex 1\n{STEP[:-1]} \n\ncheckpoint",
        f"{HEADER}\nindex 1\n{STEP.replace('A=', 'B=')}\ncheckpoint",
        f"{HEADER}\nindex 1\n{STEP * 64}\ncheckpoint",
    ],
)
def test_any_other_form_is_refused(text):
    with pytest.raises(TlogProofMalformed):
        parse_proof(text.encode())


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: SPEC[:40] + rest))
def test_any_bytes_are_a_proof_or_refused(data):
    try:
        proof = parse_proof(data)
    except TlogProofMalformed:
        return
    assert proof.encode() == data
