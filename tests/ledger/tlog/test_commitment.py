"""Commitments hide and bind: another value, another salt, another domain is another commitment."""

from hashlib import sha256

import pytest

from ledger.tlog.commitment import commit, opens
from ledger.tlog.errors import SaltMalformed

SALT = bytes(range(32))


def test_the_formula():
    assert commit(salt=SALT, value=b"Ana") == sha256(b"custody/commitment/v1" + SALT + b"Ana").hexdigest()


def test_a_known_answer():
    """Computed beside this code, so that the formula cannot move together with its test."""
    # (printf custody/commitment/v1; head -c 32 /dev/zero) | sha256sum
    assert commit(salt=bytes(32), value=b"") == "437704638f67f73cc837d6a032617549fcbbc4a45e0f4ec37508cd254332a558"


def test_it_opens_for_its_value_and_salt_alone():
    commitment = commit(salt=SALT, value=b"Ana")
    assert opens(commitment, salt=SALT, value=b"Ana")
    assert not opens(commitment, salt=SALT, value=b"Ann")
    assert not opens(commitment, salt=bytes(32), value=b"Ana")
    assert not opens(commitment.upper(), salt=SALT, value=b"Ana")
    assert not opens("", salt=SALT, value=b"Ana")
    assert not opens("ñ\ud800", salt=SALT, value=b"Ana")


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33), bytes(64)])
def test_another_length_of_salt_is_refused(salt):
    with pytest.raises(SaltMalformed, match="32 bytes"):
        commit(salt=salt, value=b"Ana")
    with pytest.raises(SaltMalformed):
        opens("0" * 64, salt=salt, value=b"Ana")
