"""
Commitments: how an entry holds what it must not show.

The salt makes a short or guessable value (a name, a document number) impossible to find by trying; it is as secret as
the value, and destroying both leaves a commitment that nobody can open.
"""

import hashlib
import hmac

from ledger.tlog.errors import SaltMalformed

SALT_BYTES = 32
_DOMAIN = b"custody/commitment/v1"


def commit(*, salt: bytes, value: bytes) -> str:
    """
    Return the commitment to ``value``: SHA-256 over the domain, the salt and the value, as lowercase hex.

    :param salt: 32 random bytes, used for this value alone
    :raises SaltMalformed: if the salt has another length
    """
    if len(salt) != SALT_BYTES:
        raise SaltMalformed("salt", expected=f"{SALT_BYTES} bytes", found=f"{len(salt)} bytes")
    return hashlib.sha256(_DOMAIN + salt + value).hexdigest()


def opens(commitment: str, *, salt: bytes, value: bytes) -> bool:
    """
    Tell whether ``salt`` and ``value`` are what was committed to, in time that does not depend on the answer.

    :raises SaltMalformed: if the salt is not 32 bytes
    """
    made = commit(salt=salt, value=value)
    return hmac.compare_digest(made.encode(), commitment.encode("utf-8", "replace"))
