"""Base64 of RFC 4648 section 4 with exactly one accepted spelling: two spellings would be two leaves of one meaning."""

import base64

from ledger.tlog.errors import Base64Malformed, excerpt


def encode(data: bytes) -> str:
    """Return the standard base64 of ``data``, padded, on one line."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """
    Return the bytes of ``text``.

    :raises Base64Malformed: if it has whitespace, foreign characters, or padding that is missing or not zero
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Base64Malformed("base64", expected="RFC 4648 section 4", found=f"{excerpt(text)} ({error})") from None
    # The library drops stray padding bits; writing the bytes again shows whether there were any.
    if encode(data) != text:
        raise Base64Malformed("base64", expected=excerpt(encode(data)), found=excerpt(text))
    return data
