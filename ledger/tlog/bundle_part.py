"""
Verify a bundle of a range or of one subject: step 3 of :mod:`ledger.tlog.bundle`.

Every entry is checked in full, and by its own proof; what the others are like is not known here.
"""

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ledger.tlog import base64_strict, index_epoch, rotation, timestamp
from ledger.tlog.attachment_names import named_in
from ledger.tlog.bundle_contents import (
    RANGE,
    SUBJECT_SCOPE,
    About,
    BundleFault,
    BundleVerdict,
    Contents,
    Stamps,
    hexadecimal,
    read_json,
)
from ledger.tlog.bundle_file import MAX_ENTRY, BundleFile, BundleMalformed
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.cosignature import CosignatureVerifier
from ledger.tlog.entry import ZERO_HASH, Entry, read_entry
from ledger.tlog.errors import (
    Base64Malformed,
    EntryMalformed,
    EpochMalformed,
    KindNotAdmitted,
    ProofNotVerified,
    SignatureNotVerified,
    TimestampNotVerified,
    TlogError,
    excerpt,
)
from ledger.tlog.index_epoch import EpochLeaf, SubjectHead
from ledger.tlog.keys_in_force import KeysInForce
from ledger.tlog.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion
from ledger.tlog.note import Note, parse, verify_note
from ledger.tlog.policy import Policy
from ledger.tlog.proof import parse_proof
from ledger.tlog.tiles import WIDTH
from ledger.tlog.times import parse_time
from ledger.tlog.verdict import INCOMPLETE, INTACT_AND_WITNESSED, INTACT_UNWITNESSED


