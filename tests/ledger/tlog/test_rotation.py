"""Key rotation: who may hand over to whom, where, and everything that only looks like it."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import ZERO_HASH, Entry, open_entry, sign_entry
from ledger.tlog.errors import RotationMalformed
from ledger.tlog.note import Signer
from ledger.tlog.rotation import KIND, read_rotation, rotation_body


def signer(number: int, name: str = "example.org/log") -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


OLD, NEW, THIRD = signer(1), signer(2), signer(3)
PREV = "ab" * 32
BODY = rotation_body(old=OLD.verifier, new=NEW, index=7, prev=PREV)
ENTRY = Entry(
    origin=OLD.name,
    index=7,
    kind=KIND,
    subject="urn:uuid:00000000-0000-0000-0000-000000000001",
    subject_seq=1,
    subject_prev=ZERO_HASH,
    prev=PREV,
    sealed_at="2026-11-22T14:05:09.123Z",
    body=BODY,
)


def test_the_old_key_hands_over_to_the_new_one():
    sealed = open_entry(sign_entry(ENTRY, OLD), verifier=OLD.verifier)
    found = read_rotation(sealed, signed_by=OLD.verifier)
    assert (found.vkey, found.key_id) == (NEW.vkey, NEW.verifier.key_id)


def test_the_proof_is_the_new_keys_over_where_it_takes_over():
    message = f"custody/key-rotation/v1\nexample.org/log\n7\n{PREV}\n{OLD.vkey}\n{NEW.vkey}\n"
    NEW.verifier.public_key.verify(bytes.fromhex(BODY["proof"]), message.encode())


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"index": 8}, "proof"),
        ({"prev": "cd" * 32}, "proof"),
        ({"origin": "example.org/other"}, "new key"),
        ({"body": {}}, "key_rotated"),
        ({"body": {"old": OLD.vkey, "new": NEW.vkey}}, "key_rotated"),
        ({"body": BODY | {"more": ""}}, "key_rotated"),
        ({"body": BODY | {"proof": 5}}, "key_rotated"),
        ({"body": BODY | {"old": THIRD.vkey}}, "old key"),
        ({"body": BODY | {"old": OLD.vkey + " "}}, "old key"),
        ({"body": BODY | {"new": "garbage"}}, "new key"),
        ({"body": BODY | {"new": NEW.vkey[:-1]}}, "new key"),
        ({"body": BODY | {"new": THIRD.vkey}}, "proof"),
        ({"body": BODY | {"new": signer(2, "example.org/other").vkey}}, "new key"),
        ({"body": BODY | {"new": Cosigner(NEW.name, NEW.private_key).vkey}}, "new key"),
        ({"body": BODY | {"proof": ""}}, "proof"),
        ({"body": BODY | {"proof": "00" * 64}}, "proof"),
        ({"body": BODY | {"proof": BODY["proof"].upper()}}, "proof"),
        ({"body": BODY | {"proof": BODY["proof"] + "00"}}, "proof"),
        ({"body": BODY | {"proof": " " + BODY["proof"]}}, "proof"),
        ({"body": BODY | {"proof": "zz" * 64}}, "proof"),
        ({"body": rotation_body(old=OLD.verifier, new=OLD, index=7, prev=PREV)}, "new key"),
    ],
)
def test_a_forged_rotation_is_refused(changed, named):
    with pytest.raises(RotationMalformed, match=f"^{named}: "):
        read_rotation(replace(ENTRY, **changed), signed_by=OLD.verifier)


def test_a_proof_by_the_old_key_is_no_proof_of_the_new_ones_consent():
    message = f"custody/key-rotation/v1\nexample.org/log\n7\n{PREV}\n{OLD.vkey}\n{NEW.vkey}\n"
    body = BODY | {"proof": OLD.private_key.sign(message.encode()).hex()}
    with pytest.raises(RotationMalformed, match="new key's signature"):
        read_rotation(replace(ENTRY, body=body), signed_by=OLD.verifier)


def test_only_the_key_that_signed_can_leave():
    with pytest.raises(RotationMalformed, match="old key"):
        read_rotation(ENTRY, signed_by=THIRD.verifier)
