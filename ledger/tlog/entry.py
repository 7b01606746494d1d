"""
Entries: signed notes whose text is one line of canonical JSON, and whose bytes are the log's leaves.

:func:`parse_entry` reads the shape alone; :func:`open_entry` checks the signature besides. Bodies are opaque here.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from ledger.tlog import canonical, note
from ledger.tlog.errors import (
    EntryMalformed,
    EntryTooLarge,
    KindNotAdmitted,
    NotCanonical,
    NoteMalformed,
    TimeMalformed,
    VerifierKeyMalformed,
    excerpt,
)
from ledger.tlog.note import Note, Signer, Verifier
from ledger.tlog.times import parse_time

# A leaf's length is two bytes in a tile's entry bundle (c2sp.org/tlog-tiles).
MAX_LEAF_BYTES = 65_535
# Leaves room in every leaf: the origin stands in the text and in the signature line.
MAX_ORIGIN_BYTES = 255

ZERO_HASH = "0" * 64
SUBJECT = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

GENESIS = "genesis"
KINDS = frozenset(
    {
        GENESIS,
        "handoff",
        "handoff_refused",
        "enrolment",
        "duplicate_decided",
        "consent_withdrawn",
        "erasure",
        "watchlist_changed",
        "watchlist_lead",
        "declaration",
        "declaration_amended",
        "unit_packed",
        "seal_applied",
        "seal_checked",
        "seal_broken",
        "seal_replaced",
        "inspection",
        "inspection_attended",
        "hold",
        "release",
        "seizure",
        "act_refused",
        "authorisation_granted",
        "authorisation_withdrawn",
        "employment_recorded",
        "employment_ended",
        "discrepancy",
        "resolution",
        "route_planned",
        "site_watched",
        "zone_alert",
        "passage",
        "reads_anchored",
        "read_gap",
        "correction",
        "evidence_opened",
        "disclosure",
        "index_epoch",
        "key_rotated",
    }
)

_HASH = re.compile(r"[0-9a-f]{64}")
# The body is one container deep in the entry: whatever canonical.encode() admits by itself fits as a body.
_MAX_DEPTH = canonical.MAX_DEPTH + 1


@dataclass(frozen=True)
class Entry:
    """One entry's fields, as they stand in its text."""

    origin: str
    index: int
    kind: str
    subject: str
    subject_seq: int
    subject_prev: str
    prev: str
    sealed_at: str
    body: dict[str, Any]
    v: int = 1

    def text(self) -> str:
        """
        Return the note text: one line of canonical JSON.

        :raises NotCanonical: if the body has no restricted canonical form
        """
        fields = {name: getattr(self, name) for name in _FIELDS}
        return canonical.encode(fields, max_depth=_MAX_DEPTH).decode() + "\n"


_FIELDS = frozenset(Entry.__dataclass_fields__)


def sign_entry(entry: Entry, signer: Signer) -> bytes:
    """
    Return the entry as a note signed by the log: the bytes that are the leaf.

    :raises EntryMalformed: if a verifier would refuse the entry, or the signer has another name than its origin
    :raises EntryTooLarge: if the note has more than 65,535 bytes
    :raises NotCanonical: if the body has no restricted canonical form
    """
    text = entry.text()
    _check_fields(asdict(entry))
    if signer.name != entry.origin:
        raise EntryMalformed("signer's name", expected=excerpt(entry.origin), found=excerpt(signer.name))
    data = note.sign(text, signer)
    _check_size(data)
    return data


def parse_entry(data: bytes) -> Entry:
    """
    Read an entry's note strictly, without checking the signature.

    :raises EntryMalformed: if the bytes are not an entry (:exc:`EntryTooLarge`, :exc:`KindNotAdmitted` among them)
    """
    return read_entry(data)[0]


def read_entry(data: bytes) -> tuple[Entry, Note]:
    """
    Read an entry as :func:`parse_entry` does, and return the note too, for whoever checks its signature next.

    :raises EntryMalformed: if the bytes are not an entry (:exc:`EntryTooLarge`, :exc:`KindNotAdmitted` among them)
    """
    _check_size(data)
    parsed = _parse_note(data)
    return _read(parsed), parsed