class Part(Contents):
    """Step 3."""

    def __init__(
        self, bundle: BundleFile, about: About, policy: Policy, on_progress: Callable[[int], None] | None
    ) -> None:
        super().__init__(bundle, about, policy, on_progress)
        self.sound = 0
        self.head: Checkpoint | None = None
        self.note = b""
        self.witnesses: tuple[str, ...] = ()
        self.timestamps = 0
        self.unchecked = 0
        self.complete_up_to: int | None = None
        self.indexes = sorted(
            int(name[len("entry/") : -len(".note")])
            for name in bundle.names
            if name.startswith("entry/") and name.endswith(".note")
        )
        self.leaves: dict[int, str] = {}  # of the subject's entries, by index
        self.sealed: list[tuple[int, str]] = []

    def verify(self, *, deep: bool, workers: int) -> BundleVerdict:
        try:
            keys = self._pinned_keys()
            self._follow_rotations(keys)
            self.head = self._open_checkpoint(keys)
            epoch = self._check_entries(keys)
            if self.about.scope == RANGE:
                self._check_range_end()
            else:
                self._check_epoch(epoch)
            self._check_stamps(keys)
            self.check_the_rest()
        except BundleMalformed as error:
            return self._verdict(BundleFault.of("bundle", error))
        except BundleFault as fault:
            return self._verdict(fault)
        finally:
            if self.on_progress:
                self.on_progress(len(self.sealed))
        return self._verdict(None)

    def _pinned_keys(self) -> KeysInForce:
        if not self.policy.keys:
            raise BundleFault("policy", "at least one verifier key", "none")
        try:
            return KeysInForce(self.policy)
        except TlogError as error:
            raise BundleFault.of("policy", error) from error

    def _follow_rotations(self, keys: KeysInForce) -> None:
        # Read ahead of everything: the checkpoint is signed by the last of them. What is wrong is named in step 3c.
        for index in self.indexes:
            data, _ = self.bundle.salvage(f"entry/{index}.note", MAX_ENTRY)
            if f'"kind":"{rotation.KIND}"'.encode() in data:
                try:
                    entry, note = read_entry(data)
                    if entry.kind == rotation.KIND and entry.index == index:
                        signed_by = keys.signer_of(index, note)
                        keys.rotate(signed_by, rotation.read_rotation(entry, signed_by=signed_by), at=index)
                except TlogError:
                    return

    def _open_checkpoint(self, keys: KeysInForce) -> Checkpoint:
        """Step 3b."""
        if "checkpoint" not in self.bundle:
            raise BundleFault("checkpoint_missing", "a signed checkpoint", "none")
        self.note = self.bundle.read("checkpoint")
        head, note = self._open_head(self.note, keys)
        if head.size != self.about.size:
            raise BundleMalformed("bundle.json", expected=f"size {head.size}", found=str(self.about.size))
        self.witnesses = self._witnesses(note)
        return head

    def _open_head(self, data: bytes, keys: KeysInForce) -> tuple[Checkpoint, Note]:
        try:
            note = parse(data)
            head = parse_checkpoint(note.text)
        except TlogError as error:
            raise BundleFault.of("checkpoint_format", error) from error
        # A rotation's own checkpoint is signed by both keys: by the one of its last entry, and the one of the next.
        in_force = {key.vkey: key for key in (*keys.at(max(0, head.size - 1)), *keys.at(head.size))}
        try:
            verify_note(note, *in_force.values())
        except SignatureNotVerified as error:
            raise BundleFault.of("checkpoint_signature", error) from error
        if head.origin != self.policy.origin:
            raise BundleFault("checkpoint_origin", excerpt(self.policy.origin), excerpt(head.origin))
        return head, note

    def _witnesses(self, note: Note) -> tuple[str, ...]:
        """Name the pinned witnesses whose cosignature is there; a line that claims to be one has to fit."""
        names = []
        for witness in self.policy.witnesses:
            try:
                verifier = CosignatureVerifier.from_vkey(witness.vkey)
            except TlogError as error:
                raise BundleFault.of("policy", error) from error
            claimed = [signature for signature in note.signatures if verifier.made(signature)]
            if not all(verifier.verifies(signature, note.text) for signature in claimed):
                raise BundleFault(
                    "cosignature", f"a cosignature of this checkpoint by {excerpt(verifier.name)}", "another"
                )
            if claimed:
                names.append(witness.name)
        return tuple(names)

    def _check_entries(self, keys: KeysInForce) -> tuple[Entry, bytes] | None:
        """Steps 3c to 3e; return the newest index epoch."""
        epoch, before = None, None
        heads: dict[str, tuple[int, str]] = {}
        wanted = self.about.first
        for index in self.indexes:
            entry, leaf = self._check_entry(index, keys)
            if before and before[0] == index - 1 and entry.prev != before[1]:
                raise BundleFault("prev", before[1], entry.prev, at=index)
            if index == 0 and entry.prev != ZERO_HASH:
                raise BundleFault("prev", ZERO_HASH, entry.prev, at=index)
            if before and entry.sealed_at < before[2]:
                raise BundleFault("sealed_at", f"{before[2]} or later", entry.sealed_at, at=index)
            before = (index, leaf.hex(), entry.sealed_at)
            self._check_belongs(entry)
            if self._is_in_range(index):
                if index != wanted:
                    raise BundleFault("range", f"entry {wanted}", f"entry {index}", at=wanted, status=INCOMPLETE)
                wanted = index + 1
            self._check_subject(entry, leaf, heads)
            if entry.kind == index_epoch.KIND:
                epoch = (entry, leaf)
            for digest in named_in(entry.kind, entry.body):
                self.check_attachment(index, digest)
            self.check_disclosures(index, entry.body)
            self.sealed.append((index, entry.sealed_at))
            self.sound += self._is_in_range(index) or entry.subject == self.about.subject
            if self.on_progress and len(self.sealed) % WIDTH == 0:
                self.on_progress(len(self.sealed))
        return epoch

    def _check_entry(self, index: int, keys: KeysInForce) -> tuple[Entry, bytes]:
        """Step 3c, for one entry."""
        assert self.head
        data, damage = self.bundle.salvage(f"entry/{index}.note", MAX_ENTRY)
        try:
            entry, note = read_entry(data)
        except KindNotAdmitted as error:
            raise BundleFault.of("kind", error, at=index) from error
        except EntryMalformed as error:
            raise BundleFault.of("format", error, at=index) from error
        if entry.origin != self.policy.origin:
            raise BundleFault("origin", excerpt(self.policy.origin), excerpt(entry.origin), at=index)
        try:
            signed_by = keys.signer_of(index, note)
            if entry.kind == rotation.KIND:
                rotation.read_rotation(entry, signed_by=signed_by)
        except SignatureNotVerified as error:
            raise BundleFault.of("signature", error, at=index) from error
        except TlogError as error:
            raise BundleFault.of(rotation.KIND, error, at=index) from error
        if entry.index != index:
            raise BundleFault("index", f"entry {index}", f"entry {entry.index}", at=index)
        leaf = leaf_hash(data)
        self._check_proof(index, leaf)
        if damage:
            raise damage
        return entry, leaf

    def _check_proof(self, index: int, leaf: bytes) -> None:
        assert self.head
        try:
            proof = parse_proof(self.bundle.read(f"entry/{index}.tlog-proof"))
            if proof.index != index:
                raise BundleFault("proof", f"a proof of entry {index}", f"one of entry {proof.index}", at=index)
            if proof.checkpoint != self.note:
                raise BundleFault("proof", "a proof to the bundle's checkpoint", "one to another", at=index)
            verify_inclusion(leaf=leaf, index=index, size=self.head.size, proof=proof.path, root=self.head.root)
        except BundleMalformed:
            raise
        except TlogError as error:
            raise BundleFault.of("proof", error, at=index) from error

    def _is_in_range(self, index: int) -> bool:
        first, stop = self.about.first, self.about.stop
        return first is not None and stop is not None and first <= index < stop

    def _check_belongs(self, entry: Entry) -> None:
        """Refuse an entry that this bundle has no reason to hold."""
        if self._is_in_range(entry.index) or entry.kind == rotation.KIND:
            return
        if self.about.scope == SUBJECT_SCOPE and (
            entry.subject == self.about.subject or entry.kind == index_epoch.KIND
        ):
            return
        raise BundleMalformed(
            f"entry/{entry.index}.note", expected="entries that were asked for", found=f"{entry.kind} {entry.subject}"
        )

    def _check_subject(self, entry: Entry, leaf: bytes, heads: dict[str, tuple[int, str]]) -> None:
        """Steps 3d and 3e: what is here of one subject continues without a gap."""
        if self.about.scope == SUBJECT_SCOPE:
            if entry.subject != self.about.subject:
                return
            known: tuple[int, str] | None = heads.get(entry.subject, (0, ZERO_HASH))
            self.leaves[entry.index] = leaf.hex()
        elif not self._is_in_range(entry.index):
            return
        else:
            known = heads.get(entry.subject, (0, ZERO_HASH) if self.about.first == 0 else None)
        if known and entry.subject_seq != known[0]:
            raise BundleFault("subject_seq", f"{known[0]} for {entry.subject}", str(entry.subject_seq), at=entry.index)
        if known and entry.subject_prev != known[1]:
            raise BundleFault("subject_prev", known[1], entry.subject_prev, at=entry.index)
        heads[entry.subject] = (entry.subject_seq + 1, leaf.hex())

    def _check_range_end(self) -> None:
        """Step 3d."""
        assert self.about.first is not None and self.about.stop is not None
        inside = sum(self._is_in_range(index) for index in self.indexes)
        if inside != self.about.stop - self.about.first:
            missing = self.about.first + inside
            raise BundleFault("range", f"entry {missing}", "no such file", at=missing, status=INCOMPLETE)

    def _check_epoch(self, epoch: tuple[Entry, bytes] | None) -> None:
        """Step 3e."""
        if "epoch.json" not in self.bundle:
            if epoch:
                raise BundleMalformed("epoch.json", expected="a file in the bundle", found="none of that name")
            if not self.leaves:
                expected = "an entry about the subject, or a proof that there is none"
                raise BundleFault("empty", expected, "neither", status=INCOMPLETE)
            return
        data = read_json(self.bundle, "epoch.json")
        if epoch is None or data.get("entry") != epoch[0].index:
            raise BundleMalformed(
                "epoch.json",
                expected=f"the entry {epoch[0].index if epoch else 'of an index epoch, in the bundle'}",
                found=excerpt(data.get("entry")),
            )
        entry = epoch[0]
        try:
            tree_root, subjects = index_epoch.read_epoch(entry)
        except EpochMalformed as error:
            raise BundleFault.of("index_epoch", error, at=entry.index) from error
        before = [leaf for index, leaf in sorted(self.leaves.items()) if index < entry.index]
        try:
            head = self._read_head(data, tree_root, subjects)
        except (EpochMalformed, ProofNotVerified) as error:
            raise BundleFault.of("epoch_proof", error, at=entry.index) from error
        count, newest = (head.count, head.head.hex()) if head else (0, "")
        shown = f"{count} entries of the subject before entry {entry.index}"
        if len(before) < count:
            raise BundleFault("subject_seq", shown, str(len(before)), status=INCOMPLETE)
        if len(before) > count:
            raise BundleFault("epoch_proof", str(len(before)), shown, at=entry.index)
        if before and before[-1] != newest:
            raise BundleFault("epoch_proof", before[-1], newest, at=entry.index)
        self.complete_up_to = entry.index

    def _read_head(self, data: dict[str, Any], tree_root: bytes, subjects: int) -> SubjectHead | None:
        """Return the subject's leaf of the epoch, or None where the epoch is shown to have none."""
        subject = self.about.subject
        if data.keys() == {"entry", "present"}:
            leaf = _epoch_leaf(data["present"], index_epoch.subject_hash(subject).hex())
            return index_epoch.verify_present(subject, leaf, root=tree_root, subjects=subjects)
        absent = data.get("absent")
        if data.keys() != {"entry", "absent"} or not isinstance(absent, list):
            raise BundleMalformed("epoch.json", expected="entry, and present or absent", found=excerpt(sorted(data)))
        neighbours = [_epoch_leaf(one) for one in absent]
        index_epoch.verify_absent(subject, neighbours, root=tree_root, subjects=subjects)
        return None

    def _check_stamps(self, keys: KeysInForce) -> None:
        """Step 3f. Without pinned roots a timestamp convinces nobody, and only its checkpoint is checked."""
        assert self.head
        try:
            roots = [timestamp.read_root(der) for der in self.policy.timestamp_roots]
        except TimestampNotVerified as error:
            raise BundleFault.of("policy", error) from error
        stamps, covered = Stamps(self.bundle), []
        if roots and not timestamp.can_read():
            self.unchecked = len(stamps)
        for size, stamp in zip(stamps.sizes, stamps, strict=True):
            if stamps.damage:
                raise stamps.damage
            self._check_stamped(size, stamp.note, keys)
            if roots and not self.unchecked:
                try:
                    covered.append((size, timestamp.read_timestamp(stamp.response, stamp.note, roots=roots)))
                except TimestampNotVerified as error:
                    raise BundleFault.of("timestamp", error) from error
        self.timestamps = len(covered)
        if self.policy.timestamp_within is not None:
            if self.unchecked:
                raise BundleFault("timestamp_unchecked", "rfc3161-client", "it is not installed", status=INCOMPLETE)
            self._check_late(covered, timedelta(seconds=self.policy.timestamp_within))

    def _check_stamped(self, size: int, note: bytes, keys: KeysInForce) -> None:
        """Check that a stamped checkpoint is the log's, and that the bundle's continues from it."""
        assert self.head
        try:
            old, _ = self._open_head(note, keys)
        except BundleFault as fault:
            raise BundleFault("timestamp", fault.expected, fault.found) from None
        name = f"timestamps/{size}.consistency"
        try:
            *lines, rest = self.bundle.read(name).decode("utf-8", "replace").split("\n")
            path = [base64_strict.decode(line) for line in lines]
        except Base64Malformed as error:
            raise BundleMalformed(name, expected=error.expected, found=error.found) from None
        if rest:
            raise BundleMalformed(name, expected="lines that end in a newline", found=excerpt(rest))
        try:
            verify_consistency(
                old_size=old.size, old_root=old.root, size=self.head.size, root=self.head.root, proof=path
            )
        except ProofNotVerified as error:
            raise BundleFault.of("timestamp_root", error) from error

    def _check_late(self, covered: list[tuple[int, datetime]], within: timedelta) -> None:
        """Check that each entry is under a timestamp that is soon enough, but for those that are younger than that."""
        # The earliest time by which each size, or a larger one, was stamped.
        sizes, earliest = [size for size, _ in covered], [time for _, time in covered]
        for place in range(len(earliest) - 2, -1, -1):
            earliest[place] = min(earliest[place], earliest[place + 1])
        newest = parse_time(self.sealed[-1][1]) if self.sealed else None
        for index, sealed_at in self.sealed:
            try:
                latest = parse_time(sealed_at) + within
            except OverflowError:
                return  # later than any time that there is
            place = bisect_right(sizes, index)  # the first size beyond the index
            if newest and latest >= newest:
                return
            if place == len(sizes) or earliest[place] > latest:
                found = earliest[place].isoformat() if place < len(sizes) else "none"
                raise BundleFault("timestamp_late", f"a timestamp by {latest.isoformat()}", found, at=index)

    def _verdict(self, fault: BundleFault | None) -> BundleVerdict:
        status = INTACT_UNWITNESSED
        if fault:
            status = fault.status
        elif self.policy.wants_witnesses and self.policy.met_by(self.witnesses):
            status = INTACT_AND_WITNESSED
        return BundleVerdict(
            status=status,
            entries=self.sound,
            size=self.head.size if self.head else 0,
            root=(self.head.root if self.head else EMPTY_ROOT).hex(),
            broken_at=fault.at if fault else None,
            check=fault.check if fault else "",
            expected=fault.expected if fault else "",
            found=fault.found if fault else "",
            complete_up_to=None if fault else self.complete_up_to,
            attachments=len(self.attached),
            disclosures=() if fault else tuple(self.disclosed),
            witnesses=self.witnesses,
            timestamps=self.timestamps,
            timestamps_unchecked=self.unchecked,
            **self.about.shown(),
        )


def _epoch_leaf(data: Any, subject: str | None = None) -> EpochLeaf:
    """Read one leaf of ``epoch.json``; where ``subject`` is given, the leaf does not name it."""
    wanted = {"place", "count", "head", "path"} | (set() if subject else {"subject"})
    try:
        if not isinstance(data, dict) or data.keys() != wanted or not isinstance(data["path"], list):
            raise ValueError
        place, count = data["place"], data["count"]
        if type(place) is not int or type(count) is not int or place < 0 or count < 1:
            raise ValueError
        hashes = [bytes.fromhex(hexadecimal(one)) for one in (subject or data["subject"], data["head"], *data["path"])]
        if any(len(one) != HASH_BYTES for one in hashes):
            raise ValueError
    except ValueError:
        raise BundleMalformed("epoch.json", expected=", ".join(sorted(wanted)), found=excerpt(data, 200)) from None
    return EpochLeaf(place, SubjectHead(hashes[0], count, hashes[1]), tuple(hashes[2:]))
