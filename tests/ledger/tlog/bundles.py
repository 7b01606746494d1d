"""Logs and bundles made from nothing but keys, to be tampered with: what the exporter writes, without a server."""

import hashlib
import uuid
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog import base64_strict, canonical, merkle, rotation
from ledger.tlog.bundle_file import BundleWriter
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import ZERO_HASH, Entry, sign_entry
from ledger.tlog.index_epoch import EpochLeaf, SubjectHead, epoch_body, subject_hash
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Signer, sign
from ledger.tlog.policy import Policy
from ledger.tlog.proof import TlogProof
from ledger.tlog.tiles import WIDTH, bundles_of, encode_bundle, tiles_of

ORIGIN = "example.org/custody/test"
LOG_SUBJECT = "urn:uuid:00000000-0000-4000-8000-000000000000"
SHIPMENTS = [f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in range(1, 4)]
STRANGER = "urn:uuid:00000000-0000-4000-8000-00000000000f"


def signer(seed: int = 1, name: str = ORIGIN) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


class Log:
    """A log that grows by one call for each entry."""

    def __init__(self, key: Signer | None = None) -> None:
        self.key = key or signer()
        self.notes: list[bytes] = []
        self.heads: dict[str, tuple[int, str]] = {}
        self.entries: list[Entry] = []
        self.attachments: dict[str, bytes] = {}
        self.keys = {0: self.key}  # from which entry on
        self.add("genesis", LOG_SUBJECT, {"format": "custody-ledger/v1", "vkey": self.key.vkey})

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(note) for note in self.notes]

    def add(self, kind: str, subject: str, body: dict) -> int:
        index = len(self.notes)
        seq, subject_prev = self.heads.get(subject, (0, ZERO_HASH))
        entry = Entry(
            origin=self.key.name,
            index=index,
            kind=kind,
            subject=subject,
            subject_seq=seq,
            subject_prev=subject_prev,
            prev=leaf_hash(self.notes[-1]).hex() if self.notes else ZERO_HASH,
            sealed_at=f"2001-11-22T{index // 3600 % 24:02}:{index // 60 % 60:02}:{index % 60:02}.000Z",
            body=body,
        )
        self.notes.append(sign_entry(entry, self.key))
        self.entries.append(entry)
        self.heads[subject] = (seq + 1, leaf_hash(self.notes[-1]).hex())
        return index

    def hand_over(self, subject: str, **body: object) -> int:
        return self.add("handoff", subject, {"goods": {"reference": "LRD-1042"}, **body})

    def attach(self, subject: str, content: bytes) -> int:
        digest = hashlib.sha256(content).hexdigest()
        self.attachments[digest] = content
        return self.hand_over(subject, reads={"document": digest})

    def rotate(self, new: Signer) -> int:
        body = rotation.rotation_body(
            old=self.key.verifier, new=new, index=len(self.notes), prev=leaf_hash(self.notes[-1]).hex()
        )
        index = self.add("key_rotated", LOG_SUBJECT, body)
        self.key = self.keys[index + 1] = new
        return index

    def subject_heads(self, below: int) -> list[SubjectHead]:
        found: dict[str, tuple[int, bytes]] = {}
        for entry, leaf in list(zip(self.entries, self.leaves, strict=True))[:below]:
            found[entry.subject] = (found.get(entry.subject, (0, b""))[0] + 1, leaf)
        return sorted(SubjectHead.of(subject, *head) for subject, head in found.items())

    def seal_epoch(self, heads: Sequence[SubjectHead] | None = None) -> int:
        self.epoch_heads = list(heads or self.subject_heads(len(self.notes)))
        return self.add("index_epoch", LOG_SUBJECT, epoch_body(self.epoch_heads))

    def checkpoint(self, size: int | None = None, *keys: Signer) -> bytes:
        size = len(self.notes) if size is None else size
        head = Checkpoint(ORIGIN, size, merkle.root(self.leaves[:size]))
        return sign(head.text(), *(keys or (self.key,)))


def cosigned(checkpoint: bytes, *witnesses: Cosigner) -> bytes:
    text = checkpoint.decode().partition("\n\n")[0] + "\n"
    return checkpoint + "".join(witness.cosign(text, timestamp=1_795_000_000).line() for witness in witnesses).encode()


def log_members(log: Log, checkpoint: bytes | None = None) -> dict[str, bytes]:
    """The members of a bundle of the whole log."""
    size = len(log.notes)
    members = _head({"scope": "log"}, size, checkpoint or log.checkpoint())
    levels = [log.leaves]
    while len(levels[-1]) >= WIDTH:
        below = levels[-1]
        levels.append([merkle.root(below[at : at + WIDTH]) for at in range(0, len(below) - WIDTH + 1, WIDTH)])
    for tile in tiles_of(size):
        hashes = levels[tile.level][tile.index * WIDTH :][: tile.width]
        members[tile.path()] = b"".join(hashes)
    for tile in bundles_of(size):
        members[tile.path()] = encode_bundle(log.notes[tile.index * WIDTH :][: tile.width])
    return members | _attachments(log, range(size))


