"""Which key counts where: what the caller pinned, what a rotation may add to it, and what it may not."""

from uuid import UUID

import pytest

from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.entry import ZERO_HASH, Entry, sign_entry
from ledger.tlog.errors import VerifierKeyMalformed
from ledger.tlog.keys_in_force import KeysInForce
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Signer
from ledger.tlog.policy import PinnedKey, Policy
from ledger.tlog.rotation import KIND, rotation_body
from ledger.tlog.verify import verify_entries
from tests.corpus.worlds import ORIGIN, signer

OLD, NEW, NEXT, EVIL = (signer(f"key in force: {name}") for name in ("old", "new", "next", "evil"))
LOG = UUID(int=1, version=4).urn


def pinned(*keys: tuple[Signer, int, int | None]) -> Policy:
    return Policy(ORIGIN, tuple(PinnedKey(key.vkey, first, last) for key, first, last in keys))


def in_force(policy: Policy, *rotations: tuple[Signer, Signer, int], until: int = 12) -> list[str]:
    """Name by its letter each key that counts at each entry."""
    keys = KeysInForce(policy)
    for old, new, at in rotations:
        keys.rotate(old.verifier, new.verifier, at=at)
    letters = {OLD.vkey: "o", NEW.vkey: "n", NEXT.vkey: "x", EVIL.vkey: "e"}
    found = ["".join(sorted(letters[key.vkey] for key in keys.at(index))) for index in range(until)]
    for index in range(until):
        same_until = keys.same_until(index)
        assert all(found[index] == found[other] for other in range(index, min(until, same_until or until)))
    return found


@pytest.mark.parametrize(
    ("keys", "rotations", "found"),
    [
        # The first key alone: rotations are followed.
        ([(OLD, 0, None)], [], "o o o o o o"),
        ([(OLD, 0, None)], [(OLD, NEW, 2)], "o o o n n n"),
        ([(OLD, 0, None)], [(OLD, NEW, 2), (NEW, NEXT, 3)], "o o o n x x"),
        ([(OLD, 0, None)], [(OLD, NEW, 2), (NEW, OLD, 3)], "o o o n o o"),
        # A pinned end is one, also where no rotation follows; a rotation before it ends the key sooner.
        ([(OLD, 0, 2)], [], "o o o - - -"),
        ([(OLD, 0, 4)], [(OLD, NEW, 2)], "o o o n n n"),
        ([(OLD, 0, 2)], [(OLD, NEW, 2)], "o o o n n n"),
        # All of them with their ranges: a rotation adds nothing.
        ([(OLD, 0, 2), (NEW, 3, None)], [(OLD, NEW, 2)], "o o o n n n"),
        ([(OLD, 0, 2), (NEW, 3, None)], [(OLD, NEW, 1)], "o o - n n n"),
        ([(OLD, 0, None), (NEW, 3, None)], [], "o o o no no no"),
        ([(OLD, 0, None), (NEW, 3, None)], [(OLD, NEW, 2)], "o o o n n n"),
        ([(NEW, 3, None)], [], "- - - n n n"),
        # The key between two that are pinned need not be.
        ([(OLD, 0, 1), (NEXT, 4, None)], [(OLD, NEW, 1), (NEW, NEXT, 3)], "o o n n x x"),
        # A stolen key hands over to a stranger: at the most up to where the next pinned key begins.
        ([(OLD, 0, 2), (NEW, 3, None)], [(OLD, EVIL, 1)], "o o e n n n"),
        ([(OLD, 0, 2), (NEW, 3, None)], [(OLD, EVIL, 2)], "o o o n n n"),
        ([(OLD, 0, None), (NEW, 3, None)], [(OLD, EVIL, 0)], "o e e n n n"),
        ([(OLD, 0, 2), (NEW, 3, None)], [(OLD, NEXT, 0), (NEXT, EVIL, 1)], "o x e n n n"),
        ([(OLD, 0, 2), (NEXT, 5, None), (NEW, 3, 4)], [(OLD, EVIL, 1)], "o o e n n x"),
        # Handed back later, the pinned key counts where it is pinned and nowhere else.
        ([(OLD, 0, 2)], [(OLD, NEW, 1), (NEW, OLD, 3)], "o o n n - -"),
        ([(OLD, 0, None)], [(OLD, NEW, 0), (NEW, NEXT, 1), (NEXT, OLD, 2)], "o n x o o o"),
    ],
)
def test_who_may_sign_which_entry(keys, rotations, found):
    shown = in_force(pinned(*keys), *rotations, until=6)
    assert " ".join(one or "-" for one in shown) == found


