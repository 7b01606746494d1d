"""
Verify a log from its entries, its checkpoint and what the caller pinned; what the log says of itself is not believed.

 1. Read the pinned keys.
 2. Open the checkpoint: a signed note, a pinned key's signature, the pinned origin. A fault here waits for step 4,
    so that a bad checkpoint never hides a bad entry.
 3. For each entry in order, and the first that fails is the one named:
    a. its form: a signed note over one line of canonical JSON with exactly the known fields, and a kind that has
       its place: genesis in entry 0 and nowhere else;
    b. its origin is the pinned one;
    c. its signature is by a pinned key;
    d. its index is its place;
    e. ``prev`` is the leaf hash of the entry before it;
    f. ``subject_seq`` and ``subject_prev`` continue its subject's own chain;
    g. its time is not before that of the entry before it.
 4. There is a checkpoint, and step 2 found no fault in it.
 5. The number of entries reaches the checkpoint's size, and that of the known head: a size and root that the caller
    learned earlier and kept elsewhere, signed or not.
 6. The root over the entries up to the checkpoint's size is the checkpoint's: the chain and the tree agree.
 7. The root over the entries up to the known head's size is the known head's: history was not written anew, not even
    by whoever holds the key.

Memory: the right edge of the tree and one head for each subject.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger.tlog.checkpoint import Checkpoint, open_checkpoint
from ledger.tlog.entry import ZERO_HASH, Entry, read_entry
from ledger.tlog.errors import (
    EntryMalformed,
    KindNotAdmitted,
    OriginNotPinned,
    SignatureNotVerified,
    TlogError,
    excerpt,
)
from ledger.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.tlog.note import Verifier, verify_note

INTACT_AND_WITNESSED = "intact_and_witnessed"
INTACT_UNWITNESSED = "intact_unwitnessed"
BROKEN = "broken"
INCOMPLETE = "incomplete"

PROGRESS_EVERY = 256


@dataclass(frozen=True)
class Policy:
    """What the caller pins: the log's origin, and the verifier key lines that may have signed it."""

    origin: str
    vkeys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """
    What a verification found.

    ``entries`` counts those that are sound, from the first; ``broken_at`` is the first bad or missing entry, None where
    the fault is in no single entry; ``check`` is the stable code of the check that failed, empty where none did.
    ``size`` and ``root`` are the checkpoint's where all is sound, otherwise those of the sound entries; ``uncovered``
    counts sound entries beyond the checkpoint. ``fault`` says ``check`` in words where a caller asked more of the log
    than this module does; for the checks here it is empty, and :data:`CHECKS` has the words.
    """

    status: str
    entries: int
    size: int
    root: str
    broken_at: int | None = None
    check: str = ""
    expected: str = ""
    found: str = ""
    uncovered: int = 0
    fault: str = ""

    @property
    def intact(self) -> bool:
        return self.status in (INTACT_AND_WITNESSED, INTACT_UNWITNESSED)

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.intact:
            witnessed = "witnessed" if self.status == INTACT_AND_WITNESSED else "unwitnessed"
            tail = f"; {self.uncovered} more await their checkpoint" if self.uncovered else ""
            return f"Intact, {witnessed}: all {self.size} entries under the checkpoint are sound{tail}."
        if self.check == "empty":
            return "Incomplete: there is no entry and no checkpoint, so nothing was verified."
        fault = self.fault or CHECKS.get(self.check, self.check)
        if self.status == INCOMPLETE and self.broken_at is not None:
            return f"Incomplete: entry {self.broken_at} and those after it are missing; the log holds {self.entries}."
        if self.status == INCOMPLETE:
            return f"Incomplete: {fault}."
        if self.broken_at is not None:
            return f"Broken at entry {self.broken_at}: {fault}."
        where = {"policy": "before the first entry", "known_root": "against the known head"}
        return f"Broken {where.get(self.check, 'at the checkpoint')}: {fault}."


# Every check that can break a verdict, by its stable code, as its sentence has it.
CHECKS = {
    "policy": "no pinned key can be read",
    "format": "it is not an entry in the one form that the format allows",
    "kind": "its kind is unknown or out of its place",
    "origin": "it belongs to another log",
    "signature": "its signature is not by a pinned key over these bytes",
    "index": "another entry stands in its place",
    "prev": "it does not continue from the entry before it",
    "subject_seq": "its subject's own chain skips or repeats",
    "subject_prev": "it does not continue from its subject's previous entry",
    "sealed_at": "its time is before that of the entry before it",
    "checkpoint_missing": "there are entries and no checkpoint over them",
    "checkpoint_format": "it is not a checkpoint in the one form that the format allows",
    "checkpoint_signature": "its signature is not by a pinned key over these bytes",
    "checkpoint_origin": "it belongs to another log",
    "checkpoint_root": "the entries do not add up to its root",
    "known_root": "the entries do not add up to the root that was known before: history was written anew",
}


class _Fault(Exception):
    def __init__(self, check: str, expected: str, found: str) -> None:
        self.check, self.expected, self.found = check, expected, found

    @classmethod
    def of(cls, check: str, error: TlogError) -> "_Fault":
        return cls(check, f"{error.what}: {error.expected}", error.found)


