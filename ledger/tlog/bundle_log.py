"""
Verify a bundle of the whole log: step 2 of :mod:`ledger.tlog.bundle`.

The entries stream from the file through the verifier; the tiles that they hash to are compared as they go by.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import islice

from ledger.tlog.bundle_contents import BUNDLE_CHECKS, About, BundleFault, BundleVerdict, Contents, Stamps
from ledger.tlog.bundle_file import MAX_ENTRY_BUNDLE, BundleFile, BundleMalformed
from ledger.tlog.entry import parse_entry
from ledger.tlog.entry_facts import Fault
from ledger.tlog.errors import EntryMalformed
from ledger.tlog.merkle import HASH_BYTES, leaf_hash, root
from ledger.tlog.policy import Policy
from ledger.tlog.tiles import WIDTH, Tile, bundles_of
from ledger.tlog.verdict import INCOMPLETE, Verdict
from ledger.tlog.verify import verify_source


class WholeLog(Contents):
    """Step 2."""

    def __init__(
        self, bundle: BundleFile, about: About, policy: Policy, on_progress: Callable[[int], None] | None
    ) -> None:
        super().__init__(bundle, about, policy, on_progress)
        self.stream_fault: BundleFault | None = None  # what ended the stream of entries
        self.damage: BundleMalformed | None = None  # a checksum that did not fit, where the entries can still be read
        self.tile_fault: BundleFault | None = None
        self.levels: list[tuple[int, list[bytes]]] = []  # of each level: how many tiles are full, and the next one

    def verify(self, *, deep: bool, workers: int) -> BundleVerdict:
        stamps = Stamps(self.bundle)
        checkpoint = self.bundle.read("checkpoint") if "checkpoint" in self.bundle else None
        found = verify_source(
            self._notes,
            checkpoint=checkpoint,
            policy=self.policy,
            timestamps=stamps,
            deep=deep,
            workers=workers,
            named=self if deep else None,
            on_progress=self.on_progress,
        )
        verdict = BundleVerdict(
            **{field.name: getattr(found, field.name) for field in fields(Verdict)}, **self.about.shown()
        )
        try:
            self._check(verdict, stamps, deep=deep)
        except BundleMalformed as error:
            return self._with(verdict, BundleFault.of("bundle", error))
        except BundleFault as fault:
            return self._with(verdict, fault)
        if not verdict.intact:
            return verdict
        whole = verdict.size if self.about.subject else None
        disclosed = tuple(self.disclosed) if deep else ()
        return replace(verdict, attachments=len(self.attached), disclosures=disclosed, complete_up_to=whole)

    def _check(self, verdict: BundleVerdict, stamps: Stamps, *, deep: bool) -> None:
        if self.stream_fault and (verdict.broken_at is None or verdict.broken_at >= (self.stream_fault.at or 0)):
            raise self.stream_fault
        if not verdict.intact:
            return
        if verdict.size != self.about.size:
            raise BundleMalformed("bundle.json", expected=f"size {verdict.size}", found=str(self.about.size))
        if stamps.damage:
            raise stamps.damage
        self._finish_tiles()
        if self.tile_fault:
            raise self.tile_fault
        if deep:
            self.check_the_rest()
        if self.damage:
            raise self.damage

    @staticmethod
    def _with(verdict: BundleVerdict, fault: BundleFault) -> BundleVerdict:
        return replace(
            verdict,
            status=fault.status,
            check=fault.check,
            expected=fault.expected,
            found=fault.found,
            broken_at=fault.at,
            fault=BUNDLE_CHECKS.get(fault.check, ""),
        )

    def _notes(self, first: int) -> Iterator[bytes]:
        """Yield the entries from ``first`` on; what is wrong with the file is kept, and ends them."""
        if first == 0:
            self.levels, self.tile_fault, self.stream_fault = [], None, None
        for tile in bundles_of(self.about.size):
            path, at = tile.path(), tile.index * WIDTH
            if at + tile.width <= first:
                continue
            if path not in self.bundle:
                return  # verify_source() says from which entry on they are missing
            data, damage = self.bundle.salvage(path, MAX_ENTRY_BUNDLE)
            notes = list(islice(_whole_entries(data), tile.width + 1))
            if len(notes) != tile.width or sum(map(len, notes)) + 2 * len(notes) != len(data):
                self.stream_fault = BundleFault(
                    "bundle",
                    f"{path}: {tile.width} entries",
                    f"{len(notes)} whole ones",
                    at=at + min(len(notes), tile.width),
                )
                notes = notes[: tile.width]
            self.damage = self.damage or damage
            self._take_tile(0, [leaf_hash(note) for note in notes])
            for index in [index for index in self.disclosures if at <= index < at + len(notes)]:
                self._look_into(index, notes[index - at])
            yield from notes[max(0, first - at) :]
            if self.stream_fault:
                return

    def take(self, index: int, digests: tuple[str, ...]) -> None:
        """Step 4 for one sound entry; verify_source() calls this, and never sees an exception of it."""
        try:
            for digest in digests:
                self.check_attachment(index, digest)
        except BundleMalformed as error:
            self.damage = self.damage or error

    def settle(self) -> tuple[int, Fault] | None:
        """Return what step 4 found so far."""
        fault = self.attachment_fault
        if not fault:
            return None
        words = BUNDLE_CHECKS[fault.check]
        return fault.at or 0, Fault(fault.check, fault.expected, fault.found, words)

    def _look_into(self, index: int, note: bytes) -> None:
        """Step 5 for one entry, which may yet prove to be none."""
        try:
            self.check_disclosures(index, parse_entry(note).body)
        except EntryMalformed:
            return  # verify_source() names it

    def _take_tile(self, level: int, hashes: list[bytes]) -> None:
        """Compare one tile with what the entries hash to, and pass a full one's root up."""
        if level == len(self.levels):
            self.levels.append((0, []))
        index, _ = self.levels[level]
        tile = Tile(level, index, len(hashes))
        if self.tile_fault is None:
            data, damage = self.bundle.salvage(tile.path(), WIDTH * HASH_BYTES)
            if not data and damage:
                self.tile_fault = BundleFault("tile", tile.path(), damage.found, status=INCOMPLETE)
            elif data != b"".join(hashes):
                self.tile_fault = BundleFault("tile", *_first_difference(tile, hashes, data))
            self.damage = self.damage or damage
        if len(hashes) < WIDTH:
            return
        self.levels[level] = (index + 1, [])
        if level + 1 == len(self.levels):
            self.levels.append((0, []))
        full, above = self.levels[level + 1]
        above.append(root(hashes))
        if len(above) == WIDTH:
            self._take_tile(level + 1, above)
        else:
            self.levels[level + 1] = (full, above)

    def _finish_tiles(self) -> None:
        """Compare the last, partial tile of each level above the entries'."""
        for level in range(1, len(self.levels)):
            if self.levels[level][1]:
                self._take_tile(level, self.levels[level][1])


def _first_difference(tile: Tile, hashes: list[bytes], data: bytes) -> tuple[str, str]:
    for place, expected in enumerate(hashes):
        found = data[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        if found != expected:
            return f"{tile.path()}, hash {place}: {expected.hex()}", found.hex() or "nothing"
    return f"{tile.path()}: {len(hashes) * HASH_BYTES} bytes", f"{len(data)} bytes"


def _whole_entries(data: bytes) -> Iterator[bytes]:
    """Yield the entries of an entry bundle, as far as they are whole."""
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            return
        yield data[at + 2 : end]
        at = end