def test_every_key_that_counts_is_a_candidate_once():
    keys = KeysInForce(pinned((OLD, 0, 2), (NEW, 3, None)))
    keys.rotate(OLD.verifier, EVIL.verifier, at=1)
    assert [key.vkey for key in keys] == [OLD.vkey, NEW.vkey, EVIL.vkey]


def test_what_was_told_is_resumed():
    policy = pinned((OLD, 0, 2), (NEW, 3, None))
    keys, again = KeysInForce(policy), KeysInForce(policy)
    keys.rotate(OLD.verifier, EVIL.verifier, at=0)
    again.resume(keys.told())
    assert again.told() == keys.told()
    again.rotate(EVIL.verifier, NEXT.verifier, at=1)
    assert [key.vkey for key in again.at(2)] == [NEXT.vkey]
    assert [key.vkey for key in again.at(3)] == [NEW.vkey]


def test_a_pinned_key_that_is_none_is_named():
    with pytest.raises(VerifierKeyMalformed):
        KeysInForce(Policy(ORIGIN, (PinnedKey("garbage"),)))


class Forgery:
    """A log that the thief of the first key wrote: at entry ``at`` it hands over to a key of the thief's."""

    def __init__(self, *, at: int, size: int) -> None:
        self.notes: list[bytes] = []
        self.tree = Frontier()
        self.heads: dict[str, tuple[int, str]] = {}
        self.prev = ZERO_HASH
        for index in range(size):
            by = OLD if index <= at else EVIL
            if index == 0:
                self.add("genesis", {"format": "custody-ledger/v1", "vkey": OLD.vkey}, by)
            elif index == at:
                self.add(KIND, rotation_body(old=OLD.verifier, new=EVIL, index=index, prev=self.prev), by)
            else:
                self.add("handoff", {"n": index}, by)
        self.checkpoint = sign_checkpoint(Checkpoint(ORIGIN, size, self.tree.root()), EVIL)

    def add(self, kind: str, body: dict, by: Signer) -> None:
        subject = LOG if kind in ("genesis", KIND) else UUID(int=2, version=4).urn
        seq, head = self.heads.get(subject, (0, ZERO_HASH))
        entry = Entry(
            origin=ORIGIN,
            index=len(self.notes),
            kind=kind,
            subject=subject,
            subject_seq=seq,
            subject_prev=head,
            prev=self.prev,
            sealed_at="2026-11-22T20:00:00.000Z",
            body=body,
        )
        self.notes.append(sign_entry(entry, by))
        leaf = leaf_hash(self.notes[-1])
        self.tree.append(leaf)
        self.prev = leaf.hex()
        self.heads[subject] = (seq + 1, self.prev)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("keys", [[(OLD, 0, 2), (NEW, 3, None)], [(OLD, 0, None), (NEW, 3, None)]])
def test_a_stolen_retired_key_hands_the_log_over_to_nobody(at, keys):
    forged = Forgery(at=at, size=7)
    verdict = verify_entries(forged.notes, checkpoint=forged.checkpoint, policy=pinned(*keys))
    assert (verdict.status, verdict.broken_at, verdict.check) == ("broken", 3, "signature")
    fast = verify_entries(forged.notes, checkpoint=forged.checkpoint, policy=pinned(*keys), deep=False)
    assert (fast.status, fast.check) == ("broken", "checkpoint_signature")


def test_who_pinned_the_first_key_alone_follows_whoever_holds_it():
    """Why the format asks to pin the keys that came later, too: nothing here tells the thief from the log."""
    forged = Forgery(at=1, size=7)
    assert verify_entries(forged.notes, checkpoint=forged.checkpoint, policy=pinned((OLD, 0, None))).intact
