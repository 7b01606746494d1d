"""The verdict over the stored log, after what an insider with the database can do to it."""

import uuid
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from ledger import append_only
from ledger.models import Checkpoint, Entry, LogHead, Statement
from ledger.sealing import seal_all
from ledger.verification import own_policy, run_verification, verify_log

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(submit_one):
    """A log of ten entries: the genesis and nine statements about three shipments."""
    shipments = [uuid.uuid4().urn for _ in range(3)]
    for n in range(9):
        submit_one(subject=shipments[n % 3], n=n)
    seal_all()
    assert Entry.objects.count() == 10


@pytest.fixture
def behind_the_triggers():
    append_only.disarm(connection)
    yield
    append_only.arm(connection)


def verdict():
    return verify_log(policy=own_policy())


def test_an_untouched_log_is_intact(log):
    found = verdict()
    assert found.status == "intact_unwitnessed"
    assert found.size == 10


@pytest.mark.parametrize("index", [0, 4, 9])
def test_one_changed_byte_names_that_entry(log, behind_the_triggers, index):
    entry = Entry.objects.get(index=index)
    note = bytearray(entry.note)
    note[note.index(b'"body"') + 12] ^= 1
    Entry.objects.filter(index=index).update(note=bytes(note))
    found = verdict()
    assert found.status == "broken"
    assert found.broken_at == index
    assert found.expected
    assert found.found


def test_a_removed_entry_is_named(log, behind_the_triggers):
    Statement.objects.filter(entry__index=5).update(entry=None)
    Entry.objects.filter(index=5).delete()
    found = verdict()
    assert (found.status, found.broken_at, found.check) == ("broken", 5, "index")


def test_swapped_entries_are_named(log, behind_the_triggers):
    third, fourth = (bytes(Entry.objects.get(index=index).note) for index in (3, 4))
    Entry.objects.filter(index=3).update(note=fourth)
    Entry.objects.filter(index=4).update(note=third)
    assert verdict().broken_at == 3


def test_a_tail_cut_off_with_its_checkpoints_is_incomplete(log, submit_one, behind_the_triggers):
    head = LogHead.objects.get()
    submit_one()
    seal_all()
    Statement.objects.filter(entry__index__gte=10).update(entry=None)
    Entry.objects.filter(index__gte=10).delete()
    Checkpoint.objects.filter(size__gt=10).delete()
    head.save()
    found = verdict()
    assert (found.status, found.broken_at) == ("incomplete", 10)
    assert "11" in found.expected


def test_everything_gone_is_incomplete(log, behind_the_triggers):
    Statement.objects.all().delete()
    Entry.objects.all().delete()
    Checkpoint.objects.all().delete()
    assert verdict().status == "incomplete"


def test_a_pinned_key_of_another_log_verifies_nothing(log, settings, tmp_path):
    from ledger.keys import load_signer
    from ledger.tlog.verify import Policy

    settings.LEDGER_KEY_FILE = tmp_path / "another.pem"
    stranger = load_signer(may_create=True)
    found = verify_log(policy=Policy(origin=settings.LEDGER_ORIGIN, vkeys=(stranger.vkey,)))
    assert found.status == "broken"


def test_the_command_says_the_verdict_and_fails_on_a_broken_log(log, behind_the_triggers):
    out = StringIO()
    call_command("verify_ledger", stdout=out, stderr=StringIO())
    assert "ntact" in out.getvalue()
    Entry.objects.filter(index=6).update(note=bytes(Entry.objects.get(index=6).note).replace(b'"n":5', b'"n":6'))
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_ledger", stdout=out, stderr=StringIO())
    assert ended.value.code == 1
    assert "entry 6" in out.getvalue()
    assert "expected" in out.getvalue()


def test_a_run_is_kept_under_the_name_of_who_asked(log, ana):
    run = run_verification(requested_by=ana)
    assert run.verdict["status"] == "intact_unwitnessed"
    assert run.finished_at is not None
