"""
The sealer and the verifier against a plain list: whatever is submitted, sealed, cut short, rotated or restored, in any
order, the log holds what was submitted, in its order, once, and the verifier finds it sound.
"""

import json
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings
from django.db import connection, transaction
from hypothesis import HealthCheck
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger import append_only, keys, sealing, submission
from ledger.attachments import as_bytes
from ledger.errors import KeyReused, LastSignedMissing, LogWentBack
from ledger.last_signed import LastSignedStore, open_store
from ledger.models import Checkpoint, Entry, LogHead, Statement, Tile
from ledger.own_policy import own_policy
from ledger.sealing import seal_epoch, seal_pending, seal_rotation
from ledger.submission import submit
from ledger.tiles import tree
from ledger.tlog.entry import parse_entry
from ledger.tlog.index_epoch import SubjectHead, epoch_body
from ledger.tlog.merkle import Frontier
from ledger.verification import verify_log

SUBJECTS = [f"urn:uuid:00000000-0000-4000-8000-{number:012}" for number in range(4)]
OWN_KINDS = {"genesis", "index_epoch", "key_rotated"}


class Died(BaseException):
    """Stands for kill -9: nothing may catch it."""


def _die(*args: object, **kwargs: object) -> None:
    raise Died


# Where the sealer can die, by what it was about to do: in the transaction, behind it, and behind the store's move.
CRASHES = {
    "store the head": (sealing, "_save"),
    "move the store": (LastSignedStore, "advance"),
    "sign": (sealing.tlog_checkpoint, "sign_checkpoint"),
    "store the checkpoint": (Checkpoint.objects, "create"),
}


@contextmanager
def dying(where: str):
    """Kill whoever comes to this point. It may not come there: then nothing happens."""
    with mock.patch.object(*CRASHES[where], _die):
        try:
            yield
        except Died:
            return


