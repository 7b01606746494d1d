"""
Timestamps as in RFC 3161, over the SHA-256 of a log-signed checkpoint: an authority outside says that it existed then.

The authority's answer proves nothing by itself; the caller pins the roots. Needs ``rfc3161-client``, which is imported
only here and only when a timestamp is read: everything else in this package verifies without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.util import find_spec

from cryptography.x509 import Certificate, load_der_x509_certificate

from ledger.tlog.errors import TimestampNotVerified, excerpt

# Certificates and a signature; the largest that authorities send is about 10 kB.
MAX_RESPONSE_BYTES = 100_000
_SHA256 = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True)
class StampedCheckpoint:
    """A checkpoint as the log signed it, and the RFC 3161 TimeStampResp (DER) over the SHA-256 of those bytes."""

    note: bytes
    response: bytes


@cache
def can_read() -> bool:
    """Tell whether timestamps can be checked here."""
    return find_spec("rfc3161_client") is not None


def read_root(der: bytes) -> Certificate:
    """
    Read a root certificate that the caller pins.

    :raises TimestampNotVerified: if it is no certificate in DER
    """
    try:
        return load_der_x509_certificate(der)
    except ValueError as error:
        raise TimestampNotVerified("root", expected="a certificate in DER", found=excerpt(str(error))) from None


def read_timestamp(response: bytes, data: bytes, *, roots: Sequence[Certificate]) -> datetime:
    """
    Return the time at which an authority under one of ``roots`` stamped ``data`` (RFC 3161 section 2.4.2), in UTC.

    The certificates need to have been valid at that time, not now. Revocation is not looked up.

    :raises TimestampNotVerified: if the response is no granted timestamp over SHA-256 of ``data`` under these roots
    :raises ImportError: where :func:`can_read` says no
    """
    from rfc3161_client import VerifierBuilder, decode_timestamp_response

    if len(response) > MAX_RESPONSE_BYTES:
        raise TimestampNotVerified(
            "timestamp", expected=f"at most {MAX_RESPONSE_BYTES} bytes", found=f"{len(response)} bytes"
        )
    builder = VerifierBuilder()
    for root in dict.fromkeys(roots):  # the builder refuses one that stands twice
        builder = builder.add_root_certificate(root)
    # Its parser and OpenSSL's, over bytes of strangers: whatever they raise means that the timestamp does not count.
    try:
        stamp = decode_timestamp_response(response)
        algorithm = stamp.tst_info.message_imprint.hash_algorithm.dotted_string
        if algorithm != _SHA256:
            raise TimestampNotVerified("timestamp", expected=f"SHA-256 ({_SHA256})", found=algorithm)
        builder.build().verify(stamp, sha256(data).digest())
        return stamp.tst_info.gen_time
    except TimestampNotVerified:
        raise
    except Exception as error:
        raise TimestampNotVerified(
            "timestamp", expected="one over these bytes, under a pinned root", found=excerpt(str(error), 200)
        ) from None
