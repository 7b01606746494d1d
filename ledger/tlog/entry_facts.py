"""
What the chains and the tree need to know of entries, read from their bytes alone and faster than the whole is parsed.

In canonical JSON the body comes first, and everything behind it has one spelling: so an entry is read from its end, by
one regular expression, or, where entries follow each other as they should, by writing that end anew and comparing. What
does not fit goes to :func:`ledger.tlog.entry.read_entry`, which decides; it is never the shortcut that refuses. Runs in
worker processes: it trusts nothing, and what it returns is plain and small.
"""

import json
import re
from binascii import a2b_base64, hexlify
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from ledger.tlog import index_epoch, rotation
from ledger.tlog.attachment_names import ATTACHMENT_FIELDS, named_in
from ledger.tlog.canonical import decode_object
from ledger.tlog.entry import GENESIS, KINDS, MAX_LEAF_BYTES, SUBJECT, Entry, read_entry
from ledger.tlog.errors import EntryMalformed, KindNotAdmitted, NotCanonical, RotationMalformed, TlogError, excerpt
from ledger.tlog.note import Verifier
from ledger.tlog.signatures import Check, checker

# Entries of these kinds say something to the verifier itself.
SPECIAL = frozenset({rotation.KIND, index_epoch.KIND})
_PLAIN_KINDS = {kind.encode(): kind for kind in KINDS - SPECIAL - {GENESIS}}
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# 68 bytes: the key id and an Ed25519 signature. The last letter has two bits that must be zero.
_LAST_LETTERS = frozenset(b"AEIMQUYcgkosw048")
_SIGNATURE_LETTERS = 92
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class Facts(NamedTuple):
    """
    What an entry claims; ``leaf`` is its leaf hash, ``place`` its index.

    ``signer`` is the verifier key line of the candidate whose signature fits, empty where none does or none was asked;
    ``special`` its kind where the verifier reads it; ``named`` the digests of attachments that its body names.
    """

    leaf: bytes
    place: int
    prev: str
    sealed_at: str
    subject: str
    subject_seq: int
    subject_prev: str
    signer: str = ""
    special: str = ""
    named: tuple[str, ...] = ()


class Survey(NamedTuple):
    """
    A run of ordinary entries that follow each other as they should, seen from inside.

    They are ``first`` and the ``len(leaves)`` − 1 behind it, in order, each continuing from the one before, times not
    falling. What they claim to continue from is for the caller to compare: ``prev``, and by subject in ``entering`` the
    ``subject_seq`` and ``subject_prev`` of its first entry here. ``leaving`` has each subject's next number and newest
    leaf hash, ``times`` each time and the offset where it begins; one key, ``signer``, signed them all.
    """

    first: int
    prev: str
    leaves: list[bytes]
    times: list[tuple[int, str]]
    entering: dict[str, tuple[int, str]]
    leaving: dict[str, tuple[int, str]]
    signer: str
    named: list[tuple[int, tuple[str, ...]]]


class Fault(Exception):
    """A check that failed: its stable code, what was expected, what was found; ``words`` where the code has none."""

    def __init__(self, check: str, expected: str, found: str, words: str = "") -> None:
        super().__init__(check, expected, found, words)
        self.check, self.expected, self.found, self.words = check, expected, found, words

    @classmethod
    def of(cls, check: str, error: TlogError) -> "Fault":
        return cls(check, f"{error.what}: {error.expected}", error.found)


