"""
Write bundles (``custody-bundle/v1``, docs/ledger-format.md): the log, a range of it or one subject, for whoever checks
it without this server.

Writes what is stored, sound or not: a bundle of a broken log is evidence too, and its reader's verifier says what is.
"""

import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ledger import epochs
from ledger.attachments import as_bytes
from ledger.disclosure import Opening
from ledger.models import Attachment, Checkpoint, Entry, Timestamp
from ledger.own_policy import own_policy
from ledger.publication import newest_published, published_note
from ledger.tiles import fetch, tree
from ledger.tlog import base64_strict, canonical, rotation
from ledger.tlog.attachment_names import named_in
from ledger.tlog.bundle_contents import FORMAT, LOG, RANGE, SUBJECT_SCOPE
from ledger.tlog.bundle_file import BundleWriter
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from ledger.tlog.index_epoch import EpochLeaf
from ledger.tlog.proof import TlogProof
from ledger.tlog.tiles import TileTree, bundles_of, decode_bundle, tiles_of
from refusals import Refusal

README = Path(__file__).with_name("bundle_readme.txt")
# A tree keeps the tiles that it fetched; after so many proofs a new one begins.
_PROOFS_PER_TREE = 4096


class NothingToExport(Refusal):
    code = "nothing_to_export"
    message = _("The log holds nothing that could be exported: %(what)s.")
    status = 404


@dataclass(frozen=True)
class Written:
    """What was written: the scope, the checkpoint's size, how many entries, and which attachments are gone."""

    scope: str
    size: int
    entries: int
    missing: tuple[str, ...] = ()


def write_bundle(
    path: Path,
    *,
    subject: str | None = None,
    span: tuple[int, int] | None = None,
    openings: Sequence[Opening] = (),
) -> Written:
    """
    Write a bundle to ``path``, whole or not at all; the same state of the log makes the same bytes.

    Of the whole log, or of one ``subject`` (``urn:uuid:``), or of the entries ``span`` (the second one not included).
    Covers what the newest published checkpoint covers.

    :param openings: the disclosed values, each of an entry that the bundle holds; none by default
    :raises NothingToExport: if there is no checkpoint yet, or it covers nothing of what was asked for
    :raises VerifierKeyMissing: if the verifier key is not at hand
    """
    # Beside the target, so that renaming is one step; 0600 as tempfile makes it, for a bundle may disclose.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            with BundleWriter(file) as bundle:
                written = _Export(bundle, subject=subject, span=span, openings=openings).write()
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return written


