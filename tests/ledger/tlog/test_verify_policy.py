"""What a policy asks beyond one key: rotations that are followed, epochs, witnesses and their quorum."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import ZERO_HASH, Entry, sign_entry
from ledger.tlog.index_epoch import SubjectHead, epoch_body
from ledger.tlog.merkle import leaf_hash, root
from ledger.tlog.note import Signer
from ledger.tlog.policy import Group, PinnedKey, Policy, Witness
from ledger.tlog.rotation import rotation_body
from ledger.tlog.times import format_time
from ledger.tlog.verify import verify_entries

ORIGIN = "example.org/log"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW, THIRD = (Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([n] * 32))) for n in (1, 2, 3))
POLICY = Policy.pin(ORIGIN, OLD.vkey)


class Log:
    """A log in the making: whoever holds ``signer`` seals."""

    def __init__(self, signer: Signer = OLD) -> None:
        self.signer = signer
        self.notes: list[bytes] = []
        self.heads: dict[str, tuple[int, str]] = {}
        self.seal(0, kind="genesis")

    @property
    def prev(self) -> str:
        return leaf_hash(self.notes[-1]).hex() if self.notes else ZERO_HASH

    def seal(self, subject: int = 1, *, kind: str = "handoff", body: dict | None = None) -> "Log":
        name = uuid.UUID(int=subject).urn
        seq, head = self.heads.get(name, (0, ZERO_HASH))
        entry = Entry(
            origin=ORIGIN,
            index=len(self.notes),
            kind=kind,
            subject=name,
            subject_seq=seq,
            subject_prev=head,
            prev=self.prev,
            sealed_at=format_time(NOON + timedelta(seconds=len(self.notes))),
            body={"n": len(self.notes)} if body is None else body,
        )
        self.notes.append(sign_entry(entry, self.signer))
        self.heads[name] = (seq + 1, self.prev)
        return self

    def rotate(self, signer: Signer, **changed: str) -> "Log":
        body = rotation_body(old=self.signer.verifier, new=signer, index=len(self.notes), prev=self.prev)
        self.seal(0, kind="key_rotated", body=body | changed)
        self.signer = signer
        return self

    def epoch(self, **changed: object) -> "Log":
        heads = (SubjectHead.of(name, count, bytes.fromhex(head)) for name, (count, head) in self.heads.items())
        return self.seal(0, kind="index_epoch", body=epoch_body(sorted(heads)) | changed)

    def checkpoint(self, *signers: Signer) -> bytes:
        text = Checkpoint(ORIGIN, len(self.notes), root(map(leaf_hash, self.notes)))
        first, *others = signers or (self.signer,)
        data = sign_checkpoint(text, first)
        return data + "".join(other.sign(text.text()).line() for other in others).encode()

    def verdict(self, policy: Policy = POLICY, *, checkpoint: bytes | None = None, deep: bool = True):
        return verify_entries(self.notes, checkpoint=checkpoint or self.checkpoint(), policy=policy, deep=deep)


@pytest.mark.parametrize("deep", [True, False])
def test_a_rotation_is_followed_from_the_old_key_alone(deep):
    log = Log().seal().rotate(NEW)
    assert log.verdict(checkpoint=log.checkpoint(OLD, NEW), deep=deep).intact
    log.seal().seal().rotate(THIRD).seal()
    assert log.verdict(deep=deep).intact
    # The keys that left sign no later checkpoint.
    assert log.verdict(checkpoint=log.checkpoint(OLD), deep=deep).check == "checkpoint_signature"
    assert log.verdict(checkpoint=log.checkpoint(NEW), deep=deep).check == "checkpoint_signature"


def test_a_key_may_come_back():
    assert Log().rotate(NEW).seal().rotate(OLD).seal().verdict().intact


def test_the_key_that_left_seals_nothing_more():
    log = Log().seal().rotate(NEW)
    log.signer = OLD
    log.seal()
    found = log.verdict(checkpoint=log.checkpoint(NEW))
    assert (found.status, found.check, found.broken_at) == ("broken", "signature", 3)


@pytest.mark.parametrize("deep", [True, False])
def test_a_key_that_the_old_one_did_not_name_is_nobodys(deep):
    log = Log().seal()
    log.signer = NEW  # whoever holds it writes a rotation of its own
    log.seal(0, kind="key_rotated", body=rotation_body(old=OLD.verifier, new=NEW, index=2, prev=log.prev))
    found = log.seal().verdict(deep=deep)
    assert (found.check, found.broken_at) == ("signature", 2)


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("changed", [{"proof": "00" * 64}, {"new": THIRD.vkey}, {"old": THIRD.vkey}, {"proof": "xx"}])
def test_a_rotation_without_the_new_keys_consent_breaks_there(deep, changed):
    found = Log().seal().rotate(NEW, **changed).seal().verdict(deep=deep)
    assert (found.status, found.check, found.broken_at) == ("broken", "key_rotated", 2)
    assert found.expected
    assert found.found


def test_pinned_ranges_say_which_key_seals_where():
    log = Log().seal().rotate(NEW).seal()
    ranged = Policy(ORIGIN, (PinnedKey(OLD.vkey, 0, 2), PinnedKey(NEW.vkey, 3)))
    assert log.verdict(ranged).intact
    early = Policy(ORIGIN, (PinnedKey(OLD.vkey, 0, 1), PinnedKey(NEW.vkey, 3)))
    assert (log.verdict(early).check, log.verdict(early).broken_at) == ("signature", 2)
    # A pinned range holds against what the log says of the key.
    ended = Policy(ORIGIN, (PinnedKey(OLD.vkey), PinnedKey(NEW.vkey, 0, 2)))
    assert (log.verdict(ended).check, log.verdict(ended).broken_at) == ("signature", 3)


def test_an_epoch_is_recomputed_in_depth():
    sound = Log().seal(1).seal(2).epoch().seal(1).epoch()
    assert sound.verdict().intact
    for changed in ({"root": "00" * 32}, {"subjects": 4}, {"subjects": "3"}, {"more": 1}):
        forged = Log().seal(1).seal(2).epoch(**changed).seal(1)
        assert (forged.verdict().check, forged.verdict().broken_at) == ("index_epoch", 3)
        assert forged.verdict(deep=False).intact


W1, W2, W3 = (Cosigner(f"w{n}.example", Ed25519PrivateKey.from_private_bytes(bytes([n] * 32))) for n in (11, 12, 13))
WATCHED = Policy(
    ORIGIN,
    POLICY.keys,
    tuple(Witness(f"W{n}", cosigner.vkey) for n, cosigner in enumerate((W1, W2, W3), 1)),
    (Group("two", 2, ("W1", "W2", "W3")),),
    "two",
)


def cosigned(data: bytes, *cosigners: Cosigner) -> bytes:
    text = data.decode().partition("\n\n")[0] + "\n"
    return data + "".join(cosigner.cosign(text, timestamp=1_800_000_000).line() for cosigner in cosigners).encode()


def test_a_quorum_makes_the_verdict_witnessed():
    log = Log().seal()
    one = log.verdict(WATCHED, checkpoint=cosigned(log.checkpoint(), W2))
    assert (one.status, one.witnesses) == ("intact_unwitnessed", ("W2",))
    two = log.verdict(WATCHED, checkpoint=cosigned(log.checkpoint(), W3, W1))
    assert (two.status, two.witnesses) == ("intact_and_witnessed", ("W1", "W3"))
    assert two.sentence().startswith("Intact, witnessed")
    # A witness that nobody pinned counts for nothing.
    assert log.verdict(checkpoint=cosigned(log.checkpoint(), W1, W2)).status == "intact_unwitnessed"


def test_a_pinned_witnesss_line_that_does_not_fit_breaks_the_checkpoint():
    log = Log().seal()
    foreign = cosigned(Log().checkpoint(), W1, W2).split(b"\n\n")[1].split(b"\n", 1)[1]
    found = log.verdict(WATCHED, checkpoint=log.checkpoint() + foreign)
    assert (found.status, found.check, found.broken_at) == ("broken", "cosignature", None)
    assert "w11.example" in found.expected


def test_a_witness_that_cannot_be_read_is_the_policys_fault():
    log = Log()
    assert log.verdict(Policy(ORIGIN, POLICY.keys, (Witness("W", "garbage"),), (), "W")).check == "policy"
