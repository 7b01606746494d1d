"""What a tampering leaves behind, the verdict it must get, and how a class of them is registered."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.policy import Policy
from tests.corpus.worlds import Wants, World, make_world

BROKEN, INCOMPLETE, UNWITNESSED = "broken", "incomplete", "intact_unwitnessed"
# The checks of one entry: which of them sees a change first depends on where it hits.
ENTRY_CHECKS = (
    *("format", "kind", "origin", "signature", "index", "prev", "subject_seq", "subject_prev", "sealed_at"),
    *("key_rotated", "index_epoch"),
)


@dataclass
class Case:
    """
    A log or a bundle, what the verifier pins and knows, and the verdict that it must get.

    ``checks`` are the codes of which one must be named; ``broken_at`` is exact. ``keyless`` says that nobody who holds
    the log's key had a hand in it: then the fast verification finds it too, though it may name a later place.
    """

    status: str
    checks: tuple[str, ...]
    broken_at: int | None
    policy: Policy
    notes: list[bytes] = field(default_factory=list)
    checkpoint: bytes | None = None
    known: Checkpoint | None = None
    timestamps: list[tuple[bytes, bytes]] = field(default_factory=list)  # log-signed checkpoint, response
    bundle: bytes | None = None
    keyless: bool = False
    name: str = ""
    seed: str = ""

    def but(self, status: str) -> "Case":
        """The same case with another status."""
        return replace(self, status=status)

    def as_json(self) -> dict[str, Any]:
        """Return the case as README.md describes it."""
        case: dict[str, Any] = {
            "name": self.name,
            "seed": self.seed,
            "policy": self.policy.encode(),
            "known": {"size": self.known.size, "root": self.known.root.hex()} if self.known else None,
            "expected": {"status": self.status, "checks": list(self.checks), "broken_at": self.broken_at},
        }
        if self.bundle is not None:
            return case | {"kind": "bundle", "bundle": b64(self.bundle)}
        return case | {
            "kind": "log",
            "notes": [b64(note) for note in self.notes],
            "checkpoint": None if self.checkpoint is None else b64(self.checkpoint),
            "timestamps": [{"note": b64(note), "response": b64(response)} for note, response in self.timestamps],
        }


def b64(data: bytes) -> str:
    return b64encode(data).decode()


@dataclass(frozen=True)
class Tampering:
    """A named class: what it does to a random log that has what it ``wants``."""

    name: str
    wants: Wants
    make: Callable[[Random, World], Case]

    def case(self, seed: object) -> Case:
        label = f"{self.name}/{seed}"
        rng = Random(label)
        case = self.make(rng, make_world(rng, self.wants))
        case.name, case.seed = self.name, str(seed)
        return case


TAMPERINGS: dict[str, Tampering] = {}


def tampering(**wants: Any) -> Callable[[Callable[[Random, World], Case]], Callable[[Random, World], Case]]:
    """Register a class under its function's name."""

    def register(make: Callable[[Random, World], Case]) -> Callable[[Random, World], Case]:
        assert make.__name__ not in TAMPERINGS, make.__name__
        TAMPERINGS[make.__name__] = Tampering(make.__name__, Wants(**wants), make)
        return make

    return register


def clean_case(seed: object) -> Case:
    """An untouched random log, of any size and with anything in it."""
    rng = Random(f"clean/{seed}")
    world = make_world(rng, Wants(max_size=12 if rng.random() < 0.97 else 600, witnesses=None))
    known = world.head(rng.randint(0, world.size)) if rng.random() < 0.3 else None
    return Case(
        world.status, ("",), None, world.policy, world.notes, world.checkpoint, known, name="clean", seed=str(seed)
    )


def all_classes() -> dict[str, Tampering]:
    """Return every class by its name."""
    from tests.corpus import bundle_classes, log_classes

    assert bundle_classes and log_classes
    return TAMPERINGS


def export_cases(seed: int, per_class: int, clean: int = 20) -> list[dict[str, Any]]:
    """
    Return cases of every class as JSON-able values, for a verifier in another language; README.md has the form.

    The same arguments give the same cases.
    """
    tampered: Iterable[Case] = (
        one.case(f"{seed}/{number}") for one in all_classes().values() for number in range(per_class)
    )
    untouched = (clean_case(f"{seed}/{number}") for number in range(clean))
    return [json.loads(json.dumps(case.as_json())) for case in (*tampered, *untouched)]
