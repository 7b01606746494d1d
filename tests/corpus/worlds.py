"""
Random logs to tamper with: sealed as the product seals, but fast, by keys that are public here and sign nothing else.

A :class:`World` is an honest log with its checkpoint, and what a verifier pins; :meth:`World.resealed` is the same log
as a sealer who cheats would have made it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from hashlib import sha256
from random import Random
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog import note
from ledger.tlog.attachment_names import ATTACHMENT_FIELDS
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.commitment import commit
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import ZERO_HASH, Entry
from ledger.tlog.index_epoch import SubjectHead, epoch_body
from ledger.tlog.merkle import leaf_hash, root
from ledger.tlog.note import Signer
from ledger.tlog.policy import NONE, Group, PinnedKey, Policy, Witness
from ledger.tlog.rotation import rotation_body
from ledger.tlog.times import format_time

ORIGIN = "example.org/custody/corpus"
ELSEWHERE = "example.org/custody/another"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROTATION, EPOCH = "key_rotated", "index_epoch"
KINDS = ("handoff", "handoff_refused", "declaration", "seal_applied", "inspection", "hold", "release", "passage")
MAX_SIZE = 600


@cache
def key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(f"custody corpus: {name}".encode()).digest())


@cache
def signer(name: str, origin: str = ORIGIN) -> Signer:
    return Signer(origin, key(name))


STRANGER = signer("a stranger under the log's name")
FOREIGNER = Cosigner("witness.example/foreigner", key("a witness that nobody pinned"))
COSIGNERS = tuple(Cosigner(f"witness.example/{name}", key(f"witness {name}")) for name in ("ana", "beto", "carla"))


@dataclass(frozen=True)
class Statement:
    """What is to be sealed: an entry without its place. A rotation names ``new``; epochs and rotations need no body."""

    kind: str
    subject: str
    body: dict[str, Any] = field(default_factory=dict)
    after_ms: int = 0
    new: Signer | None = None


@dataclass
class Sealer:
    """A log as its sealer holds it."""

    signer: Signer
    now: datetime = NOON
    notes: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    rotations: list[tuple[int, Signer]] = field(default_factory=list)

    def seal(
        self,
        statement: Statement,
        *,
        by: Signer | None = None,
        spell: Callable[[str], str] | None = None,
        **changed: Any,
    ) -> None:
        """Sign the next entry; ``changed`` replaces fields of it, ``spell`` its text, for sealers that cheat."""
        by = by or self.signer
        self.now += timedelta(milliseconds=statement.after_ms)
        seq, head = self.heads.get(statement.subject, (0, bytes(32)))
        entry = Entry(
            origin=by.name,
            index=len(self.notes),
            kind=statement.kind,
            subject=statement.subject,
            subject_seq=seq,
            subject_prev=head.hex(),
            prev=self.leaves[-1].hex() if self.leaves else ZERO_HASH,
            sealed_at=format_time(self.now),
            body=statement.body,
        )
        if statement.kind == EPOCH and not statement.body:
            entry = replace(entry, body=self.epoch())
        if statement.new and not statement.body:
            entry = replace(
                entry, body=rotation_body(old=by.verifier, new=statement.new, index=entry.index, prev=entry.prev)
            )
        entry = replace(entry, **changed)
        text = entry.text()
        self.notes.append(note.sign(spell(text) if spell else text, by))
        self.leaves.append(leaf_hash(self.notes[-1]))
        self.heads[entry.subject] = (seq + 1, self.leaves[-1])
        if statement.new:
            self.rotations.append((entry.index, statement.new))
            self.signer = statement.new

    def epoch(self) -> dict[str, Any]:
        return epoch_body(sorted(SubjectHead.of(subject, *head) for subject, head in self.heads.items()))

    def head_signers(self) -> list[Signer]:
        """Who signs the checkpoint now: both keys where the last entry is the rotation."""
        if self.rotations and self.rotations[-1][0] == len(self.notes) - 1:
            before = self.rotations[-2][1] if len(self.rotations) > 1 else signer("log key 0")
            return [before, self.signer]
        return [self.signer]

    def checkpoint(self, *by: Signer) -> bytes:
        head = Checkpoint(self.signer.name, len(self.leaves), root(self.leaves))
        return note.sign(head.text(), *(by or self.head_signers()))


@dataclass(frozen=True)
class World:
    """An honest log of ``statements``, and who watches it."""

    statements: tuple[Statement, ...]
    sealer: Sealer
    policy: Policy
    cosigned_by: tuple[Cosigner, ...] = ()

    @property
    def notes(self) -> list[bytes]:
        return list(self.sealer.notes)

    @property
    def leaves(self) -> list[bytes]:
        return self.sealer.leaves

    @property
    def size(self) -> int:
        return len(self.sealer.notes)

    @cached_property
    def log_checkpoint(self) -> bytes:
        return self.sealer.checkpoint()

    @cached_property
    def checkpoint(self) -> bytes:
        return cosigned(self.log_checkpoint, *self.cosigned_by)

    @property
    def status(self) -> str:
        return "intact_and_witnessed" if self.cosigned_by else "intact_unwitnessed"

    @property
    def known(self) -> Checkpoint:
        return self.head(self.size)

    def head(self, size: int) -> Checkpoint:
        return Checkpoint(ORIGIN, size, root(self.leaves[:size]))

    def places(self, kind: str) -> list[int]:
        return [place for place, statement in enumerate(self.statements) if statement.kind == kind]

    def subject_places(self, subject: str) -> list[int]:
        return [place for place, statement in enumerate(self.statements) if statement.subject == subject]

    def signer_of(self, place: int) -> Signer:
        """Who signed entry ``place``."""
        found = signer("log key 0")
        for index, new in self.sealer.rotations:
            if index < place:
                found = new
        return found

    def before(self, place: int) -> Sealer:
        """The sealer as it stood when entry ``place`` was next."""
        heads: dict[str, tuple[int, bytes]] = {}
        now = NOON
        for statement, leaf in zip(self.statements[:place], self.leaves[:place], strict=True):
            heads[statement.subject] = (heads.get(statement.subject, (0, b""))[0] + 1, leaf)
            now += timedelta(milliseconds=statement.after_ms)
        rotations = [(index, new) for index, new in self.sealer.rotations if index < place]
        return Sealer(self.signer_of(place), now, self.notes[:place], self.leaves[:place], heads, rotations)

    def resealed(self, place: int, statements: Sequence[Statement] | None = None, **cheat: Any) -> Sealer:
        """Seal on from ``place`` as before, the first one with ``cheat``; or seal other ``statements`` from there."""
        sealer = self.before(place)
        for statement in self.statements[place:] if statements is None else statements:
            sealer.seal(statement, **cheat)
            cheat = {}
        return sealer

    def prefix(self, size: int) -> "World":
        return World(self.statements[:size], self.resealed(size, []), self.policy, self.cosigned_by)


def cosigned(checkpoint: bytes, *cosigners: Cosigner, timestamp: int = 1_795_000_000) -> bytes:
    text = note.parse(checkpoint).text
    return checkpoint + "".join(by.cosign(text, timestamp=timestamp).line() for by in cosigners).encode()


@dataclass(frozen=True)
class Wants:
    """What a tampering needs of its log, to have something to tamper with."""

    min_size: int = 1
    max_size: int = MAX_SIZE
    rotations: bool | None = None  # None: by chance
    epochs: bool | None = None
    witnesses: bool | None = False


def make_world(rng: Random, wants: Wants = Wants()) -> World:
    """Make an honest log: mostly of few entries, some of several hundred, some subjects with several entries."""
    size = _size(rng, wants)
    rotations, epochs, witnesses = (
        rng.random() < chance if wanted is None else wanted
        for wanted, chance in ((wants.rotations, 0.35), (wants.epochs, 0.5), (wants.witnesses, 0.4))
    )
    if size > 60:  # a log of its own is dear: take the beginning of one that many share
        statements, sealer = _long(rng.randrange(4), rotations, epochs)
        world = World(statements, sealer, Policy.pin(ORIGIN), ()).prefix(size)
        statements, sealer = world.statements, world.sealer
    else:
        statements = make_statements(rng, size, rotations=rotations, epochs=epochs)
        sealer = Sealer(signer("log key 0"))
        for statement in statements:
            sealer.seal(statement)
    policy = Policy(ORIGIN, _pinned(rng, sealer), *_watched(rng, witnesses))
    return World(statements, sealer, policy, _enough(rng, policy))


def make_statements(rng: Random, size: int, *, rotations: bool, epochs: bool) -> tuple[Statement, ...]:
    log = UUID(int=rng.getrandbits(128), version=4).urn
    subjects = [UUID(int=rng.getrandbits(128), version=4).urn for _ in range(rng.choice([1, 2, 3, 7, 20]))]
    made = [Statement("genesis", log, {"format": "custody-ledger/v1", "vkey": signer("log key 0").vkey})]
    special = {}
    if epochs and size > 1:
        special |= dict.fromkeys(rng.sample(range(1, size), min(size - 1, rng.choice([1, 2, 3]))), EPOCH)
    if rotations and size > 1:
        special |= dict.fromkeys(rng.sample(range(1, size), min(size - 1, rng.choice([1, 1, 2]))), ROTATION)
    keys = 0
    for place in range(1, size):
        after = rng.choice([0, 1, 7, 1000, 61_007])
        if special.get(place) == ROTATION:
            keys += 1
            made.append(Statement(ROTATION, log, after_ms=after, new=signer(f"log key {keys}")))
        elif special.get(place) == EPOCH:
            made.append(Statement(EPOCH, log, after_ms=after))
        else:
            kind = rng.choice(KINDS)
            made.append(Statement(kind, rng.choice(subjects), make_body(rng, kind), after))
    return tuple(made)


def make_body(rng: Random, kind: str = "") -> dict[str, Any]:
    number = rng.randrange(100_000, 1_000_000)
    body: dict[str, Any] = {"n": number}
    if ("reads", "document") in ATTACHMENT_FIELDS.get(kind, ()) and rng.random() < 0.7:
        body["reads"] = {"document": sha256(document(number)).hexdigest()}
    if rng.random() < 0.4:
        body["sealed"] = [{"value": commit(salt=salt(number), value=secret(number))}]
    if rng.random() < 0.5:
        body["where"] = rng.choice(["dock-4", "andén 4 — “sin daños”", "\t\n\u00a0✓ \U0001f4e6", ""])
    if rng.random() < 0.3:
        body["items"] = [{"tag": f"{rng.getrandbits(96):024X}"} for _ in range(rng.randrange(4))]
    return body


def document(number: int) -> bytes:
    """The attachment that the body of this number names."""
    return f"document {number}\n".encode() * 9


def secret(number: int) -> bytes:
    """The value that the body of this number commits to."""
    return f"secret {number}".encode()


def salt(number: int) -> bytes:
    return sha256(f"salt {number}".encode()).digest()


def _size(rng: Random, wants: Wants) -> int:
    most = min(wants.max_size, rng.choice([6, 12, 40, 40, 60] if rng.random() < 0.94 else [260, MAX_SIZE]))
    size = rng.randint(wants.min_size, max(wants.min_size, most))
    return rng.choice([255, 256, 257]) if size > 200 and rng.random() < 0.3 else size


@cache
def _long(number: int, rotations: bool, epochs: bool) -> tuple[tuple[Statement, ...], Sealer]:
    rng = Random(f"long {number} {rotations} {epochs}")
    statements = make_statements(rng, MAX_SIZE, rotations=False, epochs=False)
    log = statements[0].subject
    special: dict[int, Statement] = {}
    if epochs:
        special |= {place: Statement(EPOCH, log) for place in (1, rng.randrange(40, 60), 256)}
    if rotations:
        special |= {
            place: Statement(ROTATION, log, new=signer(f"log key {place}")) for place in (rng.randrange(2, 40), 254)
        }
    statements = tuple(special.get(place, statement) for place, statement in enumerate(statements))
    sealer = Sealer(signer("log key 0"))
    for statement in statements:
        sealer.seal(statement)
    return statements, sealer


def _pinned(rng: Random, sealer: Sealer) -> tuple[PinnedKey, ...]:
    """Pin the first key alone, with or without an end, or all of them with their ranges."""
    first = signer("log key 0").vkey
    if rng.random() < 0.5:
        return (PinnedKey(first),)
    ends = [index for index, _ in sealer.rotations]
    keys = [first, *(new.vkey for _, new in sealer.rotations)]
    starts = [0, *(index + 1 for index in ends)]
    return tuple(PinnedKey(vkey, at, end) for vkey, at, end in zip(keys, starts, [*ends, None], strict=True))


def _watched(rng: Random, witnesses: bool) -> tuple[tuple[Witness, ...], tuple[Group, ...], str]:
    if not witnesses:
        return (), (), NONE
    pinned = tuple(Witness(f"w{number}", cosigner.vkey) for number, cosigner in enumerate(COSIGNERS))
    if rng.random() < 0.3:
        return pinned[:1], (), "w0"
    threshold = rng.choice([1, 2, 3])
    return pinned, (Group("quorum", threshold, tuple(witness.name for witness in pinned)),), "quorum"


def _enough(rng: Random, policy: Policy) -> tuple[Cosigner, ...]:
    """Cosigners that reach the quorum, no fewer."""
    if not policy.wants_witnesses:
        return ()
    pinned = COSIGNERS[: len(policy.witnesses)]
    needed = policy.groups[0].threshold if policy.groups else 1
    count = rng.randint(needed, len(pinned))
    chosen = rng.sample(range(len(pinned)), count)
    return tuple(pinned[number] for number in sorted(chosen))


def into_body(member: str) -> Callable[[str], str]:
    """Write one more member, as it stands, at the front of an entry's body."""

    def spell(text: str) -> str:
        return re.sub(r'^\{"body":\{(?!\})', lambda _: f'{{"body":{{{member},', text, count=1).replace(
            '{"body":{}', f'{{"body":{{{member}}}', 1
        )

    return spell