def open_entry(data: bytes, *, verifier: Verifier) -> Entry:
    """
    Return the entry of a note that ``verifier`` signed.

    :raises EntryMalformed: if the bytes are not an entry
    :raises SignatureNotVerified: if ``verifier`` did not sign it
    """
    entry, parsed = read_entry(data)
    note.verify_note(parsed, verifier)
    return entry


def _parse_note(data: bytes) -> Note:
    try:
        return note.parse(data)
    except NoteMalformed as error:
        raise EntryMalformed(error.what, expected=error.expected, found=error.found) from None


def _read(parsed: Note) -> Entry:
    try:
        fields = canonical.decode(parsed.text[:-1].encode(), max_depth=_MAX_DEPTH)
    except NotCanonical as error:
        raise EntryMalformed(error.what, expected=error.expected, found=error.found) from None
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        found = sorted(fields) if isinstance(fields, dict) else fields
        raise EntryMalformed("fields", expected=", ".join(sorted(_FIELDS)), found=excerpt(found, 300))
    _check_fields(fields)
    # The log's signature alone: with others beside it, one entry could stand as several different leaves.
    if len(parsed.signatures) != 1:
        raise EntryMalformed("signatures", expected="one", found=str(len(parsed.signatures)))
    if parsed.signatures[0].name != fields["origin"]:
        raise EntryMalformed(
            "signature line", expected=excerpt(fields["origin"]), found=excerpt(parsed.signatures[0].name)
        )
    return Entry(**fields)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_LEAF_BYTES:
        raise EntryTooLarge("entry", expected=f"at most {MAX_LEAF_BYTES} bytes", found=f"{len(data)} bytes")


def _check_fields(fields: dict[str, Any]) -> None:
    # type() and not isinstance(): a bool is an int to Python, and true is not 1 to anybody else.
    for name in ("v", "index", "subject_seq"):
        value = fields[name]
        if type(value) is not int or not 0 <= value <= canonical.MAX_INTEGER:
            raise EntryMalformed(name, expected="an integer from 0 to 2^53 - 1", found=excerpt(value))
    if fields["v"] != 1:
        raise EntryMalformed("v", expected="1", found=excerpt(fields["v"]))
    for name in ("origin", "kind", "subject", "subject_prev", "prev", "sealed_at"):
        if not isinstance(fields[name], str):
            raise EntryMalformed(name, expected="a string", found=excerpt(fields[name]))
    if not isinstance(fields["body"], dict):
        raise EntryMalformed("body", expected="an object", found=excerpt(fields["body"]))
    for name in ("subject_prev", "prev"):
        if not _HASH.fullmatch(fields[name]):
            raise EntryMalformed(name, expected="64 lowercase hex digits", found=excerpt(fields[name]))
    if not SUBJECT.fullmatch(fields["subject"]):
        raise EntryMalformed("subject", expected="a lowercase urn:uuid:", found=excerpt(fields["subject"]))
    _check_origin(fields["origin"])
    try:
        parse_time(fields["sealed_at"])
    except TimeMalformed as error:
        raise EntryMalformed("sealed_at", expected=error.expected, found=error.found) from None
    if fields["kind"] not in KINDS:
        raise KindNotAdmitted("kind", expected="a kind that this format knows", found=excerpt(fields["kind"]))
    if (fields["kind"] == GENESIS) != (fields["index"] == 0):
        raise KindNotAdmitted(
            "kind",
            expected="genesis in entry 0 and nowhere else",
            found=f"{fields['kind']} in entry {fields['index']}",
        )


def _check_origin(origin: str) -> None:
    try:
        note.check_key_name(origin)
    except VerifierKeyMalformed as error:
        raise EntryMalformed("origin", expected=error.expected, found=error.found) from None
    if len(origin.encode()) > MAX_ORIGIN_BYTES:
        raise EntryMalformed("origin", expected=f"at most {MAX_ORIGIN_BYTES} bytes", found=excerpt(origin))