class Examiner:
    """
    Reads the entries of one log: the checks of an entry by itself.

    ``candidates`` are keys that may have signed; which of them count where is for the caller to say.
    """

    def __init__(self, origin: str, candidates: Iterable[Verifier], *, deep: bool) -> None:
        self.origin = origin
        self.deep = deep
        self._keys: dict[bytes, list[tuple[str, Check]]] = {}  # by key id
        for verifier in candidates:
            self.add(verifier)
        self._tail, self._line_bytes = _tail_of(origin)
        name = json.dumps(origin, ensure_ascii=False).encode(errors="replace")
        line = f"\u2014 {origin} ".encode(errors="replace")
        # The end of an entry from behind its kind to before the signature; and the bytes of it before sealed_at.
        self._end = (
            b'","origin":%b,"prev":"%%b","sealed_at":"%%b","subject":"%%b","subject_prev":"%%b","subject_seq":%%d,"v":1}\n\n%b'
            % (
                name.replace(b"%", b"%%"),
                line.replace(b"%", b"%%"),
            )
        )
        self._before_time = len(b'","origin":,"prev":"","sealed_at":"') + len(name) + 64

    def add(self, verifier: Verifier) -> None:
        """Take one more candidate."""
        known = self._keys.setdefault(verifier.key_id, [])
        if verifier.name == self.origin and all(vkey != verifier.vkey for vkey, _ in known):
            known.append((verifier.vkey, checker(verifier.public_key)))

    def examine(self, chunk: Sequence[bytes]) -> Iterator[Survey | Facts | Fault]:
        """Read entries that should follow each other, in runs where they do, and end at the first fault."""
        at = 0
        while at < len(chunk):
            survey = self._survey(chunk, at)
            if survey:
                yield survey
                at += len(survey.leaves)
            if at < len(chunk):
                facts = self.facts(chunk[at])
                yield facts
                if type(facts) is Fault:
                    return
                at += 1

    def _survey(self, chunk: Sequence[bytes], begin: int) -> Survey | None:
        """Return the run of ordinary entries that begins at ``begin``, or None where that entry is none."""
        start = _claimed_index(chunk[begin])
        if not start:  # none at all, or the genesis
            return None
        index, prev, time, signer = start, b"", b"", ""
        leaves: list[bytes] = []
        times: list[tuple[int, str]] = []
        entering: dict[bytes, tuple[int, bytes]] = {}
        heads: dict[bytes, tuple[int, bytes]] = {}
        named: list[tuple[int, tuple[str, ...]]] = []
        end, before_time, line_bytes, deep = self._end, self._before_time, self._line_bytes, self.deep
        # This loop runs for every entry there is: no call in it that slicing and comparing can do without.
        for data in islice(chunk, begin, None):
            mark = b',"index":%d,"kind":"' % index
            at = data.rfind(mark)
            kind_at = at + len(mark)
            kind_end = data.find(b'"', kind_at)
            kind = _PLAIN_KINDS.get(data[kind_at:kind_end])
            if at < 0 or kind is None or len(data) > MAX_LEAF_BYTES or not data.startswith(b'{"body":{'):
                break
            time_at = kind_end + before_time
            own_time = data[time_at : time_at + 24]
            subject = data[time_at + 37 : time_at + 82]
            head = heads.get(subject)
            if head is None:
                head = _claimed_place(data, time_at + 100)
                if head is None or not _SUBJECT.fullmatch(subject):
                    break
            own_prev = prev or data[time_at - 79 : time_at - 15]
            line_at = len(data) - _SIGNATURE_LETTERS - 1
            if (
                data[kind_end:line_at] != end % (own_prev, own_time, subject, head[1], head[0])
                or data[-2:] != b"=\n"
                or data[-3] not in _LAST_LETTERS
                or data[line_at:-3].translate(None, _BASE64)
            ):
                break
            if own_time != time:
                if own_time < time or not _is_time(own_time):
                    break
                times.append((index - start, own_time.decode()))
                time = own_time
            if not prev and own_prev.translate(None, b"0123456789abcdef"):
                break
            if deep:
                try:
                    body = decode_object(data[8:at])
                except NotCanonical:
                    break
                blob = a2b_base64(data[line_at:-1])
                signed_by = self._signer(blob[:4], blob[4:], data[: -line_bytes - 1])
                if not signed_by or signed_by != (signer or signed_by):
                    break
                signer = signed_by
                if kind in ATTACHMENT_FIELDS and (digests := tuple(named_in(kind, body))):
                    named.append((index, digests))
            if subject not in heads:
                entering[subject] = head
            if not leaves:
                first_prev = own_prev
            leaf = sha256(b"\x00" + data).digest()
            leaves.append(leaf)
            prev = hexlify(leaf)
            heads[subject] = (head[0] + 1, prev)
            index += 1
        if not leaves:
            return None
        return Survey(start, first_prev.decode(), leaves, times, _decoded(entering), _decoded(heads), signer, named)

    def facts(self, data: bytes) -> Facts | Fault:
        """Read one entry."""
        match = None
        if len(data) <= MAX_LEAF_BYTES and data.startswith(b'{"body":{'):
            at = data.rfind(b',"index":')
            match = self._tail.fullmatch(data[at:].decode("utf-8", "replace")) if at > 0 else None
        if match is None:
            return self._strictly(data)
        index_, kind, prev, sealed_at, subject, subject_prev, seq, line = match.groups()
        index = int(index_)
        try:
            datetime.fromisoformat(sealed_at)
        except ValueError:
            return self._strictly(data)
        if kind not in KINDS or (kind == GENESIS) != (index == 0):
            return self._strictly(data)
        signer = ""
        named: tuple[str, ...] = ()
        if self.deep:
            try:
                body = decode_object(data[8:at])
            except NotCanonical:
                return self._strictly(data)
            if kind in ATTACHMENT_FIELDS:
                named = tuple(named_in(kind, body))
            blob = a2b_base64(line)
            signer = self._signer(blob[:4], blob[4:], data[: -self._line_bytes - 1])
        elif kind == rotation.KIND:
            # Which keys count hangs on these few: they are read in full at every depth.
            return self._strictly(data)
        # Not Facts(...): this line runs for every entry, and that goes through one more Python function.
        return tuple.__new__(
            Facts,
            (
                sha256(b"\x00" + data).digest(),
                index,
                prev,
                sealed_at,
                subject,
                int(seq),
                subject_prev,
                signer,
                kind if kind in SPECIAL else "",
                named,
            ),
        )

    def _strictly(self, data: bytes) -> Facts | Fault:
        try:
            entry, note = read_entry(data)
        except KindNotAdmitted as error:
            return Fault.of("kind", error)
        except EntryMalformed as error:
            return Fault.of("format", error)
        if entry.origin != self.origin:
            return Fault("origin", excerpt(self.origin), excerpt(entry.origin))
        signature = note.signatures[0]
        signer = ""
        if self.deep or entry.kind == rotation.KIND:
            signer = self._signer(signature.key_id, signature.signature, note.text.encode())
        if signer and entry.kind == rotation.KIND:
            self._follow(entry, signer)
        return Facts(
            sha256(b"\x00" + data).digest(),
            entry.index,
            entry.prev,
            entry.sealed_at,
            entry.subject,
            entry.subject_seq,
            entry.subject_prev,
            signer,
            entry.kind if entry.kind in SPECIAL else "",
            tuple(named_in(entry.kind, entry.body)) if self.deep else (),
        )

    def _signer(self, key_id: bytes, signature: bytes, text: bytes) -> str:
        return next((vkey for vkey, check in self._keys.get(key_id, ()) if check(signature, text)), "")

    def _follow(self, entry: Entry, signer: str) -> None:
        # A guess that saves work: the key that the next entries will name is a candidate. Whether it counts is asked
        # where the entries are in order.
        try:
            self.add(rotation.read_rotation(entry, signed_by=Verifier.from_vkey(signer)))
        except RotationMalformed:
            return