def verify_entries(
    notes: Iterable[bytes],
    *,
    checkpoint: bytes | None,
    policy: Policy,
    known: Checkpoint | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Verdict:
    """
    Verify entries in log order against a signed checkpoint and a pinned policy.

    Any bytes get a verdict, never an exception. ``on_progress`` is told the count of sound entries every 256 of them,
    and once more at the end.

    :param notes: the leaves as stored, from entry 0
    :param checkpoint: the signed checkpoint, or None where there is none
    :param known: a head of this log that the caller trusts without a signature, of any size; None where there is none
    """
    run = _Run(policy)
    try:
        run.read_keys()  # step 1
    except _Fault as fault:
        return run.broken(fault, at=None)
    head = run.open_head(checkpoint)  # step 2
    roots = {0: EMPTY_ROOT}  # at the sizes that are asked for below
    asked = {tree.size for tree in (head, known) if tree}
    try:
        for note in notes:
            run.take(note)  # step 3
            if run.size in asked:
                roots[run.size] = run.frontier.root()
            if on_progress and run.size % PROGRESS_EVERY == 0:
                on_progress(run.size)
    except _Fault as fault:
        return run.broken(fault, at=run.size)
    finally:
        if on_progress and (run.size == 0 or run.size % PROGRESS_EVERY):
            on_progress(run.size)
    if run.head_fault:  # step 4
        return run.broken(run.head_fault, at=None)
    if head is None and run.size:
        return run.broken(_Fault("checkpoint_missing", "a signed checkpoint", "none"), at=None)
    if head and head.size not in roots:  # step 5
        return run.cut_off("checkpoint_size", f"{head.size} entries, as the checkpoint says")
    if known and known.size not in roots:
        return run.cut_off("known_size", f"{known.size} entries, as was known before")
    if head is None:
        return run.verdict(INCOMPLETE, check="empty", expected="entries and a checkpoint", found="neither")
    if roots[head.size] != head.root:  # step 6
        return run.broken(_Fault("checkpoint_root", head.root.hex(), roots[head.size].hex()), at=None)
    if known and roots[known.size] != known.root:  # step 7
        return run.broken(_Fault("known_root", known.root.hex(), roots[known.size].hex()), at=None)
    return run.verdict(INTACT_UNWITNESSED, size=head.size, root=head.root.hex(), uncovered=run.size - head.size)


class _Run:
    """What is pinned, and what is carried from entry to entry."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.verifiers: tuple[Verifier, ...] = ()
        self.head_fault: _Fault | None = None
        self.frontier = Frontier()
        self.prev = ZERO_HASH
        self.sealed_at = ""
        self.heads: dict[str, tuple[int, str]] = {}

    @property
    def size(self) -> int:
        return self.frontier.size

    def read_keys(self) -> None:
        """Step 1."""
        if not self.policy.vkeys:
            raise _Fault("policy", "at least one verifier key", "none")
        try:
            self.verifiers = tuple(Verifier.from_vkey(vkey) for vkey in self.policy.vkeys)
        except TlogError as error:
            raise _Fault.of("policy", error) from error

    def open_head(self, data: bytes | None) -> Checkpoint | None:
        """Step 2, which never stops the run: what is wrong is kept for step 4."""
        if data is None:
            return None
        try:
            return open_checkpoint(data, origin=self.policy.origin, verifiers=self.verifiers)
        except OriginNotPinned as error:
            self.head_fault = _Fault.of("checkpoint_origin", error)
        except SignatureNotVerified as error:
            self.head_fault = _Fault.of("checkpoint_signature", error)
        except TlogError as error:
            self.head_fault = _Fault.of("checkpoint_format", error)
        return None

    def take(self, data: bytes) -> None:
        """Check one entry in the order of step 3, then let it move the heads."""
        try:
            entry, note = read_entry(data)  # a
        except KindNotAdmitted as error:
            raise _Fault.of("kind", error) from error
        except EntryMalformed as error:
            raise _Fault.of("format", error) from error
        if entry.origin != self.policy.origin:  # b
            raise _Fault("origin", excerpt(self.policy.origin), excerpt(entry.origin))
        try:
            verify_note(note, *self.verifiers)  # c
        except SignatureNotVerified as error:
            raise _Fault("signature", error.expected, error.found) from error
        if entry.index != self.size:  # d
            raise _Fault("index", f"entry {self.size}", f"entry {entry.index}")
        if entry.prev != self.prev:  # e
            raise _Fault("prev", self.prev, entry.prev)
        self._continue_subject(entry)  # f
        # Fixed width and one zone: these texts sort as their times do.
        if entry.sealed_at < self.sealed_at:  # g
            raise _Fault("sealed_at", f"{self.sealed_at} or later", entry.sealed_at)
        leaf = leaf_hash(data)
        self.frontier.append(leaf)
        self.prev, self.sealed_at = leaf.hex(), entry.sealed_at
        self.heads[entry.subject] = (entry.subject_seq + 1, self.prev)

    def _continue_subject(self, entry: Entry) -> None:
        seq, head = self.heads.get(entry.subject, (0, ZERO_HASH))
        if entry.subject_seq != seq:
            raise _Fault("subject_seq", f"{seq} for {entry.subject}", str(entry.subject_seq))
        if entry.subject_prev != head:
            raise _Fault("subject_prev", head, entry.subject_prev)

    def cut_off(self, check: str, expected: str) -> Verdict:
        found = f"{self.size} entries"
        return self.verdict(INCOMPLETE, broken_at=self.size, check=check, expected=expected, found=found)

    def broken(self, fault: _Fault, *, at: int | None) -> Verdict:
        return self.verdict(BROKEN, broken_at=at, check=fault.check, expected=fault.expected, found=fault.found)

    def verdict(
        self,
        status: str,
        *,
        size: int | None = None,
        root: str | None = None,
        broken_at: int | None = None,
        check: str = "",
        expected: str = "",
        found: str = "",
        uncovered: int = 0,
    ) -> Verdict:
        return Verdict(
            status=status,
            entries=self.size,
            size=self.size if size is None else size,
            root=root or self.frontier.root().hex(),
            broken_at=broken_at,
            check=check,
            expected=expected,
            found=found,
            uncovered=uncovered,
        )
