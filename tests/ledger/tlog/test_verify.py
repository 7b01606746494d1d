"""The verdict: whatever is done to a log of any size is noticed, and where it was done is named."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import verify as verify_module
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.entry import ZERO_HASH, Entry, sign_entry
from ledger.tlog.merkle import EMPTY_ROOT, leaf_hash, root
from ledger.tlog.note import Signer
from ledger.tlog.policy import Policy
from ledger.tlog.times import format_time
from ledger.tlog.verdict import CHECKS, Verdict
from ledger.tlog.verify import verify_entries

LOG = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STRANGER = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
POLICY = Policy.pin(LOG.name, LOG.vkey)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

TREE_SIZES = [0, 1, 2, 255, 256, 257]


def make_log(subjects: list[int], *, signer: Signer = LOG) -> list[bytes]:
    """Seal one entry for each number, which says whom it is about."""
    notes: list[bytes] = []
    heads: dict[int, tuple[int, str]] = {}
    for index, subject in enumerate(subjects):
        seq, head = heads.get(subject, (0, ZERO_HASH))
        entry = Entry(
            origin=LOG.name,
            index=index,
            kind="handoff" if index else "genesis",
            subject=uuid.UUID(int=subject).urn,
            subject_seq=seq,
            subject_prev=head,
            prev=leaf_hash(notes[-1]).hex() if notes else ZERO_HASH,
            sealed_at=format_time(NOON + timedelta(milliseconds=index)),
            body={"n": index, "where": "andén 4"},
        )
        notes.append(sign_entry(entry, signer))
        heads[subject] = (seq + 1, leaf_hash(notes[-1]).hex())
    return notes


def head_over(notes: list[bytes], *, signer: Signer = LOG) -> bytes:
    return sign_checkpoint(Checkpoint(signer.name, len(notes), root(map(leaf_hash, notes))), signer)


def verify(notes: list[bytes], checkpoint: bytes | None, policy: Policy = POLICY) -> Verdict:
    return verify_entries(iter(notes), checkpoint=checkpoint, policy=policy)


# One long log for every test: its beginnings are logs too.
LONG = make_log([number * number % 7 for number in range(258)])
FORGED = make_log([0, 1, 1], signer=STRANGER)

logs = st.lists(st.integers(0, 3), min_size=1, max_size=12).map(make_log)


@pytest.mark.parametrize("size", TREE_SIZES)
def test_a_sound_log_of_any_size_is_intact(size):
    verdict = verify(LONG[:size], head_over(LONG[:size]))
    assert (verdict.status, verdict.entries, verdict.size) == ("intact_unwitnessed", size, size)
    assert (verdict.broken_at, verdict.check, verdict.uncovered) == (None, "", 0)
    assert verdict.root == root(map(leaf_hash, LONG[:size])).hex()
    assert verdict.intact
    assert "unwitnessed" in verdict.sentence()
    assert str(size) in verdict.sentence()


@pytest.mark.parametrize("size", TREE_SIZES[1:])
def test_entries_beyond_the_checkpoint_are_checked_and_counted_apart(size):
    covered = size - 1
    verdict = verify(LONG[:size], head_over(LONG[:covered]))
    assert (verdict.status, verdict.entries, verdict.size, verdict.uncovered) == (
        "intact_unwitnessed",
        size,
        covered,
        1,
    )
    assert "1 more" in verdict.sentence()
    changed = [*LONG[: size - 1], LONG[size - 1].replace(b'"n":', b'"m":')]
    assert verify(changed, head_over(LONG[:covered])).broken_at == size - 1


@pytest.mark.parametrize("size", TREE_SIZES)
def test_a_missing_tail_is_incomplete_from_the_first_missing_entry(size):
    verdict = verify(LONG[:size], head_over(LONG))
    assert (verdict.status, verdict.broken_at, verdict.check) == ("incomplete", size, "checkpoint_size")
    assert not verdict.intact
    assert "258" in verdict.expected
    assert str(size) in verdict.found
    assert f"entry {size} " in verdict.sentence()


@given(logs, st.data())
@settings(deadline=None)
def test_any_changed_byte_names_its_entry(notes, data):
    index = data.draw(st.integers(0, len(notes) - 1))
    note = notes[index]
    at = data.draw(st.integers(0, len(note) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != note[at]))
    changed = [*notes]
    changed[index] = note[:at] + bytes([byte]) + note[at + 1 :]
    _assert_named(verify(changed, head_over(notes)), index)


@given(logs, st.data())
@settings(deadline=None)
def test_any_cut_or_added_byte_names_its_entry(notes, data):
    index = data.draw(st.integers(0, len(notes) - 1))
    note = notes[index]
    start = data.draw(st.integers(0, len(note)))
    end = data.draw(st.integers(start, len(note)))
    bent = note[:start] + data.draw(st.binary(max_size=3)) + note[end:]
    changed = [*notes]
    changed[index] = bent
    verdict = verify(changed, head_over(notes))
    if bent == note:
        assert verdict.intact
    else:
        _assert_named(verdict, index)


@given(logs, st.data())
@settings(deadline=None)
def test_any_other_order_names_the_first_that_moved(notes, data):
    order = data.draw(st.permutations(range(len(notes))))
    verdict = verify([notes[index] for index in order], head_over(notes))
    moved = [place for place, index in enumerate(order) if place != index]
    if not moved:
        assert verdict.intact
    else:
        _assert_named(verdict, moved[0])
        assert verdict.check == "index"
        assert verdict.expected == f"entry {moved[0]}"


@given(logs, st.data())
@settings(deadline=None)
def test_any_omission_names_the_first_missing(notes, data):
    missing = data.draw(st.sets(st.integers(0, len(notes) - 1), min_size=1))
    left = [note for index, note in enumerate(notes) if index not in missing]
    verdict = verify(left, head_over(notes))
    assert verdict.broken_at == min(missing)
    if len(left) == min(missing):  # nothing stands after the gap
        assert (verdict.status, verdict.check) == ("incomplete", "checkpoint_size")
    else:
        assert (verdict.status, verdict.check) == ("broken", "index")


@given(logs, st.data())
@settings(deadline=None)
def test_any_repetition_or_insertion_is_named(notes, data):
    at = data.draw(st.integers(0, len(notes)))
    inserted = data.draw(st.sampled_from([*notes, *FORGED]) | st.binary(max_size=40))
    verdict = verify([*notes[:at], inserted, *notes[at:]], head_over(notes))
    if inserted == (notes[at] if at < len(notes) else None):
        at += 1  # of two equal ones the second is too many
    _assert_named(verdict, at)


@given(logs, st.data())
@settings(deadline=None)
def test_any_changed_byte_of_the_checkpoint_is_the_checkpoints_fault(notes, data):
    signed = head_over(notes)
    at = data.draw(st.integers(0, len(signed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != signed[at]))
    verdict = verify(notes, signed[:at] + bytes([byte]) + signed[at + 1 :])
    assert (verdict.status, verdict.broken_at, verdict.entries) == ("broken", None, len(notes))
    assert verdict.check in {"checkpoint_format", "checkpoint_signature"}
    assert verdict.sentence().startswith("Broken at the checkpoint")


@given(st.lists(st.binary(max_size=60) | st.sampled_from(LONG[:4]), max_size=5), st.none() | st.binary(max_size=80))
@settings(deadline=None)
def test_any_bytes_get_a_verdict(notes, checkpoint):
    verdict = verify(notes, checkpoint)
    assert not verdict.intact
    assert verdict.sentence()


@pytest.mark.parametrize("checkpoint", [b"garbage", None, head_over(LONG[:9], signer=STRANGER), head_over(LONG[:3])])
def test_a_bad_checkpoint_hides_no_bad_entry(checkpoint):
    notes = [*LONG[:5], LONG[5][:-1], *LONG[6:9]]
    verdict = verify(notes, checkpoint)
    _assert_named(verdict, 5)
    assert verdict.check == "format"


@pytest.mark.parametrize("size", [1, 2, 200, 256, 257, 258])
@pytest.mark.parametrize("known", [0, 1, 2, 255, 257, 258])
def test_a_known_head_of_any_size_is_held_against_the_log(size, known):
    head = Checkpoint(LOG.name, known, root(map(leaf_hash, LONG[:known])))
    found = verify_entries(LONG[:size], checkpoint=head_over(LONG[:size]), policy=POLICY, known=head)
    if known > size:
        assert (found.status, found.check, found.broken_at) == ("incomplete", "known_size", size)
        return
    assert found.intact
    assert found == verify(LONG[:size], head_over(LONG[:size]))
    other = Checkpoint(LOG.name, known, bytes(32))
    found = verify_entries(LONG[:size], checkpoint=head_over(LONG[:size]), policy=POLICY, known=other)
    assert (found.status, found.check, found.broken_at) == ("broken", "known_root", None)
    assert found.expected == "00" * 32
    assert found.sentence().startswith("Broken against the known head: ")


def test_nothing_at_all_is_incomplete():
    verdict = verify([], None)
    assert (verdict.status, verdict.check, verdict.broken_at) == ("incomplete", "empty", None)
    assert not verdict.intact
    assert "nothing was verified" in verdict.sentence()


def test_an_empty_log_under_a_signed_checkpoint_is_intact():
    assert verify([], head_over([])).intact
    forged = sign_checkpoint(Checkpoint(LOG.name, 0, bytes(32)), LOG)
    verdict = verify([], forged)
    assert (verdict.check, verdict.found) == ("checkpoint_root", EMPTY_ROOT.hex())


def test_entries_without_a_checkpoint_are_no_log():
    verdict = verify(LONG[:3], None)
    assert (verdict.status, verdict.check, verdict.broken_at) == ("broken", "checkpoint_missing", None)


@pytest.mark.parametrize(
    "vkeys",
    [(), ("",), ("garbage",), (LOG.vkey, "garbage"), (LOG.vkey[:-1],), ("a\ud800+00000000+AAAA",), ("é+٣+x",)],
)
def test_without_readable_pinned_keys_nothing_is_judged(vkeys):
    verdict = verify(LONG[:3], head_over(LONG[:3]), Policy.pin(LOG.name, *vkeys))
    assert (verdict.status, verdict.check, verdict.broken_at, verdict.entries) == ("broken", "policy", None, 0)
    assert "pinned key" in verdict.sentence()


def test_the_keys_and_the_origin_come_from_the_policy_alone():
    stranger = verify(LONG[:3], head_over(LONG[:3]), Policy.pin(LOG.name, STRANGER.vkey))
    _assert_named(stranger, 0)
    assert stranger.check == "signature"
    elsewhere = verify(LONG[:3], head_over(LONG[:3]), Policy.pin("example.org/other", LOG.vkey))
    _assert_named(elsewhere, 0)
    assert elsewhere.check == "origin"
    assert verify([], head_over([]), Policy.pin("example.org/other", LOG.vkey)).check == "checkpoint_origin"
    assert verify(LONG[:3], head_over(LONG[:3]), Policy.pin(LOG.name, STRANGER.vkey, LOG.vkey)).intact


@pytest.mark.parametrize(
    ("size", "told"), [(0, [0]), (1, [1]), (255, [255]), (256, [256]), (257, [256, 257]), (258, [256, 258])]
)
def test_progress_ends_with_the_final_count(size, told, monkeypatch):
    monkeypatch.setattr(verify_module, "PROGRESS_EVERY", 256)
    heard: list[int] = []
    verify_entries(LONG[:size], checkpoint=head_over(LONG), policy=POLICY, on_progress=heard.append)
    assert heard == told


def test_progress_ends_where_the_log_breaks():
    heard: list[int] = []
    notes = [*LONG[:100], b"garbage", *LONG[101:]]
    verify_entries(notes, checkpoint=head_over(LONG), policy=POLICY, on_progress=heard.append)
    assert heard == [100]


def test_entries_are_streamed_and_not_read_beyond_the_chunk_of_the_first_bad_one(monkeypatch):
    monkeypatch.setattr(verify_module, "PROGRESS_EVERY", 8)

    def stream():
        yield from LONG[:3]
        yield b"garbage"
        yield from LONG[4:8]
        raise AssertionError("read on")

    assert verify_entries(stream(), checkpoint=None, policy=POLICY).broken_at == 3


def _assert_named(verdict: Verdict, index: int) -> None:
    assert (verdict.status, verdict.broken_at, verdict.entries) == ("broken", index, index)
    assert verdict.check in CHECKS
    assert not verdict.check.startswith("checkpoint")
    assert verdict.expected
    assert verdict.found
    assert verdict.sentence() == f"Broken at entry {index}: {CHECKS[verdict.check]}."
