"""
Verify a log from its entries, its checkpoint and what the caller pinned; what the log says of itself is not believed.

 1. Read the pinned keys, witnesses and timestamp roots.
 2. Read of the checkpoint, and of each timestamped one, at which size the tree is to be looked at. Nothing of it is
    believed yet. Read at what time each timestamp was made, under the pinned roots.
 3. For each entry in order, and the first that fails is the one named:
    a. its form: a signed note over one line of canonical JSON with exactly the known fields, and a kind that has
       its place: genesis in entry 0 and nowhere else;
    b. its origin is the pinned one;
    c. its signature is by a key that counts there: a pinned one in its range, or one that step h brought;
    d. its index is its place;
    e. ``prev`` is the leaf hash of the entry before it;
    f. ``subject_seq`` and ``subject_prev`` continue its subject's own chain;
    g. its time is not before that of the entry before it;
    h. a ``key_rotated`` proves that the new key agreed; from the next entry on it counts, and the old one does not;
    i. an ``index_epoch`` commits to the subjects' heads as they are here.
 4. There is a checkpoint; it is a signed note, of a key that counts at its size, of the pinned origin, and every line
    under it that claims to be a pinned witness's cosignature is one. A fault here waits until now, so that a bad
    checkpoint never hides a bad entry.
 5. The number of entries reaches the checkpoint's size, that of every timestamped one, and that of the known head: a
    size and root that the caller learned earlier and kept elsewhere, signed or not.
 6. The root over the entries up to the checkpoint's size is the checkpoint's: the chain and the tree agree.
 7. The root over the entries up to the known head's size is the known head's: history was not written anew, not even
    by whoever holds the key.
 8. Where timestamp roots are pinned: each timestamp is over a checkpoint of this log that these entries add up to; and,
    where the policy says within what time, the first entry that was not stamped in that time is named.
 9. The witnesses under the checkpoint reach the quorum, or the verdict says that it is unwitnessed.

A fast verification leaves out c, i, and of a the body's form, below the checkpoint's size: beyond it no root speaks for
an entry. Entries of kind ``key_rotated`` are checked in full, since the checkpoint's signature hangs on them.

Memory: the right edge of the tree, a bounded number of subjects' heads (the rest lie in a file), and with several
workers a few chunks of entries.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from ledger.tlog import note as notes_
from ledger.tlog import rotation, worker_pool
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.cosignature import CosignatureVerifier
from ledger.tlog.entry import ZERO_HASH, parse_entry, read_entry
from ledger.tlog.entry_facts import Examiner, Facts, Fault, Survey
from ledger.tlog.errors import EpochMalformed, RotationMalformed, SignatureNotVerified, TlogError, excerpt
from ledger.tlog.index_epoch import epoch_body, read_epoch
from ledger.tlog.keys_in_force import KeysInForce
from ledger.tlog.merkle import EMPTY_ROOT, Frontier
from ledger.tlog.note import Note, Verifier, verify_note
from ledger.tlog.policy import Policy
from ledger.tlog.subject_heads import SubjectHeads
from ledger.tlog.times import format_time, parse_time
from ledger.tlog.timestamp import StampedCheckpoint, can_read, read_root, read_timestamp
from ledger.tlog.verdict import BROKEN, INCOMPLETE, INTACT_AND_WITNESSED, INTACT_UNWITNESSED, Verdict
from ledger.tlog.worker_pool import Found, Task

PROGRESS_EVERY = 2048
SAVE_EVERY = 16_384
# What a state file holds; a file of another version is begun anew.
_STATE_VERSION = 1
# Sorts behind every time: entries that no timestamp covers are late, whenever they were sealed.
_NEVER = "~"


class Cancelled(Exception):
    """The caller asked for the verification to stop; where there is a state file, it holds how far it came."""


class Named(Protocol):
    """Is told what sound entries name, in order; only in a deep verification."""

    def take(self, index: int, digests: tuple[str, ...]) -> None: ...

    def settle(self) -> "tuple[int, Fault] | None":
        """Check all that was taken; return the first entry that names what is not there, and what is wrong."""


def verify_entries(
    notes: Iterable[bytes],
    *,
    checkpoint: bytes | None,
    policy: Policy,
    known: Checkpoint | None = None,
    timestamps: Sequence[StampedCheckpoint] = (),
    deep: bool = True,
    on_progress: Callable[[int], None] | None = None,
) -> Verdict:
    """
    Verify entries in log order against a signed checkpoint and a pinned policy, in this process.

    Any bytes get a verdict, never an exception. ``on_progress`` is told the count of sound entries about every 2,048,
    and once more at the end.

    :param notes: the leaves as stored, from entry 0
    :param checkpoint: the signed checkpoint with its cosignatures, or None where there is none
    :param known: a head of this log that the caller trusts without a signature, of any size; None where there is none
    :param timestamps: what authorities stamped, in any order
    :param deep: with every entry's signature and body, and every epoch
    """
    return verify_source(
        lambda first: notes,
        checkpoint=checkpoint,
        policy=policy,
        known=known,
        timestamps=timestamps,
        deep=deep,
        on_progress=on_progress,
    )


def verify_source(
    read: Callable[[int], Iterable[bytes]],
    *,
    checkpoint: bytes | None,
    policy: Policy,
    known: Checkpoint | None = None,
    timestamps: Sequence[StampedCheckpoint] = (),
    deep: bool = True,
    workers: int = 1,
    state: Path | None = None,
    named: Named | None = None,
    on_progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Verdict:
    """
    Verify as :func:`verify_entries` does, from a source that can begin at any entry, with ``workers`` processes.

    With ``state`` a verification that was killed or cancelled goes on where it was last saved: with the same policy and
    depth; otherwise it begins anew. What was checked before is not looked at again. The file is gone at the verdict.

    :param read: yields the leaves as stored, from entry ``first``; called in this process alone
    :param state: the file to resume from, made where there is none; the caller's own, and trusted
    :param named: is told which attachments sound entries name
    :raises Cancelled: once ``cancelled`` says so; it is asked about every 2,048 entries
    :raises StateNotUsable: if ``state`` is something else than such a file
    """
    run = _Run(policy, deep=deep, named=named, cancelled=cancelled, on_progress=on_progress)
    try:
        run.read_policy()  # step 1
    except Fault as fault:
        return run.broken(fault, at=None)
    run.look_ahead(checkpoint, known, timestamps)  # step 2
    run.heads = SubjectHeads(state)
    done = False
    try:
        if state:
            run.resume()
        try:
            run.follow(read, workers=workers)  # step 3
        except Fault as fault:
            verdict = run.broken(fault, at=run.size)
        else:
            verdict = run.judge(checkpoint, known)  # steps 4 to 9
        if named and (bad := named.settle()):
            verdict = replace(run.broken(bad[1], at=bad[0]), fault=bad[1].words)
        done = True
        return verdict
    finally:
        run.heads.close(done=done)


class _Run:
    """What is pinned, and what is carried from entry to entry."""

    heads: SubjectHeads
    keys: KeysInForce

    def __init__(
        self,
        policy: Policy,
        *,
        deep: bool,
        named: Named | None,
        cancelled: Callable[[], bool] | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self.policy, self.deep, self.named = policy, deep, named
        self.cancelled, self.on_progress = cancelled, on_progress
        self.witnesses: list[tuple[str, CosignatureVerifier]] = []
        self.frontier = Frontier()
        self.prev = ZERO_HASH
        self.sealed_at = ""
        self.roots = {0: EMPTY_ROOT}  # at the sizes that are asked for
        self.asked: set[int] = set()
        self.stamps: list[tuple[Checkpoint, Note]] = []  # those whose timestamp fits their bytes
        self.stamp_fault: Fault | None = None
        self.unchecked = 0
        self.thresholds: list[tuple[int, str]] = []  # entries below this size are late where sealed before this time
        self.edges: tuple[int, ...] = ()  # the sizes of them
        self.late: tuple[int, str, str] | None = None  # the first late entry: index, sealed_at, the latest time
        self.covered: int | None = None  # what the checkpoint claims to cover, None where it claims nothing
        self.told = -1

    @property
    def size(self) -> int:
        return self.frontier.size

    def read_policy(self) -> None:
        """Step 1."""
        if not self.policy.keys:
            raise Fault("policy", "at least one verifier key", "none")
        try:
            self.keys = KeysInForce(self.policy)
            self.witnesses = [(w.name, CosignatureVerifier.from_vkey(w.vkey)) for w in self.policy.witnesses]
            self.stamp_roots = [read_root(der) for der in self.policy.timestamp_roots]
        except TlogError as error:
            raise Fault.of("policy", error) from error

    def look_ahead(self, data: bytes | None, known: Checkpoint | None, timestamps: Sequence[StampedCheckpoint]) -> None:
        """Step 2, which never stops the run: what is wrong is found again, and told, behind the entries."""
        if data is not None:
            with suppress(TlogError):  # step 4
                self.covered = parse_checkpoint(notes_.parse(data).text).size
                self.asked.add(self.covered)
        if known:
            self.asked.add(known.size)
        if not self.stamp_roots:
            return
        if timestamps and not can_read():
            self.unchecked = len(timestamps)
            return
        times = []
        for stamp in timestamps:
            try:
                parsed = notes_.parse(stamp.note)
                head = parse_checkpoint(parsed.text)
                at = read_timestamp(stamp.response, stamp.note, roots=self.stamp_roots)
                latest = ""
                if self.policy.timestamp_within is not None:
                    latest = format_time(at - timedelta(seconds=self.policy.timestamp_within))
            except (TlogError, OverflowError) as error:
                if self.stamp_fault is None:
                    self.stamp_fault = (
                        Fault.of("timestamp", error)
                        if isinstance(error, TlogError)
                        else Fault("timestamp", "a time within the years 1 to 9999", excerpt(error))
                    )
                continue
            self.stamps.append((head, parsed))
            self.asked.add(head.size)
            times.append((head.size, latest))
        if self.policy.timestamp_within is not None:
            # Behind the last stamp every entry would be late; of several stamps over an entry the earliest counts.
            latest = _NEVER
            for size, at_ in sorted(times, reverse=True):
                latest = min(latest, at_)
                self.thresholds.append((size, latest))
            self.thresholds.reverse()
            self.edges = tuple(size for size, _ in self.thresholds)

    # Step 3

    def follow(self, read: Callable[[int], Iterable[bytes]], *, workers: int) -> None:
        """Take every entry from where this run stands, and stop at the first that fails."""
        saving = self.heads.keeps
        if self.cancelled and self.cancelled():
            raise Cancelled
        try:
            self._set_keys()
            self._set_threshold()
            paused = saved = self.size
            for entries, found in self._examined(read(self.size), workers):
                if isinstance(found, Survey):
                    if not self._join(entries, found):
                        self._take_each(entries)
                elif isinstance(found, Fault):
                    raise found
                else:
                    self._take(entries[0], found)
                size = self.frontier.size
                if size - paused >= PROGRESS_EVERY:
                    paused = size - size % PROGRESS_EVERY
                    self._pause(saving and size - saved >= SAVE_EVERY)
                    saved = size if size - saved >= SAVE_EVERY else saved
        finally:
            if self.on_progress and self.told != self.size:
                self.on_progress(self.size)

    def _examined(self, notes: Iterable[bytes], workers: int) -> Iterator[tuple[list[bytes], Found]]:
        """Steps a, b, and which candidate signed; the caller decides in order."""
        # Beyond the checkpoint no root speaks for an entry: there its signature is all there is, at every depth.
        covered = self.size if self.covered is None else max(self.size, self.covered)
        at = self.size

        def task(chunk: list[bytes]) -> Task:
            nonlocal at
            at += len(chunk)
            vkeys = tuple(verifier.vkey for verifier in self.keys)
            return Task(self.policy.origin, vkeys, deep=self.deep or at > covered)

        limit = worker_pool.CHUNK_ENTRIES if workers > 1 else PROGRESS_EVERY
        chunks = worker_pool.cut(notes, self.size, limit=limit, edge=None if self.deep else covered)
        return worker_pool.examined(chunks, task=task, workers=workers)

    def _join(self, entries: Sequence[bytes], survey: Survey) -> bool:
        """
        Check the place of a whole run of entries, as :meth:`_take` does of one, and let it move the heads.

        :returns: whether it fits; where not, nothing was changed, and taking each by itself finds what is wrong
        """
        size, end = self.size, self.size + len(survey.leaves)
        if (survey.first, survey.prev) != (size, self.prev) or survey.times[0][1] < self.sealed_at:  # d, e, g
            return False
        if size >= self.keys_until:
            self._set_keys()
        if self._looks_at(end) and (end > self.keys_until or survey.signer not in self.in_force):  # c
            return False
        heads = self.heads
        for subject, place in survey.entering.items():  # f
            if place != (heads.recent.get(subject) or heads.get(subject) or (0, ZERO_HASH)):
                return False
        for until in sorted({end, *(edge for edge in (*self.asked, *self.edges) if size < edge < end)}):
            at = self.size
            # Times do not fall: where any of these is late, the first one is.
            sealed_at = survey.times[bisect_right(survey.times, at - size, key=lambda time: time[0]) - 1][1]
            if self.late is None and sealed_at < self.latest:
                self.late = (at, sealed_at, self.latest)
            self.frontier.extend(survey.leaves[at - size : until - size])
            if until in self.asked:
                self.roots[until] = self.frontier.root()
            if until >= self.threshold_until:
                self._set_threshold()
        self.prev, self.sealed_at = survey.leaves[-1].hex(), survey.times[-1][1]
        heads.recent.update(survey.leaving)
        if len(heads.recent) > heads.limit:
            heads.spill()
        if self.named:
            for index, digests in survey.named:
                self.named.take(index, digests)
        return True

    def _take_each(self, entries: Sequence[bytes]) -> None:
        examiner = Examiner(self.policy.origin, self.keys, deep=self._looks_at(self.size + len(entries)))
        for data in entries:
            facts = examiner.facts(data)
            if isinstance(facts, Fault):
                raise facts
            self._take(data, facts)

    def _looks_at(self, end: int) -> bool:
        """Tell whether the signatures of a run that ends there were looked at."""
        return self.deep or self.covered is None or end > self.covered

    def _pause(self, save: bool) -> None:
        if self.on_progress:
            self.told = self.size
            self.on_progress(self.size)
        stop = self.cancelled is not None and self.cancelled()
        if (save or (stop and self.heads.keeps)) and not (self.named and self.named.settle()):
            self.heads.save(self._progress())
        if stop:
            raise Cancelled

    def _take(self, data: bytes, facts: Facts) -> None:
        """Check one entry's place in the order of step 3, then let it move the heads."""
        leaf, index, prev, sealed_at, subject, seq, subject_prev, signer, special, named = facts
        frontier = self.frontier
        size = frontier.size
        if size >= self.keys_until:
            self._set_keys()
        if signer not in self.in_force and self._looks_at(size + 1):  # c
            signer = self._verify_here(data)
        if index != size:  # d
            raise Fault("index", f"entry {size}", f"entry {index}")
        if prev != self.prev:  # e
            raise Fault("prev", self.prev, prev)
        recent = self.heads.recent
        expected_seq, head = recent.get(subject) or self.heads.get(subject) or (0, ZERO_HASH)  # f
        if seq != expected_seq:
            raise Fault("subject_seq", f"{expected_seq} for {subject}", str(seq))
        if subject_prev != head:
            raise Fault("subject_prev", head, subject_prev)
        # Fixed width and one zone: these texts sort as their times do.
        if sealed_at < self.sealed_at:  # g
            raise Fault("sealed_at", f"{self.sealed_at} or later", sealed_at)
        new = self._special(data, special) if special else None
        if self.late is None and sealed_at < self.latest:
            self.late = (size, sealed_at, self.latest)
        frontier.append(leaf)
        self.prev, self.sealed_at = leaf.hex(), sealed_at
        recent[subject] = (seq + 1, self.prev)
        if len(recent) > self.heads.limit:
            self.heads.spill()
        size += 1
        if new:
            self.keys.rotate(*new, at=index)
            self._set_keys()
        if size in self.asked:
            self.roots[size] = frontier.root()
        if size >= self.threshold_until:
            self._set_threshold()
        if named and self.named:
            self.named.take(index, named)

    def _set_keys(self) -> None:
        """Find which keys count from here on, and until where."""
        self.in_force = {verifier.vkey: verifier for verifier in self.keys.at(self.size)}
        until = self.keys.same_until(self.size)
        self.keys_until = 2**63 if until is None else until

    def _verify_here(self, data: bytes) -> str:
        """Check a signature that none of the candidates made, or one that does not count here, in full."""
        _, parsed = read_entry(data)
        verifiers = self.in_force.values()
        try:
            verify_note(parsed, *verifiers)
        except SignatureNotVerified as error:
            raise Fault("signature", error.expected, error.found) from error
        signature = parsed.signatures[0]
        return next(v.vkey for v in verifiers if v.made(signature) and v.verifies(signature, parsed.text))

    def _special(self, data: bytes, kind: str) -> tuple[Verifier, Verifier] | None:
        """Steps h and i; returns the key that leaves and the one that comes."""
        if kind == rotation.KIND:
            old = self.in_force[self._verify_here(data)]
            try:
                return old, rotation.read_rotation(parse_entry(data), signed_by=old)  # h
            except RotationMalformed as error:
                raise Fault.of("key_rotated", error) from error
        if self._looks_at(self.size + 1):
            try:
                root, subjects = read_epoch(parse_entry(data))  # i
            except EpochMalformed as error:
                raise Fault.of("index_epoch", error) from error
            here = epoch_body(self.heads.ascending())
            if here != {"root": root.hex(), "subjects": subjects}:
                raise Fault(
                    "index_epoch",
                    f"{here['root']} over {here['subjects']} subjects",
                    f"{root.hex()} over {subjects} subjects",
                )
        return None

    def _set_threshold(self) -> None:
        """Find before which time an entry from here on is late, and until where that holds."""
        self.latest, self.threshold_until = "", 2**63
        if self.policy.timestamp_within is not None and not self.unchecked:
            self.latest = _NEVER
            at = bisect_right(self.thresholds, self.size, key=lambda threshold: threshold[0])
            if at < len(self.thresholds):
                self.threshold_until, self.latest = self.thresholds[at]

    # Steps 4 to 9

    def judge(self, data: bytes | None, known: Checkpoint | None) -> Verdict:
        try:
            head, signed = self._open_head(data) if data is not None else (None, None)  # step 4
        except Fault as fault:
            return self.broken(fault, at=None)
        if head is None and self.size:
            return self.broken(Fault("checkpoint_missing", "a signed checkpoint", "none"), at=None)
        if head and head.size > self.size:  # step 5
            return self._cut_off("checkpoint_size", f"{head.size} entries, as the checkpoint says")
        if known and known.size > self.size:
            return self._cut_off("known_size", f"{known.size} entries, as was known before")
        for stamped, note in self.stamps:
            if stamped.size > self.size and self._misfit(stamped, note) is None:
                return self._cut_off("timestamp_size", f"{stamped.size} entries, as was stamped")
        if head is None or signed is None:
            return self.verdict(INCOMPLETE, check="empty", expected="entries and a checkpoint", found="neither")
        if self.roots[head.size] != head.root:  # step 6
            return self.broken(Fault("checkpoint_root", head.root.hex(), self.roots[head.size].hex()), at=None)
        if known and self.roots[known.size] != known.root:  # step 7
            return self.broken(Fault("known_root", known.root.hex(), self.roots[known.size].hex()), at=None)
        if late := self._check_stamps():  # step 8
            return late
        names = self._cosigners(signed)  # step 9
        witnessed = self.policy.wants_witnesses and self.policy.met_by(names)
        return replace(
            self.verdict(
                INTACT_AND_WITNESSED if witnessed else INTACT_UNWITNESSED,
                size=head.size,
                root=head.root.hex(),
                uncovered=self.size - head.size,
            ),
            witnesses=names,
            timestamps=len(self.stamps),
            timestamps_unchecked=self.unchecked,
        )

    def _open_head(self, data: bytes) -> tuple[Checkpoint, Note]:
        """Step 4."""
        try:
            parsed = notes_.parse(data)
        except TlogError as error:
            raise Fault.of("checkpoint_format", error) from error
        try:
            claimed = parse_checkpoint(parsed.text)
        except TlogError:
            claimed = None
        try:
            # Signed by a pinned key or not: that is told before what is wrong with a text that nobody signed.
            verify_note(parsed, *(self._keys_at(claimed.size) if claimed else self.keys))
        except TlogError as error:
            raise Fault.of("checkpoint_signature", error) from error
        try:
            head = parse_checkpoint(parsed.text)
        except TlogError as error:
            raise Fault.of("checkpoint_format", error) from error
        if head.origin != self.policy.origin:
            raise Fault("checkpoint_origin", f"origin: {excerpt(self.policy.origin)}", excerpt(head.origin))
        for _, verifier in self.witnesses:
            for signature in parsed.signatures:
                if verifier.made(signature) and not verifier.verifies(signature, parsed.text):
                    raise Fault(
                        "cosignature",
                        f"a cosignature of this checkpoint by {excerpt(verifier.name)} (key {verifier.key_id.hex()})",
                        "one that does not fit: the checkpoint or the cosignature was changed",
                    )
        return head, parsed

    def _keys_at(self, size: int) -> list[Verifier]:
        """The keys that may sign a checkpoint of this size: those of its last entry, and of the next."""
        found = (*self.keys.at(size - 1), *self.keys.at(size))
        return list({verifier.vkey: verifier for verifier in found}.values())

    def _cosigners(self, signed: Note) -> tuple[str, ...]:
        return tuple(name for name, verifier in self.witnesses if any(verifier.made(s) for s in signed.signatures))

    def _misfit(self, stamped: Checkpoint, note: Note) -> Fault | None:
        """Tell what is wrong with a checkpoint that was stamped, before it is compared."""
        if stamped.origin != self.policy.origin:
            return Fault("timestamp", f"origin: {excerpt(self.policy.origin)}", excerpt(stamped.origin))
        try:
            verify_note(note, *self._keys_at(stamped.size))
        except SignatureNotVerified as error:
            return Fault.of("timestamp", error)
        return None

    def _check_stamps(self) -> Verdict | None:
        """Step 8."""
        if self.stamp_fault:
            return self.broken(self.stamp_fault, at=None)
        for stamped, note in self.stamps:
            if fault := self._misfit(stamped, note):
                return self.broken(fault, at=None)
            if self.roots[stamped.size] != stamped.root:
                found = self.roots[stamped.size].hex()
                return self.broken(Fault("timestamp_root", stamped.root.hex(), found), at=None)
        within = self.policy.timestamp_within
        if within is None:
            return None
        if self.unchecked:
            return self.verdict(
                INCOMPLETE, check="timestamp_unchecked", expected="rfc3161-client", found="it is not installed"
            )
        # The newest entry tells what time it is: what is younger than the policy's time may still be stamped.
        if self.late and self.late[1] < _before(self.sealed_at, within):
            index, sealed_at, latest = self.late
            stamped_by = "no timestamp over it" if latest == _NEVER else f"none until {within} s after {latest}"
            expected = f"a timestamp at most {within} s after {sealed_at}"
            return self.broken(Fault("timestamp_late", expected, stamped_by), at=index)
        return None

    # What is kept between runs

    def resume(self) -> None:
        """Go on where an earlier run with the same policy and depth was last saved; otherwise begin anew."""
        told = self.heads.saved()
        try:
            if told is not None and self._take_up(json.loads(told)):
                return
        except (ValueError, KeyError, TypeError, TlogError):
            pass  # of another version, or no text that this wrote
        self.heads.forget()

    def _bound_to(self) -> str:
        """Name what a saved run depends on: what it took for sound under another policy means nothing here."""
        parts = [str(_STATE_VERSION), str(self.deep), self.policy.origin, self.policy.encode(), str(self.thresholds)]
        return sha256(json.dumps(parts).encode()).hexdigest()

    def _progress(self) -> str:
        return json.dumps(
            {
                "bound_to": self._bound_to(),
                "size": self.size,
                "frontier": self.frontier.to_bytes().hex(),
                "prev": self.prev,
                "sealed_at": self.sealed_at,
                "keys": self.keys.told(),
                "roots": {str(size): root.hex() for size, root in self.roots.items()},
                "late": self.late,
            }
        )

    def _take_up(self, told: dict[str, Any]) -> bool:
        roots = {int(size): bytes.fromhex(root) for size, root in told["roots"].items()}
        size = told["size"]
        # The tree at a size that lies behind cannot be looked at again.
        if told["bound_to"] != self._bound_to() or any(n <= size and n not in roots for n in self.asked):
            return False
        self.keys.resume(told["keys"])
        self.frontier = Frontier.from_bytes(size, bytes.fromhex(told["frontier"]))
        self.prev, self.sealed_at, self.roots = told["prev"], told["sealed_at"], roots
        self.late = tuple(told["late"]) if told["late"] else None
        return True

    # Verdicts

    def _cut_off(self, check: str, expected: str) -> Verdict:
        found = f"{self.size} entries"
        return self.verdict(INCOMPLETE, broken_at=self.size, check=check, expected=expected, found=found)

    def broken(self, fault: Fault, *, at: int | None) -> Verdict:
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


def _before(sealed_at: str, seconds: int) -> str:
    """Return the time that lies so long before another, as text; the beginning of time where there is none."""
    try:
        return format_time(parse_time(sealed_at) - timedelta(seconds=seconds))
    except OverflowError:
        return ""
