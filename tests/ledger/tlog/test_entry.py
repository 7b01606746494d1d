"""Entries: what is signed comes back, and what a verifier would refuse is never signed."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog import canonical, note
from ledger.tlog.entry import KINDS, MAX_LEAF_BYTES, ZERO_HASH, Entry, open_entry, parse_entry, sign_entry
from ledger.tlog.errors import EntryMalformed, EntryTooLarge, KindNotAdmitted, NotCanonical, SignatureNotVerified
from ledger.tlog.note import Signer

LOG = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STRANGER = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
ENTRY = Entry(
    origin="example.org/log",
    index=7,
    kind="handoff",
    subject="urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
    subject_seq=2,
    subject_prev="a" * 64,
    prev="b" * 64,
    sealed_at="2026-11-22T14:05:09.123Z",
    body={"weight": {"measured_g": 412_350}, "note": "andén 4\n✓"},
)

# What no sealer may sign and no verifier may read, by field.
WRONG = [
    ("v", 2),
    ("v", 0),
    ("v", True),
    ("v", "1"),
    ("index", -1),
    ("index", True),
    ("index", "7"),
    ("index", None),
    ("subject_seq", -1),
    ("subject_seq", False),
    ("subject_seq", []),
    ("prev", "B" * 64),
    ("prev", "b" * 63),
    ("prev", "b" * 65),
    ("prev", "b" * 63 + "\n"),
    ("prev", "٣" * 64),
    ("prev", None),
    ("subject_prev", "g" * 64),
    ("subject_prev", ""),
    ("subject_prev", 0),
    ("subject", "01234567-89ab-cdef-0123-456789abcdef"),
    ("subject", "urn:uuid:01234567-89AB-cdef-0123-456789abcdef"),
    ("subject", "URN:UUID:01234567-89ab-cdef-0123-456789abcdef"),
    ("subject", "urn:uuid:0123456789abcdef0123456789abcdef"),
    ("subject", "urn:uuid:01234567-89ab-cdef-0123-456789abcdef\n"),
    ("subject", "urn:uuid:{01234567-89ab-cdef-0123-456789abcdef}"),
    ("subject", "urn:uuid:01234567-89ab-cdef-0123-456789abcde٣"),
    ("subject", 7),
    ("sealed_at", "2026-11-22T14:05:09Z"),
    ("sealed_at", "2026-11-31T14:05:09.123Z"),
    ("sealed_at", 1795356309123),
    ("body", []),
    ("body", "text"),
    ("body", None),
    ("kind", "teleport"),
    ("kind", ""),
    ("kind", "Handoff"),
    ("kind", None),
    ("kind", "genesis"),  # not entry 0
    ("origin", ""),
    ("origin", "example.org log"),
    ("origin", "example.org+log"),
    ("origin", 7),
]


def noted(text: str) -> bytes:
    return note.sign(text, LOG)


def test_an_entry_comes_back():
    data = sign_entry(ENTRY, LOG)
    assert parse_entry(data) == ENTRY
    assert open_entry(data, verifier=LOG.verifier) == ENTRY


def test_the_bytes_are_one_line_of_json_and_one_signature_line():
    text, line = sign_entry(ENTRY, LOG).decode().split("\n\n")
    assert text == (
        '{"body":{"note":"andén 4\\n✓","weight":{"measured_g":412350}},"index":7,"kind":"handoff",'
        '"origin":"example.org/log","prev":"' + "b" * 64 + '","sealed_at":"2026-11-22T14:05:09.123Z",'
        '"subject":"urn:uuid:01234567-89ab-cdef-0123-456789abcdef","subject_prev":"'
        + "a" * 64
        + '","subject_seq":2,"v":1}'
    )
    assert line == LOG.sign(text + "\n").line()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_in_its_place(kind):
    entry = replace(ENTRY, kind=kind, index=0 if kind == "genesis" else 1)
    assert parse_entry(sign_entry(entry, LOG)).kind == kind
    misplaced = replace(entry, index=1 - entry.index)
    with pytest.raises(KindNotAdmitted):
        sign_entry(misplaced, LOG)
    with pytest.raises(KindNotAdmitted):
        parse_entry(noted(misplaced.text()))


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_field_is_neither_signed_nor_read(name, value):
    wrong = replace(ENTRY, **{name: value})
    with pytest.raises(EntryMalformed) as unsigned:
        sign_entry(wrong, LOG)
    with pytest.raises(EntryMalformed) as unread:
        parse_entry(noted(wrong.text()))
    for refused in (unsigned, unread):
        assert refused.value.expected
        assert refused.value.found


@pytest.mark.parametrize("value", [0.5, 2**53, "\ud800", {"ö": 1}, object(), ()])
def test_a_body_without_canonical_form_is_not_signed(value):
    with pytest.raises(NotCanonical):
        sign_entry(replace(ENTRY, body={"value": value}), LOG)


@pytest.mark.parametrize(
    "text",
    [
        "{}\n",
        "[]\n",
        "null\n",
        "\n",
        ENTRY.text() + "\n",
        ENTRY.text() * 2,
        " " + ENTRY.text(),
        ENTRY.text().replace(":", ": ", 1),
        ENTRY.text().replace(',"v":1', ""),
        ENTRY.text().replace(',"v":1', ',"v":1,"w":1'),
        ENTRY.text().replace(',"v":1', ',"v":1,"v":1'),
        ENTRY.text().replace('"v":1', '"v":1.0'),
        ENTRY.text().replace("é", "\\u00e9"),
        ENTRY.text().replace('"body":{', '"body":{"z":1,'),
        '{"body":' + "[" * 30_000 + "\n",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_another_text_is_refused_even_where_the_log_signed_it(text):
    with pytest.raises(EntryMalformed):
        open_entry(noted(text), verifier=LOG.verifier)


def test_a_body_may_be_as_deep_as_canonical_json_itself():
    body: dict = {}
    for _ in range(canonical.MAX_DEPTH - 1):
        body = {"deeper": body}
    canonical.encode(body)
    assert parse_entry(sign_entry(replace(ENTRY, body=body), LOG)).body == body
    with pytest.raises(NotCanonical):
        sign_entry(replace(ENTRY, body={"deeper": body}), LOG)


def test_a_leaf_has_at_most_65535_bytes():
    spare = MAX_LEAF_BYTES - len(sign_entry(replace(ENTRY, body={"x": ""}), LOG))
    full = sign_entry(replace(ENTRY, body={"x": "y" * spare}), LOG)
    assert len(full) == 65_535
    assert parse_entry(full).index == 7
    with pytest.raises(EntryTooLarge):
        sign_entry(replace(ENTRY, body={"x": "y" * (spare + 1)}), LOG)
    with pytest.raises(EntryTooLarge):
        parse_entry(noted(replace(ENTRY, body={"x": "y" * (spare + 1)}).text()))


def test_the_log_signs_under_its_origin_alone():
    with pytest.raises(EntryMalformed, match="signer"):
        sign_entry(ENTRY, Signer("example.org/other", LOG.private_key))
    with pytest.raises(EntryMalformed, match="signature line"):
        parse_entry(note.sign(ENTRY.text(), Signer("example.org/other", LOG.private_key)))


def test_one_signature_and_no_more():
    witness = Signer("witness.example", STRANGER.private_key)
    for signers in ((LOG, witness), (witness, LOG), (LOG, LOG)):
        with pytest.raises(EntryMalformed, match="signatures"):
            parse_entry(note.sign(ENTRY.text(), *signers))


def test_the_shape_is_read_without_the_signature_and_opened_with_it():
    forged = sign_entry(ENTRY, STRANGER)
    assert parse_entry(forged) == ENTRY
    with pytest.raises(SignatureNotVerified):
        open_entry(forged, verifier=LOG.verifier)


def test_the_zero_hash_stands_for_no_entry():
    assert ZERO_HASH == "0" * 64
    assert parse_entry(sign_entry(replace(ENTRY, subject_prev=ZERO_HASH, subject_seq=0), LOG)).subject_seq == 0
