"""RFC 8785 as far as the log admits it, and each refusal by which it is narrower."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import canonical
from ledger.tlog.canonical import MAX_DEPTH, MAX_INTEGER
from ledger.tlog.errors import NotCanonical

ascii_keys = st.text(st.characters(max_codepoint=127), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(ascii_keys, v, max_size=4))


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # The string of RFC 8785 section 3.2.2.2, from "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/".
        ("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/", '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        # Its literals, and its rule for control characters: the two-letter escapes where there is one.
        ([None, True, False], "[null,true,false]"),
        ("\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
        ("\x00\x01\x0b\x1f\x7f", '"\\u0000\\u0001\\u000b\\u001f\x7f"'),
        ("</script>", '"</script>"'),
        ("\u2028\u2029\u00a0\ufeff", '"\u2028\u2029\u00a0\ufeff"'),
        ("\U0001f602", '"\U0001f602"'),
        # Section 3.2.3: no normalisation, and keys sorted by code unit, in every object.
        ("e\u0301", '"e\u0301"'),
        ({"b": 1, "a": {"~": 1, "A": 2, "_": 3, "0": 4, "": 5}}, '{"a":{"":5,"0":4,"A":2,"_":3,"~":1},"b":1}'),
        ({"10": 1, "9": 2, "1": 3}, '{"1":3,"10":1,"9":2}'),
        # Appendix B, as far as it has integers.
        (0, "0"),
        (9007199254740991, "9007199254740991"),
        (-9007199254740991, "-9007199254740991"),
        ({}, "{}"),
        ([], "[]"),
        ([[], {}], "[[],{}]"),
    ],
)
def test_known_answers(value, text):
    assert canonical.encode(value) == text.encode()
    assert canonical.decode(text.encode()) == value


@given(values)
def test_an_independent_encoder_agrees(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(values)
def test_every_value_comes_back(value):
    assert canonical.decode(canonical.encode(value)) == value


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_no_other_spelling_is_read(value, ensure_ascii, indent):
    other = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    if other == canonical.encode(value):
        assert canonical.decode(other) == value
    else:
        with pytest.raises(NotCanonical):
            canonical.decode(other)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        float("inf"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        10**400,
        "\ud800",
        "\udc00\ud800",
        {"\ud800": 1},
        # The keys of RFC 8785 section 3.2.3: their order is where implementations part.
        {"\u20ac": "Euro Sign"},
        {"\U0001f602": "Smiley"},
        {"\u00f6": 1},
        {1: 1},
        {None: 1},
        {True: 1},
        (1, 2),
        {1, 2},
        b"bytes",
        object(),
        [[1.5]],
    ],
)
def test_a_value_without_a_form_is_refused(value):
    with pytest.raises(NotCanonical) as refused:
        canonical.encode(value)
    assert refused.value.expected
    assert refused.value.found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"[1 ,2]",
        b"{ }",
        b" {}",
        b"{}\n",
        b"{}{}",
        b'{"a":1,}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":1,"\\u0061":1}',
        b"{'a':1}",
        b"{a:1}",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000F"',
        b'"\\u000a"',
        b'"\\u20ac"',
        b'"\\ud83d\\ude02"',
        b'"\\ud800"',
        b'"\xed\xa0\x80"',  # a surrogate as UTF-8
        b'"\n"',
        b'"\t"',
        b'"\\x41"',
        b'"abc',
        b'"\xc3"',
        b'"\xc0\x80"',  # an overlong NUL
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        '{"ö":1}'.encode(),
        b"1.0",
        b"1e2",
        b"1E2",
        b"-0",
        b"-0.0",
        b"01",
        b"+1",
        b"0x10",
        b"1_000",
        "١".encode(),
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,  # beyond what int() reads
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"nul",
        b"True",
        b"// comment\n1",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_bytes_in_another_form_are_refused(data):
    with pytest.raises(NotCanonical) as refused:
        canonical.decode(data)
    assert refused.value.expected
    assert refused.value.found


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_they_are_or_refused(data):
    try:
        value = canonical.decode(data)
    except NotCanonical:
        return
    assert canonical.encode(value) == data


def test_depth_ends_at_the_limit():
    assert canonical.encode(canonical.decode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(NotCanonical, match="depth"):
        canonical.decode(nested(MAX_DEPTH + 1))


def test_true_stays_apart_from_one():
    assert canonical.encode([True, 1, False, 0]) == b"[true,1,false,0]"
    assert [type(item) for item in canonical.decode(b"[true,1]")] == [bool, int]


def test_a_repeated_key_is_named():
    with pytest.raises(NotCanonical, match="'grade' twice"):
        canonical.decode(b'{"code":1,"grade":"direct","grade":"inferred"}')
