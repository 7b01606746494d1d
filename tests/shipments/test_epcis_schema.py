"""What GS1's schema takes and refuses, where each fault lies, and that nothing is ever fetched."""

import hashlib
import json
import re
import socket
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipments.epcis import schema
from shipments.epcis.documents import DocumentTooLarge, DocumentUnreadable, read_json, write_json
from shipments.epcis.schema import check_document, check_event, check_frame
from tests.shipments.epcis_samples import CONTEXT, INVALID, VALID, document, event, item


@pytest.mark.parametrize("name", VALID)
def test_events_of_every_type_are_taken(name):
    assert check_event(VALID[name]) == []
    assert check_document(document(VALID[name])) == []
    assert check_event({"@context": CONTEXT, **VALID[name]}, bare=True) == []


@pytest.mark.parametrize("name", INVALID)
def test_what_the_standard_refuses_is_refused_where_it_lies(name):
    wrong, pointer = INVALID[name]
    faults = check_event(wrong)
    assert pointer in [fault.pointer for fault in faults]
    assert all(fault.sentence and fault.sentence.isprintable() for fault in faults)
    assert check_document(document(event(2), wrong))


def test_the_sentences_name_what_is_wrong():
    def first(wrong):
        return check_event(wrong)[0].sentence

    assert first(event(action="LOOK")) == "“LOOK” is none of OBSERVE, ADD, DELETE."
    assert first(event(readPoint={})) == "“id” is missing."
    assert first(event(epcList=None)).startswith("One of these is missing")
    assert "epcList" in first(event(epcList=None))
    assert first(event(bizStep="vanishing")) == "“vanishing” is no word of the standard here, and no URI of your own."
    assert "“note” is no term of the standard here" in first(event(note=1))
    assert "\0" not in first(event(action="\0\n\ud7ff"))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"@context": None}, ""),
        ({"creationDate": None}, ""),
        ({"schemaVersion": "2.\u0663"}, "/schemaVersion"),
        ({"creationDate": "yesterday"}, "/creationDate"),
        ({"@context": "not a uri"}, "/@context"),
        ({"epcisBody": {}}, "/epcisBody"),
        ({"sender2": "x"}, ""),
        ({"@context": [f"https://example.com/{n}" for n in range(30)]}, "/@context"),
    ],
)
def test_the_frame_is_checked_without_its_events(changes, pointer):
    faults = check_frame(document({"not": "an event"}, **changes))
    assert pointer in [fault.pointer for fault in faults]
    assert check_frame(document({"not": "an event"})) == []


def test_the_list_of_faults_ends_at_twenty():
    assert len(check_event(event(epcList=[f"bad {n}" for n in range(1000)]))) == 20


def test_many_odd_values_take_no_time():
    began = time.monotonic()
    # Each with each would be half a billion comparisons.
    check_event(event(epcList=[{"a": n} if n % 2 else n for n in range(30_000)]))
    check_event(event(epcList=[item(n) for n in range(30_000)]))
    assert time.monotonic() - began < 20


def test_no_context_and_no_schema_is_fetched(monkeypatch):
    def unreachable(*args, **kwargs):
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    for cached in (schema._schema, schema._whole, schema._of_known_type, schema._kind_of_validator):
        cached.cache_clear()
    assert check_document(document(*VALID.values(), **{"@context": ["https://nowhere.example/context.jsonld"]})) == []
    with pytest.raises(schema.SchemaWouldFetch):
        schema._inline({"$ref": "https://nowhere.example/other.json"}, {})


def test_the_vendored_files_are_those_that_are_written_down():
    folder = schema.SCHEMA_FILE.parent
    written = dict(
        re.findall(r"^\| `(\S+)` .*`([0-9a-f]{64})` \|$", (folder / "VENDORED.md").read_text(), re.MULTILINE)
    )
    assert set(written) == {"EPCISDocument.schema.json", "LICENSE"}
    for name, digest in written.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_remembered_words_do_not_leak_into_other_places():
    # “receiving” is a step and no disposition, “OBSERVE” an action: each is asked for where it stands.
    assert check_event(event(bizStep="receiving")) == []
    assert check_event(event(disposition="receiving"))
    assert check_event(event(bizStep="in_progress"))
    assert check_event(event(bizStep="receiving", disposition="in_progress")) == []


# The JSON itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"\xff{}", "not_utf8"),
        (b"{", "not_json"),
        (b'{"a":1}{"a":1}', "not_json"),
        (b'{"a":1,"a":1}', "duplicate_keys"),
        (b"[NaN]", "number"),
        (b"[-Infinity]", "number"),
        (b"[1e400]", "number"),
        (b"[1e9999999999999999999]", "number"),
        (b"[" + b"9" * 5000 + b"]", "number"),
        (b'["\\ud800"]', "text"),
        (b'{"\\udc00":1}', "text"),
        (b"[" * 40 + b"]" * 40, "too_deep"),
        (b"[" * 500_000 + b"]" * 500_000, "too_deep"),
    ],
)
def test_json_that_cannot_be_relied_on_is_refused(body, reason):
    with pytest.raises(DocumentUnreadable) as refused:
        read_json(body)
    assert refused.value.reason == reason
    assert refused.value.sentence


def test_bodies_past_the_caps_are_refused_before_they_are_parsed():
    for body in (b" " * (16 * 1024 * 1024 + 1), b"[" + b"{}," * 1_000_000 + b"{}]"):
        with pytest.raises(DocumentTooLarge):
            read_json(body)


@pytest.mark.parametrize(
    "text", ["412.050", "1E+3", "-0.0", "12345678901234567890123", "0.1000000000000000055511151231257827", "3", "-7"]
)
def test_a_number_keeps_its_spelling(text):
    assert write_json(read_json(f'{{"a":{text}}}'.encode())) == f'{{"a":{text}}}'.replace("e", "E").encode()


@settings(deadline=None, max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
        max_leaves=20,
    )
)
def test_whatever_is_read_is_written_the_same(value):
    try:
        read = read_json(json.dumps(value).encode())
    except DocumentUnreadable:
        return
    again = json.loads(write_json(read), parse_float=Decimal, parse_int=Decimal)
    assert again == json.loads(json.dumps(value), parse_float=Decimal, parse_int=Decimal)
