"""The quick reading of canonical objects decides every text as the plain one does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import canonical
from ledger.tlog.errors import NotCanonical

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def decided(decode, data: bytes):
    try:
        value = decode(data)
    except NotCanonical:
        return None
    return value if isinstance(value, dict) else None


@pytest.mark.parametrize(
    "text",
    [
        "{}", '{"a":1}', ' {"a":1}', '{"a":1} ', '{"a": 1}', '{"b":1,"a":2}', '{"a":1,"a":2}', '{"a":1.0}', '{"a":1e3}',
        '{"a":-0}', '{"a":NaN}', '{"a":9007199254740991}', '{"a":9007199254740992}', '{"a":-9007199254740991}',
        '{"a":-9007199254740992}', '{"a":1234567890123456}', '{"é":1}', '{"\\u00e9":1}', '{"a":"é"}', '{"a":"\\u00e9"}',
        '{"a":"\\ud800"}', '{"a":"\\u0001"}', '{"a":"\\u001F"}', '{"a":"\\/"}', '{"a":"\t"}', "[]", "1", '"{}"', "{",
        '{"a":"' + "[{" * 40 + '"}', '{"a":' * 31 + "{}" + "}" * 31, '{"a":' * 32 + "{}" + "}" * 32,
        '{"a":' + "[" * 5000 + "]" * 5000 + "}", '{"a":{"é":1}}', '{"a":[{"é":1}]}', '{"a":' + "1" * 5000 + "}", "",
    ],
)  # fmt: skip
def test_a_text_is_decided_alike(text):
    assert decided(canonical.decode_object, text.encode()) == decided(canonical.decode, text.encode())


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(NotCanonical):
        canonical.decode_object(b'{"a":"\xff"}')


def test_what_is_no_object_is_refused_by_what_it_is():
    with pytest.raises(NotCanonical, match="expected an object, found list"):
        canonical.decode_object(b"[]")


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.booleans(), st.booleans())
def test_any_value_is_decided_alike(value, ascii_only, sort):
    data = json.dumps(value, ensure_ascii=ascii_only, sort_keys=sort, separators=(",", ":")).encode()
    assert decided(canonical.decode_object, data) == decided(canonical.decode, data)