class LogMachine(RuleBasedStateMachine):
    """``submitted`` is the model: every statement once, in the order in which it was submitted."""

    folder: Path
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        own = self.folder / str(self.runs)
        settings.LEDGER_KEY_FILE = own / "keys" / "ledger.pem"
        settings.LEDGER_LAST_SIGNED_DIR = own / "last-signed"
        self.submitted: list[tuple[str, str, int]] = []  # subject, key, what the body says
        self.rotations = 0
        self.seen: object = None  # what the last verification looked at
        self.signed = 0  # the size of the newest checkpoint that a caller was given

    def teardown(self) -> None:
        append_only.disarm(connection)
        try:
            for model in (Statement, Tile, Checkpoint, Entry, LogHead):
                model.objects.all().delete()
        finally:
            append_only.arm(connection)

    # What services do

    @initialize(large=st.sampled_from([False, False, True]))
    def begin(self, large):
        self.large = large  # whether this log fills a tile
        assert seal_pending() is None

    @rule(subject=st.sampled_from(SUBJECTS), count=st.sampled_from([1, 1, 2, 5]))
    def submit_some(self, subject, count):
        for _ in range(count):
            number = len(self.submitted)
            with transaction.atomic():
                submit(kind="handoff", subject=subject, body={"n": number}, key=f"key {number}")
            self.submitted.append((subject, f"key {number}", number))

    @precondition(lambda self: self.large and len(self.submitted) < 50)
    @rule(subject=st.sampled_from(SUBJECTS))
    def submit_more_than_a_tile(self, subject):
        with transaction.atomic():
            for number in range(len(self.submitted), len(self.submitted) + 260):
                submit(kind="handoff", subject=subject, body={"n": number}, key=f"key {number}")
                self.submitted.append((subject, f"key {number}", number))

    @rule(subject=st.sampled_from(SUBJECTS))
    def submit_and_roll_back(self, subject):
        with transaction.atomic():
            submit(kind="handoff", subject=subject, body={"n": -1}, key="rolled back")
            transaction.set_rollback(True)

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def submit_the_same_again(self, data):
        subject, key, number = data.draw(st.sampled_from(self.submitted))
        with transaction.atomic():
            again = submit(kind="handoff", subject=subject, body={"n": number}, key=key)
        assert (again.key, again.subject) == (key, subject)
        with pytest.raises(KeyReused), transaction.atomic():
            submit(kind="handoff", subject=subject, body={"n": number + 1}, key=key)

    # What the sealer does, and where it dies

    @rule(limit=st.sampled_from([1, 2, 7, 256]))
    def seal(self, limit):
        sealed = seal_pending(limit=limit)
        if sealed:
            assert sealed.size == Entry.objects.count() > self.signed
            self.signed = sealed.size

    @rule(limit=st.sampled_from([1, 7, 256]), where=st.sampled_from(sorted(CRASHES)))
    def seal_and_die(self, limit, where):
        with dying(where):
            seal_pending(limit=limit)

    @rule()
    def seal_an_epoch(self):
        before = Entry.objects.count()
        seal_epoch()
        if before > 0 and Entry.objects.count() > before:
            assert Entry.objects.order_by("-index").first().kind == "index_epoch"

    @precondition(lambda self: Entry.objects.exists() and self.rotations < 4)
    @rule(finished=st.booleans())
    def rotate(self, finished):
        new = keys.begin_rotation()
        signed = self._hand_over(new)
        assert signed
        self.signed = max(self.signed, signed.size)
        if finished:
            keys.finish_rotation(first=signed.size)
            assert keys.load_vkey() == new.vkey

    @precondition(lambda self: Entry.objects.exists() and self.rotations < 4)
    @rule(where=st.sampled_from(sorted(CRASHES)))
    def rotate_and_die(self, where):
        new = keys.begin_rotation()
        with dying(where):
            self._hand_over(new)

    def _hand_over(self, new):
        """Seal a rotation; one that a crash left half done, or that was not finished, is not sealed a second time."""
        done = Entry.objects.filter(kind="key_rotated").count()
        begun = done and _named(Entry.objects.filter(kind="key_rotated").last()) == new.vkey
        try:
            return seal_rotation(new)
        finally:
            self.rotations = Entry.objects.filter(kind="key_rotated").count()
            assert self.rotations in ({done} if begun else {done, done + 1})

    # What a careless or a cheating operator does

    @precondition(lambda self: (signed := open_store().read()) is not None and signed.size > 1)
    @rule(data=st.data())
    def restore_an_older_copy(self, data):
        signed = open_store().read().size
        heads = [one.size for one in Checkpoint.objects.filter(size__lt=signed)]
        size = data.draw(st.sampled_from([0, *heads]))
        with transaction.atomic():
            append_only.disarm(connection)
            Statement.objects.filter(entry__index__gte=size).update(entry=None)
            Checkpoint.objects.filter(size__gt=size).delete()
            Tile.objects.all().delete()
            Entry.objects.filter(index__gte=size).delete()
            LogHead.objects.update(size=size, frontier=_frontier(size))
            with pytest.raises(LogWentBack) as refused:
                seal_pending()
            assert (refused.value.database, refused.value.signed) == (size, signed)
            verdict = verify_log(policy=own_policy())
            assert not verdict.intact
            if heads and size:
                assert (verdict.status, verdict.check, verdict.broken_at) == ("incomplete", "known_size", size)
            transaction.set_rollback(True)

    @precondition(lambda self: Checkpoint.objects.exists())
    @rule()
    def lose_the_store(self):
        file = open_store().folder / "last-signed"
        kept = file.read_bytes()
        file.unlink()
        with pytest.raises(LastSignedMissing):
            seal_pending()
        assert verify_log(policy=own_policy()).check == "last_signed_missing"
        file.write_bytes(kept)

    # What an auditor sees, at any moment

    @invariant()
    def the_log_holds_what_was_submitted_in_its_order_and_once(self):
        entries = [
            parse_entry(as_bytes(note)) for note in Entry.objects.order_by("index").values_list("note", flat=True)
        ]
        assert [entry.index for entry in entries] == list(range(len(entries)))
        sealed = [(entry.subject, entry.body["n"]) for entry in entries if entry.kind not in OWN_KINDS]
        assert sealed == [(subject, number) for subject, _, number in self.submitted[: len(sealed)]]
        assert Statement.objects.filter(entry__isnull=False).count() == len(sealed)
        assert Statement.objects.count() == len(self.submitted)
        heads = [entry.subject_seq for entry in entries]
        assert Counter((entry.subject, seq) for entry, seq in zip(entries, heads, strict=True)).total() == len(entries)
        assert sum(entry.kind == "key_rotated" for entry in entries) == self.rotations

    @invariant()
    def there_is_one_head_and_it_is_the_trees(self):
        head = LogHead.objects.first()
        size = Entry.objects.count()
        assert (head.size if head else 0) == size
        newest = Checkpoint.objects.first()
        if newest:
            assert self.signed <= newest.size <= size
            assert tree(newest.size).root() == as_bytes(newest.root)
            assert Tile.objects.filter(level=0).count() == size // 256

    @invariant()
    def every_epoch_is_that_of_its_place(self):
        heads: dict[str, SubjectHead] = {}
        for row in Entry.objects.order_by("index"):
            if row.kind == "index_epoch":
                body = json.loads(as_bytes(row.note).split(b"\n")[0])["body"]
                assert body == epoch_body(sorted(heads.values()))
            heads[row.subject] = SubjectHead.of(row.subject, row.subject_seq + 1, as_bytes(row.leaf_hash))

    @invariant()
    def the_verifier_finds_it_sound(self):
        newest = Checkpoint.objects.first()
        size = Entry.objects.count()
        seen = (newest and newest.size, size, open_store().read())
        if newest is None or seen == self.seen:  # a submission alone changes nothing here
            return
        self.seen = seen
        for deep in (False, True):
            verdict = verify_log(policy=own_policy(), deep=deep)
            assert (verdict.status, verdict.check) == ("intact_unwitnessed", ""), verdict
            assert (verdict.size, verdict.uncovered) == (newest.size, size - newest.size)

    @precondition(lambda self: self.submitted)
    @rule()
    def seal_to_the_end(self):
        """However the sealer died before, in the end everything is sealed and under a checkpoint."""
        sealing.seal_all()
        assert not Statement.objects.filter(entry__isnull=True).exists()
        self.signed = Checkpoint.objects.first().size
        assert self.signed == Entry.objects.count()


def _named(row: Entry) -> str:
    """The key that a rotation hands the log over to."""
    return parse_entry(as_bytes(row.note)).body["new"]


def _frontier(size: int) -> bytes:
    frontier = Frontier()
    for leaf in Entry.objects.filter(index__lt=size).order_by("index").values_list("leaf_hash", flat=True):
        frontier.append(as_bytes(leaf))
    return frontier.to_bytes()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_log_is_the_list(settings, tmp_path, monkeypatch):
    # The machine says when the sealer runs.
    monkeypatch.setattr(submission, "hint_sealing", lambda: None)
    settings.LEDGER_EPOCH_ENTRIES = 40
    LogMachine.folder = tmp_path
    run_state_machine_as_test(
        LogMachine,
        settings=effort(
            max_examples=int(os.environ.get("STATEFUL_EXAMPLES", "40")),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