class _Export:
    """One bundle, being written in the order of its members."""

    def __init__(
        self,
        bundle: BundleWriter,
        *,
        subject: str | None,
        span: tuple[int, int] | None,
        openings: Sequence[Opening],
    ) -> None:
        self.bundle, self.subject, self.span, self.openings = bundle, subject, span, openings
        checkpoint = newest_published()
        if checkpoint is None:
            raise NothingToExport(what="there is no checkpoint yet")
        self.checkpoint, self.size = checkpoint, checkpoint.size
        self.note = published_note(checkpoint)
        self.scope = SUBJECT_SCOPE if subject else RANGE if span else LOG
        self.entries = 0
        self.named: dict[bytes, None] = {}  # the attachments' digests, in the order in which entries name them
        self.missing: list[str] = []
        self.epoch: int | None = None

    def write(self) -> Written:
        self._check_scope()
        self._head()
        indexes = [] if self.scope == LOG else self._indexes()
        for note in self._log() if self.scope == LOG else self._part(indexes):
            self._take(note)
        self._attachments()
        self._timestamps(indexes)
        for opening in sorted(self.openings, key=lambda opening: opening.commitment):
            self.bundle.add(f"disclosures/{opening.commitment}.json", opening.encode())
        return Written(self.scope, self.size, self.entries, tuple(self.missing))

    def _check_scope(self) -> None:
        if self.span:
            first, stop = self.span
            if not 0 <= first < stop <= self.size:
                raise NothingToExport(what=f"entries {first} to {stop} of a checkpoint over {self.size} entries")
        for opening in self.openings:
            if opening.entry >= self.size:
                raise NothingToExport(
                    what=f"entry {opening.entry}, of which something is disclosed, is not published yet"
                )
        if self.subject:
            self.epoch = epochs.newest_epoch(below=self.size)
            about = Entry.objects.filter(subject=self.subject, index__lt=self.size)
            if self.epoch is None and not about.exists():
                raise NothingToExport(what=f"{self.subject} has no entry under the newest checkpoint")

    def _head(self) -> None:
        about: dict[str, Any] = {
            "format": FORMAT,
            "origin": settings.LEDGER_ORIGIN,
            "scope": self.scope,
            "size": self.size,
        }
        if self.span:
            about |= {"first": self.span[0], "stop": self.span[1]}
        if self.subject:
            about["subject"] = self.subject
        self.bundle.add("bundle.json", canonical.encode(about))
        self.bundle.add("README.txt", self._readme().encode())
        self.bundle.add("policy", _template().encode())
        self.bundle.add("checkpoint", self.note)

    def _readme(self) -> str:
        what = "the whole log"
        if self.span:
            what = f"entries {self.span[0]} to {self.span[1] - 1} of the log"
        if self.subject:
            what = f"every entry of the log about one shipment, {self.subject}"
        return Template(README.read_text("utf-8")).substitute(
            origin=settings.LEDGER_ORIGIN,
            size=self.size,
            what=what,
            about=f" --subject {self.subject}" if self.subject else "",
            layout=_LAYOUT[LOG if self.scope == LOG else RANGE],
        )

    def _log(self) -> Iterator[bytes]:
        """Write every tile and entry bundle, and yield the entries."""
        for tile in tiles_of(self.size):
            self.bundle.add(tile.path(), fetch(tile))
        for tile in bundles_of(self.size):
            data = fetch(tile)
            self.bundle.add(tile.path(), data)
            yield from decode_bundle(data)

    def _indexes(self) -> list[int]:
        """The entries that a part holds: those asked for, every rotation, and a subject's newest epoch."""
        wanted = Q(kind=rotation.KIND)
        if self.span:
            wanted |= Q(index__gte=self.span[0], index__lt=self.span[1])
        if self.subject:
            wanted |= Q(subject=self.subject)
            if self.epoch is not None:
                wanted |= Q(index=self.epoch)
        rows = Entry.objects.filter(wanted, index__lt=self.size).order_by("index")
        return list(rows.values_list("index", flat=True))

    def _part(self, indexes: Sequence[int]) -> Iterator[bytes]:
        """Write the entries with their proofs, and yield them."""
        for begin in range(0, len(indexes), _PROOFS_PER_TREE):
            batch, proofs = indexes[begin : begin + _PROOFS_PER_TREE], tree(self.size)
            rows = Entry.objects.filter(index__gte=batch[0], index__lte=batch[-1]).order_by("index")
            inside = frozenset(batch)
            for index, stored in _pairs(rows.filter(index__in=batch) if len(batch) <= 500 else rows):
                if index in inside:
                    yield self._write_entry(index, stored, proofs)
        if self.epoch is not None:
            self._write_epoch(self.epoch)

    def _write_entry(self, index: int, note: bytes, proofs: TileTree) -> bytes:
        proof = TlogProof(index, tuple(proofs.inclusion_proof(index)), self.note)
        self.bundle.add(f"entry/{index}.note", note)
        self.bundle.add(f"entry/{index}.tlog-proof", proof.encode())
        return note

    def _write_epoch(self, index: int) -> None:
        assert self.subject
        proof = epochs.epoch_proof(self.subject, index)
        if proof.present:
            shown: dict[str, Any] = {"present": _shown(proof.present)}
        else:
            shown = {"absent": [_shown(leaf) | {"subject": leaf.head.subject.hex()} for leaf in proof.absent]}
        self.bundle.add("epoch.json", canonical.encode({"entry": index} | shown))

    def _take(self, note: bytes) -> None:
        """Remember the attachments that an entry names."""
        self.entries += 1
        try:
            entry = parse_entry(note)
        except TlogError:
            return  # the verifier says so
        for digest in named_in(entry.kind, entry.body):
            if len(digest) == 64 and not set(digest) - set("0123456789abcdef"):
                self.named[bytes.fromhex(digest)] = None

    def _attachments(self) -> None:
        for named in self.named:
            digest = named.hex()
            content = Attachment.objects.filter(pk=digest).values_list("content", flat=True).first()
            if content is None:
                self.missing.append(digest)
            else:
                self.bundle.add(f"attachments/{digest}", as_bytes(content))

    def _timestamps(self, indexes: Sequence[int]) -> None:
        """Write each stamped checkpoint; of a part, those that come first behind an entry, and the newest."""
        # The earliest stamp where a checkpoint has several.
        stamps = {
            stamp.checkpoint_id: stamp
            for stamp in Timestamp.objects.filter(checkpoint_id__lte=self.size, checkpoint_id__gt=0)
            .order_by("-stamped_at", "-id")
            .defer("response")
        }
        sizes = sorted(stamps)
        if self.scope != LOG and sizes:
            sizes = sorted(
                {sizes[at] for at in (bisect_right(sizes, index) for index in indexes) if at < len(sizes)} | {sizes[-1]}
            )
        for size in sizes:
            self.bundle.add(f"timestamps/{size}.note", as_bytes(Checkpoint.objects.get(pk=size).note))
            self.bundle.add(f"timestamps/{size}.tsr", as_bytes(stamps[size].response))
            if self.scope != LOG:
                path = tree(self.size).consistency_proof(size)
                lines = "".join(f"{base64_strict.encode(step)}\n" for step in path)
                self.bundle.add(f"timestamps/{size}.consistency", lines.encode())


def _template() -> str:
    """A policy file that pins nothing: whoever takes a line over has looked at it."""
    own = own_policy()
    lines = replace(own, witnesses=tuple(replace(witness, url="") for witness in own.witnesses)).encode().splitlines()
    head = (
        "A template for your policy file (c2sp.org/tlog-policy). It pins nothing as it is: compare every key with what",
        "its owner told you by another way than this bundle, then take away the '# ' in front of the line.",
        "",
    )
    return "".join(f"# {line}".rstrip() + "\n" for line in (*head, *lines))


_LAYOUT = {
    LOG: (
        "  tile/entries/…        the entries, 256 to a file, each behind its length (two bytes)\n"
        "  tile/0/…, tile/1/…    the tree over them (c2sp.org/tlog-tiles)"
    ),
    RANGE: (
        "  entry/N.note          entry N, as the log signed it\n"
        "  entry/N.tlog-proof    the proof that entry N stands under the checkpoint (c2sp.org/tlog-proof)\n"
        "  epoch.json            for a shipment: the proof of how many entries it has, if the log has one"
    ),
}


def _shown(leaf: EpochLeaf) -> dict[str, Any]:
    return {
        "place": leaf.place,
        "count": leaf.head.count,
        "head": leaf.head.head.hex(),
        "path": [step.hex() for step in leaf.path],
    }


def _pairs(rows: Any) -> Iterable[tuple[int, bytes]]:
    for index, note in rows.values_list("index", "note").iterator(chunk_size=512):
        yield index, as_bytes(note)
