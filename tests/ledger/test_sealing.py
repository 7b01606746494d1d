"""The sealer: chains, checkpoints, the last-signed store, and what a crash at each point leaves behind."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ledger import append_only, chaining, sealing
from ledger.errors import (
    EntryChanged,
    LastSignedMissing,
    LastSignedOfAnotherLog,
    LastSignedUnreadable,
    LogForked,
    LogHeadChanged,
    LogWentBack,
    SealingStopped,
    SigningKeyMissing,
    StatementChanged,
)
from ledger.keys import load_signer
from ledger.last_signed import LastSignedStore, open_store
from ledger.models import Checkpoint, Entry, LogHead, Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all, seal_pending
from ledger.stored_entries import StoredEntries
from ledger.tlog import canonical
from ledger.tlog.entry import ZERO_HASH, parse_entry
from ledger.tlog.merkle import leaf_hash
from ledger.verification import verify_log

pytestmark = pytest.mark.django_db


def parsed(index: int):
    return parse_entry(bytes(Entry.objects.get(index=index).note))


def forget(*, down_to: int) -> None:
    """Make the database what an older backup held: ``down_to`` entries, and the checkpoint of that size."""
    append_only.disarm(connection)
    Statement.objects.filter(entry__index__gte=down_to).update(entry=None)
    Checkpoint.objects.filter(size__gt=down_to).delete()
    Entry.objects.filter(index__gte=down_to).delete()
    append_only.arm(connection)


def test_the_first_statement_begins_the_log_with_a_genesis(submit_one):
    submit_one()
    checkpoint = seal_pending()
    assert checkpoint is not None
    assert checkpoint.size == 2
    genesis, first = parsed(0), parsed(1)
    assert genesis.kind == "genesis"
    assert genesis.prev == ZERO_HASH
    assert first.prev == leaf_hash(bytes(Entry.objects.get(index=0).note)).hex()


def test_a_body_is_sealed_as_it_was_submitted(submit_one):
    body = {"z": 'José \u2028 \x7f \x01 " \\ \U0001f600', "a": {"n": -1, "list": [True, None, {}]}}
    submit_one(**body)
    seal_pending()
    assert parsed(1).body == body
    assert bytes(Entry.objects.get(index=1).note).startswith(parsed(1).text().encode())


@pytest.mark.parametrize("made_here", [True, False])
def test_a_leaf_that_grew_too_large_stops_the_sealer_by_name(submit_one, made_here):
    first = submit_one(key="handoff:1042")
    body = {"note": "x" * 65_500}
    Statement.objects.filter(pk=first.pk).update(
        body=chaining.encode_body(body) if made_here else canonical.encode(body)
    )
    with pytest.raises(StatementChanged, match="at most 65535 bytes"):
        seal_all()
    assert not Entry.objects.exists()


def test_nothing_pending_seals_nothing():
    assert seal_pending() is None
    assert not Entry.objects.exists()


def test_a_subject_has_a_chain_of_its_own_across_batches(submit_one):
    shipment, other = uuid.uuid4().urn, uuid.uuid4().urn
    for subject in (shipment, other, shipment):
        submit_one(subject=subject)
    seal_pending()
    submit_one(subject=shipment)
    seal_pending()
    chain = [parse_entry(bytes(entry.note)) for entry in Entry.objects.filter(subject=shipment)]
    assert [entry.subject_seq for entry in chain] == [0, 1, 2]
    assert chain[0].subject_prev == ZERO_HASH
    assert chain[2].subject_prev == bytes(Entry.objects.get(index=chain[1].index).leaf_hash).hex()


def test_a_batch_takes_no_more_than_its_limit_and_the_rest_follows(submit_one):
    for _ in range(5):
        submit_one()
    assert seal_pending(limit=2).size == 3
    seal_all()
    assert Checkpoint.objects.first().size == 6
    assert not Statement.objects.filter(entry__isnull=True).exists()


def test_time_does_not_run_back_where_the_clock_does(submit_one, monkeypatch):
    submit_one()
    seal_pending()

    class SetBack(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2001, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(chaining, "datetime", SetBack)
    submit_one()
    seal_pending()
    assert parsed(2).sealed_at >= parsed(1).sealed_at
    assert verify_log(policy=own_policy()).intact


def test_an_older_backup_is_refused_with_both_sizes(submit_one):
    for _ in range(3):
        submit_one()
        seal_pending()
    old = LogHead.objects.get()
    submit_one()
    seal_pending()
    forget(down_to=4)
    old.save()
    with pytest.raises(LogWentBack) as refused:
        seal_pending()
    assert (refused.value.database, refused.value.signed) == (4, 5)
    assert Entry.objects.count() == 4


def test_another_history_of_the_same_size_is_refused(submit_one, settings, tmp_path):
    submit_one()
    seal_pending()
    # A second log with the same key, as if the database had been rebuilt: other entries, the same size.
    store = open_store()
    signed = store.read()
    append_only.disarm(connection)
    Statement.objects.all().delete()
    Checkpoint.objects.all().delete()
    Entry.objects.all().delete()
    LogHead.objects.all().delete()
    append_only.arm(connection)
    settings.LEDGER_LAST_SIGNED_DIR = tmp_path / "second"
    submit_one(another="history")
    seal_pending()
    settings.LEDGER_LAST_SIGNED_DIR = store.folder
    submit_one()
    with pytest.raises(LogForked, match=signed.root.hex()):
        seal_pending()


def test_a_lost_store_is_not_healed_silently(submit_one):
    submit_one()
    seal_pending()
    (open_store().folder / "last-signed").unlink()
    submit_one()
    with pytest.raises(LastSignedMissing, match="2 entries"):
        seal_pending()
    assert Statement.objects.filter(entry__isnull=True).count() == 1


def test_a_lost_key_is_not_replaced(submit_one, settings):
    submit_one()
    seal_pending()
    settings.LEDGER_KEY_FILE.unlink()
    submit_one()
    with pytest.raises(SigningKeyMissing):
        seal_pending()


def test_the_key_is_readable_by_its_owner_alone(submit_one, settings):
    submit_one()
    seal_pending()
    assert settings.LEDGER_KEY_FILE.stat().st_mode & 0o777 == 0o600


class Died(BaseException):
    """Stands for kill -9: nothing may catch it."""


def test_dying_before_the_store_moves_leaves_entries_that_the_next_call_covers(submit_one, monkeypatch):
    submit_one()
    with monkeypatch.context() as patched:
        patched.setattr(LastSignedStore, "advance", _die)
        with pytest.raises(Died):
            seal_pending()
    assert Entry.objects.count() == 2
    assert not Checkpoint.objects.exists()
    submit_one()
    seal_pending()
    assert Checkpoint.objects.get().size == 3
    assert verify_log(policy=own_policy()).intact


def test_dying_after_the_store_moved_is_signed_the_next_time(submit_one, monkeypatch):
    submit_one()
    with monkeypatch.context() as patched:
        patched.setattr(sealing.tlog_checkpoint, "sign_checkpoint", _die)
        with pytest.raises(Died):
            seal_pending()
    assert open_store().read().size == 2
    assert not Checkpoint.objects.exists()
    assert seal_pending().size == 2
    assert verify_log(policy=own_policy()).intact


def test_dying_twice_in_a_row_still_ends_in_one_sound_log(submit_one, monkeypatch):
    for broken in ("advance", "sign"):
        submit_one()
        with monkeypatch.context() as patched:
            if broken == "advance":
                patched.setattr(LastSignedStore, "advance", _die)
            else:
                patched.setattr(sealing.tlog_checkpoint, "sign_checkpoint", _die)
            with pytest.raises(Died):
                seal_pending()
    submit_one()
    seal_all()
    verdict = verify_log(policy=own_policy())
    assert verdict.intact
    assert verdict.size == 4


def _die(*args, **kwargs):
    raise Died


def test_the_sealer_does_not_look_far_back(submit_one, django_assert_max_num_queries):
    for _ in range(20):
        submit_one()
    seal_pending()
    submit_one()
    # One more where there is an advisory lock to take.
    with django_assert_max_num_queries(12 if connection.vendor == "sqlite" else 13):
        seal_pending()


def test_a_statement_of_long_ago_is_still_found(submit_one):
    """Drained by state: an old pending row is sealed although newer ones were sealed before it."""
    late = submit_one()
    Statement.objects.filter(pk=late.pk).update(entry=None, submitted_at=datetime.now(UTC) - timedelta(days=3))
    submit_one()
    seal_all()
    assert Statement.objects.get(pk=late.pk).entry is not None


@pytest.fixture
def another_process(monkeypatch):
    """Make the sealer what it is after a restart: a process that remembers nothing."""

    def restart() -> None:
        monkeypatch.setattr(sealing, "_memory", StoredEntries(()))

    return restart


def insider(**changes) -> None:
    """Change columns of an entry past the triggers: ``index`` says which."""
    index = changes.pop("of")
    append_only.disarm(connection)
    Entry.objects.filter(index=index).update(**changes)
    append_only.arm(connection)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("note", b"x" * 32),
        ("leaf_hash", b"x" * 32),
        ("kind", "enrolment"),
        ("subject_seq", 7),
        ("sealed_at", datetime(2999, 1, 1, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("of", [1, 2], ids=["subject's newest", "last"])
def test_nothing_is_chained_to_an_entry_that_was_changed(submit_one, another_process, of, column, value):
    shipment = uuid.uuid4().urn
    submit_one(subject=shipment)
    submit_one()
    seal_pending()
    insider(of=of, **{column: value})
    another_process()
    submit_one(subject=shipment)
    with pytest.raises(EntryChanged, match=f"Entry {of} is not as this log's key sealed it"):
        seal_pending()
    assert Entry.objects.count() == 3
    assert Statement.objects.filter(entry__isnull=True).count() == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps text out of a column of bytes")
@pytest.mark.parametrize(
    ("table", "error"), [("ledger_entry SET note", EntryChanged), ("ledger_statement SET body", StatementChanged)]
)
def test_text_where_bytes_were_stops_the_sealer_by_name(submit_one, table, error):
    submit_one()
    seal_pending()
    submit_one()
    append_only.disarm(connection)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} = 'text'")
    append_only.arm(connection)
    with pytest.raises(error):
        seal_pending()


def test_a_sealer_that_remembers_chains_to_what_it_sealed_whatever_the_row_says(submit_one):
    shipment = uuid.uuid4().urn
    for subject in (shipment, "", shipment, ""):
        submit_one(subject=subject)
        seal_pending()
    newest = leaf_hash(bytes(Entry.objects.get(index=3).note)).hex()
    insider(of=3, subject=uuid.uuid4().urn)
    submit_one(subject=shipment)
    seal_pending()
    assert (parsed(5).subject_seq, parsed(5).subject_prev) == (2, newest)


def test_a_sealer_forgets_once_another_has_sealed(submit_one, another_process, monkeypatch):
    shipment = uuid.uuid4().urn
    for _ in range(2):
        submit_one(subject=shipment)
        seal_pending()
    remembers = sealing._memory
    another_process()
    submit_one(subject=shipment)
    seal_pending()
    monkeypatch.setattr(sealing, "_memory", remembers)
    submit_one(subject=shipment)
    seal_pending()
    assert [parsed(index).subject_seq for index in range(1, 5)] == [0, 1, 2, 3]
    assert verify_log(policy=own_policy()).intact


def test_an_entry_moved_to_another_subject_is_not_continued(submit_one):
    shipment, other = uuid.uuid4().urn, uuid.uuid4().urn
    submit_one(subject=shipment)
    submit_one()
    seal_pending()
    insider(of=1, subject=other)
    submit_one(subject=other)
    with pytest.raises(EntryChanged, match=f"subject: expected {shipment}, found {other}"):
        seal_pending()


def test_a_subject_with_an_entry_hidden_in_its_middle_is_not_continued(submit_one, another_process):
    shipment = uuid.uuid4().urn
    for _ in range(3):
        submit_one(subject=shipment)
    submit_one()
    seal_pending()
    insider(of=2, subject=uuid.uuid4().urn)
    another_process()
    submit_one(subject=shipment)
    with pytest.raises(EntryChanged, match=f"entries about {shipment}: expected 3, found 2"):
        seal_pending()


def test_an_entry_by_another_key_is_not_continued(submit_one, settings, tmp_path):
    submit_one()
    seal_pending()
    settings.LEDGER_KEY_FILE = tmp_path / "another.pem"
    load_signer(may_create=True)
    submit_one()
    with pytest.raises(EntryChanged, match="Entry 1 is not as this log's key sealed it"):
        seal_pending()


@pytest.mark.parametrize("pending", [True, False])
def test_a_last_row_that_is_gone_is_not_sealed_over(submit_one, pending):
    for _ in range(3):
        submit_one()
    seal_pending()
    append_only.disarm(connection)
    Statement.objects.filter(entry=3).delete()
    Entry.objects.filter(index=3).delete()
    append_only.arm(connection)
    if pending:
        submit_one()
    with pytest.raises(LogWentBack) as refused:
        seal_pending()
    assert (refused.value.database, refused.value.signed) == (3, 4)
    assert list(Entry.objects.values_list("index", flat=True)) == [0, 1, 2]
    assert Checkpoint.objects.first().size == 4


def test_a_last_number_that_covers_for_a_gone_row_is_noticed(submit_one):
    for _ in range(3):
        submit_one()
    seal_pending()
    append_only.disarm(connection)
    Statement.objects.filter(entry__index__gte=2).update(entry=None)
    Entry.objects.filter(index=3).delete()
    Entry.objects.filter(index=2).update(index=3)
    append_only.arm(connection)
    with pytest.raises(EntryChanged, match="index: expected 2, found 3"):
        seal_pending()


@pytest.mark.parametrize("changes", [{"size": 2}, {"frontier": b"short"}, {"frontier": b"x" * 64}])
def test_a_changed_head_signs_nothing(submit_one, monkeypatch, changes):
    """Between a crash and the next call the entries are unsigned, and the head is all that the tree is built on."""
    submit_one()
    submit_one()
    with monkeypatch.context() as patched:
        patched.setattr(LastSignedStore, "advance", _die)
        with pytest.raises(Died):
            seal_pending()
    LogHead.objects.update(**changes)
    with pytest.raises(LogHeadChanged, match="ledger_loghead"):
        seal_pending()
    assert not Checkpoint.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b'{"weight_kg":1.5}'},
        {"body": b"\xff\xfe"},
        {"body": b"[]"},
        {"body": b'{"n": 1}'},
        {"kind": "teleport"},
        {"kind": "genesis"},
        {"kind": "index_epoch"},
        {"kind": "key_rotated"},
        {"subject": "LRD-1042"},
    ],
)
def test_a_pending_statement_that_was_changed_stops_the_sealer_by_name(submit_one, changes):
    first = submit_one(key="handoff:1042")
    kept = {name: getattr(first, name) for name in changes}
    Statement.objects.update(**changes)
    submit_one()
    with pytest.raises(
        StatementChanged, match="The pending statement handoff:1042 cannot be sealed any more"
    ) as stopped:
        seal_all()
    assert isinstance(stopped.value, SealingStopped)
    assert not Entry.objects.exists()
    with pytest.raises(CommandError, match="handoff:1042"):
        call_command("seal")
    Statement.objects.filter(pk=first.pk).update(**kept)
    seal_all()
    assert verify_log(policy=own_policy()).intact


def test_a_store_of_another_log_signs_nothing(submit_one, settings):
    submit_one()
    seal_pending()
    store = open_store()
    signed = store.read()
    (store.folder / "last-signed").write_text(replace(signed, origin="example.org/other").text())
    submit_one()
    with pytest.raises(LastSignedOfAnotherLog, match=r"is of the log example\.org/other") as stopped:
        seal_pending()
    assert isinstance(stopped.value, SealingStopped)
    with pytest.raises(LastSignedOfAnotherLog):
        store.advance(expected=signed, new=signed)


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\xff"])
def test_a_store_that_cannot_be_read_signs_nothing(submit_one, content):
    submit_one()
    seal_pending()
    (open_store().folder / "last-signed").write_bytes(content)
    submit_one()
    with pytest.raises(LastSignedUnreadable, match="last-signed"):
        seal_pending()
