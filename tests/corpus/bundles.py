"""Bundles of random logs (``custody-bundle/v1``), written from the entries alone, beside the product's own writer."""

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from ledger.tlog import canonical
from ledger.tlog.attachment_names import named_in
from ledger.tlog.entry import Entry, parse_entry
from ledger.tlog.index_epoch import SubjectHead, subject_hash
from ledger.tlog.merkle import inclusion_proof, leaf_hash, root
from ledger.tlog.proof import TlogProof
from ledger.tlog.tiles import bundles_of, encode_bundle, tiles_of
from tests.corpus.worlds import EPOCH, ROTATION, World, document, salt, secret

LOG, RANGE, SUBJECT = "log", "range", "subject"


@dataclass
class Bundle:
    """A bundle's members by name, and what it is about."""

    world: World
    scope: str
    members: dict[str, bytes]
    indexes: list[int]  # of the entries in it
    about: dict[str, Any]

    def ordinary(self) -> list[int]:
        """The entries that are here for their own sake, without those that say something to the verifier."""
        return [index for index in self.indexes if self.world.statements[index].kind not in (ROTATION, EPOCH)]

    def entry(self, index: int) -> Entry:
        return parse_entry(self.world.notes[index])

    def pack(self, *, repeated: str = "", comment: bytes = b"") -> bytes:
        return pack(self.members.items(), repeated=repeated, comment=comment)

    def set_json(self, name: str, **changed: Any) -> None:
        self.members[name] = canonical.encode(canonical.decode(self.members[name]) | changed)


def pack(members: Iterable[tuple[str, bytes]], *, repeated: str = "", comment: bytes = b"") -> bytes:
    """Return the ZIP; ``repeated`` stands in it twice."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, (name, data) in enumerate(members):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            archive.writestr(info, data)
            if name == repeated:
                twin = "A" * len(name)  # zipfile warns of a name that is there: put it in afterwards
                archive.writestr(zipfile.ZipInfo(twin, (1980, 1, 1, 0, 0, 0)), data)
        archive.comment = comment
    packed = file.getvalue()
    return packed.replace(b"A" * len(repeated), repeated.encode()) if repeated else packed


def make_bundle(rng: Random, world: World, scope: str) -> Bundle:
    """Bundle the log, a random range, or a random subject of it, with everything in it that a bundle may have."""
    about: dict[str, Any] = {"format": "custody-bundle/v1", "origin": world.sealer.signer.name, "scope": scope}
    about["size"] = world.size
    indexes = list(range(world.size))
    if scope == RANGE:
        about["first"] = rng.randrange(world.size)
        about["stop"] = rng.randint(about["first"] + 1, world.size)
        inside = range(about["first"], about["stop"])
        indexes = sorted({*inside, *world.places(ROTATION)})
    elif scope == SUBJECT:
        ordinary = [s.subject for s in world.statements[1:] if s.kind not in (ROTATION, EPOCH)]
        about["subject"] = rng.choice(ordinary or [world.statements[0].subject])
        indexes = sorted({*world.subject_places(about["subject"]), *world.places(ROTATION), *world.places(EPOCH)[-1:]})
    members = {
        "bundle.json": canonical.encode(about),
        "README.txt": b"A bundle of a log that was made up for tests.\n",
        "policy": world.policy.encode().encode(),
        "checkpoint": world.checkpoint,
    }
    members |= _tiles(world) if scope == LOG else _entries(world, indexes)
    if scope == SUBJECT and world.places(EPOCH):
        members["epoch.json"] = canonical.encode(_epoch(world, about["subject"]))
    bundle = Bundle(world, scope, members, indexes, about)
    for index in indexes:
        entry = bundle.entry(index)
        for digest in named_in(entry.kind, entry.body):
            members[f"attachments/{digest}"] = document(entry.body["n"])
        if "sealed" in entry.body and rng.random() < 0.5:
            disclosure = {
                "commitment": entry.body["sealed"][0]["value"],
                "entry": index,
                "label": "sealed.0.value",
                "salt": salt(entry.body["n"]).hex(),
                "value": secret(entry.body["n"]).hex(),
            }
            members[f"disclosures/{disclosure['commitment']}.json"] = canonical.encode(disclosure)
    return bundle


def _entries(world: World, indexes: list[int]) -> dict[str, bytes]:
    members = {}
    for index in indexes:
        members[f"entry/{index}.note"] = world.sealer.notes[index]
        path = tuple(inclusion_proof(world.leaves, index))
        members[f"entry/{index}.tlog-proof"] = TlogProof(index, path, world.checkpoint).encode()
    return members


def _tiles(world: World) -> dict[str, bytes]:
    levels = [world.leaves]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([root(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
    members = {
        tile.path(): b"".join(levels[tile.level or 0][tile.index * 256 : tile.index * 256 + tile.width])
        for tile in tiles_of(world.size)
    }
    for tile in bundles_of(world.size):
        members[tile.path()] = encode_bundle(world.sealer.notes[tile.index * 256 : tile.index * 256 + tile.width])
    return members


def epoch_heads(world: World) -> list[SubjectHead]:
    """The leaves of the newest epoch."""
    heads = world.before(world.places(EPOCH)[-1]).heads
    return sorted(SubjectHead.of(subject, *head) for subject, head in heads.items())


def _epoch(world: World, subject: str) -> dict[str, Any]:
    heads = epoch_heads(world)
    before = sum(head.subject < subject_hash(subject) for head in heads)
    entry = world.places(EPOCH)[-1]
    if before < len(heads) and heads[before].subject == subject_hash(subject):
        leaf = epoch_leaf(heads, before)
        del leaf["subject"]
        return {"entry": entry, "present": leaf}
    beside = [place for place in (before - 1, before) if 0 <= place < len(heads)]
    return {"entry": entry, "absent": [epoch_leaf(heads, place) for place in beside]}


def epoch_leaf(heads: list[SubjectHead], place: int) -> dict[str, Any]:
    head = heads[place]
    path = inclusion_proof([leaf_hash(one.encode()) for one in heads], place)
    return {
        "place": place,
        "subject": head.subject.hex(),
        "count": head.count,
        "head": head.head.hex(),
        "path": [step.hex() for step in path],
    }