def _tail_of(origin: str) -> tuple[re.Pattern[str], int]:
    """Return what the end of this log's entries matches, and how long their signature line is in bytes."""
    hour = "(?:[01][0-9]|2[0-3])"
    uuid = "-".join(f"[0-9a-f]{{{n}}}" for n in (8, 4, 4, 4, 12))
    tail = (
        ',"index":(0|[1-9][0-9]{0,14}),"kind":"([a-z_]{1,40})",'
        f'"origin":{re.escape(json.dumps(origin, ensure_ascii=False))},"prev":"([0-9a-f]{{64}})",'
        f'"sealed_at":"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{hour}:[0-9]{{2}}:[0-9]{{2}}\\.[0-9]{{3}}Z)",'
        f'"subject":"(urn:uuid:{uuid})","subject_prev":"([0-9a-f]{{64}})",'
        '"subject_seq":(0|[1-9][0-9]{0,14}),"v":1}\\n\\n'
        # 68 bytes: the key id and an Ed25519 signature. The last letter has two bits that must be zero.
        f"\u2014 {re.escape(origin)} ([A-Za-z0-9+/]{{90}}[AEIMQUYcgkosw048]=)\\n"
    )
    return re.compile(tail), len(f"\u2014 {origin} ".encode(errors="replace")) + 92 + 1


_SUBJECT = re.compile(SUBJECT.pattern.encode())
_INDEX = re.compile(rb"0|[1-9][0-9]{0,14}")


def _claimed_index(data: bytes) -> int | None:
    at = data.rfind(b',"index":') + len(b',"index":')
    digits = data[at : data.find(b",", at)]
    return int(digits) if _INDEX.fullmatch(digits) else None


def _claimed_place(data: bytes, at: int) -> tuple[int, bytes] | None:
    """Return the subject_seq and subject_prev that stand at ``at``; whether all around them fits is compared later."""
    before = data[at : at + 64]
    number_at = at + 64 + len(b'","subject_seq":')
    digits = data[number_at : data.find(b",", number_at)]
    if not _INDEX.fullmatch(digits) or before.translate(None, b"0123456789abcdef"):
        return None
    return int(digits), before


def _is_time(text: bytes) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.decode())
    except ValueError:
        return False
    return True


def _decoded(heads: dict[bytes, tuple[int, bytes]]) -> dict[str, tuple[int, str]]:
    return {subject.decode(): (count, leaf.decode()) for subject, (count, leaf) in heads.items()}
