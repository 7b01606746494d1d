"""The verdict over the stored log, after what an insider with the database can do to it."""

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ledger import append_only
from ledger.errors import VerifierKeyMissing
from ledger.keys import load_signer
from ledger.last_signed import open_store
from ledger.models import Checkpoint, Entry, LogHead, Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.verification import verify_log

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
    # PostgreSQL alters no table while checks of foreign keys are put off to the end of the transaction.
    connection.check_constraints()
    append_only.disarm(connection)
    yield
    connection.check_constraints()
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


def test_history_rewritten_with_the_key_and_continued_is_noticed(
    log, submit_one, settings, tmp_path, behind_the_triggers
):
    """The whole database is made anew by who holds the key, one entry longer: only the last-signed store remembers."""
    store = open_store()
    for table in (Statement, Checkpoint, Entry, LogHead):
        table.objects.all().delete()
    settings.LEDGER_LAST_SIGNED_DIR = tmp_path / "forger"
    for n in range(10):
        submit_one(another=n)
    seal_all()
    assert verdict().intact
    settings.LEDGER_LAST_SIGNED_DIR = store.folder
    found = verdict()
    assert (found.status, found.check, found.broken_at) == ("broken", "known_root", None)
    assert found.expected == store.read().root.hex()
    assert "history was written anew" in found.sentence()


def test_entries_beyond_an_old_checkpoint_are_held_against_the_store(log, submit_one, behind_the_triggers):
    submit_one()
    seal_all()
    Checkpoint.objects.filter(size=11).delete()
    assert verdict().intact
    assert verdict().uncovered == 1


def test_a_store_that_is_gone_leaves_the_verdict_incomplete(log):
    (open_store().folder / "last-signed").unlink()
    found = verdict()
    assert (found.status, found.check, found.broken_at) == ("incomplete", "last_signed_missing", None)
    assert "10 entries" in found.expected
    assert "bring the store back" in found.sentence()


def test_a_bad_entry_is_told_before_a_store_that_is_gone(log, behind_the_triggers):
    (open_store().folder / "last-signed").unlink()
    Entry.objects.filter(index=4).update(note=b"garbage")
    assert (verdict().broken_at, verdict().check) == (4, "format")


def test_a_log_that_never_began_needs_no_store():
    load_signer(may_create=True)
    assert verdict().check == "empty"


@pytest.mark.parametrize(
    ("content", "check"),
    [("garbage", "last_signed_format"), ("example.org/other\n10\n" + "A" * 43 + "=\n", "last_signed_origin")],
)
def test_a_store_that_is_not_this_logs_leaves_the_verdict_incomplete(log, ana, content, check):
    (open_store().folder / "last-signed").write_text(content)
    found = verdict()
    assert (found.status, found.check, found.broken_at) == ("incomplete", check, None)
    assert found.expected
    assert found.found
    assert found.sentence().startswith("Incomplete: the last-signed store ")


def test_a_pinned_key_of_another_log_verifies_nothing(log, settings, tmp_path):
    from ledger.tlog.policy import Policy

    settings.LEDGER_KEY_FILE = tmp_path / "another.pem"
    stranger = load_signer(may_create=True)
    found = verify_log(policy=Policy.pin(settings.LEDGER_ORIGIN, stranger.vkey))
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


@pytest.mark.parametrize("options", [{"fast": True}, {"workers": 2}, {"workers": 1}])
def test_the_command_reaches_the_verdict_at_any_depth(log, tmp_path, options):
    out = StringIO()
    call_command("verify_ledger", resume=tmp_path / "state", stdout=out, stderr=StringIO(), **options)
    assert "Intact, unwitnessed: all 10 entries" in out.getvalue()
    assert ("--fast" in out.getvalue()) == ("fast" in options)
    assert list(tmp_path.glob("state*")) == []


def test_a_fast_verification_leaves_out_signatures_and_finds_the_chain(log, behind_the_triggers):
    note = bytes(Entry.objects.get(index=9).note)
    Entry.objects.filter(index=9).update(note=note.replace(b'"n":8', b'"n":9'))
    found = verify_log(policy=own_policy(), deep=False)
    assert (found.check, found.broken_at) == ("checkpoint_root", None)
    assert verdict().broken_at == 9


def test_the_command_takes_a_policy_file(log, tmp_path):
    file = tmp_path / "pinned"
    file.write_text(own_policy().encode())
    out = StringIO()
    call_command("verify_ledger", policy=file, stdout=out, stderr=StringIO())
    assert "Intact" in out.getvalue()
    file.write_text("nonsense\n")
    with pytest.raises(CommandError, match="is no policy"):
        call_command("verify_ledger", policy=file, stdout=out, stderr=StringIO())
    with pytest.raises(CommandError, match="is no policy"):
        call_command("verify_ledger", policy=tmp_path / "absent", stdout=out, stderr=StringIO())


def test_a_resume_file_of_another_kind_is_named_and_kept(log, tmp_path):
    file = tmp_path / "letter"
    file.write_text("not a state file, whatever its name says" * 40)
    with pytest.raises(CommandError, match="give --resume another file"):
        call_command("verify_ledger", resume=file, stdout=StringIO(), stderr=StringIO())
    assert file.read_text().startswith("not a state file")


def test_a_policy_file_that_is_none_verifies_nothing(log, settings, tmp_path):
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"
    settings.LEDGER_POLICY_FILE.write_text("nonsense\n")
    with pytest.raises(VerifierKeyMissing, match="policy"):
        own_policy()


def test_what_is_sealed_meanwhile_is_no_false_alarm(log, submit_one):
    def seal_more(entries):
        submit_one()
        seal_all()

    assert verify_log(policy=own_policy(), on_progress=seal_more).intact
