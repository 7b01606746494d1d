"""Index epochs: when one is sealed, what it commits to, and what an insider's columns can do to it."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from ledger import append_only, chaining, epochs
from ledger.errors import EpochNotRecomputed, EpochNotThere, EpochNotWhole
from ledger.models import Entry
from ledger.own_policy import own_policy
from ledger.sealing import seal_all, seal_epoch, seal_pending
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from ledger.tlog.index_epoch import SubjectHead, epoch_body, read_epoch, verify_absent, verify_present
from ledger.tlog.merkle import leaf_hash
from ledger.verification import verify_log

pytestmark = pytest.mark.django_db


def entry(index: int):
    return parse_entry(bytes(Entry.objects.get(index=index).note))


def kinds() -> list[str]:
    return list(Entry.objects.order_by("index").values_list("kind", flat=True))


def commitment_from_the_notes(below: int) -> dict:
    counts, heads = Counter(), {}
    for note in Entry.objects.filter(index__lt=below).order_by("index").values_list("note", flat=True):
        subject = parse_entry(bytes(note)).subject
        counts[subject] += 1
        heads[subject] = leaf_hash(bytes(note))
    return epoch_body(sorted(SubjectHead.of(subject, counts[subject], heads[subject]) for subject in heads))


def test_an_epoch_commits_to_every_subject_before_it(submit_one):
    shipment = uuid.uuid4().urn
    for subject in (shipment, "", shipment, "", shipment):
        submit_one(subject=subject)
    seal_all()
    assert seal_epoch().size == 7
    assert entry(6).kind == "index_epoch"
    assert entry(6).body == commitment_from_the_notes(6)
    assert entry(6).body["subjects"] == 4  # the log itself, the shipment, and two more
    # A second one has the first among its entries.
    submit_one(subject=shipment)
    seal_all()
    seal_epoch()
    assert entry(8).body == commitment_from_the_notes(8)
    assert verify_log(policy=own_policy()).intact


def test_epochs_stand_in_the_chain_of_the_log_itself(submit_one):
    for _ in range(2):
        submit_one()
        seal_all()
        seal_epoch()
    chain = [parse_entry(bytes(row.note)) for row in Entry.objects.filter(subject=entry(0).subject)]
    assert [(one.kind, one.subject_seq) for one in chain] == [("genesis", 0), ("index_epoch", 1), ("index_epoch", 2)]


def test_an_epoch_is_due_after_so_many_entries(submit_one, settings):
    settings.LEDGER_EPOCH_ENTRIES = 4
    for _ in range(7):
        submit_one()
        seal_all()
    assert kinds() == ["genesis", *["handoff"] * 3, "index_epoch", *["handoff"] * 4, "index_epoch"]


def test_a_batch_that_makes_an_epoch_due_ends_in_it(submit_one, settings):
    settings.LEDGER_EPOCH_ENTRIES = 5
    submit_one()
    seal_all()
    for _ in range(8):
        submit_one()
    seal_all()
    assert kinds() == ["genesis", *["handoff"] * 9, "index_epoch"]
    assert entry(10).body == commitment_from_the_notes(10)


def test_an_epoch_is_due_after_its_time_where_anything_is_new(submit_one, settings, monkeypatch):
    settings.LEDGER_EPOCH_EVERY = 60 * 60
    submit_one()
    seal_all()
    assert seal_pending() is None
    later = datetime.now(UTC) + timedelta(hours=2)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return later

    monkeypatch.setattr("django.utils.timezone.datetime", Later)
    monkeypatch.setattr(chaining, "datetime", Later)
    assert seal_pending().size == 3
    assert kinds() == ["genesis", "handoff", "index_epoch"]
    later += timedelta(days=30)
    assert seal_pending() is None  # nothing is new but the epoch itself


def test_there_is_no_epoch_without_an_entry():
    assert seal_epoch() is None
    assert not Entry.objects.exists()


def test_the_command_seals_one_on_demand(submit_one, capsys):
    submit_one()
    call_command("seal", "--epoch")
    assert "Entry 2 is an index epoch" in capsys.readouterr().out
    call_command("seal", "--epoch")
    assert "No entry has joined" in capsys.readouterr().out
    assert kinds() == ["genesis", "handoff", "index_epoch"]


def test_the_proof_of_a_subject_leads_to_the_epoch(submit_one):
    subjects = [uuid.uuid4().urn for _ in range(9)]
    for subject in (*subjects, subjects[4]):
        submit_one(subject=subject)
    seal_all()
    seal_epoch()
    submit_one(subject=subjects[4])
    seal_all()
    assert epochs.newest_epoch(below=13) == 11
    assert epochs.newest_epoch(below=11) is None
    root, count = read_epoch(entry(11))
    for subject in subjects:
        proof = epochs.epoch_proof(subject, 11)
        assert proof.absent == ()
        head = verify_present(subject, proof.present, root=root, subjects=count)
        assert head.count == (2 if subject == subjects[4] else 1)
    for _ in range(40):  # hashes that fall before, between and behind the others
        stranger = uuid.uuid4().urn
        proof = epochs.epoch_proof(stranger, 11)
        assert proof.present is None
        verify_absent(stranger, proof.absent, root=root, subjects=count)
        with pytest.raises(TlogError):
            verify_absent(subjects[0], proof.absent, root=root, subjects=count)


@pytest.mark.parametrize("index", [1, 99])
def test_there_is_no_proof_under_an_entry_that_is_no_epoch(submit_one, index):
    submit_one()
    seal_all()
    seal_epoch()
    with pytest.raises(EpochNotThere, match=str(index)):
        epochs.epoch_proof(uuid.uuid4().urn, index)


def test_no_proof_is_made_from_entries_that_were_changed_since(submit_one):
    shipment = uuid.uuid4().urn
    submit_one(subject=shipment)
    seal_all()
    seal_epoch()
    append_only.disarm(connection)
    Entry.objects.filter(index=1).update(leaf_hash=b"x" * 32)
    append_only.arm(connection)
    with pytest.raises(EpochNotRecomputed, match="index epoch at entry 2"):
        epochs.epoch_proof(shipment, 2)


def test_no_epoch_is_sealed_over_subjects_that_do_not_add_up(submit_one):
    shipment = uuid.uuid4().urn
    for _ in range(3):
        submit_one(subject=shipment)
    submit_one()
    seal_all()
    append_only.disarm(connection)
    Entry.objects.filter(index=3).update(subject=uuid.uuid4().urn)
    append_only.arm(connection)
    with pytest.raises(EpochNotWhole, match="first 5 entries have 7 entries between them"):
        seal_epoch()
    assert Entry.objects.count() == 5
