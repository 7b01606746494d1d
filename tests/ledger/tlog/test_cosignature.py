"""Cosignatures: the example of c2sp.org/tlog-cosignature, and everything that is not one."""

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import note
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.cosignature import CosignatureVerifier, Cosigner, timestamp_of
from ledger.tlog.errors import SignatureNotVerified, VerifierKeyMalformed
from ledger.tlog.note import Signature, Signer, verify_note

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Cosigner("witness.example.com/w1", KEY)
TEXT = Checkpoint("example.com/log", 12, bytes(32)).text()

# The note that stands in the specification; its keys do not.
SPEC_NOTE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501
SPEC_TIME = 1679315147


def test_the_specifications_example_reads_as_it_says():
    parsed = note.parse(SPEC_NOTE.encode())
    log, witness = parsed.signatures
    assert parse_checkpoint(parsed.text).size == 20852163
    assert (log.name, log.key_id.hex(), len(log.signature)) == ("example.com/behind-the-sofa", "033de0ae", 64)
    assert (witness.name, witness.key_id.hex(), len(witness.signature)) == ("witness.example.com/w1", "8d66cf3f", 72)
    assert timestamp_of(witness) == SPEC_TIME


def test_what_is_signed_is_the_specifications_message():
    text = note.parse(SPEC_NOTE.encode()).text
    message = (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    made = WITNESS.cosign(text, timestamp=SPEC_TIME)
    assert made.signature[:8] == struct.pack(">Q", SPEC_TIME)
    KEY.public_key().verify(made.signature[8:], message.encode())


def test_a_witness_and_a_log_of_one_key_and_name_have_other_ids():
    log = Signer(WITNESS.name, KEY)
    assert log.verifier.key_id != WITNESS.verifier.key_id
    with pytest.raises(VerifierKeyMalformed, match="type 04"):
        CosignatureVerifier.from_vkey(log.vkey)
    with pytest.raises(VerifierKeyMalformed, match="type 01"):
        note.Verifier.from_vkey(WITNESS.vkey)
    assert CosignatureVerifier.from_vkey(WITNESS.vkey).key_id == WITNESS.verifier.key_id


def test_a_logs_signature_under_the_witnesss_id_is_no_cosignature():
    plain = Signature(WITNESS.name, WITNESS.verifier.key_id, KEY.sign(TEXT.encode()))
    with pytest.raises(SignatureNotVerified):
        verify_note(note.Note(TEXT, (plain,)), WITNESS.verifier)


@given(st.integers(0, 2**63 - 1), st.data())
@settings(deadline=None)
def test_a_cosignature_holds_for_its_time_and_text_alone(timestamp, data):
    made = WITNESS.cosign(TEXT, timestamp=timestamp)
    assert timestamp_of(made) == timestamp
    assert WITNESS.verifier.made(made)
    assert WITNESS.verifier.verifies(made, TEXT)
    assert not WITNESS.verifier.verifies(made, TEXT + "extension\n")
    at = data.draw(st.integers(0, len(made.signature) - 1))
    flipped = bytearray(made.signature)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not WITNESS.verifier.verifies(Signature(made.name, made.key_id, bytes(flipped)), TEXT)


@pytest.mark.parametrize("blob", [b"", bytes(8), bytes(64), bytes(71), bytes(73)])
def test_bytes_of_another_length_are_no_cosignature(blob):
    assert not WITNESS.verifier.verifies(Signature(WITNESS.name, WITNESS.verifier.key_id, blob), TEXT)


def test_a_time_beyond_the_specifications_is_refused_though_signed():
    late = 2**63
    signed = KEY.sign(f"cosignature/v1\ntime {late}\n{TEXT}".encode())
    made = Signature(WITNESS.name, WITNESS.verifier.key_id, struct.pack(">Q64s", late, signed))
    assert not WITNESS.verifier.verifies(made, TEXT)


def test_another_name_or_id_is_another_witness():
    made = WITNESS.cosign(TEXT, timestamp=1)
    other = Cosigner("witness.example.com/w2", KEY).verifier
    assert not other.made(made)
    assert not WITNESS.verifier.made(Signature(made.name, other.key_id, made.signature))
    with pytest.raises(SignatureNotVerified):
        verify_note(note.Note(TEXT, (made,)), other)


def test_a_checkpoint_carries_log_and_witnesses_side_by_side():
    log = Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    data = note.sign(TEXT, log) + WITNESS.cosign(TEXT, timestamp=7).line().encode()
    opened = note.open_note(data, log.verifier, WITNESS.verifier)
    assert [signature.name for signature in opened.verified] == [log.name, WITNESS.name]


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "garbage",
        WITNESS.vkey[:-4],
        WITNESS.vkey + "=",
        WITNESS.vkey.replace("w1+", "w2+"),
        " " + WITNESS.vkey,
        WITNESS.vkey + "\n",
        WITNESS.vkey.upper(),
    ],
)
def test_another_line_is_no_witnesss_key(vkey):
    with pytest.raises(VerifierKeyMalformed):
        CosignatureVerifier.from_vkey(vkey)
