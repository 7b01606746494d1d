"""One spelling of each byte string, and no other."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import base64_strict
from ledger.tlog.errors import Base64Malformed


@pytest.mark.parametrize(
    ("data", "text"),
    # RFC 4648 section 10.
    [
        (b"", ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg=="),
        (b"fooba", "Zm9vYmE="),
        (b"foobar", "Zm9vYmFy"),
        (b"\xfb\xff", "+/8="),
    ],
)
def test_known_answers(data, text):
    assert base64_strict.encode(data) == text
    assert base64_strict.decode(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "Zg",
        "Zg=",
        "Zg===",
        "Zm9v====",
        "Zh==",  # spare bits that are not zero
        "Zm9=",
        "Z",
        "=",
        "====",
        "Zm9v=",
        " Zm9v",
        "Zm9v\n",
        "Zm 9v",
        "Zm\r\n9v",
        "Zg==Zg==",  # two encodings, one after the other
        "Zg=\n=",
        "-_8=",  # the URL-safe alphabet
        "Zm9v!",
        "Zm9\u0430",  # a Cyrillic letter
        "\uff3am9v",  # a full-width one
        "Zm9v\x00",
        "Zg=\u200b=",
    ],
)
def test_another_spelling_is_refused(text):
    with pytest.raises(Base64Malformed) as refused:
        base64_strict.decode(text)
    assert refused.value.expected
    assert refused.value.found


@given(st.binary(max_size=200))
def test_every_byte_string_comes_back(data):
    assert base64_strict.decode(base64_strict.encode(data)) == data


@given(st.text(alphabet="AZaz09+/=-_ \n", max_size=12))
def test_what_is_accepted_is_what_is_written(text):
    try:
        data = base64_strict.decode(text)
    except Base64Malformed:
        return
    assert base64.b64encode(data).decode() == text
