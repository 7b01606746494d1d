"""
Many Ed25519 signatures of a few keys, as fast as what is installed allows.

The decision is always that of ``cryptography``. PyNaCl, where it is installed, may only say yes: libsodium refuses some
keys and signatures that RFC 8032 admits, and accepts none that OpenSSL refuses.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

try:
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import CryptoError

    HAS_NACL = True
except ImportError:
    HAS_NACL = False

# Tells whether the 64 bytes are the key's signature over the data.
Check = Callable[[bytes, bytes], bool]


def checker(public_key: Ed25519PublicKey) -> Check:
    """Return what checks a signature (first) over data (second) by this key, in this process."""

    def check(signature: bytes, data: bytes) -> bool:
        try:
            public_key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    if not HAS_NACL:
        return check
    raw = public_key.public_bytes_raw()

    def check_faster(signature: bytes, data: bytes) -> bool:
        if len(signature) != 64:
            return check(signature, data)
        try:
            crypto_sign_open(signature + data, raw)
        except (CryptoError, ValueError):
            return check(signature, data)
        return True

    return check_faster