def range_members(log: Log, first: int, stop: int, checkpoint: bytes | None = None) -> dict[str, bytes]:
    checkpoint = checkpoint or log.checkpoint()
    members = _head({"scope": "range", "first": first, "stop": stop}, len(log.notes), checkpoint)
    indexes = sorted({*range(first, stop), *_rotations(log)})
    return members | _entries(log, indexes, checkpoint) | _attachments(log, indexes)


def subject_members(log: Log, subject: str, checkpoint: bytes | None = None) -> dict[str, bytes]:
    checkpoint = checkpoint or log.checkpoint()
    members = _head({"scope": "subject", "subject": subject}, len(log.notes), checkpoint)
    indexes = {entry.index for entry in log.entries if entry.subject == subject} | set(_rotations(log))
    epochs = [entry.index for entry in log.entries if entry.kind == "index_epoch"]
    if epochs:
        indexes.add(epochs[-1])
        members["epoch.json"] = epoch_json(log, subject, epochs[-1])
    return members | _entries(log, sorted(indexes), checkpoint) | _attachments(log, sorted(indexes))


def epoch_json(log: Log, subject: str, index: int) -> bytes:
    heads = log.epoch_heads
    leaves = [leaf_hash(head.encode()) for head in heads]

    def shown(place: int) -> dict:
        head = heads[place]
        leaf = EpochLeaf(place, head, tuple(merkle.inclusion_proof(leaves, place)))
        return {"place": place, "count": head.count, "head": head.head.hex(), "path": [s.hex() for s in leaf.path]}

    sought = subject_hash(subject)
    present = [place for place, head in enumerate(heads) if head.subject == sought]
    if present:
        return canonical.encode({"entry": index, "present": shown(present[0])})
    after = sum(head.subject < sought for head in heads)
    around = [place for place in (after - 1, after) if 0 <= place < len(heads)]
    return canonical.encode(
        {"entry": index, "absent": [shown(place) | {"subject": heads[place].subject.hex()} for place in around]}
    )


def stamp_members(log: Log, size: int, note: bytes, response: bytes, *, part: bool) -> dict[str, bytes]:
    members = {f"timestamps/{size}.note": note, f"timestamps/{size}.tsr": response}
    if part:
        path = merkle.consistency_proof(log.leaves, size)
        members[f"timestamps/{size}.consistency"] = "".join(f"{base64_strict.encode(s)}\n" for s in path).encode()
    return members


def pack(members: dict[str, bytes]) -> bytes:
    content = BytesIO()
    with BundleWriter(content) as writer:
        for name, data in members.items():
            writer.add(name, data)
    return content.getvalue()


def pack_as_it_comes(members: Sequence[tuple[str, bytes]], **options: object) -> bytes:
    """A ZIP as another program would make it: names twice, strange names, other methods."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", **options) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


def put(folder: Path, content: dict[str, bytes] | bytes) -> Path:
    path = folder / f"{uuid.uuid4()}.zip"
    path.write_bytes(content if isinstance(content, bytes) else pack(content))
    return path


def pin(*keys: Signer) -> Policy:
    return Policy.pin(ORIGIN, *(key.vkey for key in keys or (signer(),)))


def _head(about: dict, size: int, checkpoint: bytes) -> dict[str, bytes]:
    about = {"format": "custody-bundle/v1", "origin": ORIGIN, "size": size, **about}
    return {
        "bundle.json": canonical.encode(about),
        "README.txt": b"Read me.\n",
        "policy": b"quorum none\n",
        "checkpoint": checkpoint,
    }


def _entries(log: Log, indexes: Sequence[int], checkpoint: bytes) -> dict[str, bytes]:
    members = {}
    for index in indexes:
        members[f"entry/{index}.note"] = log.notes[index]
        proof = TlogProof(index, tuple(merkle.inclusion_proof(log.leaves, index)), checkpoint)
        members[f"entry/{index}.tlog-proof"] = proof.encode()
    return members


def _rotations(log: Log) -> list[int]:
    return [entry.index for entry in log.entries if entry.kind == "key_rotated"]


def _attachments(log: Log, indexes: Sequence[int]) -> dict[str, bytes]:
    named = [log.entries[index].body.get("reads", {}).get("document") for index in indexes]
    return {f"attachments/{digest}": log.attachments[digest] for digest in named if digest in log.attachments}
